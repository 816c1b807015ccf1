//! Events: whatever is sent to `events/{kind}/{reference}`, handled by kind; URLs of that endpoint; and what Pub/Sub, Eventarc and Cloud Storage send there.
//!
//! A sender shows a token, or has a signed URL that is good for one use: see [`App::event_url`](crate::runtime::App::event_url).

mod cloud_event;
mod handler;
mod link;
mod message;
mod query;
mod replay;
mod settings;
mod storage;
mod url;

pub use cloud_event::{CloudEvent, CloudEventBuilder};
pub use handler::{Event, EventBody, EventOptions, Json};
pub use message::PubsubMessage;
pub use replay::{InMemory, Replay};
pub use storage::{StorageChange, StorageEvent, StorageObject};
pub use url::EventUrl;

pub(crate) use link::{Claim, Links};
pub(crate) use query::{parameters, percent_decoded, percent_encoded};
pub(crate) use settings::Settings;
