//! The table of what can be called: built once, explicitly; nothing is looked up by a name from outside except in here.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::runtime::events::{Event, EventBody as _, EventOptions};
use crate::runtime::periodic::{PeriodicEntry, PeriodicTasks};
use crate::runtime::publisher::{PublishLater, publish_for};
use crate::runtime::subscriber::{Handed, SubscriberEntry, Subscribers};
use crate::runtime::wire::What;
use crate::runtime::{Compat, Context, Outcome, Task, TaskOptions, wire};

/// A name of a handler is no longer than this: it becomes a part of names that Google limits.
const NAME_BYTES_MAX: usize = 100;

/// Decodes a payload and begins the work; fails where the payload is not what the handler takes.
pub(crate) type Run<S> = Arc<dyn Fn(Bytes, Context<S>) -> Result<BoxFuture<'static, Outcome>, Malformed> + Send + Sync>;

/// Why a payload is not what a handler takes: for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// A task that can be called.
pub(crate) struct TaskEntry<S> {
    pub(crate) name: &'static str,
    pub(crate) options: TaskOptions,
    pub(crate) run: Run<S>,
}

/// Events that can be handled.
pub(crate) struct EventEntry<S> {
    pub(crate) kind: &'static str,
    pub(crate) options: EventOptions,
    pub(crate) run: Run<S>,
}

/// Something that can be called, as the endpoint's back-pressure sees it.
pub(crate) struct Handler {
    pub(crate) what: What,
    pub(crate) name: &'static str,
    pub(crate) concurrent_max: Option<usize>,
}

/// All that can be called.
pub(crate) struct Registry<S> {
    tasks: BTreeMap<&'static str, TaskEntry<S>>,
    subscribers: Subscribers<S>,
    periodic: PeriodicTasks<S>,
    events: BTreeMap<&'static str, EventEntry<S>>,
    publishes_by_tasks: bool,
    /// Publishers by name, and whether they are those of records.
    publishers: BTreeMap<&'static str, bool>,
}

impl<S> Default for Registry<S> {
    fn default() -> Self {
        Self {
            tasks: BTreeMap::new(),
            subscribers: Subscribers::default(),
            periodic: PeriodicTasks::default(),
            events: BTreeMap::new(),
            publishes_by_tasks: false,
            publishers: BTreeMap::new(),
        }
    }
}

