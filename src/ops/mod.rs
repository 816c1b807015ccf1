//! What an operator can do, one file per use case; shared by command line and console, and knowing neither.
//!
//! Every call is bounded in time, says what failed and what to do, and is refused in a read-only context.

mod activity;
mod browse;
mod debug;
mod discard;
mod doctor;
mod editor;
mod guard;
mod hold;
mod home;
mod jobs;
mod numbers;
mod peek;
mod publish;
mod tasks;
pub mod transfer;

use std::path::PathBuf;
use std::sync::Arc;

pub use crate::cloud::{Cloud, EMULATOR_PROJECT, Found, Place, Settings};
use crate::error::{Error, Result};

pub use activity::Activity;
pub use debug::{HANDLER_BODY_BYTES_MAX, HandlerAnswer, curl};
pub use doctor::{Finding, Health};
pub use guard::{Guard, Typed};
pub use peek::{Peek, PeekMode};
pub use publish::{
    ATTRIBUTE_KEY_BYTES_MAX, ATTRIBUTE_VALUE_BYTES_MAX, ATTRIBUTES_MAX, MESSAGE_BYTES_MAX, ORDERING_KEY_BYTES_MAX, check as check_draft,
};

/// The operations of one project. Cheap to clone; safe to use from several tasks at once.
///
/// ```
/// use redrive::cloud::Cloud;
/// use redrive::emulator::Emulator;
/// use redrive::model::message::Draft;
/// use redrive::ops::{Ops, PeekMode};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> redrive::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let seed = folder.path().join("seed.yaml");
/// # std::fs::write(&seed, "project: shop\ntopics: [{ name: orders }]\nsubscriptions: [{ name: mail, topic: orders }]\nqueues: [{ name: emails, location: europe-west1 }]")?;
/// # let home = folder.path().join("home");
/// let emulator = Emulator::builder().seed_file(seed).start().await?;
/// let ops = Ops::new(Cloud::emulator(&emulator.address().to_string(), "shop".parse()?)?, home, false)?;
///
/// assert_eq!(ops.queues().await?.items[0].name.id(), "emails");
///
/// let topic = "projects/shop/topics/orders".parse()?;
/// let id = ops.publish(&topic, Draft { data: "{}".into(), ..Draft::default() }).await?;
/// let peek = ops.peek(&"projects/shop/subscriptions/mail".parse()?, PeekMode::Leased, 10).await?;
/// assert_eq!(peek.messages[0].id, id);
/// assert_eq!(ops.activity(1)?[0].action, "topic.publish");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Ops(Arc<Inner>);

struct Inner {
    cloud: Cloud,
    home: PathBuf,
    guard: Guard,
    transfers: transfer::Live,
}

/// How an action on several items ended.
#[derive(Debug, Default)]
pub struct Report {
    /// Items done.
    pub done: u64,
    /// Items that were gone already.
    pub gone: u64,
    /// Items that failed: name and reason.
    pub failed: Vec<(String, Error)>,
    /// Where the kept copy lies, for actions that keep one.
    pub copy: Option<PathBuf>,
}

impl Ops {
    /// Makes the operations of `cloud`'s project; journals, kept copies and the activity log live in `home` (created with mode 0700).
    ///
    /// With `read_only`, everything that changes something is refused with [`Kind::Refused`](crate::error::Kind::Refused).
    pub fn new(cloud: Cloud, home: PathBuf, read_only: bool) -> Result<Self> {
        Self::guarded(cloud, home, Guard { read_only, ..Guard::default() })
    }

    /// The same, with all that a context may forbid.
    pub fn guarded(cloud: Cloud, home: PathBuf, guard: Guard) -> Result<Self> {
        home::create_folder(&home)?;
        Ok(Self(Arc::new(Inner { cloud, home, guard, transfers: transfer::Live::default() })))
    }

    /// Returns where calls go.
    pub fn cloud(&self) -> &Cloud {
        &self.0.cloud
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::message::Draft;

    fn sendable<T: Send>(_: T) {}

    /// Console and command line spawn the operations; that they can is a property of every future below.
    #[test]
    fn operations_can_be_spawned() -> Result<()> {
        let home = tempfile::tempdir()?;
        let ops = Ops::new(Cloud::emulator("127.0.0.1:1", "p".parse()?)?, home.path().join("home"), false)?;
        let queue = "projects/p/locations/l/queues/q".parse()?;
        let task = "projects/p/locations/l/queues/q/tasks/t".parse()?;
        let job = "projects/p/locations/l/jobs/j".parse()?;
        let (topic, subscription) = ("projects/p/topics/top".parse()?, "projects/p/subscriptions/sub".parse()?);
        sendable((ops.locations(), ops.queues(), ops.jobs(), ops.topics(), ops.subscriptions(), ops.dead_letters(), ops.numbers()));
        sendable((ops.tasks(&queue, true, 1), ops.task(&task), ops.run_task(&task), ops.debug_task(&task, "localhost:1")));
        sendable((ops.pause_queue(&queue), ops.resume_queue(&queue), ops.purge_queue(&queue), ops.discard_tasks(Vec::new(), |_| {})));
        sendable((ops.run_job(&job), ops.pause_job(&job), ops.resume_job(&job)));
        sendable(ops.doctor());
        sendable((ops.publish(&topic, Draft::default()), ops.peek(&subscription, PeekMode::Leased, 1)));
        Ok(())
    }
}
