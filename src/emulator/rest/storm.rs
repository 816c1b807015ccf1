//! Random but well-formed requests at every route, one state for many of them: no service panics, and none calls anything an internal error.

use std::time::Duration;

use jiff::SignedDuration;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, json};

use super::template::{Segment, Template};
use super::*;
use crate::emulator::engine::{Engine, splitmix64};
use crate::emulator::state::Tick;

const RUNS: u64 = 40;
const REQUESTS: usize = 120;
const DEPTH_MAX: usize = 5;
const STRINGS: [&str; 22] = [
    "",
    "a",
    "*",
    "\u{0}\u{1b}[2J",
    "é😀",
    "projects/p/topics/one",
    "projects/p/topics/two",
    "projects/p/subscriptions/one",
    "projects/p/snapshots/one",
    "projects/p/locations/l/queues/one",
    "projects/p/locations/l/queues/one/tasks/t",
    "projects/p/locations/l/jobs/one",
    "projects/p",
    "http://localhost:1/",
    "https://[::1]/x",
    "* * * * *",
    "0 25 31 2 0",
    "Europe/Paris",
    "attributes.a = \"b\"",
    "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\"",
    "_deleted-topic_",
    "18446744073709551616",
];
const DURATIONS: [&str; 8] = ["0s", "0.000000001s", "10s", "600s", "86400s", "2678400s", "-1s", "315576000000s"];
const TIMES: [&str; 6] = [
    "1970-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "2026-11-21T06:00:00Z",
    "2026-11-22T00:00:00+14:00",
    "2038-01-19T03:14:08Z",
];
const INTEGERS: [i64; 12] = [0, 1, 2, 5, 10, 30, 100, 600, 1001, -1, i32::MAX as i64, i32::MIN as i64];
const FLOATS: [&str; 8] = ["0", "0.5", "1", "500", "-1", "1e300", "NaN", "Infinity"];

struct Storm {
    number: u64,
    /// Strings of earlier answers: ack ids, page tokens, generated names.
    seen: Vec<String>,
}

impl Storm {
    fn below(&mut self, bound: usize) -> usize {
        self.number = self.number.wrapping_add(1);
        usize::try_from(splitmix64(self.number) % bound as u64).unwrap()
    }

    /// Mostly what a field of this name may hold, so that requests get past the first check.
    fn fitting(&mut self, field: &str) -> String {
        let fits: &[&str] = match field {
            "topic" | "dead_letter_topic" | "topic_name" => &["projects/p/topics/one", "projects/p/topics/two", "projects/p/topics/t"],
            "subscription" => &["projects/p/subscriptions/one", "projects/p/subscriptions/two"],
            "snapshot" => &["projects/p/snapshots/one"],
            "url" | "uri" | "push_endpoint" => &["http://localhost:1/", "https://example.com/a?b=c"],
            "schedule" => &["* * * * *", "0 3 * * 1-5", "*/7 1,2 31 12 *"],
            "time_zone" => &["UTC", "Europe/Paris", "Pacific/Apia"],
            "filter" => &["", "attributes.a = \"b\"", "NOT attributes:x"],
            "page_token" | "name" | "region" | "ordering_key" => &["", "k"],
            "message_retention_duration" => &["600s"],
            _ => &[],
        };
        if fits.is_empty() || self.below(4) == 0 { self.text() } else { fits[self.below(fits.len())].to_owned() }
    }

    fn text(&mut self) -> String {
        match self.below(6) {
            0 if !self.seen.is_empty() => {
                let nth = self.below(self.seen.len());
                self.seen[nth].clone()
            }
            1 => "x".repeat(self.below(1100)),
            _ => STRINGS[self.below(STRINGS.len())].to_owned(),
        }
    }

    /// A value that fits the field, mostly.
    fn value(&mut self, field: &FieldDescriptor, depth: usize) -> Json {
        if field.is_map() {
            let members = (0..self.below(3)).map(|_| (self.text(), json!(self.text())));
            return Json::Object(members.collect());
        }
        if field.is_list() {
            return (0..self.below(4)).map(|_| self.single(field, depth)).collect();
        }
        self.single(field, depth)
    }

    fn single(&mut self, field: &FieldDescriptor, depth: usize) -> Json {
        match &field.kind() {
            Kind::String => json!(self.fitting(field.name())),
            Kind::Bytes => json!(["", "YQ==", "AAEC/w=="][self.below(3)]),
            Kind::Bool => json!(self.below(2) == 0),
            Kind::Double | Kind::Float => json!(FLOATS[self.below(FLOATS.len())]),
            Kind::Enum(desc) => json!(self.below(desc.values().len() + 1)),
            Kind::Message(desc) => self.message(desc, depth + 1),
            Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => json!(self.below(1000)),
            _ => json!(INTEGERS[self.below(INTEGERS.len())]),
        }
    }

    fn message(&mut self, desc: &MessageDescriptor, depth: usize) -> Json {
        match desc.full_name() {
            "google.protobuf.Duration" => json!(DURATIONS[self.below(DURATIONS.len())]),
            "google.protobuf.Timestamp" => json!(TIMES[self.below(TIMES.len())]),
            "google.protobuf.FieldMask" => self.mask(),
            name if name.starts_with("google.protobuf.") || depth > DEPTH_MAX => json!({}),
            _ => self.members(desc, depth),
        }
    }