impl<S: Send + Sync + 'static> Registry<S> {
    /// Adds a task.
    pub(crate) fn add_task<T: Task<S>>(&mut self) -> Result<()> {
        check_name("task", T::NAME)?;
        let run: Run<S> = Arc::new(|payload, cx| {
            let task: T = decode(&payload)?;
            Ok(Box::pin(task.run(cx)))
        });
        let entry = TaskEntry { name: T::NAME, options: T::options(), run };
        match self.tasks.insert(T::NAME, entry) {
            None => Ok(()),
            Some(_) => Err(twice("task", T::NAME)),
        }
    }

    /// Adds the runtime's own tasks.
    pub(crate) fn with_own(mut self, compat: Compat) -> Result<Self> {
        for register in self.periodic.registrations() {
            register(&mut self)?;
        }
        if self.publishes_by_tasks {
            self.add_task::<PublishLater>()?;
            if compat == Compat::DjangoGoogleCloudTasks {
                self.add_tasks_of_publishers()?;
            }
        }
        if self.subscribers.all().any(|entry| entry.options.via_tasks.is_some()) {
            self.add_task::<Handed>()?;
        }
        Ok(self)
    }

    /// Has tasks publish messages.
    pub(crate) fn set_publishes_by_tasks(&mut self) {
        self.publishes_by_tasks = true;
    }

    /// Tells whether tasks publish messages.
    pub(crate) fn publishes_by_tasks(&self) -> bool {
        self.publishes_by_tasks
    }

    /// Adds a publisher.
    pub(crate) fn add_publisher(&mut self, name: &'static str, is_record: bool) {
        self.publishers.insert(name, is_record);
    }

    /// Tells whether a publisher of this name is one of records; nothing where there is none.
    pub(crate) fn is_publisher(&self, name: &str) -> Option<bool> {
        self.publishers.get(name).copied()
    }

    /// Adds a task for each publisher, called as that.
    fn add_tasks_of_publishers(&mut self) -> Result<()> {
        for name in self.publishers.keys().copied() {
            check_name("publisher", name)?;
            let run: Run<S> = Arc::new(move |payload, cx| publish_for(name, &payload, cx));
            if self.tasks.insert(name, TaskEntry { name, options: TaskOptions::default(), run }).is_some() {
                return Err(Error::invalid(format!(
                    "`{name}` is a task, and what a task that publishes to that topic is called in this format"
                ))
                .with_hint("give the task another `NAME`, or leave `publishes_by_tasks()` out"));
            }
        }
        Ok(())
    }

    /// Adds a handler of events.
    pub(crate) fn add_event<E: Event<S>>(&mut self) -> Result<()> {
        check_name("kind of event", E::KIND)?;
        let run: Run<S> = Arc::new(|payload, cx| {
            let info = cx.event().cloned().unwrap_or_default();
            let body = E::Body::read(payload, &info).map_err(|error| Malformed(error.to_string()))?;
            Ok(Box::pin(E::run(body, cx)))
        });
        match self.events.insert(E::KIND, EventEntry { kind: E::KIND, options: E::options(), run }) {
            None => Ok(()),
            Some(_) => Err(twice("event", E::KIND)),
        }
    }

    /// Finds a handler of events.
    pub(crate) fn event(&self, kind: &str) -> Option<&EventEntry<S>> {
        self.events.get(kind)
    }

    /// Returns everything that can be called from outside, with its limit.
    pub(crate) fn handlers(&self) -> Vec<Handler> {
        let tasks = self.tasks.values().map(|entry| (What::Task, entry.name, entry.options.concurrent_max));
        let subscribers = self.subscribers.all().map(|entry| (What::Message, entry.name, entry.options.concurrent_max));
        let events = self.events.values().map(|entry| (What::Event, entry.kind, entry.options.concurrent_max));
        tasks.chain(events).chain(subscribers).map(|(what, name, concurrent_max)| Handler { what, name, concurrent_max }).collect()
    }

    /// Finds a task.
    pub(crate) fn task(&self, name: &str) -> Option<&TaskEntry<S>> {
        self.tasks.get(name)
    }

    /// Returns all tasks.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &TaskEntry<S>> {
        self.tasks.values()
    }

    /// Finds a subscriber.
    pub(crate) fn subscriber(&self, name: &str) -> Option<&SubscriberEntry<S>> {
        self.subscribers.get(name)
    }

    /// Returns all subscribers.
    pub(crate) fn subscribers(&self) -> impl Iterator<Item = &SubscriberEntry<S>> {
        self.subscribers.all()
    }

    /// Returns all periodic tasks.
    pub(crate) fn periodic(&self) -> impl Iterator<Item = &PeriodicEntry<S>> {
        self.periodic.all()
    }

    /// Returns the table of periodic tasks, to add some.
    pub(crate) fn periodic_mut(&mut self) -> &mut PeriodicTasks<S> {
        &mut self.periodic
    }

    /// Returns the table of subscribers, to add some.
    pub(crate) fn subscribers_mut(&mut self) -> &mut Subscribers<S> {
        &mut self.subscribers
    }
}

/// Reads a payload. Systems that know only named arguments write `{}` for none, and nothing at all is an empty body.
pub(crate) fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Malformed> {
    let error = match wire::read(payload) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    // A single argument by its position is the payload of a type around one value.
    if let Ok(serde_json::Value::Array(mut single)) = serde_json::from_slice(payload)
        && single.len() == 1
        && let Ok(value) = serde_json::from_value(single.remove(0))
    {
        return Ok(value);
    }
    let others: &[&str] = match payload.trim_ascii() {
        b"" => &["null", "{}"],
        b"{}" => &["null"],
        b"null" => &["{}"],
        _ => &[],
    };
    others.iter().find_map(|text| serde_json::from_str(text).ok()).ok_or_else(|| error.into())
}

/// Checks the name of a handler.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    let valid =
        (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if valid {
        Ok(())
    } else {
        Err(Error::invalid(format!("`{}` is not a valid name of a {what}", name.escape_debug()))
            .with_hint("a name has 1 to 100 letters, digits, `-`, `_` and `.`"))
    }
}

/// Says that a name is taken.
pub(crate) fn twice(what: &str, name: &str) -> Error {
    Error::invalid(format!("{what} `{name}` is registered twice")).with_hint("give one of the two types another `NAME`")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug, PartialEq)]
    struct Unit;

    #[derive(Deserialize, Debug, PartialEq)]
    struct Pair {
        a: u8,
        #[serde(default)]
        b: u8,
    }

    #[test]
    fn nothing_can_be_written_in_several_ways() {
        for text in ["", "{}", "null", " {} "] {
            assert_eq!(decode::<Unit>(text.as_bytes()), Ok(Unit), "{text}");
        }
        assert_eq!(decode::<Pair>(b"[1,2]"), Ok(Pair { a: 1, b: 2 }), "positional arguments");
        assert!(decode::<Pair>(b"{}").is_err());
        assert!(decode::<Unit>(b"{\"a\":1}").is_err());
    }

    #[test]
    fn names_are_checked() {
        assert!(check_name("task", "shop.tasks.send-mail_2").is_ok());
        for name in ["", "a/b", "a b", "é", "x\n"] {
            let error = check_name("task", name).unwrap_err();
            assert!(error.is_invalid_input() && !error.to_string().contains('\n'), "{error}");
        }
    }
}
