//! Operations for Google Cloud Pub/Sub, Cloud Tasks and Cloud Scheduler: a console, a command line, a library and an embedded emulator.

pub mod error;
pub mod model;
pub mod names;

#[cfg(feature = "tool")]
pub mod cli;
#[cfg(feature = "runtime")]
pub mod cloud;
#[cfg(feature = "tool")]
pub mod console;
#[cfg(feature = "tool")]
pub mod demo;
#[cfg(feature = "emulator")]
pub mod emulator;
#[cfg(feature = "tool")]
pub mod ops;
#[cfg(feature = "runtime")]
pub mod provision;
#[cfg(feature = "runtime")]
pub mod runtime;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "emulator")]
mod wal;

pub use error::{Error, Result};
#[cfg(feature = "manage")]
pub use runtime::manage;

/// The Rust on the README's page is compiled, and run, as that of the documentation is.
#[cfg(all(doctest, feature = "tool"))]
#[doc = include_str!("../README.md")]
struct Readme;