    fn mask(&mut self) -> Json {
        const PATHS: [&str; 10] = [
            "*",
            "labels",
            "ackDeadlineSeconds",
            "pushConfig",
            "rateLimits",
            "retry_config.max_attempts",
            "schedule",
            "httpTarget",
            "stats",
            "no.such",
        ];
        let paths: Vec<&str> = (0..self.below(4)).map(|_| PATHS[self.below(PATHS.len())]).collect();
        json!(paths.join(","))
    }

    fn members(&mut self, desc: &MessageDescriptor, depth: usize) -> Json {
        let mut members = Map::new();
        let mut oneofs = Vec::new();
        for field in desc.fields() {
            // Oneofs get one member, other fields are there in two of three cases.
            let taken = field.containing_oneof().is_some_and(|oneof| oneofs.contains(&oneof.full_name().to_owned()));
            if taken || self.below(3) == 0 {
                continue;
            }
            oneofs.extend(field.containing_oneof().map(|oneof| oneof.full_name().to_owned()));
            let value = self.value(&field, depth);
            members.insert(field.json_name().to_owned(), value);
        }
        Json::Object(members)
    }

    fn path(&mut self, template: &Template) -> String {
        const IDS: [&str; 6] = ["one", "two", "t", "_deleted-topic_", "%00", "goog"];
        let mut path = String::new();
        let mut before = "";
        for segment in &template.segments {
            path.push('/');
            let part = match segment {
                Segment::Literal(text) => text,
                // Few projects and places, so that requests meet.
                _ if before == "projects" => "p",
                _ if before == "locations" => "l",
                _ => IDS[self.below(20).saturating_sub(14)],
            };
            path.push_str(part);
            before = part;
        }
        if let Some(verb) = &template.verb {
            path.push(':');
            path.push_str(verb);
        }
        path
    }

    fn learn(&mut self, json: &Json) {
        match json {
            Json::String(text) if self.seen.len() < 500 => self.seen.push(text.clone()),
            Json::Array(elements) => elements.iter().for_each(|json| self.learn(json)),
            Json::Object(members) => members.values().for_each(|json| self.learn(json)),
            _ => {}
        }
    }
}

/// Every binding: its method, its template, its message.
fn bindings() -> Vec<(Method, Template, MessageDescriptor)> {
    let pool = &pb::POOL;
    let option = pool.get_extension_by_name("google.api.http").unwrap();
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let bindings = methods.filter(|method| method.options().has_extension(&option)).map(|method| {
        let options = method.options();
        let (verb, text) = routes::pattern(options.get_extension(&option).as_message().unwrap()).unwrap();
        let template = Template::parse(&text).unwrap();
        // The whole message goes into the body, or what the rule puts there.
        let body = options.get_extension(&option).as_message().unwrap().get_field_by_name("body").unwrap().as_str().unwrap().to_owned();
        let input = method.input();
        let input = input.get_field_by_name(&body).and_then(|field| field.kind().as_message().cloned()).unwrap_or(input);
        (verb, template, input)
    });
    bindings.collect()
}

/// What is there before the storm.
fn ground() -> [(Method, &'static str, Json); 6] {
    let http = json!({"url": "http://localhost:1/"});
    let dead = json!({"topic": "projects/p/topics/one", "deadLetterPolicy": {"deadLetterTopic": "projects/p/topics/two"}, "enableMessageOrdering": true});
    let job = json!({"name": "projects/p/locations/l/jobs/one", "schedule": "* * * * *", "pubsubTarget": {"topicName": "projects/p/topics/one", "data": "YQ=="}});
    [
        (Method::PUT, "/v1/projects/p/topics/one", json!({})),
        (Method::PUT, "/v1/projects/p/topics/two", json!({"messageRetentionDuration": "600s"})),
        (Method::PUT, "/v1/projects/p/subscriptions/one", dead),
        (Method::POST, "/v2/projects/p/locations/l/queues", json!({"name": "projects/p/locations/l/queues/one"})),
        (Method::POST, "/v2/projects/p/locations/l/queues/one/tasks", json!({"task": {"httpRequest": http}})),
        (Method::POST, "/v1/projects/p/locations/l/jobs", job),
    ]
}

async fn send(services: &Services, method: Method, uri: &str, body: &Json) -> Option<(u16, Json)> {
    let request = Request::builder().method(method).uri(uri).body(Body::from(body.to_string())).unwrap();
    // A pull of an empty subscription waits: it is given up, as clients do.
    let response = tokio::time::timeout(Duration::from_millis(20), answer(services, request)).await.ok()?;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Some((status, serde_json::from_slice(&bytes).unwrap()))
}

#[tokio::test]
async fn no_request_makes_a_service_panic_or_fail_within() {
    let bindings = bindings();
    let mut good = 0;
    for run in 0..RUNS {
        let engine = Engine::start(run).0;
        let services = Services::new(&engine);
        let mut storm = Storm { number: run << 32, seen: Vec::new() };
        for (method, path, body) in ground() {
            assert_eq!(send(&services, method, path, &body).await.map(|(status, _)| status), Some(200), "{path}");
        }
        for _ in 0..REQUESTS {
            let (method, template, input) = &bindings[storm.below(bindings.len())];
            let (path, body) = (storm.path(template), storm.members(input, 0));
            let Some((status, json)) = send(&services, method.clone(), &path, &body).await else { continue };
            assert!(status != 500, "run {run}: {method} {path} {body}\n{json}");
            good += u32::from(status == 200);
            storm.learn(&json);
            if storm.below(10) == 0 {
                engine.advance(SignedDuration::from_secs(1 << storm.below(20)));
                engine.run(Tick).await.unwrap();
            }
        }
    }
    assert!(good > 1000, "only {good} requests were any good");
}
