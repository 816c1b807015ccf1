//! Themes: styles by role, reduced to what the terminal shows. Knows nothing of screens.

mod color;
mod file;
mod glyph;
mod role;

use std::path::Path;

use ratatui::style::{Modifier, Style};

pub(crate) use color::Depth;
pub(crate) use glyph::{Glyphs, State};
pub(crate) use role::Role;

use crate::error::{Error, Kind, Result};

/// The themes that come with the program.
const EMBEDDED: [(&str, &str); 6] = [
    ("dark", include_str!("../../../themes/dark.toml")),
    ("light", include_str!("../../../themes/light.toml")),
    ("ansi16", include_str!("../../../themes/ansi16.toml")),
    ("mono", include_str!("../../../themes/mono.toml")),
    ("high-contrast", include_str!("../../../themes/high-contrast.toml")),
    ("colour-blind", include_str!("../../../themes/colour-blind.toml")),
];

/// A theme file is read to this size; a longer one is no theme.
const THEME_BYTES_MAX: u64 = 256 * 1024;

/// Styles for every role, and the signs to draw with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Theme {
    styles: Vec<Style>,
    /// The signs to draw with.
    pub(crate) glyphs: Glyphs,
}

impl Theme {
    /// Loads a theme by name: from `folder` (the user's), else one that comes with the program.
    pub(crate) fn load(name: &str, folder: Option<&Path>, depth: Depth, ascii: bool) -> Result<Self> {
        let find = |wanted: &str| find(wanted, folder);
        let set = file::read(name, &find)?;
        let mut styles: Vec<Style> = Vec::with_capacity(Role::ALL.len());
        for role in Role::ALL {
            let own = set.get(role).copied();
            let style = match own {
                Some(style) => style,
                None if role.parent() == *role => Style::new(),
                None => styles[role.parent() as usize],
            };
            styles.push(style);
        }
        for style in &mut styles {
            *style = depth.reduce(*style);
        }
        Ok(Self { styles, glyphs: Glyphs::new(ascii) })
    }

    /// Loads the default: by the terminal's background and colours. Never fails: what comes with the program is tested.
    pub(crate) fn standard(light: bool, depth: Depth, ascii: bool) -> Self {
        let name = match depth {
            Depth::Mono => "mono",
            Depth::Ansi16 => "ansi16",
            _ if light => "light",
            _ => "dark",
        };
        Self::load(name, None, depth, ascii)
            .unwrap_or_else(|_| Self { styles: vec![Style::new(); Role::ALL.len()], glyphs: Glyphs::new(ascii) })
    }

    /// Returns the style of a role.
    pub(crate) fn get(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// Returns the style that fills the screen.
    pub(crate) fn base(&self) -> Style {
        self.get(Role::Bg).patch(self.get(Role::Fg))
    }

    /// Returns the style of a role in bold.
    pub(crate) fn bold(&self, role: Role) -> Style {
        self.get(role).add_modifier(Modifier::BOLD)
    }
}

/// Lists the names of themes that can be loaded, those of the program first.
pub(crate) fn names(folder: Option<&Path>) -> Vec<String> {
    let mut names: Vec<String> = EMBEDDED.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files = folder.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let mut own: Vec<String> = files
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned))
        .filter(|name| !names.contains(name))
        .collect();
    own.sort();
    names.extend(own);
    names
}

fn find(name: &str, folder: Option<&Path>) -> Result<(String, String)> {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if let Some(path) = folder.filter(|_| plain).map(|folder| folder.join(format!("{name}.toml"))).filter(|path| path.is_file()) {
        let origin = path.display().to_string();
        if path.metadata().is_ok_and(|meta| meta.len() > THEME_BYTES_MAX) {
            return Err(Error::invalid(format!("theme `{origin}` is larger than {THEME_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| Error::from(error).context(format!("theme `{origin}`")))?;
        return Ok((origin, text));
    }
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(known, text)| (format!("{known}.toml"), (*text).to_owned())).ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no theme `{}`", name.escape_debug()))
            .with_hint(format!("known are {}", names(folder).join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use ratatui::style::Color;

    use super::*;

    fn broken(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mine.toml"), text).unwrap();
        let error = Theme::load("mine", Some(dir.path()), Depth::True, false).unwrap_err().to_string();
        error.replace(&dir.path().display().to_string(), "DIR")
    }

    #[test]
    fn all_that_come_with_the_program_load_in_every_depth() {
        for (name, _) in EMBEDDED {
            for depth in [Depth::Mono, Depth::Ansi16, Depth::Ansi256, Depth::True] {
                let theme = Theme::load(name, None, depth, false).unwrap_or_else(|error| panic!("{name}: {error}"));
                let cursor = theme.get(Role::TableCursor);
                assert!(
                    depth == Depth::Mono || cursor.bg.is_some() || cursor.add_modifier.contains(Modifier::REVERSED),
                    "{name}: the cursor must be seen"
                );
            }
        }
    }

    #[test]
    fn the_focused_button_is_seen_without_any_colour() {
        let theme = Theme::standard(false, Depth::Mono, false);
        for role in [Role::TableCursor, Role::ButtonFocus] {
            assert!(theme.get(role).add_modifier.contains(Modifier::REVERSED), "{}", role.name());
        }
    }

    #[test]
    fn a_role_falls_back_to_its_parent() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("few.toml"), "[palette]\nsea = \"#112233\"\n[roles]\n\"accent\" = \"sea bold\"\n").unwrap();
        let theme = Theme::load("few", Some(dir.path()), Depth::True, false).unwrap();
        assert_eq!(theme.get(Role::Title).fg, Some(Color::Rgb(0x11, 0x22, 0x33)));
        assert_eq!(theme.get(Role::TitleFilter), theme.get(Role::Accent));
    }

    #[test]
    fn a_broken_file_names_file_line_and_role() {
        assert_eq!(broken("[roles]\n\n\"fg.muted\" = \"puce\"\n"), "theme `DIR/mine.toml`, line 3: role `fg.muted`: `puce` is no colour");
        assert_eq!(broken("[roles]\n\"fgg\" = \"red\"\n"), "theme `DIR/mine.toml`, line 2: there is no role `fgg`");
        assert_eq!(broken("inherits = \"mine\""), "theme `DIR/mine.toml`, line 1: `inherits` goes round in a circle at `mine`");
        assert!(broken("inherits = \"nope\"").contains("line 1: there is no theme `nope`"));
        assert!(broken("[roles]\nfg = \n").starts_with("theme `DIR/mine.toml`, line 2: "));
    }

    #[test]
    fn parents_come_before_children() {
        for (index, role) in Role::ALL.iter().enumerate() {
            assert_eq!(*role as usize, index);
            assert!(role.parent() as usize <= index, "{}", role.name());
            assert_eq!(Role::named(role.name()), Some(*role));
        }
    }
}
