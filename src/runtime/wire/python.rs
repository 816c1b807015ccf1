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

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(float(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, char) in fragment.char_indices().filter(|(_, char)| !char.is_ascii() || *char == '\u{7f}') {
            writer.write_all(&fragment.as_bytes()[plain..at])?;
            plain = at + char.len_utf8();
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }
}

/// Writes a number as `repr` does: the fewest digits that are enough, with an exponent from 1e16 on and below 0.0001.
fn float(value: f64) -> String {
    let text = format!("{value:e}");
    let Some((mantissa, exponent)) = text.split_once('e').and_then(|(mantissa, exponent)| Some((mantissa, exponent.parse::<i32>().ok()?)))
    else {
        return text;
    };
    if (-4..16).contains(&exponent) {
        return format!("{value:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
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

    /// Printed by Python 3.12.
    #[test]
    fn as_python_writes_it() {
        let value = json!({"price": 3, "name": "é\u{1f600}\"\n\u{7f}", "list": [1, 2.5, null, true], "empty": {}, "none": []});
        let expected = r#"{"price": 3, "name": "\u00e9\ud83d\ude00\"\n\u007f", "list": [1, 2.5, null, true], "empty": {}, "none": []}"#;
        assert_eq!(String::from_utf8(dumps(&value)).unwrap(), expected);
        let floats = json!([
            1e22,
            1e16,
            1e15,
            1e-4,
            1e-5,
            1.5e-7,
            123_456.789,
            -0.0,
            5e-324,
            f64::MAX,
            9_007_199_254_740_992.0,
            12_345_678_901_234_568.0,
            100.0,
            1e100
        ]);
        let expected = "[1e+22, 1e+16, 1000000000000000.0, 0.0001, 1e-05, 1.5e-07, 123456.789, -0.0, 5e-324, 1.7976931348623157e+308, 9007199254740992.0, 1.2345678901234568e+16, 100.0, 1e+100]";
        assert_eq!(String::from_utf8(dumps(&floats)).unwrap(), expected);
    }
}
