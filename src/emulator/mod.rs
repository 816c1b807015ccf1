//! An emulator of Pub/Sub, Cloud Tasks, Cloud Scheduler and the part of Monitoring that shows their backlogs: one port, gRPC and HTTP/JSON.
//!
//! Must not know `cloud`, `ops` or any client: it is the other side of the wire.

mod dispatch;
mod engine;
mod faults;
mod grpc;
mod identity;
mod metrics;
mod nursery;
mod pb;
mod rest;
mod seed;
mod server;
mod state;
mod store;

pub use faults::Fault;
pub use server::{Builder, Emulator};
