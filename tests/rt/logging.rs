//! What a service writes to its log is what Cloud Logging reads.
