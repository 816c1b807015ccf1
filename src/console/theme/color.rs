//! How many colours the terminal has, and what is left of a colour on it.

use ratatui::style::{Color, Style};

/// How many colours the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// None: `NO_COLOR` is set or the terminal is dumb.
    Mono,
    /// The 16 of ANSI.
    Ansi16,
    /// The 256 of xterm.
    Ansi256,
    /// 24 bits.
    True,
}

impl Depth {
    /// Reads it from the environment, given as a function so that tests need no real one.
    pub(crate) fn detect(get: impl Fn(&str) -> Option<String>) -> Self {
        if get("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            return Depth::Mono;
        }
        let term = get("TERM").unwrap_or_default();
        let color_term = get("COLORTERM").unwrap_or_default();
        match () {
            () if term == "dumb" => Depth::Mono,
            () if color_term.contains("truecolor") || color_term.contains("24bit") || term.contains("direct") => Depth::True,
            () if term.contains("256") || !color_term.is_empty() => Depth::Ansi256,
            () => Depth::Ansi16,
        }
    }

    /// Returns `style` with colours the terminal has.
    pub(crate) fn reduce(self, mut style: Style) -> Style {
        let reduce = |color: Option<Color>| color.and_then(|color| self.color(color));
        style.fg = reduce(style.fg);
        style.bg = reduce(style.bg);
        style
    }

    fn color(self, color: Color) -> Option<Color> {
        match (self, color) {
            (Depth::Mono, _) => None,
            (Depth::Ansi256, Color::Rgb(r, g, b)) => Some(Color::Indexed(to_256(r, g, b))),
            (Depth::Ansi16, Color::Rgb(r, g, b)) => Some(to_16(r, g, b)),
            (Depth::Ansi16, Color::Indexed(index)) if index >= 16 => {
                let (r, g, b) = from_256(index);
                Some(to_16(r, g, b))
            }
            (_, color) => Some(color),
        }
    }
}

/// The steps of the 6×6×6 cube.
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// What most terminals show for the 16 colours, with ratatui's names.
const ANSI: [(Color, (u8, u8, u8)); 16] = [
    (Color::Black, (0, 0, 0)),
    (Color::Red, (205, 49, 49)),
    (Color::Green, (13, 188, 121)),
    (Color::Yellow, (200, 160, 30)),
    (Color::Blue, (36, 114, 200)),
    (Color::Magenta, (188, 63, 188)),
    (Color::Cyan, (17, 168, 205)),
    (Color::Gray, (200, 200, 200)),
    (Color::DarkGray, (102, 102, 102)),
    (Color::LightRed, (241, 76, 76)),
    (Color::LightGreen, (35, 209, 139)),
    (Color::LightYellow, (245, 245, 67)),
    (Color::LightBlue, (59, 142, 234)),
    (Color::LightMagenta, (214, 112, 214)),
    (Color::LightCyan, (41, 184, 219)),
    (Color::White, (255, 255, 255)),
];

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let square = |x: u8, y: u8| u32::from(x.abs_diff(y)).pow(2);
    2 * square(a.0, b.0) + 4 * square(a.1, b.1) + 3 * square(a.2, b.2)
}

fn to_16(r: u8, g: u8, b: u8) -> Color {
    ANSI.iter().min_by_key(|(_, known)| distance(*known, (r, g, b))).map_or(Color::Reset, |(color, _)| *color)
}

fn to_256(r: u8, g: u8, b: u8) -> u8 {
    (16..=255).min_by_key(|index| distance(from_256(*index), (r, g, b))).unwrap_or(15)
}

fn from_256(index: u8) -> (u8, u8, u8) {
    match index {
        0..=15 => ANSI[usize::from(index)].1,
        16..=231 => {
            let cube = usize::from(index - 16);
            (CUBE[cube / 36], CUBE[cube / 6 % 6], CUBE[cube % 6])
        }
        _ => {
            let gray = 8 + (index - 232) * 10;
            (gray, gray, gray)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(vars: &[(&str, &str)]) -> Depth {
        Depth::detect(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn environment_tells_the_depth() {
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), Depth::True);
        assert_eq!(depth(&[("TERM", "tmux-256color")]), Depth::Ansi256);
        assert_eq!(depth(&[("TERM", "linux")]), Depth::Ansi16);
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), Depth::Mono);
        assert_eq!(depth(&[("NO_COLOR", ""), ("TERM", "xterm-256color")]), Depth::Ansi256, "an empty NO_COLOR is not set");
    }

    #[test]
    fn colours_are_reduced_to_the_nearest() {
        assert_eq!(Depth::Ansi256.color(Color::Rgb(255, 0, 0)), Some(Color::Indexed(196)));
        assert_eq!(Depth::Ansi16.color(Color::Rgb(250, 80, 80)), Some(Color::LightRed));
        assert_eq!(Depth::Ansi16.color(Color::Indexed(196)), Some(Color::Red));
        assert_eq!(Depth::Mono.color(Color::Red), None);
        assert_eq!(Depth::True.color(Color::Rgb(1, 2, 3)), Some(Color::Rgb(1, 2, 3)));
    }
}
