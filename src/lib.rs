//! Operations for Google Cloud Pub/Sub, Cloud Tasks and Cloud Scheduler: a console, a command line, a library and an embedded emulator.

pub mod error;
pub mod names;

#[cfg(feature = "emulator")]
pub mod emulator;

pub use error::{Error, Result};
