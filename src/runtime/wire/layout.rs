//! What things are called and where they are, by whose format.

use std::borrow::Cow;

use crate::runtime::config::Config;
use crate::runtime::{Compat, Host};

/// The names and URLs of one app.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) compat: Compat,
    name: Option<String>,
    delimiter: String,
    environment: Option<String>,
    queue: Option<String>,
    base: String,
    mount: String,
}

/// What a path of the push endpoint is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// A task; where the path does not name it, the payload does.
    Task(Option<String>),
    /// A subscriber, or a task over Pub/Sub whose name is in the payload.
    Subscription(Option<String>),
    /// An event of a kind, about something.
    Event { kind: String, reference: String },
}

impl Layout {
    pub(crate) fn new(config: &Config, host: &Host) -> Self {
        Self {
            compat: config.compat,
            name: config.name.clone(),
            delimiter: config.delimiter.clone(),
            environment: config.environment.clone(),
            queue: config.queue.clone(),
            base: host.url.trim_end_matches('/').to_owned(),
            mount: config.mount.clone(),
        }
    }

    /// Returns the queue of tasks that name none.
    pub(crate) fn queue(&self) -> &str {
        let default = if self.compat == Compat::DjangoGoogleCloudTasks { "tasks" } else { "default" };
        let named = if self.compat == Compat::DjangoTasksCloudTasks { None } else { self.name.as_deref() };
        self.queue.as_deref().or(named).unwrap_or(default)
    }

    /// Tells whether the path of a task names it; else its payload does.
    pub(crate) fn names_in_path(&self) -> bool {
        !matches!(self.compat, Compat::DjangoTasksCloudTasks | Compat::SingleEndpoint)
    }

    /// Returns the path of a task, with the mount.
    pub(crate) fn task_path(&self, task: &str) -> String {
        let own = match self.compat {
            Compat::DjangoTasksCloudTasks => "/cloudtasks/execute/".to_owned(),
            Compat::SingleEndpoint => "/tasks/pubsub/".to_owned(),
            Compat::Native | Compat::DjangoGoogleCloudTasks | Compat::DjangoGcp => format!("/tasks/{task}"),
        };
        format!("{}{own}", self.mount)
    }

    /// Returns the path of a subscriber, with the mount.
    pub(crate) fn subscription_path(&self, subscriber: &str) -> String {
        let folder = if self.compat == Compat::DjangoGcp { "subscriber-tasks" } else { "subscriptions" };
        format!("{}/{folder}/{subscriber}", self.mount)
    }

    /// Returns the URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Returns the audience of tokens sent to a path: the URL itself, or the whole service where that system has it so.
    pub(crate) fn audience(&self, path: &str) -> Cow<'_, str> {
        match self.compat {
            Compat::Native | Compat::DjangoTasksCloudTasks => Cow::Borrowed(&self.base),
            Compat::DjangoGoogleCloudTasks | Compat::DjangoGcp | Compat::SingleEndpoint => Cow::Owned(self.url(path)),
        }
    }

    /// Finds out what a path is for; `None` where it is for nothing of ours.
    pub(crate) fn route(&self, path: &str) -> Option<Route> {
        let own = path.strip_prefix(self.mount.as_str())?.strip_prefix('/')?;
        match self.compat {
            Compat::DjangoTasksCloudTasks if own == "cloudtasks/execute/" => return Some(Route::Task(None)),
            Compat::SingleEndpoint if own == "tasks/pubsub/" => return Some(Route::Subscription(None)),
            _ => {}
        }
        let (folder, rest) = own.split_once('/')?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let one = |rest: &str| (!rest.is_empty() && !rest.contains('/')).then(|| rest.to_owned());
        let folder_of_subscribers = if self.compat == Compat::DjangoGcp { "subscriber-tasks" } else { "subscriptions" };
        match folder {
            "tasks" if self.names_in_path() => Some(Route::Task(Some(one(rest)?))),
            _ if folder == folder_of_subscribers => Some(Route::Subscription(Some(one(rest)?))),
            "events" => {
                let (kind, reference) = rest.split_once('/')?;
                Some(Route::Event { kind: one(kind)?, reference: one(reference)? })
            }
            _ => None,
        }
    }

    /// Returns the short name of a publisher's topic.
    pub(crate) fn topic(&self, name: &str) -> String {
        match self.compat {
            Compat::DjangoGcp => name.to_owned(),
            _ => self.prefixed(name),
        }
    }

    /// Returns the short name of a subscriber's subscription to a topic (its name as declared, without prefixes).
    pub(crate) fn subscription(&self, topic: &str, subscriber: &str) -> String {
        match self.compat {
            Compat::DjangoGcp => self.prefixed(&format!("{topic}{}{}", self.delimiter, slug(subscriber))),
            _ => self.prefixed(subscriber),
        }
    }

    /// Returns the short name of a periodic task's job.
    pub(crate) fn job(&self, task: &str) -> String {
        match self.compat {
            Compat::DjangoGcp => self.prefixed(&slug(task)),
            _ => self.prefixed(task),
        }
    }

    /// Returns the short name of the topic of a task over Pub/Sub (`SingleEndpoint`), and of its subscription.
    pub(crate) fn task_topic(&self, task: &str) -> (String, String) {
        let plain: String = task.chars().map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' }).collect();
        let parts = [self.environment.as_deref(), self.name.as_deref(), Some("tasks"), Some(plain.as_str())];
        let topic = parts.into_iter().flatten().collect::<Vec<_>>().join("-");
        let subscription = format!("{topic}-sub");
        (topic, subscription)
    }

    /// Returns the name of a task that is refused when it is there already: from its payload as `json` writes it.
    pub(crate) fn deduplicated(&self, task: &str, payload: &[u8]) -> String {
        let hash = short_hash(payload);
        match self.compat {
            Compat::DjangoGcp => {
                let affix = self.name.as_deref().map(|name| format!("{}{name}", self.delimiter)).unwrap_or_default();
                format!("{}{d}{}{affix}", &hash[..8], slug(task), d = self.delimiter)
            }
            _ => format!("{hash}{}{}", self.delimiter, task.replace('.', "-")),
        }
    }

    /// Returns what every name made by this app begins with; nothing where it has neither name nor environment.
    pub(crate) fn prefix(&self) -> String {
        let parts = [self.environment.as_deref(), self.name.as_deref()];
        parts.into_iter().flatten().fold(String::new(), |prefix, part| prefix + part + &self.delimiter)
    }

    fn prefixed(&self, name: &str) -> String {
        self.prefix() + name
    }
}

