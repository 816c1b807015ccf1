//! Text from messages and tasks is data: what is shown of it is escaped here, once for console, command line and log.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Tells whether a character may reach a terminal as it is: no control (C0, C1, DEL), no bidirectional override or isolate, no line or paragraph
/// separator, no zero-width or tag character, no byte-order mark.
pub fn is_safe(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'))
}

/// Escapes everything that [`is_safe`] refuses, on one line: `\n`, `\t` and `\r` by these names, the rest as `\u{…}`.
///
/// ```
/// use redrive::model::text::line;
///
/// assert_eq!(line("plain é 漢"), "plain é 漢");
/// assert_eq!(line("a\u{1b}[2Jb\n"), r"a\u{1b}[2Jb\n");
/// assert_eq!(line("\u{202e}evil"), r"\u{202e}evil");
/// ```
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Escapes like [`line()`], but keeps line breaks and turns tabs into four spaces: for text shown over several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    if text.contains(['\t', '\r']) {
        let text = text.replace("\r\n", "\n").replace('\t', "    ");
        return Cow::Owned(escape(&text, |c| c == '\n').into_owned());
    }
    escape(text, |c| c == '\n')
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(|c| is_safe(c) || keep(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if is_safe(c) || keep(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(out)
}

/// Returns the first line's worth of a payload for a table cell: UTF-8 escaped, cut at `chars_max`; other bytes as `‹binary, 12 B› 00ff…`.
pub fn preview(data: &[u8], chars_max: usize) -> String {
    /// Bytes of a payload that are not text and are shown in hexadecimal.
    const BINARY_BYTES_SHOWN: usize = 16;
    let head = &data[..data.len().min(chars_max.saturating_mul(4))];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && head.len() < data.len() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => {
            let hex = data.iter().take(BINARY_BYTES_SHOWN).fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            return format!("‹binary, {} B› {hex}{}", data.len(), if data.len() > BINARY_BYTES_SHOWN { "…" } else { "" });
        }
    };
    let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let escaped = line(&squeezed);
    if escaped.chars().count() > chars_max {
        escaped.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
    } else {
        escaped.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_unsafe_comes_through(text in any::<String>(), data in any::<Vec<u8>>()) {
            prop_assert!(line(&text).chars().all(is_safe));
            prop_assert!(lines(&text).chars().all(|c| is_safe(c) || c == '\n'));
            prop_assert!(preview(&data, 40).chars().all(is_safe));
        }
    }
}
