//! The Django libraries of the predecessors, and this runtime, work for each other: each library as `PyPI` has it, in a Django service of its own, beside a Rust
//! service of the same format. Tasks and messages go both ways through the emulator.
//!
//! There are two apps of the Rust service: one whose tasks it works off itself, and one that enqueues for the Django service. Django's own settings lead to the
//! Rust service: so each system is once the sender and once the receiver.

mod django;
mod gcp;
mod google_cloud_tasks;
mod scene;
mod tasks_cloud_tasks;
