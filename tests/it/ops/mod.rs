//! Every operation against an emulator in this process: same clients, same sockets, same bytes as against Google.

mod browse;
mod faults;
mod grudging;
mod messages;
mod numbers;
mod queues;

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use redrive::cloud::Cloud;
use redrive::emulator::Emulator;
use redrive::names::{QueueName, SubscriptionName, TaskName, TopicName};
use redrive::ops::Ops;
use tempfile::TempDir;

/// What is waited for must come within this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// An emulator with resources in it, and the operations on it.
pub(crate) struct World {
    pub(crate) ops: Ops,
    pub(crate) home: PathBuf,
    pub(crate) emulator: Emulator,
    _folder: TempDir,
}

impl World {
    /// Starts an emulator of project `shop` with what a seed in YAML says.
    pub(crate) async fn start(seed: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seed.yaml");
        std::fs::write(&file, format!("project: shop\nlocation: europe-west1\n{seed}")).unwrap();
        let emulator = Emulator::builder().seed_file(file).start().await.unwrap();
        let home = folder.path().join("home");
        let cloud = Cloud::emulator(&emulator.address().to_string(), "shop".parse().unwrap()).unwrap();
        Self { ops: Ops::new(cloud, home.clone(), false).unwrap(), home, emulator, _folder: folder }
    }

    /// The same, for an operator who may change nothing.
    pub(crate) fn read_only(&self) -> Ops {
        Ops::new(self.ops.cloud().clone(), self.home.clone(), true).unwrap()
    }
}

pub(crate) fn queue(id: &str) -> QueueName {
    format!("projects/shop/locations/europe-west1/queues/{id}").parse().unwrap()
}

pub(crate) fn task(queue: &str, id: &str) -> TaskName {
    format!("projects/shop/locations/europe-west1/queues/{queue}/tasks/{id}").parse().unwrap()
}

pub(crate) fn topic(id: &str) -> TopicName {
    format!("projects/shop/topics/{id}").parse().unwrap()
}

pub(crate) fn subscription(id: &str) -> SubscriptionName {
    format!("projects/shop/subscriptions/{id}").parse().unwrap()
}

/// Asks until the answer is there.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
