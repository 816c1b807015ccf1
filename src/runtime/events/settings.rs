//! How events are handled and their URLs signed.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::error::{Error, Result};
use crate::runtime::Builder;
use crate::runtime::events::{Event, InMemory, Replay};

/// A secret that is shorter can be guessed.
const SECRET_BYTES_MIN: usize = 32;

/// The settings of events.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// The first one signs, all verify.
    pub(super) keys: Vec<hmac::Key>,
    pub(super) replay: Option<Arc<dyn Replay>>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Settings {
    pub(super) fn replay(&self) -> Arc<dyn Replay> {
        self.replay.clone().unwrap_or_else(|| Arc::new(InMemory::default()))
    }
}

impl<S: Send + Sync + 'static> Builder<S> {
    /// Adds a handler of events.
    pub fn event<E: Event<S>>(mut self) -> Self {
        let added = self.registry_mut().add_event::<E>();
        self.note(added)
    }

    /// Adds a secret, of 32 bytes at least, with which URLs of events are signed. The first one signs; URLs signed with any of them are taken, so that
    /// secrets can be replaced.
    ///
    /// ```
    /// use redrive::runtime::App;
    ///
    /// let builder = App::new(()).event_secret("from Secret Manager, 32 bytes at the least");
    /// ```
    pub fn event_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        let added = self.add_secret(secret.as_ref());
        self.note(added)
    }

    /// Sets where it is noted that a signed URL was used. Without this it is in this process, so that each process takes each URL once.
    pub fn replay(mut self, replay: impl Replay) -> Self {
        self.config_mut().events.replay = Some(Arc::new(replay));
        self
    }

    fn add_secret(&mut self, secret: &[u8]) -> Result<()> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(Error::invalid(format!("a secret for events of {} bytes is too short", secret.len()))
                .with_hint("make one of 32 bytes with `openssl rand -base64 32` and keep it in Secret Manager"));
        }
        self.config_mut().events.keys.push(hmac::Key::new(hmac::HMAC_SHA256, secret));
        Ok(())
    }
}
