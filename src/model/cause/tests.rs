use super::*;

fn message(id: &str, data: &str, attributes: &[(&str, &str)]) -> Message {
    Message {
        id: id.into(),
        data: data.to_owned().into(),
        attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ordering_key: String::new(),
        publish_time: None,
        delivery_attempt: None,
    }
}

/// A dead letter of `source`, delivered `count` times.
fn dead(id: &str, source: &str, count: &str, data: &str, attributes: &[(&str, &str)]) -> Message {
    let prefix = "CloudPubSubDeadLetterSource";
    let mut message = message(id, data, attributes);
    for (name, value) in [("Subscription", source), ("SubscriptionProject", "shop"), ("DeliveryCount", count)] {
        message.attributes.insert(format!("{prefix}{name}"), value.to_owned());
    }
    message
}

fn found(messages: &[Message]) -> Vec<(String, u64)> {
    group(messages).into_iter().map(|group| (group.cause.to_string(), group.count)).collect()
}

fn error(name: &str, value: &str) -> Option<String> {
    Cause::of(&message("1", "", &[(name, value)])).error
}

#[test]
fn ids_do_not_tear_a_cause_apart() {
    let messages = [
        message("1", r#"{"total":1,"id":7}"#, &[("error", "order 88121 has no vat_id")]),
        message("2", r#"{"id":8,"total":2}"#, &[("error", "order 88122 has no vat_id")]),
        message("3", r#"{"id":8}"#, &[("error", "order 88122 has no vat_id")]),
        message("4", "plain", &[]),
    ];
    assert_eq!(
        found(&messages),
        [
            ("–: order # has no vat_id ({id total})".to_owned(), 2),
            ("–: no error attribute (text)".to_owned(), 1),
            ("–: order # has no vat_id ({id})".to_owned(), 1),
        ]
    );
    for (value, expected) in [
        ("user ada@example.com is unknown", "user # is unknown"),
        ("row 550e8400-e29b-41d4-a716-446655440000 gone", "row # gone"),
        ("late since 2026-11-21T06:00:00.5Z, again", "late since #, again"),
        ("commit deadbee1f is bad", "commit # is bad"),
        ("the decade of a facade", "the decade of a facade"),
        ("HTTP 503", "HTTP 503"),
        ("Traceback (most recent call last):\n  File \"x.py\", line 3\nKeyError: 'vat_id'\n", "KeyError: 'vat_id'"),
        ("java.lang.NullPointerException: no\n\tat a.b(C.java:7)", "java.lang.NullPointerException: no"),
    ] {
        assert_eq!(error("error", value).as_deref(), Some(expected));
    }
}

#[test]
fn errors_are_found_by_the_words_of_a_name() {
    for name in
        ["error", "Error", "errorMessage", "x-error-message", "ERROR_MESSAGE", "failure.reason", "exception_type", "last_errors", "cause"]
    {
        assert_eq!(error(name, "card declined").as_deref(), Some("card declined"), "{name}");
    }
    for name in ["error_count", "last_error_at", "mirror", "reasonable", "terror", "title", "error_topic", "redrive-error", "ce-error"] {
        assert_eq!(error(name, "card declined"), None, "{name}");
    }
    for value in ["", " ", "None", "false", "0"] {
        assert_eq!(error("error", value), None, "{value:?}");
    }
    let both = message("1", "", &[("reason", "refund"), ("error_code", "E7"), ("error_message", "declined"), ("status", "open")]);
    assert_eq!(Cause::of(&both).error.as_deref(), Some("declined"));
    let pubsub = message("1", "", &[("error", "stale"), ("CloudPubSubDeadLetterSourceDeliveryErrorMessage", "HTTP 500")]);
    assert_eq!(Cause::of(&pubsub).error.as_deref(), Some("HTTP 500"));
}

#[test]
fn errors_are_found_by_how_a_value_reads() {
    for value in [
        "KeyError: 'vat_id'",
        "UNAVAILABLE: upstream connect error",
        "503 Service Unavailable",
        "HTTP/1.1 500",
        "thread 'main' panicked at src/main.rs",
        "failed to connect to db",
        "template `x` does not exist",
    ] {
        assert_eq!(error("x-info", value).as_deref(), Some(value));
    }
    for value in ["order", "SHIPPED", "404", "500 g", "42 rue", "Errors in cookery, a novel", "https://example.com/error"] {
        let expected = (value == "500 g").then(|| value.to_owned());
        assert_eq!(error("x-info", value), expected, "{value}");
    }
}

#[test]
fn shapes_are_paths_of_json_or_a_kind() {
    for (data, expected) in [
        (r#"{"b": {"c": 1, "a": null}, "a": [{"x": 1}, {"y": 2}], "e": {}, "l": []}"#, "{a[].x a[].y b.a b.c e l[]}"),
        (r#"{"users": {"8812": {"n": 1}, "8813": {"n": 2}}}"#, "{users.*.n}"),
        (r#"[{"a b": 1}]"#, "{[].a_b}"),
        ("[]", "{[]}"),
        ("{}", "{}"),
        ("7", "JSON value"),
        ("plain", "text"),
        ("", "empty"),
    ] {
        assert_eq!(Cause::of(&message("1", data, &[])).shape, expected, "{data}");
    }
    let mut binary = message("1", "", &[]);
    binary.data = vec![0xff, 0].into();
    assert_eq!(Cause::of(&binary).shape, "binary");
    binary.data = vec![b' '; 300_000].into();
    assert_eq!(Cause::of(&binary).shape, "large");
    let wide = format!("{{{}}}", (0..500).map(|n| format!("\"k{n}\": 1")).collect::<Vec<_>>().join(","));
    let cause = Cause::of(&message("1", &wide, &[]));
    assert!(cause.shape.ends_with(" …}") && cause.shape.len() < 1000, "{}", cause.shape);
    assert_eq!(cause.shape_short(), "{k0 k1 k10 k100 k101 k102 …}");
    let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    assert_eq!(Cause::of(&message("1", &deep, &[])).shape, "{a.a.a.a.a.a.a.a}");
}

/// A: a Django signal; headers that are propagated lie in the payload, no attributes at all.
#[test]
fn shapes_of_django_google_cloud_tasks() {
    let data = |n: u32| format!(r#"{{"price": {n}, "quantity": 4, "_http_headers": {{"traceparent": "00-{n:032x}-01"}}}}"#);
    let messages = [
        dead("1", "shop--OrderPlaced", "5", &data(1), &[]),
        dead("2", "shop--OrderPlaced", "5", &data(2), &[]),
        dead("3", "shop--OrderPaid", "5", &data(3), &[]),
    ];
    let shape = "{_http_headers.traceparent price quantity}";
    let expected = [
        (format!("shop--OrderPlaced: no error attribute ({shape}, 5 attempts)"), 2),
        (format!("shop--OrderPaid: no error attribute ({shape}, 5 attempts)"), 1),
    ];
    assert_eq!(found(&messages), expected);
}

/// B: events of any producer: JSON or text, with attributes of the producer's own choice.
#[test]
fn shapes_of_django_gcp() {
    let messages = [
        dead(
            "1",
            "aff--events--sync",
            "7",
            r#"{"sku": "a"}"#,
            &[("kind", "stock"), ("processing_exception", "IntegrityError: stock 40121")],
        ),
        dead(
            "2",
            "aff--events--sync",
            "7",
            r#"{"sku": "b"}"#,
            &[("kind", "stock"), ("processing_exception", "IntegrityError: stock 40122")],
        ),
        dead("3", "aff--events--sync", "7", "plain words", &[("kind", "stock")]),
    ];
    let expected = [
        ("aff--events--sync: IntegrityError: stock # ({sku}, 7 attempts)".to_owned(), 2),
        ("aff--events--sync: no error attribute (text, 7 attempts)".to_owned(), 1),
    ];
    assert_eq!(found(&messages), expected);
}

/// C: Django's own tasks, with the answer's exception in an attribute of whoever forwarded it.
#[test]
fn shapes_of_django_tasks() {
    let data = |n: u32, args: &str| {
        format!(
            r#"{{"task_id": "a{n:031}", "task_path": "mail.send", "args": {args}, "kwargs": {{"b": {n}}}, "queue_name": "default", "backend": "default", "priority": 0, "takes_context": false, "enqueued_at": "2026-11-21T04:43:35.843453+00:00"}}"#
        )
    };
    let failed = |n: u32| format!("Traceback (most recent call last):\n  File \"mail.py\", line {n}, in send\nTimeoutError: task a{n:031}");
    let messages = [
        dead("1", "default", "9", &data(1, "[1]"), &[("x-detail", &failed(1))]),
        dead("2", "default", "9", &data(2, "[1, 2]"), &[("x-detail", &failed(2))]),
        dead("3", "default", "9", &data(3, "[]"), &[("x-detail", "ValueError: no")]),
    ];
    let shape = "{args[] backend enqueued_at kwargs.b priority queue_name …}";
    let expected = [
        (format!("default: TimeoutError: task # ({shape}, 9 attempts)"), 2),
        (format!("default: ValueError: no ({shape}, 9 attempts)"), 1),
    ];
    assert_eq!(found(&messages), expected);
}

/// D: a topic per task; Pub/Sub tells what the endpoint answered.
#[test]
fn shapes_of_tasks_over_pubsub() {
    let data = |kwargs: &str| {
        format!(
            r#"{{"task_id": "7f0c", "task_name": "send_welcome_email", "args": [], "kwargs": {kwargs}, "enqueued_at": "2026-11-21T04:43:35Z"}}"#
        )
    };
    let http = |words| [("CloudPubSubDeadLetterSourceDeliveryErrorMessage", words)];
    let source = "prod-shop-tasks-send-welcome-email-sub";
    let messages = [
        dead("1", source, "5", &data(r#"{"user_id": 123}"#), &http("HTTP 500")),
        dead("2", source, "5", &data(r#"{"user_id": 124}"#), &http("HTTP 500")),
        dead("3", source, "5", &data(r#"{"user_id": 125}"#), &http("HTTP 400")),
        dead("4", source, "5", &data("{}"), &http("HTTP 400")),
    ];
    let shape = |kwargs| format!("{{args[] enqueued_at {kwargs} task_id task_name}}, 5 attempts");
    let expected = [
        (format!("{source}: HTTP 500 ({})", shape("kwargs.user_id")), 2),
        (format!("{source}: HTTP 400 ({})", shape("kwargs")), 1),
        (format!("{source}: HTTP 400 ({})", shape("kwargs.user_id")), 1),
    ];
    assert_eq!(found(&messages), expected);
}

/// None of the attributes tells of an error: source, shape and deliveries still do.
#[test]
fn without_an_error_attribute_deliveries_and_shape_tell() {
    let kind = [("kind", "order"), ("tenant", "eu-1"), ("traceparent", "00-aa-bb-01")];
    let messages = [
        dead("1", "billing", "5", r#"{"id": 1}"#, &kind),
        dead("2", "billing", "5", r#"{"id": 2}"#, &kind),
        dead("3", "billing", "12", r#"{"id": 3}"#, &kind),
        dead("4", "audit", "5", r#"{"id": 4}"#, &kind),
    ];
    let words: Vec<_> = found(&messages);
    assert_eq!((words.len(), words[0].0.as_str(), words[0].1), (3, "billing: no error attribute ({id}, 5 attempts)", 2));
}

#[test]
fn a_cause_has_an_id_that_stays() {
    let mut one = dead("1", "billing", "5", r#"{"id": 1}"#, &[("error", "order 88121 has no vat_id")]);
    let cause = Cause::of(&one);
    // It stands in journals and scripts: change it and they find nothing.
    assert_eq!(cause.id().to_string(), "ddfa7492ae09");
    one.delivery_attempt = Some(3);
    one.id = "2".into();
    one.attributes.insert("error".into(), "order 90000 has no vat_id".into());
    assert!(cause.matches(&one) && cause.id().matches(&one), "a look that counts as a delivery does not change it");
    let others = [
        dead("1", "audit", "5", r#"{"id": 1}"#, &[("error", "order 88121 has no vat_id")]),
        dead("1", "billing", "6", r#"{"id": 1}"#, &[("error", "order 88121 has no vat_id")]),
        dead("1", "billing", "5", r#"{"ID": 1}"#, &[("error", "order 88121 has no vat_id")]),
        dead("1", "billing", "5", r#"{"id": 1}"#, &[("reason", "order 88121 has no vat_id")]),
        dead("1", "billing", "5", r#"{"id": 1}"#, &[]),
    ];
    for other in others {
        assert!(!cause.matches(&other) && !cause.id().matches(&other), "{other:?}");
    }
    let id: CauseId = serde_json::from_str(&serde_json::to_string(&cause.id()).unwrap()).unwrap();
    assert_eq!(id, cause.id());
    for text in ["", "ABCDEF012345", "../../../etc", "0123456789abc"] {
        assert!(text.parse::<CauseId>().unwrap_err().is_invalid_input());
    }
}

#[test]
fn a_group_knows_its_times_and_a_sample() {
    let at = |text: &str| Some(text.parse().unwrap());
    let mut messages = [message("1", "a", &[]), message("2", "b", &[]), message("3", "c", &[])];
    messages[0].publish_time = at("2026-11-21T02:00:00Z");
    messages[2].publish_time = at("2026-11-21T01:00:00Z");
    let groups = group(&messages);
    assert_eq!((groups.len(), groups[0].count, groups[0].sample.id.as_str()), (1, 3, "1"));
    assert_eq!((groups[0].first, groups[0].last), (at("2026-11-21T01:00:00Z"), at("2026-11-21T02:00:00Z")));
}

proptest::proptest! {
    #[test]
    fn whatever_a_message_holds_has_a_cause(name in ".{0,20}", value in ".{0,200}", data: Vec<u8>) {
        let mut message = message("1", "", &[(&name, &value), ("error", &value)]);
        message.data = data.into();
        let cause = Cause::of(&message);
        proptest::prop_assert!(cause.matches(&message) && cause.id().matches(&message));
    }
}
