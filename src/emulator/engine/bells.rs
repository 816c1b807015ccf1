//! Wake-ups per subscription: a bell exists only while somebody listens, so idle subscriptions cost nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Engine, Epoch};

/// The bells that somebody listens to, by full subscription name.
#[derive(Debug, Default)]
pub(super) struct Bells(Mutex<HashMap<String, Bell>>);

#[derive(Debug)]
struct Bell {
    rope: watch::Sender<()>,
    listeners: usize,
}

impl Bells {
    /// Wakes everyone who waits on the subscription.
    pub(super) fn ring(&self, subscription: &str) {
        if let Some(bell) = self.lock().get(subscription) {
            bell.rope.send_replace(());
        }
    }

    /// Ends all waits on the subscription.
    pub(super) fn close(&self, subscription: &str) {
        self.lock().remove(subscription);
    }

    fn listen(&self, subscription: &str) -> watch::Receiver<()> {
        let mut bells = self.lock();
        if let Some(bell) = bells.get_mut(subscription) {
            bell.listeners += 1;
            return bell.rope.subscribe();
        }
        let (rope, listener) = watch::channel(());
        bells.insert(subscription.to_owned(), Bell { rope, listeners: 1 });
        listener
    }

    fn leave(&self, subscription: &str, listener: &watch::Receiver<()>) {
        let mut bells = self.lock();
        // A closed and made-again subscription has another bell of the same name: that one is not ours to leave.
        let Some(bell) = bells.get_mut(subscription).filter(|bell| bell.rope.subscribe().same_channel(listener)) else { return };
        bell.listeners -= 1;
        if bell.listeners == 0 {
            bells.remove(subscription);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Bell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Something may be leased; look again (it may be gone already).
    Ready,
    /// The subscription is gone or detached.
    Closed,
    /// The state was emptied; the subscription is gone with it, even if there is one of its name again.
    Reset,
    /// The emulator ends.
    Shutdown,
}

/// A registration for the wake-ups of one subscription.
#[derive(Debug)]
pub(crate) struct Waiter {
    engine: Engine,
    subscription: String,
    bell: watch::Receiver<()>,
    epoch: watch::Receiver<Epoch>,
    shutdown: watch::Receiver<bool>,
}

impl Waiter {
    pub(super) fn new(engine: Engine, subscription: &str) -> Self {
        let bell = engine.0.bells.listen(subscription);
        let (epoch, shutdown) = (engine.0.epoch.subscribe(), engine.0.shutdown.subscribe());
        Self { engine, subscription: subscription.to_owned(), bell, epoch, shutdown }
    }

    /// Waits for what happens next on the subscription; what happened since the registration or the last wait counts. Cancel-safe.
    pub(crate) async fn wait(&mut self) -> Wake {
        tokio::select! {
            biased;
            _ = self.shutdown.wait_for(|&down| down) => Wake::Shutdown,
            _ = self.epoch.changed() => Wake::Reset,
            rung = self.bell.changed() => if rung.is_ok() { Wake::Ready } else { Wake::Closed },
        }
    }

    /// Tells whether the state was emptied since the registration.
    pub(crate) fn is_outdated(&self) -> bool {
        self.epoch.has_changed().unwrap_or(true)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.engine.0.bells.leave(&self.subscription, &self.bell);
    }
}
