//! What handles an event, and what its body is read as.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::runtime::{Context, EventInfo, Outcome};

/// A handler of the events of one kind.
///
/// ```
/// use redrive::runtime::events::{CloudEvent, Event, StorageObject};
/// use redrive::runtime::{Context, Outcome, done};
///
/// struct Uploaded;
///
/// impl Event<()> for Uploaded {
///     const KIND: &'static str = "uploaded";
///     type Body = CloudEvent<StorageObject>;
///
///     async fn run(event: Self::Body, cx: Context<()>) -> Outcome {
///         println!("{}: {} in {}", cx.event().unwrap().reference, event.data.name, event.data.bucket);
///         done()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` handles no events of an app with the state `{S}`",
    label = "no handler of events",
    note = "a handler implements `redrive::runtime::events::Event<{S}>`: a `KIND`, a `Body` and `async fn run(body: Self::Body, cx: Context<{S}>) -> Outcome`"
)]
pub trait Event<S: Send + Sync + 'static>: 'static {
    /// The kind, as in the URL: 1 to 100 letters, digits, `-`, `_` and `.`.
    const KIND: &'static str;

    /// What the body is read as: [`Json`], [`CloudEvent`](crate::runtime::events::CloudEvent), [`PubsubMessage`](crate::runtime::events::PubsubMessage),
    /// [`StorageEvent`](crate::runtime::events::StorageEvent), or [`Bytes`].
    type Body: EventBody;

    /// Returns what is to be kept to.
    fn options() -> EventOptions {
        EventOptions::default()
    }

    /// Does the work. It may be done more than once: senders repeat what was not answered.
    fn run(body: Self::Body, cx: Context<S>) -> impl Future<Output = Outcome> + Send;
}

/// What a handler of events keeps to.
#[derive(Debug, Clone, Default)]
pub struct EventOptions {
    pub(crate) deadline: Option<Duration>,
    pub(crate) concurrent_max: Option<usize>,
    pub(crate) signed_only: bool,
}

impl EventOptions {
    /// Sets how long a handler may take before it is cut off and answered with 504; 10 min without this.
    #[must_use]
    pub fn deadline(mut self, max: Duration) -> Self {
        self.deadline = Some(max);
        self
    }

    /// Limits how many are worked on at once in this process; what comes beyond is answered with 429.
    #[must_use]
    pub fn concurrent(mut self, max: usize) -> Self {
        self.concurrent_max = Some(max);
        self
    }

    /// Takes signed URLs only: neither tokens, nor what comes without either where the app is [unauthenticated](crate::runtime::Builder::unauthenticated).
    #[must_use]
    pub fn signed_only(mut self) -> Self {
        self.signed_only = true;
        self
    }
}

/// What an event's body can be read as.
#[diagnostic::on_unimplemented(
    message = "the body of an event cannot be read as `{Self}`",
    note = "for a type of your own that implements `serde::Deserialize`, write `Json<{Self}>` or `CloudEvent<{Self}>`"
)]
pub trait EventBody: Sized + Send + 'static {
    /// Reads it; `info` has what came besides the body.
    ///
    /// # Errors
    ///
    /// Fails when it is something else; the request is answered with 400, the cause goes to the log.
    fn read(body: Bytes, info: &EventInfo) -> Result<Self>;
}

/// A body in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> EventBody for Json<T> {
    fn read(body: Bytes, _: &EventInfo) -> Result<Self> {
        serde_json::from_slice(&body).map(Self).map_err(|error| not_a("JSON of this type", &error))
    }
}

impl EventBody for Bytes {
    fn read(body: Bytes, _: &EventInfo) -> Result<Self> {
        Ok(body)
    }
}

/// Says that a body is something else.
pub(super) fn not_a(what: &str, why: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("the body is no {what}: {why}"))
}

impl EventInfo {
    /// Reads all parameters as a type: numbers and booleans from their texts, as axum's `Query` does.
    ///
    /// # Errors
    ///
    /// Fails when one is missing or malformed.
    ///
    /// ```
    /// use redrive::runtime::EventInfo;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Size { width: u32, large: bool }
    ///
    /// let mut info = EventInfo::default();
    /// info.parameters.insert("width".to_owned(), "640".to_owned());
    /// info.parameters.insert("large".to_owned(), "true".to_owned());
    /// let size: Size = info.parameters_as()?;
    /// assert!(size.large && size.width == 640);
    /// # Ok::<(), redrive::Error>(())
    /// ```
    pub fn parameters_as<T: DeserializeOwned>(&self) -> Result<T> {
        let encoded = super::percent_encoded;
        let pairs: Vec<String> = self.parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let uri = format!("/?{}", pairs.join("&")).parse().map_err(|error| not_a("URL", &error))?;
        axum::extract::Query::try_from_uri(&uri)
            .map(|query| query.0)
            .map_err(|error| Error::invalid(format!("the parameters of the event: {error}")))
    }
}
