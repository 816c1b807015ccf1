//! Builds an app: what it is called, what can be called in it, where it is.

use std::time::Duration;

use crate::cloud::Cloud;
use crate::error::{Error, Result};
use crate::names::{QueueId, TopicId};
use crate::runtime::config::{Config, ETA_MAX};
use crate::runtime::registry::{Registry, TaskEntry};
use crate::runtime::task::Naming;
use crate::runtime::{App, Compat, EnqueueRetry, Host, Mode, Task};

/// Names of the runtime's own tasks begin so.
const OWN_TASKS: &str = "redrive.";

/// An app in the making; begun by [`App::new`]. What is wrong with it is said when it is built.
#[must_use]
pub struct Builder<S> {
    state: S,
    registry: Registry<S>,
    config: Config,
    cloud: Option<Cloud>,
    host: Option<Host>,
    wrong: Option<Error>,
}

impl<S: Send + Sync + 'static> Builder<S> {
    pub(crate) fn new(state: S) -> Self {
        Self { state, registry: Registry::default(), config: Config::default(), cloud: None, host: None, wrong: None }
    }

    /// Names the app: the prefix of its topics, subscriptions and jobs, and its queue unless another is set.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.config.name = Some(name.into());
        self
    }

    /// Sets what stands between the parts of names; `--` without this.
    pub fn delimiter(mut self, delimiter: impl Into<String>) -> Self {
        self.config.delimiter = delimiter.into();
        self
    }

    /// Names the environment, such as `staging`: it comes first in names, so that several share a project.
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.config.environment = Some(environment.into());
        self
    }

    /// Speaks another system's wire format.
    pub fn compat(mut self, compat: Compat) -> Self {
        self.config.compat = compat;
        self
    }

    /// Sets the path below which the service's own endpoints lie, such as `/internal`.
    pub fn mount(mut self, path: impl Into<String>) -> Self {
        let path: String = path.into();
        let path = path.trim_matches('/');
        self.config.mount = if path.is_empty() { String::new() } else { format!("/{path}") };
        self
    }

    /// Sets the queue of tasks that name none.
    pub fn queue(mut self, queue: &QueueId) -> Self {
        self.config.queue = Some(queue.to_string());
        self
    }

    /// Creates a queue when a task is the first for it; without this a missing queue is an error.
    pub fn creates_queues(mut self) -> Self {
        self.config.creates_queues = true;
        self
    }

    /// Sets what enqueueing does: eager and disabled are for development and tests.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.config.mode = mode;
        self
    }

    /// Adds a header that goes along with tasks and messages, besides `traceparent` and `tracestate`.
    pub fn propagates(mut self, header: impl Into<String>) -> Self {
        self.config.propagated.push(header.into());
        self
    }

    /// Refuses tasks that are due later than this; 30 days, Google's own limit, without it.
    pub fn maximum_eta(mut self, eta: Duration) -> Self {
        self.config.eta_max = eta.min(ETA_MAX);
        self
    }

    /// Sets what is repeated, and how often, when Cloud Tasks does not take a task.
    pub fn enqueue_retry(mut self, retry: EnqueueRetry) -> Self {
        self.config.retry = retry;
        self
    }

    /// Adds a task.
    pub fn task<T: Task<S>>(mut self) -> Self {
        let added = self.registry.add_task::<T>();
        self.note(added)
    }

    /// Sets where calls go, instead of finding it in the environment.
    pub fn on(mut self, cloud: Cloud) -> Self {
        self.cloud = Some(cloud);
        self
    }

    /// Sets where the service is, instead of finding it in the environment.
    pub fn host(mut self, host: Host) -> Self {
        self.host = Some(host);
        self
    }

    /// Builds the app where both [`on`](Self::on) and [`host`](Self::host) are given; asks nobody.
    ///
    /// # Errors
    ///
    /// Fails when one of them is missing, when a name is taken twice or malformed, and when a setting contradicts another.
    pub fn build(self) -> Result<App<S>> {
        if let Some(error) = self.wrong {
            return Err(error);
        }
        let missing = |what: &str, hint: &str| Error::invalid(format!("the app does not know {what}")).with_hint(hint.to_owned());
        let cloud = self.cloud.ok_or_else(|| missing("where calls go", "name it with `on(Cloud::…)`, or build with `from_env()`"))?;
        let host =
            self.host.ok_or_else(|| missing("where it is reached", "name it with `host(Host { … })`, or build with `from_env()`"))?;
        if self.config.compat == Compat::SingleEndpoint && self.registry.periodic().next().is_some() {
            return Err(Error::invalid("in this format tasks go over Pub/Sub, and there are no periodic ones"));
        }
        let registry = self.registry.with_own(self.config.compat)?;
        let app = App::built(self.state, cloud, host, self.config, registry);
        check(&app)?;
        Ok(app)
    }

    /// Returns the settings, to change them.
    pub(crate) fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Returns the registry, to add to it.
    pub(crate) fn registry_mut(&mut self) -> &mut Registry<S> {
        &mut self.registry
    }

    /// Returns where calls go, where that is set.
    pub(crate) fn found_cloud(&self) -> Option<&Cloud> {
        self.cloud.as_ref()
    }

    /// Returns where the service is, where that is set.
    pub(crate) fn found_host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// Keeps the first thing that is wrong.
    pub(crate) fn note(mut self, added: Result<()>) -> Self {
        if let (None, Err(error)) = (&self.wrong, added) {
            self.wrong = Some(error);
        }
        self
    }
}

/// Refuses what would fail at each enqueueing and publishing.
fn check<S: Send + Sync + 'static>(app: &App<S>) -> Result<()> {
    let url = &app.host().url;
    let is_base = |url: &reqwest::Url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none()
    };
    if !url.parse().is_ok_and(|url| is_base(&url)) {
        return Err(Error::invalid(format!("`{}` is not the base URL of a service", url.escape_debug()))
            .with_hint("it looks like `https://shop-7xk.run.app`"));
    }
    let prefix = app.layout().prefix();
    format!("{prefix}abc").parse::<TopicId>().map_err(|_| {
        Error::invalid(format!("names that begin with `{}` are not taken by Google", prefix.escape_debug()))
            .with_hint("name, environment and delimiter of an app have letters, digits and `-`, and begin with a letter")
    })?;
    let own = |entry: &&TaskEntry<S>| !entry.name.starts_with(OWN_TASKS);
    let over_pubsub = app.config().compat == Compat::SingleEndpoint;
    for entry in app.registry().tasks().filter(own) {
        if over_pubsub && (entry.options.dead_set || entry.options.naming != Naming::Free) {
            return Err(Error::invalid(format!(
                "task `{}` goes over Pub/Sub in this format, which knows neither names nor a dead set",
                entry.name
            )));
        }
        if !over_pubsub && entry.options.queue.is_none() {
            let named = app.layout().queue().parse::<QueueId>();
            named.map_err(|error| {
                error.context(format!("task `{}`", entry.name)).with_hint("set another with `.queue(…)` where the app is built")
            })?;
        }
    }
    Ok(())
}
