//! What an app is configured to be.

use std::time::Duration;

use crate::runtime::provisioning::Provisioning;
use crate::runtime::{Compat, EnqueueRetry, events, oidc, push};

/// Cloud Tasks takes no task that is due later than this (Google's limit).
pub(crate) const ETA_MAX: Duration = Duration::from_hours(30 * 24);

/// What goes along unless the app says otherwise.
const PROPAGATED: [&str; 2] = ["traceparent", "tracestate"];

/// What enqueueing does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Tasks go to Cloud Tasks.
    #[default]
    Normal,
    /// Tasks run at once in this process, through the same encoding and decoding; what they ask for, too.
    Eager,
    /// Tasks are encoded, and dropped.
    Disabled,
}

/// The settings of an app.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) name: Option<String>,
    pub(crate) delimiter: String,
    pub(crate) environment: Option<String>,
    pub(crate) compat: Compat,
    pub(crate) mount: String,
    pub(crate) queue: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) propagated: Vec<String>,
    pub(crate) creates_queues: bool,
    pub(crate) eta_max: Duration,
    pub(crate) retry: EnqueueRetry,
    pub(crate) provisioning: Provisioning,
    pub(crate) push: push::Settings,
    pub(crate) oidc: oidc::Settings,
    pub(crate) events: events::Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: None,
            delimiter: "--".to_owned(),
            environment: None,
            compat: Compat::default(),
            mount: String::new(),
            queue: None,
            mode: Mode::default(),
            propagated: PROPAGATED.map(str::to_owned).to_vec(),
            creates_queues: false,
            eta_max: ETA_MAX,
            retry: EnqueueRetry::default(),
            provisioning: Provisioning::default(),
            push: push::Settings::default(),
            oidc: oidc::Settings::default(),
            events: events::Settings::default(),
        }
    }
}
