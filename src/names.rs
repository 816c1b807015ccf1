//! Names of Google's resources, parsed once at the edge: inside the crate there are no `&str` names.
//!
//! Rules are those of the services' published references; a name that parses is well formed, not necessarily existing.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Makes a validated newtype for one path segment. Clones share the text: a name goes along with each message and row.
macro_rules! segment {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:expr, $says:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the bare segment.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let valid: fn(&str) -> bool = $rule;
                if valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(Error::invalid(format!(concat!("`{}` is not a valid ", $what), text.escape_debug())).with_hint($says))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

/// Makes a full resource name of a parent, a collection and an id.
macro_rules! resource {
    ($(#[$doc:meta])* $name:ident, $what:literal, $parent:ident: $parent_type:ty, $collection:literal, $id:ident, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name {
            $parent: $parent_type,
            id: $id,
        }

        impl $name {
            /// Makes the name of its parts.
            pub fn new($parent: $parent_type, id: $id) -> Self {
                Self { $parent, id }
            }

            /// Returns what the resource belongs to.
            pub fn $parent(&self) -> &$parent_type {
                &self.$parent
            }

            /// Returns the last segment.
            pub fn id(&self) -> &str {
                self.id.as_str()
            }

            /// Reads a full name, or a bare id below `parent`.
            ///
            /// # Errors
            ///
            /// Fails with an invalid-input error that names the text when it is neither.
            pub fn parse_in(text: &str, parent: &$parent_type) -> Result<Self> {
                if text.contains('/') { text.parse() } else { Ok(Self::new(parent.clone(), text.parse()?)) }
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let malformed = || {
                    Error::invalid(format!(concat!("`{}` is not the full name of a ", $what), text.escape_debug()))
                        .with_hint(concat!("it looks like `", $example, "`"))
                };
                let (rest, id) = text.rsplit_once('/').ok_or_else(malformed)?;
                let parent = rest.strip_suffix(concat!("/", $collection)).ok_or_else(malformed)?;
                Ok(Self { $parent: parent.parse().map_err(|_| malformed())?, id: id.parse()? })
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.$parent, f)?;
                f.write_str(concat!("/", $collection, "/"))?;
                f.write_str(self.id.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{self}\"")
            }
        }
    };
}

/// Tells whether `text` has between `min` and `max` bytes, all of them accepted by `allowed`.
fn made_of(text: &str, min: usize, max: usize, allowed: impl Fn(u8) -> bool) -> bool {
    (min..=max).contains(&text.len()) && text.bytes().all(allowed)
}

