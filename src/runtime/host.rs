//! Where this service is: its location, its own address and the account it acts as.

use crate::names::LocationId;

/// Where a service runs and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The location of its queues and jobs, such as `europe-west1`.
    pub location: LocationId,
    /// The base URL at which Cloud Tasks, Pub/Sub and Cloud Scheduler reach it, without a slash at the end.
    pub url: String,
    /// The service account whose tokens they send; without one they send none.
    pub account: Option<String>,
}
