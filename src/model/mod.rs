//! Plain values and pure rules of the three services. No IO, no clock, no protobuf.

pub mod cause;
pub mod cron;
pub mod dead_letter;
pub mod filter;
pub mod job;
pub mod listing;
pub mod message;
pub mod numbers;
pub mod query;
pub mod queue;
pub mod retry;
pub mod subscription;
pub mod task;
pub mod text;
pub mod topic;

#[cfg(test)]
pub(crate) mod campaign;
