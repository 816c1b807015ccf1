//! One fault: what it is asked for as, and what it does.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Map, Value as Json};
use tonic::{Code, Status};

use super::draw;
use crate::emulator::pb;

/// What a fault may be.
const KINDS: &str = "`status`, `delay`, `drop-after-commit`, `drop-connection` or `close-stream`";
/// The longest delay, in seconds: beyond it, no client waits.
const DELAY_SECONDS_MAX: u64 = 600;

/// A failure of one method of the emulated services, injected with [`Emulator::inject`](crate::emulator::Emulator::inject).
///
/// A method is named as `Publish` or in full as `google.pubsub.v1.Publisher/Publish`; `*` is all of them. Without [`Fault::times`] it
/// strikes until [`Emulator::clear_faults`](crate::emulator::Emulator::clear_faults).
///
/// ```
/// use redrive::emulator::{Emulator, Fault};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> redrive::Result<()> {
/// let emulator = Emulator::builder().start().await?;
/// emulator.inject(Fault::status("Publish", "UNAVAILABLE").on("projects/shop/topics/orders").times(2))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Fault(Map<String, Json>);

/// What a fault does.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Refuse(Status),
    Delay(Duration),
    /// The request takes effect; this is the answer.
    Drop(Status),
    Break,
    Close(Status),
}

/// A fault that was checked, with its count.
#[derive(Debug)]
pub(super) struct Armed {
    given: Map<String, Json>,
    method: String,
    resource: String,
    times: u64,
    probability: f64,
    seed: u64,
    pub(super) act: Act,
    /// Requests that it could have struck, and did.
    draws: u64,
    hits: u64,
}

impl Fault {
    /// Refuses requests with a code such as `UNAVAILABLE` before they reach the service.
    pub fn status(method: &str, code: &str) -> Self {
        Self::of(method, "status").with("code", code)
    }

    /// Has requests wait, up to ten minutes, before they reach the service.
    pub fn delay(method: &str, delay: Duration) -> Self {
        Self::of(method, "delay").with("delay", format!("{}ns", delay.as_nanos()))
    }

    /// Lets requests take effect, and answers UNAVAILABLE, or what [`Fault::code`] says.
    pub fn drop_after_commit(method: &str) -> Self {
        Self::of(method, "drop-after-commit")
    }

    /// Lets requests take effect, and breaks the connection without an answer; whatever else goes over it breaks too.
    pub fn drop_connection(method: &str) -> Self {
        Self::of(method, "drop-connection")
    }

    /// Closes streaming pulls with a code: those open now, and those opened later.
    pub fn close_stream(code: &str) -> Self {
        Self::of("StreamingPull", "close-stream").with("code", code)
    }

    /// Sets the code of the status, such as `DEADLINE_EXCEEDED`.
    #[must_use]
    pub fn code(self, code: &str) -> Self {
        self.with("code", code)
    }

    /// Sets the text of the status.
    #[must_use]
    pub fn message(self, message: &str) -> Self {
        self.with("message", message)
    }

    /// Restricts it to requests that name a resource beginning with this, such as `projects/shop/topics/orders`.
    #[must_use]
    pub fn on(self, resource: &str) -> Self {
        self.with("resource", resource)
    }

    /// Strikes so many times, then no more.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        self.with("times", times)
    }

    /// Strikes with a probability between 0 and 1; the seed says which requests.
    #[must_use]
    pub fn probability(self, probability: f64, seed: u64) -> Self {
        self.with("probability", probability).with("seed", seed)
    }

    fn of(method: &str, kind: &str) -> Self {
        Self(Map::new()).with("method", method).with("kind", kind)
    }

    fn with(mut self, field: &str, value: impl Into<Json>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }

    pub(super) fn from_json(json: Json) -> Result<Self, String> {
        match json {
            Json::Object(fields) => Ok(Self(fields)),
            _ => {
                Err("a fault is an object such as `{\"method\": \"Publish\", \"kind\": \"status\", \"code\": \"UNAVAILABLE\"}`".to_owned())
            }
        }
    }

    /// Checks everything about it.
    pub(super) fn arm(self) -> Result<Armed, String> {
        let given = self.0.clone();
        let mut fields = Fields(self.0);
        let method = fields.text("method")?.ok_or("`method` is missing, such as `Publish`")?;
        let kind = fields.text("kind")?.ok_or_else(|| format!("`kind` is missing: {KINDS}"))?;
        let act = match kind.as_str() {
            "status" => Act::Refuse(fields.status()?),
            "delay" => Act::Delay(fields.delay()?),
            "drop-after-commit" => Act::Drop(fields.dropped()?),
            "drop-connection" => Act::Break,
            "close-stream" => Act::Close(fields.status()?),
            _ => return Err(format!("`kind` must be {KINDS}")),
        };
        let methods = methods_of(&method);
        if methods.is_empty() {
            return Err(format!("`method`: the emulator has no method `{}`", method.escape_debug()));
        }
        if matches!(act, Act::Close(_)) && method != "*" && !methods.iter().any(|method| method == super::STREAM) {
            return Err("`method` of a fault that closes streams must be `StreamingPull`".to_owned());
        }
        let method = if method == "*" || methods.len() > 1 { method } else { methods.into_iter().next().unwrap_or(method) };
        let resource = fields.text("resource")?.unwrap_or_default();
        let times = fields.number("times")?.unwrap_or(u64::MAX);
        let seed = fields.number("seed")?.unwrap_or_default();
        let probability = fields.probability()?;
        match fields.0.keys().next() {
            Some(unknown) => Err(format!("`{}` is no field of a fault of this kind", unknown.escape_debug())),
            None => Ok(Armed { given, method, resource, times, probability, seed, act, draws: 0, hits: 0 }),
        }
    }
}

