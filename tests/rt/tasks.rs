//! Tasks are enqueued, run, repeated, refused.
