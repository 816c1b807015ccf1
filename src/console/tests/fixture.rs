//! One scenario for all tests of the console: a small shop on fire.

use std::time::Duration;

use crossterm::event::{KeyEvent, KeyModifiers};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::json;

use crate::console::action::Keymap;
use crate::console::app::App;
use crate::console::config::Config;
use crate::console::key::Key;
use crate::console::message::{CallId, Effect, Fetch, Fetched, Message, Session};
use crate::console::theme::{Depth, Theme};
use crate::console::view;
use crate::error::{Error, Kind};
use crate::model::dead_letter::relations;
use crate::model::job::{Job, JobState, JobTarget};
use crate::model::listing::Listing;
use crate::model::message::Message as Letter;
use crate::model::numbers::{Measured, Numbers, QueueNumbers, Series, Source, SubscriptionNumbers};
use crate::model::queue::{Queue, QueueState, TaskRetry};
use crate::model::subscription::{DeadLetterPolicy, Delivery, Subscription};
use crate::model::task::{Attempt, Task, TaskRequest};
use crate::model::topic::Topic;
use crate::ops::Place;
use crate::ops::transfer::Kind::{Discard, Redrive};
use crate::ops::transfer::{Counts, Plan, Receiver, Request, Route, State, Summary, TransferId};
use crate::ops::{Activity, Finding, Health, Peek, PeekMode};

/// The moment everything happens at.
pub(super) fn now() -> Timestamp {
    "2026-11-21T06:22:10Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - jiff::SignedDuration::from_secs(seconds)
}

/// A console with a terminal of its own, answered by the shop.
pub(super) struct Bench {
    pub(super) app: App,
    theme: Theme,
    /// What was asked of the outside and not answered by [`Bench::settle`].
    pub(super) effects: Vec<Effect>,
}

impl Bench {
    /// Opens a console that has not been answered yet.
    pub(super) fn cold(width: u16, height: u16) -> Self {
        let config = Config::default();
        let keymap = Keymap::new(&config.keys).unwrap();
        let app = App::new("redrive".into(), config, keymap, vec!["dark".into(), "light".into()], (width, height), now());
        Self { app, theme: Theme::standard(false, Depth::True, false), effects: Vec::new() }
    }

    /// Opens a console on the shop, and answers what it asks.
    pub(super) fn new(width: u16, height: u16) -> Self {
        let mut bench = Self::cold(width, height);
        bench.connect("shop-prod");
        bench
    }

    pub(super) fn connect(&mut self, project: &str) {
        let session = Session {
            project: project.into(),
            place: Place::Google,
            locations: vec!["europe-west1".into(), "us-central1".into()],
            sample: false,
        };
        self.say(Message::Connected(Ok(session)));
        self.settle();
    }

    pub(super) fn theme(mut self, theme: Theme) -> Self {
        self.theme = theme;
        self
    }

    pub(super) fn config(mut self, config: Config) -> Self {
        let keymap = Keymap::new(&config.keys).unwrap();
        let size = self.app.size();
        self.app = App::new("redrive".into(), config, keymap, vec![], size, now());
        self.connect("shop-prod");
        self
    }

    /// Tells the console something.
    pub(super) fn say(&mut self, message: Message) {
        self.say_at(message, now());
    }

    pub(super) fn say_at(&mut self, message: Message, at: Timestamp) {
        let effects = self.app.update(message, at);
        self.effects.extend(effects);
    }

    /// Presses keys: `R right enter`.
    pub(super) fn press(&mut self, keys: &str) -> &mut Self {
        for text in keys.split_whitespace() {
            if let Some(word) = text.strip_prefix("type:") {
                for c in word.chars() {
                    self.say(Message::Key(KeyEvent::new(crossterm::event::KeyCode::Char(c), KeyModifiers::NONE).into()));
                }
                continue;
            }
            let key: Key = text.parse().unwrap();
            self.say(Message::Key(key));
            self.settle();
        }
        self
    }

    /// Answers everything that was read; what changes something stays to be looked at.
    pub(super) fn settle(&mut self) {
        let asked = std::mem::take(&mut self.effects);
        for effect in asked {
            if let Effect::Fetch(id, fetch) = effect {
                self.answer(id, &fetch);
            } else {
                self.effects.push(effect);
            }
        }
    }

