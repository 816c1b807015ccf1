//! Theme files: TOML with `inherits`, `[palette]` and `[roles]`. A broken one is refused with file, line and role.

use std::collections::BTreeMap;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use toml::Spanned;

use crate::console::theme::Role;
use crate::error::{Error, Result};

/// How many themes may build on each other.
const INHERIT_DEPTH_MAX: usize = 8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    inherits: Option<Spanned<String>>,
    #[serde(default)]
    palette: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    roles: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// Styles by role as one theme and its ancestors set them; unset roles are absent.
pub(crate) type Styles = BTreeMap<Role, Style>;

/// Reads the theme `name`, whose text and origin `find` returns, with everything it inherits.
pub(crate) fn read(name: &str, find: &dyn Fn(&str) -> Result<(String, String)>) -> Result<Styles> {
    Ok(read_level(name, find, 0)?.0)
}

type Palette = BTreeMap<String, Color>;

fn read_level(name: &str, find: &dyn Fn(&str) -> Result<(String, String)>, level: usize) -> Result<(Styles, Palette)> {
    let (origin, text) = find(name)?;
    let fail = |span: std::ops::Range<usize>, what: String| {
        let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
        Error::invalid(format!("theme `{origin}`, line {line}: {what}"))
            .with_hint("a style is `COLOUR [on COLOUR] [bold] [dim] [italic] [underline] [reverse]`; a colour is `#rrggbb`, a name of `[palette]` or of ANSI, or 0-255")
    };
    let file: File = toml::from_str(&text).map_err(|error| fail(error.span().unwrap_or(0..0), error.message().to_owned()))?;
    let (mut styles, mut palette) = match &file.inherits {
        Some(parent) if level >= INHERIT_DEPTH_MAX => {
            return Err(fail(parent.span(), format!("`inherits` goes round in a circle at `{}`", parent.get_ref())));
        }
        Some(parent) => read_level(parent.get_ref(), find, level + 1)
            .map_err(|error| if error.is_not_found() { fail(parent.span(), error.to_string()) } else { error })?,
        None => (Styles::new(), Palette::new()),
    };
    for (key, value) in &file.palette {
        let color = color(value.get_ref(), &palette)
            .ok_or_else(|| fail(value.span(), format!("palette `{key}`: `{}` is no colour", value.get_ref().escape_debug())))?;
        palette.insert(key.clone(), color);
    }
    for (key, value) in &file.roles {
        let role =
            Role::named(key.get_ref()).ok_or_else(|| fail(key.span(), format!("there is no role `{}`", key.get_ref().escape_debug())))?;
        let style = style(role, value.get_ref(), &palette).map_err(|what| fail(value.span(), format!("role `{}`: {what}", role.name())))?;
        styles.insert(role, style);
    }
    Ok((styles, palette))
}

fn style(role: Role, text: &str, palette: &Palette) -> Result<Style, String> {
    let mut style = Style::new();
    let mut background = role == Role::Bg;
    for word in text.split_whitespace() {
        let modifier = match word {
            "bold" => Modifier::BOLD,
            "dim" => Modifier::DIM,
            "italic" => Modifier::ITALIC,
            "underline" => Modifier::UNDERLINED,
            "reverse" => Modifier::REVERSED,
            "on" => {
                background = true;
                continue;
            }
            word => {
                let color = color(word, palette).ok_or_else(|| format!("`{}` is no colour", word.escape_debug()))?;
                style = if background { style.bg(color) } else { style.fg(color) };
                continue;
            }
        };
        style = style.add_modifier(modifier);
    }
    Ok(style)
}

fn color(word: &str, palette: &Palette) -> Option<Color> {
    if let Some(color) = palette.get(word) {
        return Some(*color);
    }
    if word == "default" {
        return Some(Color::Reset);
    }
    Color::from_str(word).ok()
}
