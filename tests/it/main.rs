//! Behaviour from the outside, as one binary: the house's rules, the console in a terminal, the emulator under official clients.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, helpers included")]

mod cli;
mod clients;
mod console_pty;
mod container;
mod durable;
mod emulator_admin;
mod emulator_pubsub;
mod emulator_tasks;
#[path = "../common/environments.rs"]
mod environments;
mod layout;
mod ops;
mod stress;
mod transfer;
