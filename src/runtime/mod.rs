//! What a service is made of: tasks, publishers, subscribers, periodic tasks and events, an explicit registry of them, and the endpoint that
//! Cloud Tasks, Pub/Sub and Cloud Scheduler call.
//!
//! Must not know the console, the command line or the emulator: a service compiles none of them.
//!
//! ```
//! use std::time::Duration;
//! use redrive::runtime::{App, Context, Message, Outcome, Received, Subscriber, Subscription, Task, discard, done};
//! use serde::{Deserialize, Serialize};
//!
//! struct Shop;
//!
//! /// A task: its payload is the struct, its work is `run`.
//! #[derive(Serialize, Deserialize)]
//! struct SendWelcomeEmail { user_id: u64 }
//!
//! impl Task<Shop> for SendWelcomeEmail {
//!     const NAME: &'static str = "SendWelcomeEmail";
//!
//!     async fn run(self, cx: Context<Shop>) -> Outcome {
//!         if self.user_id == 0 { return discard("nobody"); }                        // it never can work
//!         cx.app().publisher::<Welcomed>().publish(Welcomed { user_id: self.user_id }).await?;   // an error is tried again
//!         done()
//!     }
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Welcomed { user_id: u64 }
//!
//! impl Message for Welcomed {
//!     const TOPIC: &'static str = "welcomed";
//! }
//!
//! /// A subscriber: typed content, where it listens, what happens to what it cannot handle.
//! struct Statistics;
//!
//! impl Subscriber<Shop> for Statistics {
//!     type Message = Welcomed;
//!     const NAME: &'static str = "Statistics";
//!
//!     fn subscription() -> Subscription {
//!         Subscription::to("welcomed").ack_deadline(Duration::from_secs(30)).retries(5).dead_letters("welcomed-dead")
//!     }
//!
//!     async fn run(message: Received<Welcomed>, _: Context<Shop>) -> Outcome {
//!         println!("user {} was welcomed", message.user_id);
//!         done()
//!     }
//! }
//!
//! # #[cfg(not(feature = "testing"))]
//! # fn main() {}
//! # #[cfg(feature = "testing")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redrive::Result<()> {
//! let app = App::new(Shop)                        // state
//!     .named("shop")                              // prefix: shop--welcomed
//!     .task::<SendWelcomeEmail>()                 // the explicit registry: nothing else can be called
//!     .subscriber::<Statistics>();
//! // In a service: `.from_env().await?`, and then `redrive::manage(app).await`. In a test:
//! let app = app.start().await?;
//! SendWelcomeEmail { user_id: 7 }.asap(&app).await?;
//! SendWelcomeEmail { user_id: 8 }.later(&app, Duration::from_hours(1)).await?;
//! app.deliver().await?;
//! app.published::<Welcomed>().await?.expect_one(|message| message.user_id == 7);
//! # Ok(())
//! # }
//! ```

mod app;
mod builder;
mod cloud_run;
mod compat;
mod config;
mod content;
mod context;
mod dead_set;
mod debug;
mod delivery;
mod dispatch;
mod enqueue;
pub mod events;
mod host;
mod idempotency;
pub mod logging;
#[cfg(feature = "manage")]
mod manage;
mod oidc;
mod outcome;
mod periodic;
mod propagation;
mod provisioning;
mod publisher;
mod pull;
pub mod push;
pub mod python_time;
mod registry;
mod subscriber;
mod task;
mod time_limit;
mod wire;

pub use app::App;
pub use builder::Builder;
pub use cloud_run::{CloudRun, NotOnCloudRun};
pub use compat::Compat;
pub use config::Mode;
pub use content::{Content, Entity, Message};
pub use context::{Attempt, Context, EventInfo, JobInfo, MessageInfo, Origin, TaskInfo};
pub use debug::{Discarded, Tried};
pub use enqueue::{Enqueue, EnqueueRetry, Enqueued, When};
pub use host::Host;
pub use idempotency::{Begun, Idempotency, IdempotencyStore, MemoryStore};
#[cfg(feature = "manage")]
pub use manage::{Exit, manage, manage_from};
pub use oidc::TokenMetrics;
pub use outcome::{Failure, Outcome, Verdict, discard, done, done_with, retry, retry_after};
pub use periodic::Periodic;
pub use publisher::{Committed, Outbox, Publish, Publisher};
pub use pull::{Pull, PullFigures, Pulling};
pub use push::{BodyBytes, Drained, Metrics, Places, Push, stop_signal};
pub use subscriber::{Received, Subscriber, Subscription};
pub use task::{Task, TaskOptions};

#[cfg(feature = "testing")]
pub(crate) use registry::decode;
