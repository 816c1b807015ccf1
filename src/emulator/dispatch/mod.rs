//! Sends the HTTP requests that the state asks for (pushes, tasks, scheduled jobs) and reports how they ended.
//!
//! Must not know what a request is for, nor retry: the state decides with [`Answered`] what comes next.

mod send;
mod token;

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::engine::Engine;
use super::state::{Answered, HttpCall};
use send::Sender;

/// At most this many calls are under way at once; the others wait their turn. Each takes a socket, and 1024 is a common limit of
/// open files: clients and handlers in the same process need some too.
const CALLS_MAX: usize = 256;

/// Runs until the engine shuts down; calls under way are then cut off.
pub(super) async fn run(engine: Engine, mut queue: mpsc::UnboundedReceiver<HttpCall>) {
    let sender = Arc::new(Sender::new());
    let free = Arc::new(Semaphore::new(CALLS_MAX));
    let mut under_way = JoinSet::new();
    let work = async {
        while let Some(mut call) = queue.recv().await {
            let permit = Arc::clone(&free).acquire_owned().await.expect("the semaphore is never closed");
            while under_way.try_join_next().is_some() {}
            let (engine, sender) = (engine.clone(), Arc::clone(&sender));
            under_way.spawn(async move {
                let answer = sender.send(&mut call).await;
                drop(permit);
                tracing::debug!(target: "redrive::emulator::dispatch", method = call.method, url = ?call.url, ?answer);
                if let Err(refusal) = engine.run(Answered { caller: call.caller, answer }) {
                    tracing::warn!(target: "redrive::emulator::dispatch", message = ?refusal.message, "the answer was not taken");
                }
            });
        }
    };
    tokio::select! {
        () = work => {}
        () = engine.shutting_down() => {}
    }
}

#[cfg(test)]
mod tests;
