//! What a service writes to its log, in the form that Cloud Logging and Error Reporting read.

pub(crate) mod trace;
