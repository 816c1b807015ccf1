//! The layer that writes a record for each event: one line of JSON, in which hostile text stays text.

use std::io::{self, Write as _};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::runtime::logging::fields::{Fields, cut, text};

/// What tells Error Reporting that a record is an error.
const REPORTED: &str = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent";
/// Fields of spans and events that are told in a place of their own.
const HTTP: [(&str, &str); 8] = [
    ("http_method", "requestMethod"),
    ("http_url", "requestUrl"),
    ("http_status", "status"),
    ("http_request_size", "requestSize"),
    ("http_response_size", "responseSize"),
    ("http_user_agent", "userAgent"),
    ("http_remote_ip", "remoteIp"),
    ("http_protocol", "protocol"),
];
/// The time that a request took.
const HTTP_LATENCY: &str = "http_latency_ms";
/// Fields with which a span says where it stands in its trace.
const TRACE: [&str; 3] = ["trace_id", "span_id", "trace_sampled"];

/// A `tracing` layer that writes what Cloud Logging reads from a service's standard output: severity, message, time, trace and span, HTTP request, source,
/// and the fields of spans (task, queue, attempt …) as labels. Errors are in the form that Error Reporting collects.
///
/// ```
/// use redrive::runtime::logging::CloudLogging;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let subscriber = tracing_subscriber::registry().with(CloudLogging::new().project("shop").service("orders", "orders-00007"));
/// tracing::subscriber::with_default(subscriber, || tracing::warn!(order = 7, "out of stock"));
/// // {"severity":"WARNING","message":"out of stock","time":"…","order":7,…}
/// ```
#[derive(Debug, Clone)]
pub struct CloudLogging<W = fn() -> io::Stdout> {
    project: Option<String>,
    service: Option<(String, String)>,
    writer: W,
}

impl CloudLogging {
    /// Makes a layer that writes to standard output.
    pub fn new() -> Self {
        Self { project: None, service: None, writer: io::stdout }
    }
}

impl Default for CloudLogging {
    fn default() -> Self {
        Self::new()
    }
}

impl<W> CloudLogging<W> {
    /// Names the project: without it Cloud Logging does not find the trace of a record.
    #[must_use]
    pub fn project(mut self, id: impl Into<String>) -> Self {
        self.project = Some(id.into());
        self
    }

    /// Names service and version for Error Reporting.
    #[must_use]
    pub fn service(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.service = Some((name.into(), version.into()));
        self
    }

    /// Sets where records are written.
    #[must_use]
    pub fn writer<V>(self, writer: V) -> CloudLogging<V> {
        CloudLogging { project: self.project, service: self.service, writer }
    }

    /// Makes the record of an event; `spans` are the fields of its spans, the outermost first.
    fn record(&self, metadata: &Metadata<'_>, mut event: Fields, spans: Map<String, Value>, now: Timestamp) -> Value {
        let mut spans = Fields(spans);
        let message = event.take("message").unwrap_or_else(|| metadata.name().to_owned());
        let mut record = Map::new();
        record.insert("severity".to_owned(), severity(*metadata.level()).into());
        let http = http_request(&mut event, &mut spans);
        let source = source(metadata);
        if *metadata.level() == Level::ERROR {
            let error = event.0.get("error").and_then(Value::as_str);
            let message = error.map_or_else(|| message.clone(), |error| format!("{message}: {error}"));
            record.insert("message".to_owned(), cut(message).into());
            self.report(&mut record, &source, http.as_ref());
        } else {
            record.insert("message".to_owned(), cut(message).into());
        }
        record.insert("time".to_owned(), now.to_string().into());
        // Ours first: what a field is called cannot change what the record is.
        for (name, value) in event.0 {
            record.entry(name).or_insert(value);
        }
        record.insert("target".to_owned(), metadata.target().into());
        record.insert("logging.googleapis.com/sourceLocation".to_owned(), source);
        self.trace(&mut record, &mut spans);
        if let Some(http) = http {
            record.insert("httpRequest".to_owned(), http);
        }
        if !spans.0.is_empty() {
            let labels = spans.0.into_iter().map(|(name, value)| (name, Value::String(text(value)))).collect();
            record.insert("logging.googleapis.com/labels".to_owned(), Value::Object(labels));
        }
        Value::Object(record)
    }

    fn report(&self, record: &mut Map<String, Value>, source: &Value, http: Option<&Value>) {
        record.insert("@type".to_owned(), REPORTED.into());
        if let Some((service, version)) = &self.service {
            record.insert("serviceContext".to_owned(), json!({ "service": service, "version": version }));
        }
        let place = json!({ "filePath": source["file"], "lineNumber": source["line"].as_str().and_then(|line| line.parse::<u32>().ok()), "functionName": source["function"] });
        let mut context = json!({ "reportLocation": place });
        if let Some(http) = http {
            let part = |name: &str| http.get(name).cloned().unwrap_or_default();
            let status = http.get("status").and_then(Value::as_u64);
            context["httpRequest"] = json!({
                "method": part("requestMethod"), "url": part("requestUrl"), "userAgent": part("userAgent"), "remoteIp": part("remoteIp"),
                "responseStatusCode": status,
            });
        }
        record.insert("context".to_owned(), context);
    }

    fn trace(&self, record: &mut Map<String, Value>, spans: &mut Fields) {
        let [trace, span, sampled] = TRACE.map(|name| spans.0.shift_remove(name));
        let Some(trace) = trace.map(text) else { return };
        let trace = self.project.as_ref().map_or_else(|| trace.clone(), |project| format!("projects/{project}/traces/{trace}"));
        record.insert("logging.googleapis.com/trace".to_owned(), trace.into());
        if let Some(span) = span {
            record.insert("logging.googleapis.com/spanId".to_owned(), text(span).into());
        }
        record.insert("logging.googleapis.com/trace_sampled".to_owned(), sampled.unwrap_or(Value::Bool(false)));
    }
}

impl<S, W> Layer<S> for CloudLogging<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut spans = Map::new();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(Fields(own)) = span.extensions().get::<Fields>() {
                spans.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        let mut line = self.record(event.metadata(), fields, spans, Timestamp::now()).to_string();
        line.push('\n');
        // A log that cannot be written cannot say so.
        let _ = self.writer.make_writer_for(event.metadata()).write_all(line.as_bytes());
    }
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        _ => "DEBUG",
    }
}

fn source(metadata: &Metadata<'_>) -> Value {
    json!({
        "file": metadata.file().unwrap_or_default(), "line": metadata.line().unwrap_or_default().to_string(),
        "function": metadata.module_path().unwrap_or_default(),
    })
}

/// Collects what is said of a request. Sizes are texts, as all 64-bit numbers in Google's JSON.
fn http_request(event: &mut Fields, spans: &mut Fields) -> Option<Value> {
    let mut request = Map::new();
    let mut take = |name: &str| {
        let of_span = spans.0.shift_remove(name);
        event.0.shift_remove(name).or(of_span)
    };
    for (name, called) in HTTP {
        if let Some(value) = take(name) {
            let value = if called.ends_with("Size") { text(value).into() } else { value };
            request.insert(called.to_owned(), value);
        }
    }
    if let Some(ms) = take(HTTP_LATENCY).and_then(|ms| ms.as_f64()) {
        request.insert("latency".to_owned(), format!("{:.3}s", ms / 1000.0).into());
    }
    (!request.is_empty()).then_some(Value::Object(request))
}