fn pubsub_id(text: &str) -> bool {
    made_of(text, 3, 255, |b| b.is_ascii_alphanumeric() || b"-_.~+%".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.starts_with("goog")
}

segment! {
    /// A project id, such as `shop-prod`, or a number; domain-scoped ids (`example.com:shop`) are accepted.
    ///
    /// Google gives new projects 6 to 30 lower-case letters, digits and `-`. More is taken here: emulators are used with projects such as `p`, `demo`
    /// or `TEST`, and a project that exists is not for this tool to refuse.
    ProjectId, "project id", |text| made_of(text, 1, 100, |b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b)),
    "a project id has letters, digits and `-`; list yours with `gcloud projects list`"
}
segment! {
    /// A location id, such as `europe-west1`.
    LocationId, "location", |text| made_of(text, 1, 63, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
    "a location looks like `europe-west1`"
}
segment! {
    /// The last segment of a queue's name.
    QueueId, "queue name", |text| made_of(text, 1, 100, |b| b.is_ascii_alphanumeric() || b == b'-'),
    "a queue name has 1 to 100 letters, digits and `-`"
}
segment! {
    /// The last segment of a task's name.
    TaskId, "task name", |text| made_of(text, 1, 500, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
    "a task name has 1 to 500 letters, digits, `-` and `_`"
}
segment! {
    /// The last segment of a topic's name.
    TopicId, "topic name", pubsub_id,
    "a topic name has 3 to 255 characters of `A-Za-z0-9-_.~+%`, begins with a letter and not with `goog`"
}
segment! {
    /// The last segment of a subscription's name.
    SubscriptionId, "subscription name", pubsub_id,
    "a subscription name has 3 to 255 characters of `A-Za-z0-9-_.~+%`, begins with a letter and not with `goog`"
}
segment! {
    /// The last segment of a schema's name.
    SchemaId, "schema name", pubsub_id,
    "a schema name has 3 to 255 characters of `A-Za-z0-9-_.~+%`, begins with a letter and not with `goog`"
}
segment! {
    /// The last segment of a job's name.
    JobId, "job name", |text| made_of(text, 1, 500, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
    "a job name has 1 to 500 letters, digits, `-` and `_`"
}

/// A project as a parent: `projects/shop-prod`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Project(ProjectId);

/// A location of a project as a parent: `projects/shop-prod/locations/europe-west1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Location {
    project: Project,
    id: LocationId,
}

impl Project {
    /// Makes the parent of a project id.
    pub fn new(id: ProjectId) -> Self {
        Self(id)
    }

    /// Returns the bare id.
    pub fn id(&self) -> &str {
        self.0.as_str()
    }
}

impl Location {
    /// Makes the parent of its parts.
    pub fn new(project: Project, id: LocationId) -> Self {
        Self { project, id }
    }

    /// Returns the project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Returns the bare id.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl FromStr for Project {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let id = text.strip_prefix("projects/").ok_or_else(|| Error::invalid(format!("`{}` is not `projects/ID`", text.escape_debug())))?;
        Ok(Self(id.parse()?))
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (rest, id) = text.rsplit_once('/').unwrap_or_default();
        let project = rest
            .strip_suffix("/locations")
            .ok_or_else(|| Error::invalid(format!("`{}` is not `projects/ID/locations/LOCATION`", text.escape_debug())))?;
        Ok(Self { project: project.parse()?, id: id.parse()? })
    }
}

impl fmt::Display for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("projects/")?;
        f.write_str(self.0.as_str())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.project, f)?;
        f.write_str("/locations/")?;
        f.write_str(self.id.as_str())
    }
}

resource! {
    /// A topic: `projects/P/topics/T`.
    ///
    /// ```
    /// use redrive::names::TopicName;
    ///
    /// let topic: TopicName = "projects/shop-prod/topics/orders".parse()?;
    /// assert_eq!((topic.project().id(), topic.id()), ("shop-prod", "orders"));
    /// assert!("projects/shop-prod/topics/goog-x".parse::<TopicName>().is_err());
    /// # Ok::<(), redrive::error::Error>(())
    /// ```
    TopicName, "topic", project: Project, "topics", TopicId, "projects/PROJECT/topics/TOPIC"
}
resource! {
    /// A subscription: `projects/P/subscriptions/S`.
    SubscriptionName, "subscription", project: Project, "subscriptions", SubscriptionId, "projects/PROJECT/subscriptions/SUBSCRIPTION"
}
resource! {
    /// A queue: `projects/P/locations/L/queues/Q`.
    QueueName, "queue", location: Location, "queues", QueueId, "projects/PROJECT/locations/LOCATION/queues/QUEUE"
}
resource! {
    /// A task: `projects/P/locations/L/queues/Q/tasks/T`.
    TaskName, "task", queue: QueueName, "tasks", TaskId, "projects/PROJECT/locations/LOCATION/queues/QUEUE/tasks/TASK"
}
resource! {
    /// A scheduled job: `projects/P/locations/L/jobs/J`.
    JobName, "job", location: Location, "jobs", JobId, "projects/PROJECT/locations/LOCATION/jobs/JOB"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for text in ["projects/p/locations/europe-west1/queues/q-1/tasks/t_9", "projects/p/locations/l/queues/q/tasks/0"] {
            assert_eq!(text.parse::<TaskName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_google_refuses() {
        for text in ["projects/p/topics/ab", "projects/p/topics/1abc", "projects/p/topics/a b c", "topics/abc", "projects//topics/abc", ""]
        {
            assert!(text.parse::<TopicName>().is_err(), "{text}");
        }
    }

    #[test]
    fn escapes_what_it_quotes() {
        let error = "a\u{1b}[31m".parse::<QueueId>().unwrap_err();
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
}
