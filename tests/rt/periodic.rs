//! Periodic tasks run when they are due.
