//! Text onto the screen: escaped, cut to its width by graphemes, aligned by what a terminal makes of it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::model::text::line;

/// Returns how many cells a text takes once it is escaped.
pub(crate) fn width(text: &str) -> u16 {
    u16::try_from(line(text).width()).unwrap_or(u16::MAX)
}

/// Draws a text at (x, y) in at most `max` cells, with `…` where it is cut; returns the cells used.
pub(crate) fn put(buffer: &mut Buffer, x: u16, y: u16, max: u16, text: &str, style: Style) -> u16 {
    let area = buffer.area;
    if y < area.y || y >= area.bottom() || x >= area.right() {
        return 0;
    }
    let max = max.min(area.right() - x);
    let safe = line(text);
    let fits = safe.width() <= usize::from(max);
    let room = if fits { max } else { max.saturating_sub(1) };
    let mut used: u16 = 0;
    for grapheme in safe.graphemes(true) {
        let cells = u16::try_from(grapheme.width()).unwrap_or(u16::MAX);
        if cells == 0 {
            continue;
        }
        if used.saturating_add(cells) > room {
            break;
        }
        buffer[(x + used, y)].set_symbol(grapheme).set_style(style);
        for rest in 1..cells {
            buffer[(x + used + rest, y)].set_symbol(" ").set_style(style);
        }
        used += cells;
    }
    if !fits && used < max {
        buffer[(x + used, y)].set_symbol("…").set_style(style);
        used += 1;
    }
    used
}

/// Draws a text so that it ends at the right edge of `max` cells.
pub(crate) fn put_right(buffer: &mut Buffer, x: u16, y: u16, max: u16, text: &str, style: Style) {
    let own = width(text).min(max);
    put(buffer, x + max - own, y, own, text, style);
}

/// Draws pieces one after the other in a line; returns where the next would begin.
pub(crate) fn pieces(buffer: &mut Buffer, area: Rect, parts: &[(&str, Style)]) -> u16 {
    let mut x = area.x;
    for (text, style) in parts {
        x += put(buffer, x, area.y, area.right().saturating_sub(x), text, *style);
    }
    x
}

/// Breaks a text into lines of at most `max` cells, at spaces where there are any.
pub(crate) fn wrap(text: &str, max: u16) -> Vec<String> {
    let max = usize::from(max.max(1));
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let safe = line(paragraph);
        let mut current = String::new();
        for word in safe.split(' ') {
            if !current.is_empty() && current.width() + 1 + word.width() > max {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            for grapheme in word.graphemes(true) {
                if current.width() + grapheme.width() > max && !current.is_empty() {
                    lines.push(std::mem::take(&mut current));
                }
                current.push_str(grapheme);
            }
        }
        lines.push(current);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, max: u16) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 1));
        put(&mut buffer, 0, 0, max, text, Style::new());
        (0..20).map(|x| buffer[(x, 0)].symbol().to_owned()).collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn wide_text_is_cut_where_it_fits() {
        assert_eq!(drawn("abcdef", 4), "abc…");
        assert_eq!(drawn("漢字漢字", 5), "漢 字 …", "two cells each");
        assert_eq!(drawn("漢字漢字", 4), "漢 …");
        assert_eq!(drawn("a\u{1b}[31m", 20), "a\\u{1b}[31m");
        assert_eq!(drawn("", 0), "");
        assert_eq!(drawn("x", 0), "");
    }

    #[test]
    fn long_words_are_broken() {
        assert_eq!(wrap("aa bb cccccc", 5), ["aa bb", "ccccc", "c"]);
        assert_eq!(wrap("one\n\ntwo", 5), ["one", "", "two"]);
    }
}
