//! Limits of the endpoint and of its server.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::runtime::Builder;
use crate::runtime::wire::Route;

/// Requests at once: the most that Cloud Run gives an instance.
const CONCURRENT_MAX: usize = 1000;
/// How long a request waits for a place: long enough for a burst, short against any ack deadline.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// A message of 10 MB is a push of about 13.4 MB.
const PUSH_BYTES_MAX: usize = 14 * 1024 * 1024;
/// Cloud Tasks takes no larger task.
const TASK_BYTES_MAX: usize = 1024 * 1024;
/// Bodies together: a quarter of the memory that Cloud Run gives an instance by default (512 MiB), for reading them takes as much again and more.
const MEMORY_MAX: usize = 128 * 1024 * 1024;
/// A body arrives within this time: Google's senders have it at hand.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// The head of a request arrives within this time, and an idle connection is closed after it.
const HEADER_TIME_MAX: Duration = Duration::from_secs(30);
/// Connections at once: Cloud Run's concurrency, with room.
const CONNECTIONS_MAX: usize = 1024;
/// Cloud Run kills an instance 10 s after it asked it to stop.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(8);

/// The settings of the endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(super) concurrent_max: usize,
    pub(super) wait_max: Duration,
    pub(super) push_bytes_max: usize,
    pub(super) task_bytes_max: usize,
    pub(super) memory_max: usize,
    pub(super) body_time_max: Duration,
    pub(super) header_time_max: Duration,
    pub(super) connections_max: usize,
    pub(super) drain_time_max: Duration,
    pub(super) health: Option<String>,
    pub(crate) unwrapped: BTreeSet<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrent_max: CONCURRENT_MAX,
            wait_max: WAIT_MAX,
            push_bytes_max: PUSH_BYTES_MAX,
            task_bytes_max: TASK_BYTES_MAX,
            memory_max: MEMORY_MAX,
            body_time_max: BODY_TIME_MAX,
            header_time_max: HEADER_TIME_MAX,
            connections_max: CONNECTIONS_MAX,
            drain_time_max: DRAIN_TIME_MAX,
            health: None,
            unwrapped: BTreeSet::new(),
        }
    }
}

impl Settings {
    /// Returns how large a body may be.
    pub(super) fn bytes_max(&self, route: &Route) -> usize {
        match route {
            Route::Task(_) => self.task_bytes_max,
            Route::Subscription(_) | Route::Event { .. } => self.push_bytes_max,
        }
    }
}

impl<S: Send + Sync + 'static> Builder<S> {
    /// Limits how many requests are worked on at once in this process, at least 1; 1,000 without this. What comes beyond is answered with 429.
    ///
    /// ```
    /// use std::time::Duration;
    /// use redrive::runtime::App;
    ///
    /// let builder = App::new(()).concurrent(80).waits(Duration::from_millis(250));
    /// ```
    pub fn concurrent(mut self, max: usize) -> Self {
        self.config_mut().push.concurrent_max = max.max(1);
        self
    }

    /// Sets how long a request waits for a place before it is answered with 429; 100 ms without this.
    pub fn waits(mut self, max: Duration) -> Self {
        self.config_mut().push.wait_max = max;
        self
    }

    /// Sets how many bytes a push and an event may have; 14 MiB without this, which the largest message needs.
    pub fn push_bytes(mut self, max: usize) -> Self {
        self.config_mut().push.push_bytes_max = max;
        self
    }

    /// Sets how many bytes a task may have; 1 MiB without this, which is the most that Cloud Tasks takes.
    pub fn task_bytes(mut self, max: usize) -> Self {
        self.config_mut().push.task_bytes_max = max;
        self
    }

    /// Limits how many bytes the bodies of all requests under way may have together; 128 MiB without this. What finds no room is answered with 429; a body
    /// that is alone always has room.
    pub fn body_memory(mut self, max: usize) -> Self {
        self.config_mut().push.memory_max = max;
        self
    }

    /// Sets how long a body may take to arrive; 30 s without this.
    pub fn body_time(mut self, max: Duration) -> Self {
        self.config_mut().push.body_time_max = max;
        self
    }

    /// Sets how long the head of a request may take to arrive, and after which time an idle connection is closed; 30 s without this. For the
    /// server of [`App::serve`](crate::runtime::App::serve).
    pub fn header_time(mut self, max: Duration) -> Self {
        self.config_mut().push.header_time_max = max;
        self
    }

    /// Sets how many connections are open at once, at least 1; 1,024 without this. Others wait to be accepted.
    pub fn connections(mut self, max: usize) -> Self {
        self.config_mut().push.connections_max = max.max(1);
        self
    }

    /// Sets how long requests may go on after the signal to stop; 8 s without this, for Cloud Run waits 10 s.
    pub fn drain_time(mut self, max: Duration) -> Self {
        self.config_mut().push.drain_time_max = max;
        self
    }

    /// Answers `GET` of this path with 200, for probes; it asks for no token. The [router](crate::runtime::App::router) does not have it: a service with a
    /// router of its own has such a path already.
    pub fn health(mut self, path: impl Into<String>) -> Self {
        self.config_mut().push.health = Some(path.into());
        self
    }

    /// Says that pushes to this subscriber are unwrapped: their body is the payload and nothing else. Provisioning makes its subscription so, with metadata in
    /// headers. Pushes with metadata are recognized in any case; those without have no id, so that nobody can tell when one comes twice.
    pub fn unwrapped(mut self, subscriber: impl Into<String>) -> Self {
        self.config_mut().push.unwrapped.insert(subscriber.into());
        self
    }
}
