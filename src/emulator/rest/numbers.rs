//! Numbers of answers as Google writes them: `500`, not `500.0`.

use std::io::{Result, Write};

use serde_json::ser::Formatter;

/// Whole numbers from here on are left to the formatter within, which has an exponent for them.
const WHOLE_MAX: f64 = 1e15;

/// Writes whole numbers of floating point without a point, and all else as the formatter within does.
pub(super) struct Plain<F>(pub(super) F);

impl<F: Formatter> Formatter for Plain<F> {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> Result<()> {
        if value.fract() == 0.0 && value.abs() < WHOLE_MAX { write!(writer, "{value:.0}") } else { self.0.write_f64(writer, value) }
    }

    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> Result<()> {
        if value.fract() == 0.0 { self.write_f64(writer, f64::from(value)) } else { self.0.write_f32(writer, value) }
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.0.end_object_key(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize as _;
    use serde_json::json;
    use serde_json::ser::{CompactFormatter, PrettyFormatter, Serializer};

    use super::*;

    fn written(formatter: impl Formatter) -> String {
        let mut body = Vec::new();
        let value = json!({"a": [500.0, 0.5, -2.0, 7], "b": {}});
        value.serialize(&mut Serializer::with_formatter(&mut body, Plain(formatter))).unwrap();
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn whole_numbers_have_no_point() {
        assert_eq!(written(CompactFormatter), r#"{"a":[500,0.5,-2,7],"b":{}}"#);
        let pretty = written(PrettyFormatter::new());
        assert!(pretty.starts_with("{\n  \"a\": [\n    500,\n    0.5,"), "{pretty}");
    }
}
