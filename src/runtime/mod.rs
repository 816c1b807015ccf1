//! What a service is made of: tasks, publishers, subscribers, periodic tasks and events, an explicit registry of them, and the endpoint that
//! Cloud Tasks, Pub/Sub and Cloud Scheduler call.
//!
//! Must not know the console, the command line or the emulator: a service compiles none of them.

mod app;
mod builder;
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
mod logging;
mod oidc;
mod outcome;
mod periodic;
mod propagation;
mod provisioning;
mod publisher;
mod push;
mod registry;
mod subscriber;
mod task;
mod wire;

pub use app::App;
pub use builder::Builder;
pub use compat::Compat;
pub use config::Mode;
pub use content::{Content, Entity, Message};
pub use context::{Attempt, Context, EventInfo, JobInfo, MessageInfo, Origin, TaskInfo};
pub use debug::{Discarded, Tried};
pub use enqueue::{Enqueue, EnqueueRetry, Enqueued, When};
pub use host::Host;
pub use oidc::TokenMetrics;
pub use outcome::{Failure, Outcome, Verdict, discard, done, done_with, retry, retry_after};
pub use periodic::Periodic;
pub use publisher::{Outbox, Publish, Publisher};
pub use push::{Drained, Metrics, Places, Push};
pub use subscriber::{Received, Subscriber, Subscription};
pub use task::{Task, TaskOptions};
