//! For users' own tests: an app on an emulator of its own, over real sockets and with real tokens, whose work waits until the test lets it happen.
//!
//! ```
//! use std::time::Duration;
//! use redrive::runtime::{Context, Outcome, Task, done};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Remind { user_id: u64 }
//!
//! impl Task<()> for Remind {
//!     const NAME: &'static str = "Remind";
//!     async fn run(self, _: Context<()>) -> Outcome { done() }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redrive::Result<()> {
//! let app = redrive::testing::app(()).task::<Remind>().start().await?;
//! Remind { user_id: 7 }.later(&app, Duration::from_hours(1)).await?;
//! app.enqueued::<Remind>().await?.expect_one(|task| task.user_id == 7);
//! app.advance(Duration::from_hours(1)).await?;
//! app.enqueued::<Remind>().await?.expect_none();
//! # Ok(())
//! # }
//! ```

mod messages;
mod seen;

use std::ops::Deref;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cloud::Cloud;
use crate::emulator::Emulator;
use crate::error::{Error, Kind, Result};
use crate::model::queue::{Queue, QueueState};
use crate::runtime::{App, Builder, Host, Message, Task};

pub use seen::{Item, Seen};

use messages::Watched;

/// Where an app under test is.
const LOCATION: &str = "europe-west1";
/// Whose tokens the emulator sends it; they are verified as in production.
const ACCOUNT: &str = "tests@demo.iam.gserviceaccount.com";
/// What is waiting is looked at up to this many tasks.
const TASKS_MAX: usize = 10_000;

/// Begins an app for a test; [`start`](Builder::start) starts it.
pub fn app<S: Send + Sync + 'static>(state: S) -> Builder<S> {
    App::new(state)
}

/// An app on an emulator of its own. Tasks wait until [`deliver`](TestApp::deliver) or [`advance`](TestApp::advance); messages are pushed at once. All of it
/// ends when this is dropped.
///
/// Queues that only a caller names, and that the app makes on first use, run at once: none of the app's types declares them.
pub struct TestApp<S> {
    app: App<S>,
    emulator: Emulator,
    watched: Watched,
    /// Tells the server to stop, at the latest when it is dropped.
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl<S: Send + Sync + 'static> Builder<S> {
    /// Starts the app for a test: on an emulator of its own, provisioned, served on a free port of this machine.
    ///
    /// # Errors
    ///
    /// Fails as [`build`](Builder::build), and when something the app declares cannot be.
    pub async fn start(self) -> Result<TestApp<S>> {
        let emulator = Emulator::builder().start().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let host = Host { location: LOCATION.parse()?, url, account: Some(ACCOUNT.to_owned()) };
        let cloud = Cloud::emulator(&emulator.address().to_string(), emulator.project().clone())?;
        let app = self.on(cloud).host(host).build()?;
        let (_, applied) = app.provision(false).await?;
        if let Some(error) = applied.failed.into_iter().next() {
            return Err(error.context("the app cannot be provisioned"));
        }
        let watched = Watched::begin(app.cloud()).await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let push = app.clone();
        let server = tokio::spawn(async move {
            let end = async { drop(stopped.await) };
            if let Err(error) = push.serve_on(listener, end).await {
                tracing::error!(target: "redrive::runtime", %error, "the app under test is not served");
            }
        });
        let test = TestApp { app, emulator, watched, stop, server };
        test.hold().await?;
        Ok(test)
    }
}

impl<S: Send + Sync + 'static> TestApp<S> {
    /// Returns the emulator: for faults, its clock, and its address.
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// Returns the tasks of a type that wait, in the order of when they are due.
    ///
    /// # Errors
    ///
    /// Fails when the type is not registered, and when the payload of a task is not what the type takes.
    pub async fn enqueued<T: Task<S>>(&self) -> Result<Seen<T>> {
        let mut items = Vec::new();
        for stored in self.app.stored_tasks(T::NAME, true, TASKS_MAX, Some).await?.0 {
            let payload = self.app.payload_of(&stored)?;
            let value = crate::runtime::decode(&payload)
                .map_err(|why| Error::invalid(format!("a stored task `{}` cannot be read: {}", T::NAME, why.0)))?;
            items.push(Item {
                value,
                raw: String::from_utf8_lossy(&payload).into_owned(),
                id: stored.name.id().to_owned(),
                queue: Some(stored.name.queue().clone()),
                due: stored.schedule_time,
                attributes: stored.request.headers.into_iter().collect(),
            });
        }
        items.sort_by_key(|item| item.due);
        Ok(Seen::new(format!("task `{}`", T::NAME), items))
    }

    /// Returns the messages of a type that were published since the start, in the order of their publication, whoever published them.
    ///
    /// # Errors
    ///
    /// Fails when the app does not declare that it [publishes](Builder::publishes) or receives them, and when the content of one is not what the type takes.
    pub async fn published<M: Message>(&self) -> Result<Seen<M>> {
        let topic = self.app.publisher::<M>().topic()?;
        let mut items = Vec::new();
        for message in self.watched.of_topic(self.app.cloud(), &topic).await? {
            let value = M::decode(&message.data)
                .map_err(|failure| Error::invalid(format!("a message on topic `{}` cannot be read: {failure}", topic.id())))?;
            items.push(Item {
                value,
                raw: String::from_utf8_lossy(&message.data).into_owned(),
                id: message.id,
                queue: None,
                due: None,
                attributes: message.attributes,
            });
        }
        Ok(Seen::new(format!("message on topic `{}`", topic.id()), items))
    }

    /// Lets happen all that is due now, with what that causes, and returns when it has been answered. What fails waits for its next attempt.
    ///
    /// # Errors
    ///
    /// Fails when handlers do not answer within 30 s.
    pub async fn deliver(&self) -> Result<()> {
        self.advance(Duration::ZERO).await
    }

    /// Moves the clock forward and lets happen all that falls due on the way: tasks, retries, periodic tasks, redeliveries.
    ///
    /// # Errors
    ///
    /// As [`deliver`](Self::deliver).
    pub async fn advance(&self, by: Duration) -> Result<()> {
        for queue in self.queues().await?.iter().filter(|queue| queue.state == QueueState::Paused && !queue.name.id().ends_with("-dead")) {
            self.app.cloud().resume_queue(&queue.name).await?;
        }
        let moved = self.emulator.advance(by).await;
        self.hold().await?;
        moved
    }

    /// Has tasks wait.
    async fn hold(&self) -> Result<()> {
        for queue in self.queues().await?.iter().filter(|queue| queue.state == QueueState::Running) {
            self.app.cloud().pause_queue(&queue.name).await?;
        }
        Ok(())
    }

    async fn queues(&self) -> Result<Vec<Queue>> {
        Ok(self.app.cloud().list_queues(&self.app.location()).await?.items)
    }

    /// Stops the app and its emulator, and waits until they have.
    ///
    /// # Errors
    ///
    /// Fails when the server panicked.
    pub async fn shutdown(self) -> Result<()> {
        let Self { emulator, stop, server, .. } = self;
        // A server that has ended already is told nothing.
        let _ = stop.send(());
        let ended = server.await;
        emulator.shutdown().await;
        ended.map_err(|error| Error::new(Kind::Internal, "the server of the app panicked").with_source(error))
    }
}

impl<S> Deref for TestApp<S> {
    type Target = App<S>;

    fn deref(&self) -> &App<S> {
        &self.app
    }
}
