//! Ties the runtime's spans to those of OpenTelemetry, where the service has the layer of `tracing-opentelemetry`: what arrives with a `traceparent` is a child of
//! that, and what is asked for has the span as its parent that OpenTelemetry exports. Without the layer nothing happens here.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::trace::{HEADER, Parent, STATE_HEADER, Told};
use crate::runtime::propagation::Headers;

/// Makes a span, which was not entered yet, a child of what came with a request.
pub(crate) fn join_request(span: &Span, headers: &HeaderMap) {
    let told = Told::by(headers);
    if let Some(parent) = told.parent() {
        join(span, parent, told.state());
    }
}

/// Makes a span, which was not entered yet, a child of what came along with work; one that is in that trace already stays where it is.
pub(super) fn join_work(span: &Span, headers: &Headers) {
    let Some(parent) = headers.get(HEADER) else { return };
    let here = position(&Span::current());
    if here.is_none() || here.map(|here| here.trace_id()) != Parent::parse(parent).map(|parent| parent.trace_id()) {
        join(span, parent, headers.get(STATE_HEADER));
    }
}

fn join(span: &Span, parent: &str, state: Option<&str>) {
    let Some(parent) = Parent::parse(parent) else { return };
    let (trace, id, flags) = parent.parts();
    let state: TraceState = state.and_then(|state| state.parse().ok()).unwrap_or_default();
    let (trace, id) = (TraceId::from_bytes(trace.to_be_bytes()), SpanId::from_bytes(id.to_be_bytes()));
    let remote = SpanContext::new(trace, id, TraceFlags::new(flags), true, state);
    // It fails where there is no such layer.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote));
}

/// Returns where a span stands in OpenTelemetry's trace.
pub(super) fn position(span: &Span) -> Option<Parent> {
    // Nobody listens: what nobody has cannot be told.
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| {
        let (trace, id) = (context.trace_id().to_bytes(), context.span_id().to_bytes());
        Parent::of_parts(u128::from_be_bytes(trace), u64::from_be_bytes(id), context.trace_flags().to_u8())
    })
}