/// The first characters of a SHA-256: enough that two payloads of one task do not meet within a day.
pub(crate) fn short_hash(payload: &[u8]) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;

    let digest = sha2::Sha256::digest(payload);
    digest.iter().take(16).fold(String::new(), |mut text, byte| {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes a name as Django's `slugify` does.
fn slug(name: &str) -> String {
    let kept: String = name.chars().filter(|char| char.is_ascii_alphanumeric() || "_- ".contains(*char)).collect();
    kept.to_ascii_lowercase().trim_matches(['-', '_', ' ']).replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(compat: Compat) -> Layout {
        let config = Config { name: Some("shop".to_owned()), compat, mount: "/api".to_owned(), ..Config::default() };
        let host = Host { location: "l".parse().unwrap(), url: "https://s.example/".to_owned(), account: None };
        Layout::new(&config, &host)
    }

    #[test]
    fn names_and_urls_are_those_of_each_system() {
        let native = layout(Compat::Native);
        assert_eq!(
            (native.queue(), native.topic("orders").as_str(), native.job("Nightly").as_str()),
            ("shop", "shop--orders", "shop--Nightly")
        );
        let unnamed = |compat| Layout { name: None, ..layout(compat) };
        assert_eq!((unnamed(Compat::DjangoGoogleCloudTasks).queue(), unnamed(Compat::Native).queue()), ("tasks", "default"));
        assert_eq!(native.url(&native.task_path("Send")), "https://s.example/api/tasks/Send");
        assert_eq!(native.audience("/api/tasks/Send"), "https://s.example");
        let a = layout(Compat::DjangoGoogleCloudTasks);
        assert_eq!(a.subscription("orders", "Billing"), "shop--Billing");
        assert_eq!(a.audience(&a.subscription_path("Billing")), "https://s.example/api/subscriptions/Billing");
        let b = layout(Compat::DjangoGcp);
        assert_eq!(
            (b.topic("orders"), b.subscription("orders", "OnOrder"), b.job("MyJob")),
            ("orders".into(), "shop--orders--onorder".into(), "shop--myjob".into())
        );
        assert_eq!(b.subscription_path("OnOrder"), "/api/subscriber-tasks/OnOrder");
        let c = layout(Compat::DjangoTasksCloudTasks);
        assert_eq!((c.queue(), c.task_path("a.b")), ("default", "/api/cloudtasks/execute/".to_owned()));
        let mut d = layout(Compat::SingleEndpoint);
        d.environment = Some("prod".to_owned());
        assert_eq!(
            d.task_topic("send_Welcome"),
            ("prod-shop-tasks-send-welcome".to_owned(), "prod-shop-tasks-send-welcome-sub".to_owned())
        );
    }

    #[test]
    fn a_path_is_for_one_thing_or_for_nothing() {
        let native = layout(Compat::Native);
        assert_eq!(native.route("/api/tasks/Send"), Some(Route::Task(Some("Send".to_owned()))));
        assert_eq!(native.route("/api/tasks/Send/"), Some(Route::Task(Some("Send".to_owned()))));
        assert_eq!(native.route("/api/subscriptions/Billing"), Some(Route::Subscription(Some("Billing".to_owned()))));
        let event = Route::Event { kind: "upload".to_owned(), reference: "7".to_owned() };
        assert_eq!(native.route("/api/events/upload/7"), Some(event));
        for path in
            ["/tasks/Send", "/api/tasks/", "/api/tasks/a/b", "/api", "/apitasks/Send", "/api/events/upload", "/api/cloudtasks/execute/"]
        {
            assert_eq!(native.route(path), None, "{path}");
        }
        assert_eq!(layout(Compat::DjangoTasksCloudTasks).route("/api/cloudtasks/execute/"), Some(Route::Task(None)));
        assert_eq!(layout(Compat::SingleEndpoint).route("/api/tasks/pubsub/"), Some(Route::Subscription(None)));
        assert_eq!(layout(Compat::SingleEndpoint).route("/api/tasks/Send"), None);
    }
}
