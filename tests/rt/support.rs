//! What the tests of the runtime share.

use std::time::{Duration, Instant};

use redrive::cloud::Cloud;
use redrive::emulator::Emulator;
use redrive::model::task::Task as Stored;
use redrive::ops::Ops;
use redrive::runtime::{App, Builder, Host};

/// What is waited for happens within this, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// An emulator, and operations to look into it from the outside.
pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) ops: Ops,
    folder: tempfile::TempDir,
}

impl World {
    /// Starts an emulator with what a seed file (YAML, without its project) declares.
    pub(crate) async fn start(seed: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seed.yaml");
        std::fs::write(&path, format!("project: shop\nlocation: europe-west1\n{seed}")).unwrap();
        let emulator = Emulator::builder().seed_file(path).start().await.unwrap();
        let ops = Ops::new(cloud(&emulator), folder.path().join("home"), false).unwrap();
        Self { emulator, ops, folder }
    }

    /// Begins an app on the emulator that is reached at `url`.
    pub(crate) fn app<S: Send + Sync + 'static>(&self, state: S, url: &str) -> Builder<S> {
        App::new(state).on(cloud(&self.emulator)).host(Host {
            location: "europe-west1".parse().unwrap(),
            url: url.to_owned(),
            account: None,
        })
    }

    /// Returns the waiting tasks of a queue, in full.
    pub(crate) async fn tasks(&self, queue: &str) -> Vec<Stored> {
        self.ops.tasks(&queue_name(queue), true, 1000).await.unwrap().items
    }

    /// A folder that is there as long as this is.
    #[expect(dead_code, reason = "for those who write files")]
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

fn cloud(emulator: &Emulator) -> Cloud {
    Cloud::emulator(&emulator.address().to_string(), "shop".parse().unwrap()).unwrap()
}

pub(crate) fn queue_name(id: &str) -> redrive::names::QueueName {
    format!("projects/shop/locations/europe-west1/queues/{id}").parse().unwrap()
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
