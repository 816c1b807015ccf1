use super::*;

const YAML: &str = "\
project: shop
location: europe-west1
schemas:
  - { name: order, avro: { type: record, name: Order, fields: [{ name: id, type: int }] } }
topics:
  - { name: orders, labels: { team: shop }, retention: 7d, schema: { name: order, encoding: json } }
  - name: orders-dead
subscriptions:
  - name: orders-mail
    topic: orders
    push_endpoint: http://localhost:8080/mail
    ack_deadline: 30s
    filter: attributes.kind = \"order\"
    ordered: true
    dead_letter: { topic: orders-dead, max_attempts: 5 }
    retry: { min_backoff: 10, max_backoff: 10m }
queues:
  - { name: emails, location: us-east1, max_dispatches_per_second: 0.5, retry: { max_attempts: 3 }, paused: true }
jobs:
  - { name: nightly, schedule: 0 3 * * *, time_zone: Europe/Paris, publish: { topic: orders, json: { kind: report } } }
messages:
  - { topic: orders, json: { id: 1 }, attributes: { kind: order }, ordering_key: ada }
tasks:
  - { queue: emails, name: one, delay: 5m, http: { url: 'http://localhost:8080/email', json: { to: ada } } }
";

const TOML: &str = r#"
project = "shop"
location = "europe-west1"
schemas = [{ name = "order", avro = '{"type":"record","name":"Order","fields":[{"name":"id","type":"int"}]}' }]
topics = [{ name = "orders", labels = { team = "shop" }, retention = "7d", schema = { name = "order", encoding = "json" } }, { name = "orders-dead" }]

[[subscriptions]]
name = "orders-mail"
topic = "orders"
push_endpoint = "http://localhost:8080/mail"
ack_deadline = "30s"
filter = 'attributes.kind = "order"'
ordered = true
dead_letter = { topic = "orders-dead", max_attempts = 5 }
retry = { min_backoff = 10, max_backoff = "10m" }

[[queues]]
name = "emails"
location = "us-east1"
max_dispatches_per_second = 0.5
retry.max_attempts = 3
paused = true

[[jobs]]
name = "nightly"
schedule = "0 3 * * *"
time_zone = "Europe/Paris"
publish = { topic = "orders", json = { kind = "report" } }

[[messages]]
topic = "orders"
json = { id = 1 }
attributes = { kind = "order" }
ordering_key = "ada"

[[tasks]]
queue = "emails"
name = "one"
delay = "5m"
http = { url = "http://localhost:8080/email", json = { to = "ada" } }
"#;

fn wishes(seed: &Seed) -> Vec<String> {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let wishes = requests::of(seed, seed.project().unwrap(), now).unwrap();
    let shown = wishes.iter().flat_map(|wish| {
        let then = wish.then.iter().map(|path| format!("then {path}"));
        [format!("{} {} {}", wish.method, wish.path, wish.body)].into_iter().chain(then)
    });
    shown.collect()
}

#[test]
fn both_forms_ask_for_the_same_in_the_order_of_dependency() {
    let yaml = wishes(&file::from_yaml(YAML).unwrap());
    assert_eq!(yaml, wishes(&file::from_toml(TOML).unwrap()));
    let expected = [
        r#"POST /v1/projects/shop/schemas {"name":"projects/shop/schemas/order","type":"AVRO","definition":"{\"type\":\"record\",\"name\":\"Order\",\"fields\":[{\"name\":\"id\",\"type\":\"int\"}]}"}"#,
        r#"PUT /v1/projects/shop/topics/orders {"labels":{"team":"shop"},"messageRetentionDuration":"604800s","schemaSettings":{"schema":"projects/shop/schemas/order","encoding":"JSON"}}"#,
        r"PUT /v1/projects/shop/topics/orders-dead {}",
        r#"PUT /v1/projects/shop/subscriptions/orders-mail {"topic":"projects/shop/topics/orders","pushConfig":{"pushEndpoint":"http://localhost:8080/mail"},"ackDeadlineSeconds":30,"filter":"attributes.kind = \"order\"","enableMessageOrdering":true,"deadLetterPolicy":{"deadLetterTopic":"projects/shop/topics/orders-dead","maxDeliveryAttempts":5},"retryPolicy":{"minimumBackoff":"10s","maximumBackoff":"600s"}}"#,
        r#"POST /v2/projects/shop/locations/us-east1/queues {"name":"projects/shop/locations/us-east1/queues/emails","rateLimits":{"maxDispatchesPerSecond":0.5},"retryConfig":{"maxAttempts":3}}"#,
        "then /v2/projects/shop/locations/us-east1/queues/emails:pause",
        r#"POST /v1/projects/shop/locations/europe-west1/jobs {"name":"projects/shop/locations/europe-west1/jobs/nightly","schedule":"0 3 * * *","timeZone":"Europe/Paris","pubsubTarget":{"topicName":"projects/shop/topics/orders","data":"eyJraW5kIjoicmVwb3J0In0="}}"#,
        r#"POST /v1/projects/shop/topics/orders:publish {"messages":[{"data":"eyJpZCI6MX0=","attributes":{"kind":"order"},"orderingKey":"ada"}]}"#,
        r#"POST /v2/projects/shop/locations/us-east1/queues/emails/tasks {"task":{"name":"projects/shop/locations/us-east1/queues/emails/tasks/one","scheduleTime":"2026-01-01T00:05:00Z","httpRequest":{"url":"http://localhost:8080/email","httpMethod":"POST","headers":{"Content-Type":"application/json"},"body":"eyJ0byI6ImFkYSJ9"}}}"#,
    ];
    assert_eq!(yaml, expected);
}

