use proptest::prelude::*;

use super::*;

fn attributes(text: &str) -> BTreeMap<String, String> {
    text.split_whitespace().map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (k.into(), v.into())).collect()
}

#[track_caller]
fn check(filter: &str, passes: &[&str], fails: &[&str]) {
    let filter: Filter = filter.parse().unwrap();
    for text in passes {
        assert!(filter.matches(&attributes(text)), "`{text}` should pass `{filter}`");
    }
    for text in fails {
        assert!(!filter.matches(&attributes(text)), "`{text}` should not pass `{filter}`");
    }
}

#[test]
fn documented_forms() {
    check("attributes:domain", &["domain", "domain=x a=b"], &["", "Domain=x", "dom=x"]);
    check(r#"attributes.domain = "com""#, &["domain=com"], &["domain=org", "domain=COM", ""]);
    check(r#"attributes.domain != "com""#, &["domain=org", ""], &["domain=com"]);
    check(r#"hasPrefix(attributes.domain, "co")"#, &["domain=co", "domain=com"], &["domain=c", "domain=xco", ""]);
    check("NOT attributes:domain", &["", "x=1"], &["domain"]);
    check("-attributes:domain", &["", "x=1"], &["domain"]);
    check("NOT -attributes:domain", &["domain"], &[""]);
    check(r#"attributes:"iana.org/language_tag""#, &["iana.org/language_tag=en"], &["iana=en"]);
    check(r#"attributes."iana.org/language_tag" = "en""#, &["iana.org/language_tag=en"], &["iana.org/language_tag=fr"]);
    check(r"attributes:redrive-to", &["redrive-to=x"], &["redrive=x"]);
}

#[test]
fn combinations() {
    check("attributes:a AND attributes:b AND attributes:c", &["a b c"], &["a b", "c", ""]);
    check("attributes:a OR attributes:b OR attributes:c", &["a", "c"], &["", "d"]);
    check("attributes:a AND (attributes:b OR attributes:c)", &["a b", "a c"], &["a", "b c"]);
    check("NOT (attributes:a OR attributes:b)", &["", "c"], &["a", "b"]);
    check("NOT attributes:a OR attributes:b", &["", "a b"], &["a"]);
    check(r#"NOT attributes:redrive-to OR attributes.redrive-to = "billing""#, &["", "redrive-to=billing"], &["redrive-to=mail"]);
    check("  ( ( attributes : a ) )AND(attributes . b=\"1\")", &["a b=1"], &["a", "b=1"]);
}

#[test]
fn literals() {
    check(r#"attributes.a = "\x41\102\u0043\U00000044""#, &["a=ABCD"], &[]);
    check(r#"attributes.a = "\"\\'""#, &[r#"a="\'"#], &[]);
    check(r#"attributes.a = 'x"y'"#, &[r#"a=x"y"#], &[]);
    check(r#"attributes.a = """#, &["a="], &["", "a=x"]);
    check(r#"attributes."NOT" = "AND""#, &["NOT=AND"], &[""]);
}

#[track_caller]
fn refused(filter: &str, message: &str) {
    let error = filter.parse::<Filter>().unwrap_err();
    assert!(error.is_invalid_input());
    assert_eq!(error.to_string(), message, "{filter}");
}

#[test]
fn errors_name_the_place() {
    refused("", "filter, column 1: expected `attributes`, `hasPrefix`, `NOT` or `(`");
    refused("attributes", "filter, column 11: expected `:` or `.`");
    refused("attributes.a", "filter, column 13: expected `=` or `!=`");
    refused("attributes.a = 1", "filter, column 16: expected a string in quotes");
    refused("attributes:ä", "filter, column 12: expected a key (in quotes unless it is made of letters, digits, `-` and `_`)");
    refused("attributes:a and attributes:b", "filter, column 14: expected `AND`, `OR` or the end");
    refused("(attributes:a", "filter, column 14: expected `)`");
    refused("attributes:a AND attributes:b OR attributes:c", "filter, column 31: `AND` and `OR` are combined with parentheses only");
    refused("attributes:a AND", "filter, column 17: expected `attributes`, `hasPrefix`, `NOT` or `(`");
    refused("attributes.a = \"ü", "filter, column 16: the string has no closing quote");
    refused(r#"attributes.a = "\q""#, "filter, column 18: no such escape sequence");
    refused(r#"attributes.a = "\uD800""#, "filter, column 18: no such escape sequence");
    refused(r#"hasPrefix(a, "b")"#, "filter, column 11: expected `attributes`");
    refused(r#"hasSuffix(attributes.a, "b")"#, "filter, column 1: expected `attributes`, `hasPrefix`, `NOT` or `(`");
}

#[test]
fn length_is_limited() {
    let fits = format!(r#"attributes.a = "{}""#, "x".repeat(FILTER_BYTES_MAX - 17));
    assert_eq!(fits.len(), FILTER_BYTES_MAX);
    assert!(fits.parse::<Filter>().is_ok());
    refused(&format!("{fits} "), "a filter has at most 256 bytes, this one has 257");
    assert!("(".repeat(FILTER_BYTES_MAX).parse::<Filter>().is_err());
}

fn conditions() -> impl Strategy<Value = Condition> {
    let key = prop_oneof!["[a-c_0-9][a-c-]{0,3}", any::<String>()];
    let leaf = (0..4, key, prop_oneof!["[a-c]{0,3}", any::<String>()]).prop_map(|(form, key, value)| match form {
        0 => Condition::Has(key),
        1 => Condition::Equals(key, value),
        2 => Condition::Differs(key, value),
        _ => Condition::Prefix(key, value),
    });
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::All),
            prop::collection::vec(inner, 2..4).prop_map(Condition::Any),
        ]
    })
}

proptest! {
    #[test]
    fn reads_back_what_it_writes(condition in conditions()) {
        // Past the length limit, which is not what is tested here.
        prop_assert_eq!(parse::condition(&condition.to_string()).unwrap(), condition);
    }

    #[test]
    fn never_panics(text in r#"(attributes|hasPrefix|NOT|AND|OR|[-.:=!(),"'\\ abx0ü]){0,20}"#) {
        let _ = text.parse::<Filter>();
    }
}
