use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::message::Message;
use crate::model::task::{Attempt, Task, TaskRequest};

fn message() -> Message {
    let attributes = [
        ("kind", "order"),
        ("retries", "12"),
        ("odd key", "x"),
        ("CloudPubSubDeadLetterSourceSubscription", "billing"),
        ("CloudPubSubDeadLetterSourceSubscriptionProject", "shop"),
        ("CloudPubSubDeadLetterSourceDeliveryCount", "5"),
    ];
    Message {
        id: "1734".into(),
        data:
            r#"{"customer": {"id": 9007199254740993, "vat-id": null, "name": "Zoë"}, "items": [{"sku": "a"}], "paid": true, "total": 12.5}"#
                .into(),
        attributes: attributes.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        ordering_key: String::new(),
        publish_time: Some("2026-11-21T00:00:00Z".parse().unwrap()),
        delivery_attempt: Some(1),
    }
}

fn now() -> Timestamp {
    "2026-11-21T03:00:00Z".parse().unwrap()
}

fn selects(text: &str) -> bool {
    text.parse::<Query>().unwrap_or_else(|error| panic!("{text}: {error}")).matches(&MessageSubject::new(&message()), now())
}

#[test]
fn selects_messages() {
    for text in [
        r#"attribute.kind = "order" and age > 2h and payload.customer.id = 9007199254740993 and attempts >= 5 and source = "billing""#,
        "attribute.kind = order",
        "attribute.'odd key' = x",
        "attribute.retries > 9",
        r#"attribute.retries = "12""#,
        "not attribute.missing",
        "attribute.missing = null and attribute.missing != x",
        "payload.customer.vat-id = null and payload.customer",
        "payload.items[0].sku = a",
        "payload.total < 12.6 and payload.total > 12",
        "payload.paid = true AND NOT payload.paid = false",
        r#"payload ~ "Zo.""#,
        r#"payload.customer.name ~ "^Z\w+$""#,
        r#"payload.customer.name !~ "^A""#,
        "size > 50",
        "age >= 3h and age <= 180m and age < 1d and age = 2h60m",
        r#"published < "2026-11-21T00:00:01Z""#,
        "id = 1734",
        "(source = other or source = billing) and (attempts = 5)",
        "source = other or source = other and source = x or attempts = 5",
    ] {
        assert!(selects(text), "{text}");
    }
    for text in [
        "payload.customer.id = 9007199254740992",
        "payload.customer.id = \"9007199254740993\"",
        "payload.nothing.deeper = 1",
        "payload.items[1].sku = a",
        "key",
        "url ~ 'x'",
        "age > 3h1s",
        "source != billing",
        "not (source = billing)",
        "payload.customer.vat-id",
    ] {
        assert!(!selects(text), "{text}");
    }
}

#[test]
fn selects_tasks() {
    let attempt =
        Attempt { schedule_time: None, dispatch_time: None, response_time: Some(now()), status: Some((14, "UNAVAILABLE".into())) };
    let task = Task {
        name: "projects/p/locations/l/queues/q/tasks/t-1".parse().unwrap(),
        request: TaskRequest {
            method: "POST".into(),
            url: "https://x.run.app/tasks/Mail".into(),
            app_engine: false,
            headers: vec![("X-Kind".into(), "mail".into())],
            body: r#"{"user_id": 7}"#.into(),
            token_account: None,
        },
        schedule_time: None,
        create_time: Some("2026-11-20T00:00:00Z".parse().unwrap()),
        dispatch_deadline: None,
        dispatch_count: 51,
        response_count: 50,
        first_attempt: None,
        last_attempt: Some(attempt),
        full: true,
        raw: serde_json::Value::Null,
    };
    let query: Query = "attempts >= 50 and status = 14 and url ~ '/tasks/Mail$' and header.x-kind = mail and body.user_id = 7 and id = t-1"
        .parse()
        .unwrap();
    assert!(query.matches(&TaskSubject::new(&task), now()));
    let basic = Task { full: false, ..task };
    assert!(!query.matches(&TaskSubject::new(&basic), now()), "a body that was not read selects nothing");
}

#[test]
fn knows_whether_it_reads_content() {
    for (text, reads) in
        [("attempts > 1 and id = 7", false), ("age > 1h or not (url ~ 'x' or body.id = 1)", true), ("header.x", true), ("size > 1", true)]
    {
        assert_eq!(text.parse::<Query>().unwrap().reads_content(), reads, "{text}");
    }
}

#[test]
fn errors_point_at_the_character() {
    let wrong = |text: &str| {
        let error = text.parse::<Query>().unwrap_err();
        assert!(error.is_invalid_input());
        error.to_string()
    };
    insta::assert_snapshot!(
        [
            "",
            "age > ",
            "age > 5",
            "colour = red",
            "attribute = x",
            "attribute.kind = \"order",
            "attempts >= many",
            "(age > 1h",
            "age > 1h)",
            "age > 1h or",
            "age > 1h source = x",
            "payload ~ \"(\"",
            "payload.items[x] = 1",
            "published > yesterday",
            "été = 1",
        ]
        .map(|text| format!("{text:26} {}", wrong(text)))
        .join("\n")
    );
}

#[test]
fn deep_nesting_is_refused_not_overflowed() {
    for text in [format!("{}age{}", "(".repeat(1000), ")".repeat(1000)), format!("{}age", "not ".repeat(1000)), "not(".repeat(900)] {
        let error = text.parse::<Query>().unwrap_err().to_string();
        assert!(error.contains("more than 64"), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~é]{0,60}|(age|attribute|payload|and|or|not|[()~=<>!\"'. 0-9a-z]){0,20}") {
        match text.parse::<Query>() {
            Ok(query) => {
                query.matches(&MessageSubject::new(&message()), now());
                prop_assert_eq!(query.to_string().parse::<Query>().unwrap(), query);
            }
            Err(error) => prop_assert!(error.is_invalid_input()),
        }
    }

    #[test]
    fn quoted_attributes_are_found(key in "[^\\\\\"']{1,20}", value in "[^\\\\\"']{0,20}") {
        let mut message = message();
        message.attributes = BTreeMap::from([(key.clone(), value.clone())]);
        let query: Query = format!("attribute.\"{key}\" = '{value}'").parse().unwrap();
        prop_assert!(query.matches(&MessageSubject::new(&message), now()));
    }
}