    pub(super) fn answer(&mut self, id: CallId, fetch: &Fetch) {
        let answer = answer(fetch);
        self.say(Message::Fetched(id, Box::new(answer)));
    }

    /// What is asked of the outside beside reading, in a short form.
    pub(super) fn asked(&self) -> String {
        self.effects.iter().map(|effect| format!("{effect:?}")).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn buffer(&self) -> Buffer {
        let (width, height) = self.app.size();
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        view::paint(&self.app, &self.theme, area, &mut buffer);
        buffer
    }

    /// What a person sees, without colours.
    pub(super) fn text(&self) -> String {
        text(&self.buffer())
    }
}

/// The text of a buffer, line by line.
pub(super) fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut out = String::new();
    for y in area.top()..area.bottom() {
        let mut line = String::new();
        let mut skip = 0;
        for x in area.left()..area.right() {
            let symbol = buffer[(x, y)].symbol();
            if skip > 0 {
                skip -= 1;
                continue;
            }
            skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Answers for the shop.
pub(super) fn answer(fetch: &Fetch) -> Fetched {
    match fetch {
        Fetch::Queues => Fetched::Queues(Ok(listing(queues()))),
        Fetch::Topics => Fetched::Topics(Ok(listing(topics()))),
        Fetch::Subscriptions => Fetched::Subscriptions(Ok(listing(subscriptions()))),
        Fetch::DeadLetters => Fetched::DeadLetters(Ok(listing(relations(&subscriptions(), None)))),
        Fetch::Jobs => Fetched::Jobs(Ok(listing(jobs()))),
        Fetch::Numbers => Fetched::Numbers(Ok(numbers())),
        Fetch::Tasks(queue) => Fetched::Tasks(queue.clone(), Ok(listing(tasks()))),
        Fetch::Task(name) => Fetched::Task(name.clone(), Ok(task(name.id(), 14))),
        Fetch::Messages(name, mode) => Fetched::Messages(
            name.clone(),
            Ok(Peek {
                messages: messages(),
                mode: *mode,
                truncated: false,
                note: (*mode == PeekMode::Leased).then(|| "a sample of leased messages".into()),
                as_of: ago(2),
            }),
        ),
        Fetch::Transfers => Fetched::Transfers(Ok(listing(transfers()))),
        Fetch::Activity => Fetched::Activity(Ok(listing(activity()))),
        Fetch::Doctor => Fetched::Doctor(Ok(listing(findings()))),
        Fetch::Plan(request) => Fetched::Plan(Ok(plan(request))),
    }
}

fn listing<T>(items: Vec<T>) -> Listing<T> {
    Listing { items, ..Listing::empty(ago(2)) }
}

pub(super) fn failure() -> Error {
    Error::new(Kind::PermissionDenied, "permission `cloudtasks.queues.list` is missing in project `shop-prod`")
        .with_hint("ask for the role roles/cloudtasks.viewer: `gcloud projects add-iam-policy-binding shop-prod --member=user:you --role=roles/cloudtasks.viewer`")
}

fn queue(location: &str, id: &str, state: QueueState) -> Queue {
    let name = format!("projects/shop-prod/locations/{location}/queues/{id}");
    Queue {
        raw: json!({"name": name, "state": format!("{state:?}").to_uppercase(), "rateLimits": {"maxDispatchesPerSecond": 5.0}}),
        name: name.parse().unwrap(),
        state,
        dispatches_per_second_max: 5.0,
        burst_max: 10,
        concurrent_max: 20,
        retry: TaskRetry {
            attempts_max: Some(100),
            duration_max: None,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_hours(1),
            doublings_max: 16,
        },
        purge_time: None,
    }
}

pub(super) fn queues() -> Vec<Queue> {
    vec![
        queue("europe-west1", "emails", QueueState::Running),
        queue("europe-west1", "reports", QueueState::Paused),
        queue("us-central1", "thumbnails", QueueState::Running),
    ]
}

fn topics() -> Vec<Topic> {
    let topic = |id: &str| Topic {
        name: format!("projects/shop-prod/topics/{id}").parse().unwrap(),
        retention: (id == "orders").then_some(Duration::from_hours(168)),
        schema: (id == "orders").then(|| "projects/shop-prod/schemas/order-v2".into()),
        raw: json!({"name": format!("projects/shop-prod/topics/{id}")}),
    };
    ["images", "images-dead", "mail", "orders", "orders-dead"].map(topic).into()
}

fn subscription(id: &str, topic: Option<&str>, push: bool, dead: Option<&str>) -> Subscription {
    let topic_name = |id: &str| format!("projects/shop-prod/topics/{id}").parse().unwrap();
    Subscription {
        name: format!("projects/shop-prod/subscriptions/{id}").parse().unwrap(),
        topic: topic.map(topic_name),
        delivery: if push {
            Delivery::Push { endpoint: format!("https://{id}-7xk.run.app/push"), unwrapped: false, account: None }
        } else {
            Delivery::Pull
        },
        ack_deadline: Duration::from_secs(30),
        retention: Duration::from_hours(168),
        retain_acked: false,
        filter: if id == "audit" { "attributes.kind = \"order\"".into() } else { String::new() },
        ordered: false,
        exactly_once: false,
        dead_letters: dead.map(|dead| DeadLetterPolicy { topic: Some(topic_name(dead)), attempts_max: 5 }),
        backoff: None,
        detached: false,
        raw: json!({"name": format!("projects/shop-prod/subscriptions/{id}"), "ackDeadlineSeconds": 30}),
    }
}

fn subscriptions() -> Vec<Subscription> {
    vec![
        subscription("audit", Some("orders"), false, Some("orders-dead")),
        subscription("billing", Some("orders"), true, Some("orders-dead")),
        subscription("orders-hold", Some("orders-dead"), false, None),
        subscription("mailer", Some("mail"), true, None),
        subscription("thumbnails", Some("images"), true, Some("images-dead")),
    ]
}

fn series(values: &[f64]) -> Series {
    let count = i64::try_from(values.len()).unwrap();
    Series { points: values.iter().zip(0..).map(|(value, index)| (ago((count - index) * 60), *value)).collect() }
}

fn measured<T>(value: T, source: Source) -> Measured<T> {
    Measured { value, source, as_of: ago(40) }
}

fn numbers() -> Numbers {
    let mut numbers = Numbers { as_of: Some(ago(2)), ..Numbers::default() };
    for (queue, depth, oldest) in
        queues().into_iter().zip([312, 41, 0]).map(|(queue, depth)| (queue, depth, if depth > 100 { 2460 } else { 90 }))
    {
        numbers.queues.insert(
            queue.name,
            QueueNumbers {
                depth: Some(measured(depth, Source::Stats)),
                depth_series: series(&[120.0, 150.0, 170.0, 210.0, 250.0, 280.0, 300.0, 312.0]),
                oldest: (depth > 0).then(|| Measured { value: ago(oldest), source: Source::Stats, as_of: ago(3) }),
                executed_last_minute: Some(measured(depth / 3, Source::Stats)),
                concurrent: Some(measured(depth / 100, Source::Stats)),
                effective_rate: Some(measured(5.0, Source::Stats)),
            },
        );
    }
    for (name, backlog, age) in
        [("audit", 0, 0), ("billing", 12, 20), ("orders-hold", 1375, 11520), ("mailer", 3, 4), ("thumbnails", 4800, 1320)]
    {
        numbers.subscriptions.insert(
            format!("projects/shop-prod/subscriptions/{name}").parse().unwrap(),
            SubscriptionNumbers {
                backlog: Some(measured(backlog, Source::Monitoring)),
                backlog_series: series(&[10.0, 12.0, 20.0, 40.0, 45.0, 60.0, 80.0]),
                oldest_age: Some(measured(Duration::from_secs(age), Source::Monitoring)),
                backlog_bytes: None,
                dead_lettered: if name == "billing" { series(&[30.0, 40.0, 44.0]) } else { Series::default() },
                acked: series(&[60.0, 70.0]),
                pushes: if name == "thumbnails" { vec![("503".into(), 90), ("200".into(), 10)] } else { vec![] },
            },
        );
    }
    numbers.topics.insert("projects/shop-prod/topics/orders".parse().unwrap(), series(&[100.0, 120.0, 90.0]));
    numbers
}

fn jobs() -> Vec<Job> {
    let job = |id: &str, schedule: &str, state, status: Option<(i32, &str)>, target| Job {
        name: format!("projects/shop-prod/locations/europe-west1/jobs/{id}").parse().unwrap(),
        description: "what a person wrote".into(),
        schedule: schedule.into(),
        time_zone: "Europe/Paris".into(),
        target,
        state,
        status: status.map(|(code, text)| (code, text.into())),
        next_run: Some(now() + jiff::SignedDuration::from_secs(240)),
        last_attempt: Some(ago(21600)),
        raw: json!({"name": format!("projects/shop-prod/locations/europe-west1/jobs/{id}"), "schedule": schedule}),
    };
    let http = || JobTarget::Http { method: "POST".into(), url: "https://reports-7xk.run.app/run".into() };
    vec![
        job("nightly-report", "0 3 * * *", JobState::Enabled, Some((4, "the handler took longer than 30 s")), http()),
        job(
            "report-hourly",
            "0 * * * *",
            JobState::Enabled,
            Some((0, "")),
            JobTarget::PubSub("projects/shop-prod/topics/orders".parse().unwrap()),
        ),
        job("sweep", "*/5 * * * *", JobState::Paused, None, http()),
    ]
}

pub(super) fn task(id: &str, attempts: u32) -> Task {
    let attempt = |seconds: i64| Attempt {
        schedule_time: Some(ago(seconds)),
        dispatch_time: Some(ago(seconds)),
        response_time: Some(ago(seconds - 1)),
        status: Some((13, "HTTP status code 500".into())),
    };
    let name = format!("projects/shop-prod/locations/europe-west1/queues/emails/tasks/{id}");
    Task {
        raw: json!({"name": name, "httpRequest": {"url": "https://mail-7xk.run.app/tasks/SendWelcomeEmail"}}),
        name: name.parse().unwrap(),
        request: TaskRequest {
            method: "POST".into(),
            url: "https://mail-7xk.run.app/tasks/SendWelcomeEmail".into(),
            app_engine: false,
            headers: vec![
                ("Content-Type".into(), "application/json".into()),
                ("Traceparent".into(), "00-0af7651916cd43dd8448eb211c80319c-01".into()),
            ],
            body: br#"{"user_id":8812,"template":"welcome-2","urgent":false,"note":null}"#.as_slice().into(),
            token_account: Some("mailer@shop-prod.iam.gserviceaccount.com".into()),
        },
        schedule_time: Some(now() + jiff::SignedDuration::from_secs(400)),
        create_time: Some(ago(15000)),
        dispatch_deadline: Some(Duration::from_mins(10)),
        dispatch_count: attempts,
        response_count: attempts,
        first_attempt: (attempts > 0).then(|| attempt(14990)),
        last_attempt: (attempts > 0).then(|| attempt(1200)),
        full: true,
    }
}

fn tasks() -> Vec<Task> {
    ["5521000000000000917", "5521000000000000918", "welcome-42"]
        .into_iter()
        .zip([14, 2, 0])
        .map(|(id, attempts)| task(id, attempts))
        .collect()
}

fn messages() -> Vec<Letter> {
    let letter = |id: u32, source: &str, error: Option<&str>, data: &str| {
        let mut attributes: std::collections::BTreeMap<String, String> = [
            ("CloudPubSubDeadLetterSourceSubscription".to_owned(), source.to_owned()),
            ("CloudPubSubDeadLetterSourceSubscriptionProject".to_owned(), "shop-prod".to_owned()),
            ("CloudPubSubDeadLetterSourceDeliveryCount".to_owned(), "5".to_owned()),
            ("kind".to_owned(), "order".to_owned()),
        ]
        .into();
        attributes.extend(error.map(|error| ("error".to_owned(), error.to_owned())));
        Letter {
            id: id.to_string(),
            data: data.to_owned().into(),
            attributes,
            ordering_key: String::new(),
            publish_time: Some(ago(i64::from(id) % 10_000)),
            delivery_attempt: None,
        }
    };
    vec![
        letter(9_912_001, "billing", Some("missing field `customer.vat_id`"), r#"{"order":8812,"total":12.5}"#),
        letter(9_912_002, "billing", Some("missing field `customer.vat_id`"), r#"{"order":8813,"total":99}"#),
        letter(9_912_003, "billing", Some("card_declined"), r#"{"order":8814,"total":5}"#),
        letter(9_912_004, "audit", None, "漢字 and \u{1b}[31mred\u{1b}[0m \u{202e}evil"),
    ]
}

fn request(kind: crate::ops::transfer::Kind) -> Request {
    Request::new(kind, "projects/shop-prod/subscriptions/orders-hold".parse().unwrap())
}

fn transfers() -> Vec<Summary> {
    let summary = |id: &str, kind, state, moved: u64, seen: u64, error: Option<&str>| Summary {
        id: TransferId(id.into()),
        request: request(kind),
        state,
        counts: Counts { seen, moved, discarded: 0, skipped: 0, failed: u64::from(error.is_some()), remaining: seen - moved },
        expected: Some(seen),
        rate: (state == State::Running).then_some(198.0),
        started: ago(300),
        ended: None,
        errors: error.map(str::to_owned).into_iter().collect(),
        copy: None,
        duplicates_max: 0,
        returned: 0,
        returned_causes: vec![],
    };
    vec![
        summary("7f3a", Redrive, State::Running, 702, 988, None),
        Summary {
            counts: Counts { seen: 41, discarded: 41, ..Counts::default() },
            copy: Some("/home/ada/.local/share/redrive/transfers/51c0/kept.jsonl".into()),
            ..summary("51c0", Discard, State::Done, 0, 41, None)
        },
        summary("2e9d", Redrive, State::Stopped, 310, 2000, Some("permission `pubsub.topics.publish` is missing on topic `mail`")),
    ]
}

fn activity() -> Vec<Activity> {
    let entry = |seconds, action: &str, target: &str, result: &str| Activity {
        at: ago(seconds),
        project: "shop-prod".into(),
        action: action.into(),
        target: target.into(),
        result: result.into(),
    };
    vec![
        entry(30, "queue.pause", "projects/shop-prod/locations/europe-west1/queues/reports", "ok"),
        entry(
            400,
            "task.run",
            "projects/shop-prod/locations/europe-west1/queues/emails/tasks/welcome-42",
            "permission `cloudtasks.tasks.run` is missing",
        ),
    ]
}

fn findings() -> Vec<Finding> {
    let finding = |about: &str, health, found: &str, advice: &[&str]| Finding {
        about: about.into(),
        health,
        found: found.into(),
        advice: advice.iter().map(|step| (*step).into()).collect(),
    };
    vec![
        finding(
            "rights",
            Health::Bad,
            "Pub/Sub may not publish to the dead-letter topic `orders-dead`: nothing becomes a dead letter",
            &[
                "grant it: `gcloud pubsub topics add-iam-policy-binding orders-dead --member=serviceAccount:service-42@gcp-sa-pubsub.iam.gserviceaccount.com --role=roles/pubsub.publisher`",
            ],
        ),
        finding(
            "dead letters of thumbnails",
            Health::Bad,
            "topic `images-dead` has no subscription: what lands there is lost",
            &["give it one: `gcloud pubsub subscriptions create images-dead-hold --topic=images-dead`"],
        ),
        finding(
            "transfer 2e9d",
            Health::Warn,
            "redrive mail-hold → source stopped before its end: its process ended",
            &["go on with it: `redrive transfers resume 2e9d`"],
        ),
        finding("project", Health::Good, "`shop-prod` on Google Cloud", &[]),
        finding("Pub/Sub", Health::Good, "answers: 3 topics, 5 subscriptions", &[]),
        finding("clock", Health::Good, "agrees with the server's", &[]),
    ]
}

fn plan(request: &Request) -> Plan {
    let name = |id: &str| format!("projects/shop-prod/subscriptions/{id}").parse().unwrap();
    Plan {
        request: request.clone(),
        cutoff: now(),
        expected: Some(measured(1375, Source::Monitoring)),
        looked: None,
        takes: None,
        routes: vec![Route {
            source: Some(name("billing")),
            topic: "projects/shop-prod/topics/orders".parse().unwrap(),
            messages: 0,
            receivers: vec![
                Receiver { subscription: name("billing"), filter: String::new(), failed: true, matches: None, skips: false },
                Receiver {
                    subscription: name("audit"),
                    filter: "attributes.kind = \"order\"".into(),
                    failed: false,
                    matches: None,
                    skips: false,
                },
            ],
        }],
        refusals: vec![],
        warnings: vec!["`audit` receives them too and would process them again".into()],
        fan_out_confirmed: false,
    }
}
