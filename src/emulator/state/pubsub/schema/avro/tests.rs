use proptest::prelude::*;

use super::Avro;

const ORDER: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "int"},
    {"name": "when", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "note", "type": ["null", "string"], "default": null},
    {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["OPEN", "PAID"]}},
    {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 2}},
    {"name": "raw", "type": "bytes"},
    {"name": "lines", "type": {"type": "array", "items": "double"}},
    {"name": "tags", "type": {"type": "map", "values": "boolean"}},
    {"name": "parent", "type": ["null", "Order"]}
]}"#;

const JSON: &str = r#"{"id": 1, "when": 2, "note": {"string": "n"}, "state": "PAID", "hash": "\u0000\u00ff", "raw": "", "lines": [1, 2.5],
    "tags": {"a": true}, "parent": {"shop.Order": {"id": 1, "when": 2, "note": null, "state": "OPEN", "hash": "ab", "raw": "x", "lines": [],
    "tags": {}, "parent": null}}}"#;

/// `JSON` in the binary encoding, by hand.
fn binary() -> Vec<u8> {
    let mut bytes = vec![2, 4, 2, 2, b'n', 2, 0x00, 0xff, 0];
    bytes.extend([4]);
    bytes.extend(1.0_f64.to_le_bytes());
    bytes.extend(2.5_f64.to_le_bytes());
    bytes.extend([0, 2, 2, b'a', 1, 0]);
    bytes.extend([2, 2, 4, 0, 0, b'a', b'b', 2, b'x', 0, 0, 0]);
    bytes
}

#[test]
fn takes_what_the_specification_says() {
    let avro = Avro::parse(ORDER).unwrap();
    avro.check_json(JSON.as_bytes()).unwrap();
    avro.check_binary(&binary()).unwrap();
}

#[test]
fn says_what_is_wrong_with_json() {
    let avro = Avro::parse(ORDER).unwrap();
    for (good, bad, says) in [
        (r#""id": 1, "when": 2, "note": {"#, r#""when": 2, "note": {"#, "Field was not found in JSON object: id"),
        (
            r#""id": 1, "when": 2, "note": {"#,
            r#""id": "1", "when": 2, "note": {"#,
            "JSON object with type string does not match schema which expected number_integer",
        ),
        (
            r#""id": 1, "when": 2, "note": {"#,
            r#""id": 2147483648, "when": 2, "note": {"#,
            "JSON object with type number_unsigned does not match schema which expected number_integer",
        ),
        (r#"{"string": "n"}"#, r#""n""#, "Union has no branch for a JSON value of type string"),
        (r#"{"string": "n"}"#, r#"{"int": 1}"#, "Union has no branch for int"),
        (r#""PAID""#, r#""LOST""#, "Invalid enum value: LOST"),
        (r#""hash": "ab""#, r#""hash": "abc""#, "Fixed value has 3 bytes, and the schema expected 2"),
        (r#""raw": "x""#, "\"raw\": \"\u{20ac}\"", "Bytes have a character above U+00FF"),
        ("[1, 2.5]", "[true]", "JSON object with type boolean does not match schema which expected number_float"),
    ] {
        assert!(JSON.contains(good), "{good}");
        assert_eq!(avro.check_json(JSON.replacen(good, bad, 1).as_bytes()).unwrap_err(), says);
    }
    assert!(avro.check_json(b"{").unwrap_err().starts_with("Invalid JSON"));
}

#[test]
fn refuses_binary_that_is_cut_or_goes_on() {
    let (avro, bytes) = (Avro::parse(ORDER).unwrap(), binary());
    for end in 0..bytes.len() {
        avro.check_binary(&bytes[..end]).unwrap_err();
    }
    let more = [&bytes[..], &[0]].concat();
    assert_eq!(avro.check_binary(&more).unwrap_err(), "Too much data to parse for schema.");
}

#[test]
fn hostile_messages_cost_little() {
    let check = |schema: &str, data: &[u8]| Avro::parse(schema).unwrap().check_binary(data).unwrap_err();
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(check(r#""bytes""#, &huge), "Not enough data to parse for schema");
    assert_eq!(check(r#"{"type": "array", "items": "string"}"#, &huge), "Not enough data to parse for schema");
    assert!(check(r#"{"type": "array", "items": "null"}"#, &huge).contains("values"));
    let itself = r#"{"type": "record", "name": "A", "fields": [{"name": "a", "type": ["null", "A"]}]}"#;
    assert!(check(itself, &vec![2; 100_000]).contains("deep"));
    assert_eq!(check(r#""long""#, &[0xff; 11]), "Number of more than 64 bits");
}

#[test]
fn definitions_that_are_none_are_refused() {
    let deep = format!("{}\"null\"{}", "{\"type\": \"array\", \"items\": ".repeat(10_000), "}".repeat(10_000));
    for text in ["", "{", "1", r#""Unknown""#, r#"{"type": "record", "name": "1 2", "fields": []}"#, r#"{"type": "enum"}"#, &deep] {
        Avro::parse(text).unwrap_err();
    }
}

#[test]
fn revisions_have_to_be_readable_both_ways() {
    let record = |fields: &str| Avro::parse(&format!(r#"{{"type": "record", "name": "A", "fields": [{fields}]}}"#)).unwrap();
    let (one, optional) = (record(r#"{"name": "a", "type": "int"}"#), r#"{"name": "b", "type": "string", "default": ""}"#);
    let more = record(&format!(r#"{{"name": "a", "type": "int"}}, {optional}"#));
    more.compatible(&one).unwrap();
    one.compatible(&more).unwrap();
    record(r#"{"name": "a", "type": "string"}"#).compatible(&one).unwrap_err();
    let required = record(r#"{"name": "a", "type": "int"}, {"name": "b", "type": "string"}"#);
    required.compatible(&one).unwrap_err();
    one.compatible(&required).unwrap_err();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics(data: Vec<u8>, at in 0..ORDER.len(), byte in 32..127_u8) {
        let mut text = ORDER.as_bytes().to_vec();
        text[at] = byte;
        if let Ok(avro) = Avro::parse(std::str::from_utf8(&text).unwrap()) {
            let _ = (avro.check_binary(&data), avro.check_json(&data), avro.check_json(JSON.as_bytes()));
        }
    }
}
