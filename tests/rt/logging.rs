//! What a service writes to its log is what Cloud Logging reads.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use redrive::cloud::Environment;
use redrive::runtime::logging::CloudLogging;
use redrive::runtime::{App, Context, Mode, Outcome, Task, discard, done};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{World, alone, log_to};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
/// A text that would be a record of its own, were it not escaped.
const HOSTILE: &str = "x\n{\"severity\":\"EMERGENCY\",\"message\":\"\u{1b}[2Jfake\"}\r\n\u{202e}";

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// Every line is a record, and nothing else is there.
    fn records(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }
}

/// Writes what this thread logs from now on.
fn begin() -> (Written, tracing::dispatcher::DefaultGuard) {
    let written = Written::default();
    let writer = written.clone();
    let layer = CloudLogging::new().project("shop").service("orders", "orders-00007").writer(move || writer.clone());
    let guard = log_to(tracing_subscriber::registry().with(layer));
    (written, guard)
}

/// The `traceparent`s that handlers were given.
type Seen = Arc<Mutex<Vec<String>>>;

#[derive(Serialize, Deserialize)]
struct Work {
    what: String,
}

impl Task<Seen> for Work {
    const NAME: &'static str = "Work";

    async fn run(self, cx: Context<Seen>) -> Outcome {
        cx.state().lock().unwrap().push(cx.header("traceparent").unwrap_or("-").to_owned());
        match self.what.as_str() {
            "fail" => Err(HOSTILE.into()),
            "panic" => panic!("{HOSTILE}"),
            "discard" => discard("left"),
            "more" => {
                tracing::info!(order = 7, severity = "EMERGENCY", "asking for more");
                Work { what: "x".to_owned() }.asap(cx.app()).await?;
                done()
            }
            _ => done(),
        }
    }
}

fn app(seen: &Seen) -> App<Seen> {
    alone(Arc::clone(seen), "https://shop.example", None).task::<Work>().mode(Mode::Eager).build().unwrap()
}

async fn call(app: &App<Seen>, path: &str, body: &str) -> u16 {
    let request = Request::post(path)
        .header("traceparent", format!("00-{TRACE}-{SPAN}-01"))
        .header("user-agent", "Google-Cloud-Tasks")
        .header("x-cloudtasks-queuename", "emails")
        .header("x-cloudtasks-taskname", "8")
        .header("x-cloudtasks-taskretrycount", "2")
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    app.push().oneshot(request).await.unwrap().status().as_u16()
}

fn find<'a>(records: &'a [Value], message: &str) -> &'a Value {
    records.iter().find(|record| record["message"] == message).unwrap_or_else(|| panic!("no `{message}` in {records:#?}"))
}