impl Armed {
    /// Tells whether it strikes a request, and counts.
    pub(super) fn strikes(&mut self, path: &str, names: &[String]) -> bool {
        let called = self.method == "*" || self.method == path || path.rsplit('/').next() == Some(&self.method);
        let meant = called && (self.resource.is_empty() || names.iter().any(|name| name.starts_with(&self.resource)));
        if !meant || self.hits >= self.times {
            return false;
        }
        self.draws += 1;
        let strikes = draw(self.seed, self.draws, self.probability);
        self.hits += u64::from(strikes);
        strikes
    }

    pub(super) fn to_json(&self) -> Json {
        let mut json = self.given.clone();
        json.insert("hits".to_owned(), self.hits.into());
        Json::Object(json)
    }
}

/// The fields not yet taken.
struct Fields(Map<String, Json>);

impl Fields {
    fn text(&mut self, field: &str) -> Result<Option<String>, String> {
        match self.0.remove(field) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{field}` must be a string")),
        }
    }

    fn number(&mut self, field: &str) -> Result<Option<u64>, String> {
        let wrong = || format!("`{field}` must be a whole number, not negative");
        self.0.remove(field).map(|json| json.as_u64().ok_or_else(wrong)).transpose()
    }

    fn probability(&mut self) -> Result<f64, String> {
        let Some(json) = self.0.remove("probability") else { return Ok(1.0) };
        json.as_f64().filter(|p| (0.0..=1.0).contains(p)).ok_or_else(|| "`probability` must be a number from 0 to 1".to_owned())
    }

    fn delay(&mut self) -> Result<Duration, String> {
        let wrong = || format!("`delay` must be a time such as `250ms`, {DELAY_SECONDS_MAX} s at most");
        let delay = self.text("delay")?.and_then(|text| text.parse::<SignedDuration>().ok()).ok_or_else(wrong)?;
        Duration::try_from(delay).ok().filter(|delay| *delay <= Duration::from_secs(DELAY_SECONDS_MAX)).ok_or_else(wrong)
    }

    fn dropped(&mut self) -> Result<Status, String> {
        self.0.entry("code").or_insert_with(|| "UNAVAILABLE".into());
        self.status_saying("An injected fault dropped the answer; the request took effect.")
    }

    fn status(&mut self) -> Result<Status, String> {
        self.status_saying("An injected fault.")
    }

    fn status_saying(&mut self, words: &str) -> Result<Status, String> {
        let code = self.text("code")?.ok_or("`code` is missing, such as `UNAVAILABLE`")?;
        let code =
            code_of(&code).ok_or_else(|| format!("`code`: `{}` is no code of an error such as `UNAVAILABLE`", code.escape_debug()))?;
        Ok(Status::new(code, self.text("message")?.unwrap_or_else(|| words.to_owned())))
    }
}

/// The code of a name as `google/rpc/code.proto` has it, except OK.
fn code_of(name: &str) -> Option<Code> {
    (1..=16).map(Code::from).find(|code| screaming(&format!("{code:?}")) == name)
}

/// `NotFound` as `NOT_FOUND`.
fn screaming(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(character.to_ascii_uppercase());
    }
    text
}

/// The paths of all methods; reading the descriptors for them takes a good millisecond.
static METHODS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let paths = pb::POOL.services().flat_map(|service| {
        let service_name = service.full_name().to_owned();
        service.methods().map(move |method| format!("/{service_name}/{}", method.name())).collect::<Vec<_>>()
    });
    paths.collect()
});

/// The paths of the methods that a name means.
fn methods_of(name: &str) -> Vec<String> {
    let full = format!("/{}", name.trim_start_matches('/'));
    METHODS.iter().filter(|path| name == "*" || **path == full || path.rsplit('/').next() == Some(name)).cloned().collect()
}
