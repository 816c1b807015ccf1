use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::text::is_safe;

/// A row as a resource might be: wide characters, an escape sequence, a number.
struct Sample(&'static str, u32);

impl Row for Sample {
    const COLUMNS: &'static [Column] = &[left("NAME"), right("DEPTH"), left("STATE")];

    fn cells(&self, _: Timestamp) -> Vec<String> {
        vec![self.0.into(), self.1.to_string(), "RUNNING".into()]
    }

    fn json(&self) -> Value {
        json!({ "name": self.0, "redriveNumbers": { "depth": self.1 } })
    }
}

fn written(format: Format) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let rows = [Sample("emails", 12), Sample("画像", 7), Sample("a\u{1b}[2J\u{202e}", 1204)];
    Output::new(&mut out, &mut err, format, false).rows(&rows, Timestamp::UNIX_EPOCH).unwrap();
    assert!(err.is_empty());
    String::from_utf8(out).unwrap()
}

#[test]
fn tables_are_aligned_and_escaped() {
    insta::assert_snapshot!(written(Format::Table), @r"
    NAME                DEPTH  STATE
    emails                 12  RUNNING
    画像                    7  RUNNING
    a\u{1b}[2J\u{202e}   1204  RUNNING
    ");
}

#[test]
fn json_is_one_array() {
    insta::assert_snapshot!(written(Format::Json), @r#"
    [
      {
        "name": "emails",
        "redriveNumbers": {
          "depth": 12
        }
      },
      {
        "name": "画像",
        "redriveNumbers": {
          "depth": 7
        }
      },
      {
        "name": "a\u001b[2J\u202e",
        "redriveNumbers": {
          "depth": 1204
        }
      }
    ]
    "#);
}

#[test]
fn json_lines_are_one_document_each() {
    insta::assert_snapshot!(written(Format::Jsonl), @r#"
    {"name":"emails","redriveNumbers":{"depth":12}}
    {"name":"画像","redriveNumbers":{"depth":7}}
    {"name":"a\u001b[2J\u202e","redriveNumbers":{"depth":1204}}
    "#);
}

#[test]
fn yaml_is_a_block() {
    insta::assert_snapshot!(written(Format::Yaml), @r#"
    - name: emails
      redriveNumbers:
        depth: 12
    - name: "画像"
      redriveNumbers:
        depth: 7
    - name: "a\U0000001b[2J\U0000202e"
      redriveNumbers:
        depth: 1204
    "#);
}

#[test]
fn errors_have_a_hint_and_are_escaped() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut output = Output::new(&mut out, &mut err, Format::Table, true);
    output.note("not said");
    output.error(&Error::invalid("no `\u{1b}c`").with_hint("run `redrive demo`"));
    assert_eq!(String::from_utf8(err).unwrap(), "error: no `\\u{1b}c`\nhint: run `redrive demo`\n");
    assert!(out.is_empty());
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (mut gone, mut err) = (Gone, Vec::new());
    let mut output = Output::new(&mut gone, &mut err, Format::Jsonl, false);
    output.rows(&[Sample("a", 1), Sample("b", 2)], Timestamp::UNIX_EPOCH).unwrap();
    assert!(err.is_empty());
}

#[test]
fn ages_have_two_units_at_most() {
    let check = |seconds, expected| assert_eq!(age(std::time::Duration::from_secs(seconds)), expected);
    check(0, "0s");
    check(59, "59s");
    check(60, "1m");
    check(3 * 3600 + 12 * 60, "3h12m");
    check(2 * 86_400 + 3600, "2d01h");
    check(40 * 86_400, "40d");
    let now = Timestamp::from_second(1000).unwrap();
    assert_eq!(ago(Timestamp::from_second(1240).ok(), now), "in 4m");
    assert_eq!(ago(None, now), "-");
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>(), "[ -~\u{80}-\u{a0}\n]{0,12}", "(null|yes|1e3|0x10|~|- a|a: b|#x| x )"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn formats_are_safe_and_keep_the_value(value in any_json()) {
        for text in [json_pretty(&value), json_line(&value)] {
            prop_assert!(text.chars().all(|c| c == '\n' || is_safe(c)));
            prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &value);
        }
        let text = yaml(&value);
        prop_assert!(text.chars().all(|c| c == '\n' || is_safe(c)));
        let read: Value = serde_saphyr::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&read, &value, "{}", text);
    }
}