#[tokio::test]
async fn a_record_says_where_it_stands() {
    let (written, _guard) = begin();
    let seen = Seen::default();
    assert_eq!(call(&app(&seen), "/tasks/Work", r#"{"what":"more"}"#).await, 200);
    let records = written.records();
    let own = find(&records, "asking for more");
    assert_eq!((own["severity"].as_str(), own["order"].as_u64()), (Some("INFO"), Some(7)), "a field does not change what the record is");
    assert_eq!(own["logging.googleapis.com/trace"], format!("projects/shop/traces/{TRACE}"));
    assert_eq!(own["logging.googleapis.com/trace_sampled"], true);
    let span = own["logging.googleapis.com/spanId"].as_str().unwrap();
    assert!(span.len() == 16 && span != SPAN, "a span of its own: {span}");
    let labels = &own["logging.googleapis.com/labels"];
    assert_eq!(
        (&labels["task"], &labels["queue"], &labels["task_id"], &labels["attempt"]),
        (&"Work".into(), &"emails".into(), &"8".into(), &"3".into())
    );
    assert!(own["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let source = &own["logging.googleapis.com/sourceLocation"];
    assert!(source["file"].as_str().unwrap().ends_with("logging.rs") && source["line"].is_string() && source["function"].is_string());
    let http = &own["httpRequest"];
    assert_eq!(
        (&http["requestMethod"], &http["requestUrl"], &http["userAgent"]),
        (&"POST".into(), &"/tasks/Work".into(), &"Google-Cloud-Tasks".into())
    );
    let done = find(&records, "done");
    assert_eq!((&done["severity"], &done["httpRequest"]["status"]), (&"INFO".into(), &200.into()));
    assert!(done["httpRequest"]["latency"].as_str().is_some_and(|text| text.ends_with('s') && text.contains('.')), "{done}");
    assert!(done["took_ms"].is_u64() && done["logging.googleapis.com/spanId"] == span);
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0], format!("00-{TRACE}-{SPAN}-01"), "the handler is told what arrived");
    assert_eq!(seen[1], format!("00-{TRACE}-{span}-01"), "and what it asks for has its span as parent");
}

#[tokio::test]
async fn errors_are_reported_and_hostile_text_stays_text() {
    let (written, _guard) = begin();
    let app = app(&Seen::default());
    assert_eq!(call(&app, "/tasks/Work", r#"{"what":"fail"}"#).await, 500);
    assert_eq!(call(&app, "/tasks/Work", r#"{"what":"panic"}"#).await, 500);
    assert_eq!(call(&app, "/tasks/Work", r#"{"what":7}"#).await, 400);
    let records = written.records();
    let errors: Vec<&Value> = records.iter().filter(|record| record["severity"] == "ERROR").collect();
    assert_eq!(errors.len(), 3, "{records:#?}");
    for error in &errors {
        assert_eq!(error["@type"], "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent");
        assert_eq!(error["serviceContext"]["service"], "orders");
        let place = &error["context"]["reportLocation"];
        assert!(place["filePath"].is_string() && place["lineNumber"].is_u64() && place["functionName"].is_string());
        assert_eq!(error["context"]["httpRequest"]["url"], "/tasks/Work");
        assert!(error["context"]["httpRequest"]["responseStatusCode"].as_u64().is_some_and(|status| status >= 400), "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("failed: ") && !message.contains('\n') && !message.contains('\u{1b}'), "{message:?}");
    }
    assert!(errors[0]["message"].as_str().unwrap().contains("EMERGENCY"), "it is there, as text");
    assert!(records.iter().all(|record| record["severity"] != "EMERGENCY"));
}

#[tokio::test]
async fn how_it_ended_has_its_severity() {
    let (written, _guard) = begin();
    let app = app(&Seen::default());
    call(&app, "/tasks/Work", r#"{"what":"discard"}"#).await;
    call(&app, "/tasks/Nobody", "{}").await;
    call(&app, "/nothing", "{}").await;
    let records = written.records();
    assert_eq!(find(&records, "given up for good")["severity"], "WARNING");
    assert_eq!(find(&records, "not done")["severity"], "WARNING");
    let refused = find(&records, "a request is refused");
    assert_eq!((&refused["severity"], &refused["httpRequest"]["status"]), (&"WARNING".into(), &404.into()));
    assert!(refused["httpRequest"]["latency"].is_string());
    let statuses: Vec<_> = records.iter().filter_map(|record| record["httpRequest"]["status"].as_u64()).collect();
    assert_eq!(statuses, [202, 404, 404]);
}

#[test]
fn a_message_of_hostile_text_is_one_record() {
    let (written, _guard) = begin();
    tracing::error!(text = HOSTILE, "{HOSTILE}");
    let span = tracing::info_span!("s", label = HOSTILE, late = tracing::field::Empty);
    span.record("late", 5);
    span.in_scope(|| tracing::warn!("{}", "é".repeat(100_000)));
    let records = written.records();
    assert_eq!((records.len(), records[0]["text"].as_str(), records[0]["message"].as_str()), (2, Some(HOSTILE), Some(HOSTILE)));
    let labels = &records[1]["logging.googleapis.com/labels"];
    assert_eq!((labels["label"].as_str(), labels["late"].as_str()), (Some(HOSTILE), Some("5")));
    assert!(records[1]["message"].as_str().unwrap().len() < 40_000, "cut");
}

#[tokio::test]
async fn on_cloud_run_the_log_knows_its_project() {
    let world = World::start("").await;
    let address = world.emulator.address().to_string();
    let of = async |variables: &[(&str, &str)]| CloudLogging::of(&Environment::new(None, variables.iter().copied())).await;
    assert!(of(&[]).await.is_none());
    let layer = of(&[("K_SERVICE", "orders"), ("K_REVISION", "orders-00007"), ("GCE_METADATA_HOST", &address)]).await.unwrap();
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::registry().with(layer.writer(move || writer.clone()));
    let guard = log_to(subscriber);
    tracing::info_span!("work", trace_id = TRACE, span_id = SPAN).in_scope(|| tracing::error!("lost"));
    drop(guard);
    let record = &written.records()[0];
    assert_eq!(record["logging.googleapis.com/trace"], format!("projects/shop/traces/{TRACE}"));
    assert_eq!(record["serviceContext"], serde_json::json!({ "service": "orders", "version": "orders-00007" }));
}

/// Set for the process in which something panics.
const PANICS: &str = "REDRIVE_TEST_PANICS";

/// Panics are records, too: those of handlers say where they were and are told once, others are errors of their own. The hook is the process's, therefore this test
/// is run once more in a process that begins the log as a service does.
#[test]
fn panics_are_records() {
    if std::env::var_os(PANICS).is_some() {
        panic_everywhere();
        return;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "logging::panics_are_records", "--nocapture", "--test-threads=2"]).env_remove("RUST_LOG");
    command.envs([(PANICS, "1"), ("K_SERVICE", "orders"), ("GOOGLE_CLOUD_PROJECT", "shop"), ("RUST_BACKTRACE", "0")]);
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{err}");
    assert!(!err.contains("panicked at"), "nothing is written as text: {err}");
    let records: Vec<Value> = out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let errors: Vec<&Value> = records.iter().filter(|record| record["severity"] == "ERROR").collect();
    let [within, outside] = errors[..] else { panic!("{records:#?}") };
    let message = within["message"].as_str().unwrap();
    assert!(message.starts_with("failed: panicked: ") && message.contains("(at tests/rt/logging.rs:"), "{message}");
    assert_eq!(within["httpRequest"]["status"], 500);
    assert_eq!(outside["message"], "a panic outside of handlers: lost\\n{}");
    assert!(outside["place"].as_str().unwrap().starts_with("tests/rt/logging.rs:"), "{outside}");
    assert_eq!((outside["thread"].as_str(), outside["@type"].is_string()), (Some("beside"), true));
}

fn panic_everywhere() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        redrive::runtime::logging::init().await.unwrap();
        assert_eq!(call(&app(&Seen::default()), "/tasks/Work", r#"{"what":"panic"}"#).await, 500);
    });
    let beside = std::thread::Builder::new().name("beside".to_owned()).spawn(|| panic!("lost\n{{}}")).unwrap();
    assert!(beside.join().is_err());
}
