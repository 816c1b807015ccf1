//! What the tests of the runtime share.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use redrive::cloud::Cloud;
use redrive::emulator::Emulator;
use redrive::model::task::Task as Stored;
use redrive::ops::Ops;
use redrive::runtime::{App, Builder, Drained, Host};

/// What is waited for happens within this, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);

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

    /// Connects to the emulator.
    pub(crate) fn cloud(&self) -> Cloud {
        cloud(&self.emulator)
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

/// A service that is served by the app itself, at an address of its own.
pub(crate) struct Served {
    pub(crate) url: String,
    stop: tokio::sync::oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<redrive::Result<Drained>>,
}

impl Served {
    /// Builds an app for its own address and serves it.
    pub(crate) async fn start<S: Send + Sync + 'static>(make: impl FnOnce(&str) -> Builder<S>) -> (App<S>, Self) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = make(&url).build().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let served = app.clone();
        let ended = tokio::spawn(async move { served.serve_on(listener, async { drop(stopped.await) }).await });
        (app, Self { url, stop, ended })
    }

    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(self) -> Drained {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap()
    }
}

/// An app that never meets anything of Google's, at `url`.
pub(crate) fn alone<S: Send + Sync + 'static>(state: S, url: &str, account: Option<&str>) -> Builder<S> {
    let cloud = Cloud::emulator("127.0.0.1:9", "shop".parse().unwrap()).unwrap();
    App::new(state).on(cloud).host(Host {
        location: "europe-west1".parse().unwrap(),
        url: url.to_owned(),
        account: account.map(str::to_owned),
    })
}

/// Operations on an emulator that somebody else started; they end with the folder.
pub(crate) fn ops_of(emulator: &Emulator) -> (Ops, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::emulator(&emulator.address().to_string(), emulator.project().clone()).unwrap();
    (Ops::new(cloud, folder.path().join("home"), false).unwrap(), folder)
}

/// What this thread logs goes to this subscriber until the guard goes. While a process has but one subscriber, `tracing` asks the thread that comes to a place in the
/// code first, which is another test's and has none, and remembers the place as silent for all: therefore there are always two.
pub(crate) fn log_to(subscriber: impl Into<tracing::Dispatch>) -> tracing::dispatcher::DefaultGuard {
    static SECOND: LazyLock<tracing::Dispatch> = LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));
    LazyLock::force(&SECOND);
    let guard = tracing::dispatcher::set_default(&subscriber.into());
    tracing::callsite::rebuild_interest_cache();
    guard
}
