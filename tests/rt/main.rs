//! The runtime from the outside, as one binary: services on the emulator, over sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, helpers included")]

mod cloud_run;
mod context;
mod dead_set;
mod discard;
#[path = "../common/environments.rs"]
mod environments;
mod events;
mod hostile;
mod idempotency;
mod interop;
mod logging;
mod manage;
mod oidc;
mod periodic;
mod pressure;
mod provision;
mod publish;
mod pull;
mod push;
mod shop;
mod single_endpoint;
mod subscribe;
mod support;
mod tasks;
mod testing;
mod traces;
