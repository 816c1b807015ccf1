//! Traces: W3C's headers go along with tasks and messages, and OpenTelemetry's own crates read them, and see the runtime's spans in their places.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceId, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use redrive::model::message::Draft;
use redrive::runtime::{App, Builder, Context, Message, Outcome, Received, Subscriber, Subscription, Task, done};
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{Served, World, eventually, log_to};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
/// Members of two systems, as W3C's document has them.
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

type Seen = Arc<Mutex<Vec<(String, String, String)>>>;

fn note(cx: &Context<Seen>, what: &str) {
    let header = |name: &str| cx.header(name).unwrap_or_default().to_owned();
    cx.state().lock().unwrap().push((what.to_owned(), header("traceparent"), header("tracestate")));
}

/// Publishes.
#[derive(Serialize, Deserialize)]
struct Checkout;

impl Task<Seen> for Checkout {
    const NAME: &'static str = "Checkout";

    async fn run(self, cx: Context<Seen>) -> Outcome {
        note(&cx, "task");
        let publish = cx.app().publisher::<OrderPlaced>().publish(OrderPlaced);
        publish.send().instrument(tracing::info_span!("publishing")).await?;
        done()
    }
}

#[derive(Serialize, Deserialize)]
struct OrderPlaced;

impl Message for OrderPlaced {
    const TOPIC: &'static str = "orders";
}

/// Enqueues.
struct Billing;

impl Subscriber<Seen> for Billing {
    type Message = OrderPlaced;
    const NAME: &'static str = "Billing";

    fn subscription() -> Subscription {
        Subscription::to("orders")
    }

    async fn run(_: Received<OrderPlaced>, cx: Context<Seen>) -> Outcome {
        note(&cx, "message");
        Receipt.asap(cx.app()).await?;
        done()
    }
}

#[derive(Serialize, Deserialize)]
struct Receipt;

impl Task<Seen> for Receipt {
    const NAME: &'static str = "Receipt";

    async fn run(self, cx: Context<Seen>) -> Outcome {
        note(&cx, "receipt");
        done()
    }
}

fn registered(builder: Builder<Seen>) -> Builder<Seen> {
    builder.named("shop").task::<Checkout>().task::<Receipt>().subscriber::<Billing>()
}

/// What OpenTelemetry's own propagator makes of headers.
fn extracted(traceparent: &str, tracestate: &str) -> SpanContext {
    let headers = HashMap::from([("traceparent".to_owned(), traceparent.to_owned()), ("tracestate".to_owned(), tracestate.to_owned())]);
    TraceContextPropagator::new().extract(&headers).span().span_context().clone()
}

/// Through Cloud Tasks, Pub/Sub, and Cloud Tasks again: one trace, a span for each hop, and what the systems of the trace say to each other as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_through_tasks_and_messages() {
    let world = World::start("queues: [{ name: shop }]").await;
    let (app, served) = Served::start(|url| registered(world.app(Seen::default(), url))).await;
    app.provision(false).await.unwrap();
    Checkout.enqueue(&app).header("traceparent", format!("00-{TRACE}-{SPAN}-01")).header("tracestate", STATE).send().await.unwrap();
    let seen = eventually("three hops", async || Some(app.state().lock().unwrap().clone()).filter(|seen| seen.len() == 3)).await;
    assert_eq!(seen.iter().map(|(what, ..)| what.as_str()).collect::<Vec<_>>(), ["task", "message", "receipt"]);
    assert_eq!(seen[0].1, format!("00-{TRACE}-{SPAN}-01"));
    let mut spans = Vec::new();
    for (what, traceparent, tracestate) in &seen {
        let context = extracted(traceparent, tracestate);
        assert!(context.is_valid() && context.is_sampled() && context.is_remote(), "{what}: {traceparent}");
        assert_eq!((context.trace_id().to_string().as_str(), context.trace_state().header().as_str()), (TRACE, STATE), "{what}");
        spans.push(context.span_id());
    }
    spans.sort_by_key(ToString::to_string);
    spans.dedup();
    assert_eq!(spans.len(), 3, "each hop has a span of its own");
    served.stop().await;
}

