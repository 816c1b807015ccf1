//! The calls that the state has asked for and that have not been answered: what moving the clock has to wait for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Engine, Epoch};
use crate::emulator::state::{Caller, Effect};

/// Those calls, with their method and URL.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    calls: Mutex<HashMap<Caller, (&'static str, String)>>,
    emptied: Notify,
}

impl OpenCalls {
    pub(super) fn note(&self, effect: &Effect) {
        if let Effect::Send(call) = effect {
            self.lock().insert(call.caller.clone(), (call.method, call.url.clone()));
        }
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
        self.emptied.notify_waiters();
    }

    fn end(&self, caller: &Caller) {
        let mut calls = self.lock();
        calls.remove(caller);
        if calls.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// Waits until there are none.
    pub(super) async fn none(&self) {
        loop {
            // Made before the look, so that what ends between the two is not missed.
            let emptied = self.emptied.notified();
            if self.lock().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Returns some of them for people, at most `max`, and how many there are.
    pub(super) fn list(&self, max: usize) -> (Vec<String>, usize) {
        let calls = self.lock();
        let mut lines: Vec<String> = calls.values().take(max).map(|(method, url)| format!("{method} {}", url.escape_debug())).collect();
        lines.sort_unstable();
        (lines, calls.len())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Caller, (&'static str, String)>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is being made; it counts as open until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenCall {
    engine: Engine,
    caller: Caller,
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.engine.0.open.end(&self.caller);
    }
}

impl Engine {
    /// Begins a call; drop what is returned after its answer was applied.
    pub(crate) fn begin(&self, caller: &Caller) -> OpenCall {
        OpenCall { engine: self.clone(), caller: caller.clone() }
    }

    /// Returns once the state has been emptied since `epoch`.
    pub(crate) async fn reset_since(&self, epoch: Epoch) {
        let mut now = self.0.epoch.subscribe();
        // The sender lives as long as this handle, so waiting cannot fail.
        let _ = now.wait_for(|&now| now != epoch).await;
    }
}
