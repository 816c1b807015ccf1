//! Tasks of Cloud Tasks.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::names::TaskName;

/// A task as the service describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Full name.
    pub name: TaskName,
    /// The request it makes.
    pub request: TaskRequest,
    /// When it is next due.
    pub schedule_time: Option<Timestamp>,
    /// When it was created (the service cuts it to seconds).
    pub create_time: Option<Timestamp>,
    /// How long an attempt may take (HTTP: 15 s – 30 min).
    pub dispatch_deadline: Option<Duration>,
    /// Attempts begun.
    pub dispatch_count: u32,
    /// Attempts that the handler answered with anything but a 5xx.
    pub response_count: u32,
    /// The first attempt.
    pub first_attempt: Option<Attempt>,
    /// The last attempt.
    pub last_attempt: Option<Attempt>,
    /// Whether headers and body are here (view FULL).
    pub full: bool,
    /// Google's own JSON of the resource.
    pub raw: Value,
}

/// The request a task makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRequest {
    /// `POST`, `GET` …
    pub method: String,
    /// Full URL of an HTTP target; the relative URI of an App Engine target.
    pub url: String,
    /// Whether it is an App Engine target.
    pub app_engine: bool,
    /// Headers, in order of their names.
    pub headers: Vec<(String, String)>,
    /// Body; empty in view BASIC.
    pub body: Bytes,
    /// The account whose OIDC or OAuth token is sent.
    pub token_account: Option<String>,
}

/// One attempt to dispatch a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it was to happen.
    pub schedule_time: Option<Timestamp>,
    /// When it happened.
    pub dispatch_time: Option<Timestamp>,
    /// When it was answered; while unset, `status` means nothing.
    pub response_time: Option<Timestamp>,
    /// Canonical code and text of the answer.
    pub status: Option<(i32, String)>,
}
