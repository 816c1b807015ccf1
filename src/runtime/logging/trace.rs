//! Where a piece of work stands in a trace: W3C's `traceparent`, which goes along with tasks and messages, and which OpenTelemetry reads and writes.
//!
//! Each piece of work is a hop: it has a span of its own, whose parent is what arrived, and what it asks for has that span as its parent.

use std::fmt;
use std::future::Future;

use http::{HeaderMap, HeaderName};
use tracing::Span;
use uuid::Uuid;

use super::otel::position;
use crate::runtime::propagation::Headers;

/// The header of W3C's Trace Context.
pub(crate) const HEADER: &str = "traceparent";
/// What the systems of a trace say to each other beside it: passed on as it came.
pub(crate) const STATE_HEADER: &str = "tracestate";
/// Google's own header.
pub(crate) const GOOGLE_HEADER: &str = "x-cloud-trace-context";
/// The attribute in which Google's Pub/Sub clients have it.
pub(crate) const PUBSUB_ATTRIBUTE: &str = "googclient_traceparent";

/// The same of a request, where a name that is looked up as text is read anew each time.
static PARENT: HeaderName = HeaderName::from_static(HEADER);
static STATE: HeaderName = HeaderName::from_static(STATE_HEADER);
static GOOGLE: HeaderName = HeaderName::from_static(GOOGLE_HEADER);

/// What a request says of its place in a trace.
pub(crate) struct Told<'a> {
    headers: &'a HeaderMap,
}

impl<'a> Told<'a> {
    pub(crate) fn by(headers: &'a HeaderMap) -> Self {
        Self { headers }
    }

    fn text(&self, name: &HeaderName) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns W3C's `traceparent`.
    pub(crate) fn parent(&self) -> Option<&'a str> {
        self.text(&PARENT)
    }

    /// Returns W3C's `tracestate`.
    pub(crate) fn state(&self) -> Option<&'a str> {
        self.text(&STATE)
    }

    /// Returns Google's own header.
    pub(crate) fn google(&self) -> Option<&'a str> {
        self.text(&GOOGLE)
    }
}

tokio::task_local! {
    static HOP: Parent;
}

/// A position in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parent {
    trace: u128,
    span: u64,
    flags: u8,
}

impl Parent {
    /// Reads a `traceparent`; `None` where it is malformed, or says nothing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // A later version may have more parts; this one has not.
        if version == "ff" || hex(version, 2).is_none() || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let (trace, span) = (hex(trace, 32)?, u64::try_from(hex(span, 16)?).ok()?);
        let flags = u8::try_from(hex(flags, 2)?).ok()?;
        (trace != 0 && span != 0).then_some(Self { trace, span, flags })
    }

    /// Reads Google's `TRACE/SPAN;o=FLAG`, whose span is a decimal number.
    pub(crate) fn of_google(text: &str) -> Option<Self> {
        let (trace, rest) = text.split_once('/')?;
        let (span, options) = rest.split_once(';').unwrap_or((rest, ""));
        let (trace, span) = (hex(&trace.to_ascii_lowercase(), 32)?, span.parse().ok()?);
        (trace != 0 && span != 0).then_some(Self { trace, span, flags: u8::from(options == "o=1") })
    }

    pub(super) fn of_parts(trace: u128, span: u64, flags: u8) -> Self {
        Self { trace, span, flags }
    }

    pub(super) fn parts(&self) -> (u128, u64, u8) {
        (self.trace, self.span, self.flags)
    }

    /// Returns the position of the work that arrived with these headers: a new span in their trace.
    pub(crate) fn hop(headers: &Headers) -> Option<Self> {
        let parent = Self::parse(headers.get(HEADER)?)?;
        let random = Uuid::new_v4().as_u64_pair().1;
        Some(Self { span: random.max(1), ..parent })
    }

    /// The trace's id as 32 hexadecimal digits.
    pub(crate) fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The span's id as 16 hexadecimal digits.
    pub(crate) fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// Tells whether the trace is recorded.
    pub(crate) fn sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

impl fmt::Display for Parent {
    /// Writes it as a `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// Returns the position of the work that is being done: OpenTelemetry's, where that has one.
pub(crate) fn current() -> Option<Parent> {
    position(&Span::current()).or_else(|| HOP.try_with(|hop| *hop).ok())
}

/// Does work at this position.
pub(crate) async fn under<F: Future>(hop: Option<Parent>, work: F) -> F::Output {
    match hop {
        Some(hop) => HOP.scope(hop, work).await,
        None => work.await,
    }
}

/// Reads exactly so many hexadecimal digits in lower case.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let valid = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    valid.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_no_traceparent_is_none() {
        let parent = Parent::parse(TEXT).unwrap();
        assert_eq!(parent.to_string(), TEXT);
        assert!(parent.sampled());
        assert!(Parent::parse(&TEXT.replace("00-4", "cc-4").replace("-01", "-01-what-the-future-brings")).is_some());
        for bad in [
            "",
            "00-a-b-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Parent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn googles_header_says_the_same() {
        let parent = Parent::of_google("4BF92F3577B34DA6A3CE929D0E0E4736/67667974448284343;o=1").unwrap();
        assert_eq!(parent.to_string(), TEXT);
        assert!(!Parent::of_google("4bf92f3577b34da6a3ce929d0e0e4736/1").unwrap().sampled());
        assert_eq!(Parent::of_google("4bf92f3577b34da6a3ce929d0e0e4736"), None);
    }

    #[test]
    fn a_hop_is_a_span_of_its_own_in_the_same_trace() {
        let mut headers = Headers::default();
        assert_eq!(Parent::hop(&headers), None);
        headers.set(HEADER, TEXT);
        let (one, two) = (Parent::hop(&headers).unwrap(), Parent::hop(&headers).unwrap());
        assert_eq!((one.trace_id(), one.flags), ("4bf92f3577b34da6a3ce929d0e0e4736".to_owned(), 1));
        assert!(one.span != two.span && one.span_id() != "00f067aa0ba902b7");
    }
}
