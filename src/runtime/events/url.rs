//! The URL at which an event is sent.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::runtime::App;
use crate::runtime::events::percent_encoded;
use crate::runtime::registry::check_name;

/// A signed URL is good for no longer: who made it may have left since, and each used one is remembered until it expires.
const VALID_MAX: Duration = Duration::from_hours(31 * 24);

/// A URL in the making; begun by [`App::event_url`].
#[must_use]
pub struct EventUrl<'a, S> {
    app: &'a App<S>,
    kind: String,
    reference: String,
    query: String,
    valid: Option<Duration>,
    base: Option<String>,
}

impl<S: Send + Sync + 'static> App<S> {
    /// Begins the URL of an event: of a kind, about something.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use redrive::runtime::App;
    ///
    /// fn callback(app: &App<()>) -> redrive::Result<String> {
    ///     app.event_url("rendered", "video 7").parameter("size", "large").signed(Duration::from_hours(1)).build()
    /// }
    /// ```
    pub fn event_url(&self, kind: impl Into<String>, reference: impl Into<String>) -> EventUrl<'_, S> {
        EventUrl { app: self, kind: kind.into(), reference: reference.into(), query: String::new(), valid: None, base: None }
    }
}

impl<S: Send + Sync + 'static> EventUrl<'_, S> {
    /// Adds a parameter, which the handler finds in [`EventInfo::parameters`](crate::runtime::EventInfo::parameters).
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts are given as they are")]
    pub fn parameter(mut self, name: &str, value: impl ToString) -> Self {
        let separator = if self.query.is_empty() { "" } else { "&" };
        // A string takes everything.
        let _ = write!(self.query, "{separator}{}={}", percent_encoded(name), percent_encoded(&value.to_string()));
        self
    }

    /// Signs it: whoever has it may send one event, within this time (31 days at most), without a token.
    pub fn signed(mut self, valid: Duration) -> Self {
        self.valid = Some(valid);
        self
    }

    /// Puts another base before the path than the service's own URL; an empty one makes the URL relative. A signature holds for the service's own.
    pub fn base(mut self, base: impl Into<String>) -> Self {
        self.base = Some(base.into());
        self
    }

    /// Returns the URL.
    ///
    /// # Errors
    ///
    /// Fails when the kind is no name, the reference is empty, a parameter begins with `redrive-`, or a signature is asked for without a secret or for too long.
    pub fn build(self) -> Result<String> {
        check_name("kind of event", &self.kind)?;
        if self.reference.is_empty() {
            return Err(Error::invalid("an event is about something: its reference is empty"));
        }
        if self.query.starts_with("redrive-") || self.query.contains("&redrive-") {
            return Err(Error::invalid("a parameter of an event begins with `redrive-`, which is taken"));
        }
        let path = format!("{}/events/{}/{}", self.app.config().mount, self.kind, percent_encoded(&self.reference));
        let query = match self.valid {
            None => self.query,
            Some(valid) => self.app.sign(&path, &self.query, valid)?,
        };
        let url = self.base.map_or_else(|| self.app.layout().url(&path), |base| format!("{}{path}", base.trim_end_matches('/')));
        Ok(if query.is_empty() { url } else { format!("{url}?{query}") })
    }
}

impl<S> App<S> {
    fn sign(&self, path: &str, query: &str, valid: Duration) -> Result<String> {
        if valid.is_zero() || valid > VALID_MAX {
            return Err(Error::invalid("a signed URL is valid for more than nothing and 31 days at most"));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let signed = self.entrance().links.as_ref().and_then(|links| links.sign(path, query, now + valid));
        signed.ok_or_else(|| {
            Error::invalid("a URL cannot be signed without a secret").with_hint("name one with `.event_secret(…)` where the app is built")
        })
    }
}
