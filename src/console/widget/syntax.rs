//! Colours for one line of JSON or YAML; only visible lines are looked at.

use crate::console::theme::Role;

/// Splits a line into pieces with roles.
pub(crate) fn line(text: &str) -> Vec<(&str, Role)> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, role) = match first {
            '"' | '\'' => quoted(rest, first),
            c if c.is_whitespace() => (rest.len() - rest.trim_start().len(), Role::Fg),
            '{' | '}' | '[' | ']' | ',' | ':' => (1, Role::SyntaxPunct),
            '-' if rest.starts_with("- ") => (1, Role::SyntaxPunct),
            _ => word(rest),
        };
        let length = length.max(first.len_utf8());
        pieces.push((&rest[..length], role));
        rest = &rest[length..];
    }
    pieces
}

fn quoted(text: &str, quote: char) -> (usize, Role) {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            '\\' if !escaped => escaped = true,
            c if c == quote && !escaped => {
                let end = index + c.len_utf8();
                let key = text[end..].trim_start().starts_with(':');
                return (end, if key { Role::SyntaxKey } else { Role::SyntaxString });
            }
            _ => escaped = false,
        }
    }
    (text.len(), Role::SyntaxString)
}

fn word(text: &str) -> (usize, Role) {
    let key_end = text.find(": ").or_else(|| text.strip_suffix(':').map(str::len));
    if let Some(end) = key_end.filter(|end| !text[..*end].contains(['{', '[', '"', ' '])) {
        return (end, Role::SyntaxKey);
    }
    let end = text.find([',', '}', ']']).unwrap_or(text.len());
    let role = match text[..end].trim() {
        "true" | "false" => Role::SyntaxBool,
        "null" | "~" => Role::SyntaxNull,
        word if word.parse::<f64>().is_ok() => Role::SyntaxNumber,
        _ => Role::SyntaxString,
    };
    (end, role)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> String {
        let pieces = line(text);
        assert_eq!(pieces.iter().map(|(piece, _)| *piece).collect::<String>(), text, "nothing is lost");
        pieces
            .iter()
            .filter(|(piece, _)| !piece.trim().is_empty())
            .map(|(piece, role)| format!("{piece}={}", role.name()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn json_and_yaml_are_told_apart() {
        assert_eq!(
            named(r#"  "a\"b": [1, true],"#),
            r#""a\"b"=syntax.key :=syntax.punct [=syntax.punct 1=syntax.number ,=syntax.punct true=syntax.bool ]=syntax.punct ,=syntax.punct"#
        );
        assert_eq!(named("name: projects/p/topics/t"), "name=syntax.key :=syntax.punct projects/p/topics/t=syntax.string");
        assert_eq!(named("- x: null"), "-=syntax.punct x=syntax.key :=syntax.punct null=syntax.null");
        assert_eq!(named("é \"unclosed"), "é \"unclosed=syntax.string");
    }
}