/// What OpenTelemetry would export.
#[derive(Debug, Clone, Default)]
struct Exported(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Exported {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Exported {
    fn span(&self, name: &str) -> SpanData {
        let all = self.0.lock().unwrap().clone();
        all.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no `{name}` in {all:#?}")).clone()
    }
}

/// With OpenTelemetry's layer its spans are the hops: children of what arrived, parents of what is asked for; the log's records name the same.
#[tokio::test]
async fn opentelemetrys_spans_are_the_hops() {
    let exported = Exported::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exported.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop"));
    let _guard = log_to(tracing_subscriber::registry().with(layer));
    let world = World::start(
        "topics: [{ name: shop--orders }]\nsubscriptions: [{ name: held, topic: shop--orders }]\nqueues: [{ name: shop, paused: true }]",
    )
    .await;
    let app: App<Seen> = registered(world.app(Seen::default(), "http://127.0.0.1:9")).build().unwrap();
    let request = Request::post("/tasks/Checkout").header("traceparent", format!("00-{TRACE}-{SPAN}-01")).header("tracestate", STATE);
    let answer = app.push().oneshot(request.body(Full::new(Bytes::from_static(b"null"))).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let held = "projects/shop/subscriptions/held".parse().unwrap();
    let message = world.cloud().pull(&held, 1, std::time::Duration::ZERO).await.unwrap().messages.remove(0).message;
    let attribute = |name: &str| message.attributes.get(name).map(String::as_str).unwrap_or_default();
    let sent = extracted(attribute("traceparent"), attribute("tracestate"));
    assert_eq!((sent.trace_id().to_string().as_str(), sent.trace_state().header().as_str()), (TRACE, STATE));

    let trace = TraceId::from_hex(TRACE).unwrap();
    let (arrived, work, task) = (exported.span("request"), exported.span("work"), exported.span("task"));
    assert_eq!((arrived.parent_span_id, arrived.parent_span_is_remote), (SpanId::from_hex(SPAN).unwrap(), true));
    assert_eq!((work.parent_span_id, task.parent_span_id), (arrived.span_context.span_id(), work.span_context.span_id()));
    assert!([&arrived, &work, &task].iter().all(|span| span.span_context.trace_id() == trace));
    let publishing = exported.span("publishing");
    assert_eq!((publishing.parent_span_id, sent.span_id()), (task.span_context.span_id(), publishing.span_context.span_id()));
    let id = work.attributes.iter().find(|attribute| attribute.key.as_str() == "span_id").map(|attribute| attribute.value.to_string());
    assert_eq!(id, Some(work.span_context.span_id().to_string()), "what the log says");

    // A message brings its trace in its attributes: the push itself is in none.
    let draft = Draft { data: "null".into(), attributes: message.attributes.clone(), ..Draft::default() };
    let envelope = serde_json::json!({
        "message": { "messageId": "1", "data": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &draft.data), "attributes": draft.attributes },
        "subscription": "projects/shop/subscriptions/shop--Billing",
    });
    exported.0.lock().unwrap().clear();
    let request = Request::post("/subscriptions/Billing").body(Full::new(Bytes::from(envelope.to_string()))).unwrap();
    assert_eq!(app.push().oneshot(request).await.unwrap().status(), 200);
    let (work, stored) = (exported.span("work"), world.tasks("shop").await.remove(0));
    assert_eq!((work.span_context.trace_id(), work.parent_span_id), (trace, sent.span_id()));
    let header = |name: &str| stored.request.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).unwrap().1.clone();
    let next = extracted(&header("traceparent"), &header("tracestate"));
    assert_eq!((next.span_id(), next.trace_state().header().as_str()), (exported.span("message").span_context.span_id(), STATE));
}
