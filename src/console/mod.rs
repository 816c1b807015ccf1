//! The console: a terminal interface over [`crate::ops`].
//!
//! A key becomes an action by `action`'s table, the action a pure change of state with effects, the effects run on the runtime, and their answers come back as
//! messages. Views draw from the state only. Nothing here knows how an operation is done.

mod action;
mod app;
mod config;
mod effects;
mod geometry;
mod input;
mod key;
mod message;
mod run;
mod terminal;
mod theme;
mod view;
mod widget;

#[cfg(test)]
mod tests;

pub use action::markdown_table;
pub use config::Config;
pub use run::{Connection, Start, run};
