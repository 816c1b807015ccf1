//! JSON as Python's `json.dumps` writes it: a space after `,` and `:`, and nothing but ASCII. Names made by hashing it, and bodies compared byte by byte, depend on that.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

struct Dumps;

impl Formatter for Dumps {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, char) in fragment.char_indices().filter(|(_, char)| !char.is_ascii()) {
            writer.write_all(&fragment.as_bytes()[plain..at])?;
            plain = at + char.len_utf8();
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }
}

/// Writes a value.
pub(crate) fn dumps(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    // A value has only keys that are strings, and a vector takes everything.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut text, Dumps));
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Printed by Python 3.11.
    #[test]
    fn as_python_writes_it() {
        let value = json!({"price": 3, "name": "é\u{1f600}\"\n\u{7f}", "list": [1, 2.5, null, true], "empty": {}, "none": []});
        let expected = r#"{"price": 3, "name": "\u00e9\ud83d\ude00\"\n"#.to_owned()
            + "\x7f"
            + r#"", "list": [1, 2.5, null, true], "empty": {}, "none": []}"#;
        assert_eq!(String::from_utf8(dumps(&value)).unwrap(), expected);
    }
}
