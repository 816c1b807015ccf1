//! What can be asked of a transfer besides what, from where and whereto.

use std::time::Duration;

use json_patch::Patch;
use serde::{Deserialize, Serialize};

/// What can be asked of a transfer besides; all of it may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// So many are sent first, and looked after, before the rest goes.
    pub canary: Option<Canary>,
    /// Once more than so many percent of what was sent came back, the transfer stops.
    pub stop_on_return: Option<u8>,
    /// How long the dead letters are watched after the last message was sent, beyond what the end itself takes.
    pub watch: Option<Duration>,
    /// What is changed in each message: a JSON patch (RFC 6902) of its document (`payload` or `payloadBase64`, `attributes`, `orderingKey`).
    pub patch: Option<Patch>,
    /// Goes on although another operator's transfer is noticed, or an ordering key would be blocked.
    pub force: bool,
}

impl Options {
    /// Tells whether returns are looked for at once, by a subscription of our own, and not only where the transfer meets them.
    pub(super) fn looks_after(&self) -> bool {
        self.canary.is_some() || self.stop_on_return.is_some() || self.watch.is_some()
    }
}

/// The first few of a transfer, sent ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// How many.
    pub count: u64,
    /// How long is waited for them to come back.
    pub wait: Duration,
    /// Whether the rest goes without asking when none came back.
    pub go_on: bool,
}
