use super::*;

#[derive(Debug, PartialEq)]
struct Old {
    a: u8,
}

#[derive(Debug, PartialEq)]
struct New {
    a: u8,
    b: Option<String>,
    c: u32,
}

saved!(struct Old { a });
saved!(struct New { a; b, c });

fn bytes(value: &impl Saved) -> Vec<u8> {
    let mut to = Writer::default();
    value.save(&mut to);
    to.bytes
}

#[test]
fn a_field_added_later_is_its_default_in_older_bytes_and_refused_by_older_builds() {
    let new = New { a: 7, b: Some("x".into()), c: 9 };
    assert_eq!(New::load(&mut Reader::new(&bytes(&new))).unwrap(), new);
    assert_eq!(New::load(&mut Reader::new(&bytes(&Old { a: 7 }))).unwrap(), New { a: 7, b: None, c: 0 });
    let refused = Old::load(&mut Reader::new(&bytes(&new))).unwrap_err();
    assert!(refused.hint().unwrap().contains("newer"), "{refused}");
}

#[test]
fn bytes_that_end_early_or_mean_nothing_are_errors() {
    let whole = bytes(&New { a: 7, b: Some("x".into()), c: 9 });
    for cut in 0..whole.len() {
        assert!(New::load(&mut Reader::new(&whole[..cut])).is_err(), "{cut}");
    }
    assert!(bool::load(&mut Reader::new(&[])).is_err());
    assert!(String::load(&mut Reader::new(&[1, 0, 0, 0, 0, 0, 0, 0, 0xff])).is_err());
    assert!(Vec::<u8>::load(&mut Reader::new(&[0xff; 8])).is_err(), "a length is not believed");
}
