//! The emulated services as one deterministic value.
//!
//! Everything here is a function of (state, command, moment): no IO, no clock, no randomness of its own, so that a day of retries runs in
//! milliseconds and a failing run replays from its seed. It must not know gRPC, HTTP servers, sockets or tasks of tokio.

mod iam;
mod payload;
pub(crate) mod pubsub;
mod record;
pub(crate) mod restart;
pub(crate) mod saved;
pub(crate) mod scheduler;
pub(crate) mod target;
pub(crate) mod tasks;
mod touched;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

pub(crate) use payload::kept;
pub(crate) use record::{Record, replay};
pub(crate) use restart::{Image, Loader, Reset, Restart, Seeding};
pub(crate) use touched::Touched;

use saved::saved;

/// All that the emulator knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) pubsub: pubsub::PubSub,
    pub(crate) tasks: tasks::Tasks,
    pub(crate) scheduler: scheduler::Scheduler,
    /// Whether what a new emulator begins with is still being made.
    pub(crate) seeding: bool,
}

saved!(struct State { pubsub, tasks, scheduler; seeding });

/// When a command is applied, and the entropy it may use: the two things a pure state cannot make for itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    /// Differs for each command; generated names and jitter are derived from it.
    pub(crate) seed: u64,
}

/// Something a client may ask of the state. One struct per request, with its own reply type.
pub(crate) trait Command: Record {
    type Reply: Send + 'static;

    /// Changes `state` and says in `out` what the world outside has to do. On an error the state is unchanged.
    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<Self::Reply, Refusal>;

    /// Lets go of what it came with, so that what is kept of it is no more than itself; done before anything waits for it.
    fn detach(&mut self) {}

    /// How much it takes to apply it again, the creation of a task being 1: decides when the log has become too long.
    fn work(&self) -> u64 {
        1
    }

    /// Whether it puts the clock back to the wall clock.
    const RESETS_CLOCK: bool = false;

    /// Whether [`Command::is_idle`] ever says yes: for most commands the state need not be looked at.
    const CAN_BE_IDLE: bool = false;

    /// Tells whether applying it at `now` would change nothing at all, so that it need not be kept. Saying no is always right.
    fn is_idle(&self, _state: &State, _now: Timestamp) -> bool {
        false
    }
}

/// What the world outside has to do after a command; the caller owns the buffer and reuses it.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) list: Vec<Effect>,
}

#[derive(Debug)]
pub(crate) enum Effect {
    /// Messages can be leased from this subscription (`projects/P/subscriptions/S`): wake whoever waits on it.
    Ready(String),
    /// The subscription is gone or detached: end the streams and pulls that wait on it.
    Closed(String),
    /// Send this request, then apply [`Answered`].
    Send(HttpCall),
}

/// Who asked for an HTTP request; comes back in [`Answered`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    Push { subscription: String, lease: u64 },
    Task { task: String, attempt: u64 },
    Job { job: String, attempt: u64 },
}

saved!(enum Caller { 0 = Push { subscription, lease }, 1 = Task { task, attempt }, 2 = Job { job, attempt } });

/// A request that the dispatcher sends for the state. Redirects are followed for a task's handler only.
#[derive(Debug, Clone)]
pub(crate) struct HttpCall {
    pub(crate) caller: Caller,
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) timeout: Duration,
    pub(crate) token: Option<TokenKind>,
}

/// The token that the dispatcher adds as `Authorization: Bearer …` unless the caller set the header.
#[derive(Debug, Clone)]
pub(crate) enum TokenKind {
    Oidc { email: String, audience: String },
    OAuth { email: String, scope: String },
}

/// How a request sent by the dispatcher ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(u16),
    /// 429 or 503, with the time after which to come back (`Retry-After`).
    Later {
        status: u16,
        after: Duration,
    },
    /// No answer within the call's timeout.
    TimedOut,
    /// No connection, or it broke; the text is for people.
    Failed(String),
}

saved!(enum Answer { 0 = Status(status), 1 = TimedOut, 2 = Failed(why), 3 = Later { status, after } });

/// The command with which the dispatcher reports.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) caller: Caller,
    pub(crate) answer: Answer,
}

saved!(struct Answered { caller, answer });

impl Command for Answered {
    type Reply = ();

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<(), Refusal> {
        match self.caller {
            Caller::Push { subscription, lease } => state.pubsub.push_answered(&subscription, lease, &self.answer, at, out),
            Caller::Task { task, attempt } => state.tasks.answered(&task, attempt, &self.answer, at, out),
            Caller::Job { job, attempt } => state.scheduler.answered(&job, attempt, &self.answer, at),
        }
        Ok(())
    }
}

/// The command that lets time pass: all that fell due by `at.now` happens, in order of its time.
#[derive(Debug, Clone)]
pub(crate) struct Tick;

saved!(
    struct Tick {}
);

impl Command for Tick {
    type Reply = ();

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<(), Refusal> {
        state.pubsub.tick(at, out);
        state.tasks.tick(at, out);
        for publication in state.scheduler.tick(at, out) {
            let outcome = state.pubsub.publish_internal(&publication.topic, publication.message, at, out);
            state.scheduler.published(&publication.job, outcome, at);
        }
        Ok(())
    }
}

impl State {
    /// When something next falls due by itself; `None` while nothing is planned. O(log n) at most.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        [self.pubsub.next_due(), self.tasks.next_due(), self.scheduler.next_due()].into_iter().flatten().min()
    }

    /// Tells which topics, subscriptions and queues may show other numbers than when this was last asked.
    pub(crate) fn take_touched(&mut self) -> Touched {
        self.pubsub.touched.take().and(self.tasks.touched.take())
    }
}

/// Why a command was not carried out, in the terms of `google.rpc.Status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) info: Option<Box<Info>>,
    pub(crate) help: Option<&'static Help>,
}

/// Where the rule that a request broke is written down (`google.rpc.Help`, of one link).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Help {
    pub(crate) description: &'static str,
    pub(crate) url: &'static str,
}

/// What the details of an error say to programs (`google.rpc.ErrorInfo`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Info {
    pub(crate) reason: &'static str,
    pub(crate) domain: &'static str,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// The canonical codes that the emulated services answer with (`google/rpc/code.proto`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), info: None, help: None }
    }

    pub(crate) fn with_info(self, info: Info) -> Self {
        Self { info: Some(Box::new(info)), ..self }
    }

    pub(crate) fn with_help(self, help: &'static Help) -> Self {
        Self { help: Some(help), ..self }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self::new(Code::AlreadyExists, message)
    }

    pub(crate) fn precondition(message: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, message)
    }
}