#[test]
fn mistakes_are_told_with_line_and_field() {
    let yaml = |text: &str| file::from_yaml(text).unwrap_err().to_string();
    let toml = |text: &str| file::from_toml(text).unwrap_err().to_string();
    let table = [
        (
            yaml("topics:\n  - name: orders\n    labell: 1\n"),
            "line 3 (`labell: 1`): unknown field `labell`, expected one of name, labels, retention, schema, google",
        ),
        (
            toml("[[topics]]\nname = \"orders\"\nlabell = 1\n"),
            "line 3 (`labell = 1`): unknown field `labell`, expected one of `name`, `labels`, `retention`, `schema`, `google`",
        ),
        (
            yaml("topics:\n  - name: orders\n    retention: soon\n"),
            "line 3 (`retention: soon`): invalid value: string \"soon\", expected a length of time such as `30s`, `5m` or `7d`, or a number of seconds",
        ),
        (
            toml("[[topics]]\nname = \"orders\"\nretention = \"soon\""),
            "line 3 (`retention = \"soon\"`): invalid value: string \"soon\", expected a length of time such as `30s`, `5m` or `7d`, or a number of seconds",
        ),
        (yaml("\ntopics:\n  - name: 1st\n"), "line 3 (`- name: 1st`): `1st` is not a valid topic name"),
        (toml("\n[[topics]]\nname = \"1st\""), "line 3 (`name = \"1st\"`): `1st` is not a valid topic name"),
        (yaml("queues:\n  - paused: true\n"), "line 2 (`- paused: true`): missing field `name`"),
        (toml("topics = ["), "line 1 (`topics = [`): unclosed array, expected `]`"),
    ];
    for (said, expected) in table {
        assert_eq!(said, expected);
    }
    let hostile = yaml("topics:\n  - name: \"\\e[2J\u{7}\"\n");
    assert!(!hostile.contains(char::is_control), "{hostile:?}");
}

#[test]
fn what_is_not_said_enough_is_refused() {
    let project = "shop".parse().unwrap();
    let refused = |text: &str| requests::of(&file::from_yaml(text).unwrap(), &project, Timestamp::UNIX_EPOCH).unwrap_err();
    let error = refused("queues:\n  - name: emails\n");
    assert_eq!(error.to_string(), "queue `emails` of the seed has no location");
    assert!(error.hint().unwrap().contains("location: europe-west1"));
    let error = refused("messages:\n  - { topic: orders, data: a, json: 1 }\n");
    assert_eq!(error.to_string(), "message 1 for topic `orders` of the seed has its content twice, as text and as `json`");
    let error = refused("schemas:\n  - { name: order }\n");
    assert_eq!(error.to_string(), "schema `order` of the seed needs its definition, as `avro` or as `protobuf`");
    assert!(file::from_yaml("messages:\n  - { topic: orders, data: a, ordering_key: 5m }\n").is_ok());
    for empty in ["", "  \n", "# nothing\n", "{}"] {
        let seed = file::from_yaml(empty).unwrap_or_else(|error| panic!("{empty:?}: {error}"));
        assert!(requests::of(&seed, &project, Timestamp::UNIX_EPOCH).unwrap().is_empty());
    }
}

#[tokio::test]
async fn files_are_read_by_their_extension() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    assert_eq!(read(&write("a.yml", YAML)).await.unwrap().project().unwrap().as_str(), "shop");
    assert_eq!(read(&write("a.TOML", TOML)).await.unwrap().project().unwrap().as_str(), "shop");
    let path = write("b.yaml", "topics:\n  - name: orders\n    colour: red\n");
    let error = read(&path).await.unwrap_err();
    assert!(error.is_invalid_input());
    let expected = format!("seed file `{}`: line 3 (`colour: red`): unknown field `colour`", path.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(read(&write("c.json", "{}")).await.unwrap_err().to_string().ends_with("is neither YAML nor TOML"));
    let missing = read(&folder.path().join("none.yaml")).await.unwrap_err();
    assert!(missing.to_string().contains("none.yaml") && missing.to_string().contains("cannot be read"), "{missing}");
}

#[test]
fn the_example_is_right() {
    let seed = file::from_yaml(include_str!("../../../examples/seed.yaml")).unwrap();
    assert_eq!(wishes(&seed).len(), 1 + 3 + 3 + 2 + 1 + 2 + 1 + 3 + 2);
}

#[test]
fn what_has_no_field_is_given_as_google_has_it() {
    let yaml = "
project: shop
location: l
subscriptions:
  - { name: mail, topic: orders, push_endpoint: 'http://h/', google: { retainAckedMessages: true, pushConfig: { oidcToken: { serviceAccountEmail: a@b.c } } } }
queues:
  - { name: emails, google: { httpTarget: { uriOverride: { host: h } } } }
tasks:
  - { queue: emails, google: { appEngineHttpRequest: { relativeUri: /work } } }
";
    let expected = [
        r#"PUT /v1/projects/shop/subscriptions/mail {"topic":"projects/shop/topics/orders","pushConfig":{"pushEndpoint":"http://h/","oidcToken":{"serviceAccountEmail":"a@b.c"}},"retainAckedMessages":true}"#,
        r#"POST /v2/projects/shop/locations/l/queues {"name":"projects/shop/locations/l/queues/emails","rateLimits":{},"httpTarget":{"uriOverride":{"host":"h"}}}"#,
        r#"POST /v2/projects/shop/locations/l/queues/emails/tasks {"task":{"appEngineHttpRequest":{"relativeUri":"/work"}}}"#,
    ];
    assert_eq!(wishes(&file::from_yaml(yaml).unwrap()), expected);
}
