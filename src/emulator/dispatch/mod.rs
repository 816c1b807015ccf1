//! Sends the HTTP requests that the state asks for (pushes, tasks, scheduled jobs) and reports how they ended.
//!
//! Must not know what a request is for, nor retry: the state decides with [`Answered`] what comes next.

mod lanes;
mod place;
mod rewrite;
mod send;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};

use super::engine::{Engine, Epoch};
use super::state::{Answer, Answered, Caller, HttpCall};
use lanes::Lanes;

pub(super) use rewrite::Rewrites;
pub(super) use send::Sender;

/// Runs until the engine shuts down; calls under way are then cut off.
pub(super) async fn run(engine: Engine, queue: mpsc::UnboundedReceiver<(Epoch, HttpCall)>, sender: Sender) {
    tokio::select! {
        () = work(&engine, queue, sender) => {}
        () = engine.shutting_down() => {}
    }
}

async fn work(engine: &Engine, mut queue: mpsc::UnboundedReceiver<(Epoch, HttpCall)>, sender: Sender) {
    let sender = Arc::new(sender);
    let mut lanes = Lanes::default();
    let mut under_way = JoinSet::new();
    let mut lane_of: HashMap<Id, String> = HashMap::new();
    loop {
        tokio::select! {
            call = queue.recv() => match call {
                Some((epoch, call)) => lanes.push(epoch, call),
                None => return,
            },
            Some(ended) = under_way.join_next_with_id() => {
                // A call that panicked has ended too.
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                lane_of.remove(&id).into_iter().for_each(|lane| lanes.ended(lane));
            }
        }
        while let Some((lane, epoch, call)) = lanes.next() {
            let task = under_way.spawn(make(epoch, call, engine.clone(), Arc::clone(&sender)));
            lane_of.insert(task.id(), lane);
        }
    }
}

async fn make(epoch: Epoch, mut call: HttpCall, engine: Engine, sender: Arc<Sender>) {
    let _open = engine.begin(&call.caller);
    let answer = tokio::select! {
        biased;
        // Nobody is left who asked for it.
        () = engine.reset_since(epoch) => return,
        answer = sender.send(&mut call) => answer,
    };
    if let (Answer::Failed(why), Caller::Task { task, .. }) = (&answer, &call.caller) {
        // The task itself says no more than that there was none.
        tracing::info!(target: "redrive::emulator::dispatch", %task, url = ?call.url, "no answer: {why}");
    }
    tracing::debug!(target: "redrive::emulator::dispatch", method = call.method, url = ?call.url, ?answer);
    engine.insist(Answered { caller: call.caller, answer }).await;
}

#[cfg(test)]
mod tests;
