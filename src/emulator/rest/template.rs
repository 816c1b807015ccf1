//! Path templates of `google.api.http`: `/v1/{name=projects/*/topics/*}:publish`.
//!
//! Template = "/" Segments [ ":" Verb ]; Segment = "*" | "**" | literal | "{" field.path [ "=" Segments ] "}".

use std::ops::Range;

/// One segment of a path as a template sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    /// `*`: exactly one, not empty.
    One,
    /// `**`: all that is left, even nothing; only at the end.
    Rest,
}

/// A field of the request that is filled from a part of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    /// Names of fields, from the request inwards.
    pub(super) field: Vec<String>,
    /// The segments it takes; with [`Segment::Rest`] all from its start.
    pub(super) segments: Range<usize>,
    pub(super) open_ended: bool,
}

impl Variable {
    /// The text of this variable in the segments of a path, percent-decoded; `None` when that is no UTF-8.
    pub(super) fn value(&self, segments: &[&str]) -> Option<String> {
        let end = if self.open_ended { segments.len() } else { self.segments.end };
        let taken = segments.get(self.segments.start..end)?;
        // "%2F" stays as it is in a variable of several segments, or it could not be told from a separator.
        let several = self.open_ended || self.segments.len() > 1;
        let mut text = String::new();
        for (nth, segment) in taken.iter().enumerate() {
            if nth > 0 {
                text.push('/');
            }
            text.push_str(&percent_decode(segment, several)?);
        }
        Some(text)
    }
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) segments: Vec<Segment>,
    pub(super) verb: Option<String>,
    pub(super) variables: Vec<Variable>,
}

impl Template {
    /// Parses a template; `None` when it is malformed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (path, verb) = match text.rfind(':').filter(|&at| text.rfind('}').is_none_or(|brace| brace < at)) {
            Some(at) => (&text[..at], Some(text[at + 1..].to_owned())),
            None => (text, None),
        };
        let mut template = Self { segments: Vec::new(), verb, variables: Vec::new() };
        let mut left = path.strip_prefix('/')?;
        loop {
            left = if let Some(inner) = left.strip_prefix('{') {
                let (variable, after) = inner.split_once('}')?;
                template.variable(variable)?;
                after
            } else {
                let end = left.find('/').unwrap_or(left.len());
                template.segments.push(segment(&left[..end])?);
                &left[end..]
            };
            match left.strip_prefix('/') {
                Some(next) => left = next,
                None if left.is_empty() => break,
                None => return None,
            }
        }
        let rest_inside = template.segments.iter().rev().skip(1).any(|segment| *segment == Segment::Rest);
        (!rest_inside).then_some(template)
    }

    fn variable(&mut self, text: &str) -> Option<()> {
        let (field, pattern) = text.split_once('=').unwrap_or((text, "*"));
        let start = self.segments.len();
        for part in pattern.split('/') {
            self.segments.push(segment(part)?);
        }
        let open_ended = self.segments.last() == Some(&Segment::Rest);
        let field = field.split('.').map(str::to_owned).collect();
        self.variables.push(Variable { field, segments: start..self.segments.len(), open_ended });
        Some(())
    }
}

fn segment(text: &str) -> Option<Segment> {
    match text {
        "" => None,
        "*" => Some(Segment::One),
        "**" => Some(Segment::Rest),
        literal if literal.contains(['*', '{', '}']) => None,
        literal => Some(Segment::Literal(literal.to_owned())),
    }
}

/// Decodes `%XX`; what is not followed by two hexadecimal digits stays as it is. `None` when the result is no UTF-8.
pub(super) fn percent_decode(text: &str, keep_slash: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.as_bytes();
    while let Some((&first, after)) = left.split_first() {
        let decoded = if first == b'%' { after.get(..2).and_then(hex_pair) } else { None };
        match decoded {
            Some(byte) if !(keep_slash && byte == b'/') => {
                bytes.push(byte);
                left = &after[2..];
            }
            _ => {
                bytes.push(first);
                left = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex_pair(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(digits[at]).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_parsed_to_segments_variables_and_verb() {
        let template = Template::parse("/v1/{name=projects/*/topics/*}:publish").unwrap();
        assert_eq!(template.verb.as_deref(), Some("publish"));
        assert_eq!(template.segments.len(), 5);
        assert_eq!(template.variables, [Variable { field: vec!["name".into()], segments: 1..5, open_ended: false }]);
        let template = Template::parse("/v1/{queue.name=projects/**}").unwrap();
        assert_eq!(template.variables, [Variable { field: vec!["queue".into(), "name".into()], segments: 1..3, open_ended: true }]);
        assert_eq!(Template::parse("/v1/{a}/x/{b}").unwrap().variables.len(), 2);
        for malformed in ["", "v1", "/v1//x", "/v1/{a", "/v1/{a}b", "/v1/**/x", "/v1/x*", "/"] {
            assert_eq!(Template::parse(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn values_are_decoded_as_the_rule_says() {
        let one = Variable { field: vec![], segments: 0..1, open_ended: false };
        assert_eq!(one.value(&["a%2Fb%20c%zz%4"]).unwrap(), "a/b c%zz%4");
        assert_eq!(one.value(&["%ff"]), None);
        let two = Variable { field: vec![], segments: 1..3, open_ended: false };
        assert_eq!(two.value(&["x", "a%2Fb", "c%2B%25"]).unwrap(), "a%2Fb/c+%");
        assert_eq!(two.value(&["x", "a"]), None);
        let rest = Variable { field: vec![], segments: 0..1, open_ended: true };
        assert_eq!(rest.value(&["a", "b", "c"]).unwrap(), "a/b/c");
    }
}
