//! Who may call next: calls wait in lanes, one for each subscription, queue and job, so that one whose handler hangs does not stop the others.

use std::collections::{HashMap, VecDeque};

use crate::emulator::engine::Epoch;
use crate::emulator::state::{Caller, HttpCall};

/// At most this many calls are under way at once. Each takes a socket here and, with a handler in the same process, one there; 1024 is a
/// common limit of open files.
pub(super) const CALLS_MAX: usize = 256;
/// At most this many of them are of one lane: four lanes may hang before the others wait.
pub(super) const LANE_CALLS_MAX: usize = 64;

/// The calls that wait, and how many are under way.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    by_name: HashMap<String, Lane>,
    /// The lanes that have a call waiting and room for it, each once.
    turns: VecDeque<String>,
    under_way: usize,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<(Epoch, HttpCall)>,
    under_way: usize,
}

impl Lanes {
    /// Puts a call at the end of its lane.
    pub(super) fn push(&mut self, epoch: Epoch, call: HttpCall) {
        let name = lane_of(&call.caller);
        if !self.by_name.contains_key(name) {
            self.by_name.insert(name.to_owned(), Lane::default());
        }
        let Some(lane) = self.by_name.get_mut(name) else { return };
        if lane.waiting.is_empty() && lane.under_way < LANE_CALLS_MAX {
            self.turns.push_back(name.to_owned());
        }
        lane.waiting.push_back((epoch, call));
    }

    /// Takes the next call that may start, and the name of its lane for [`Lanes::ended`].
    pub(super) fn next(&mut self) -> Option<(String, Epoch, HttpCall)> {
        if self.under_way >= CALLS_MAX {
            return None;
        }
        let name = self.turns.pop_front()?;
        let lane = self.by_name.get_mut(&name)?;
        let (epoch, call) = lane.waiting.pop_front()?;
        lane.under_way += 1;
        self.under_way += 1;
        if !lane.waiting.is_empty() && lane.under_way < LANE_CALLS_MAX {
            self.turns.push_back(name.clone());
        }
        Some((name, epoch, call))
    }

    /// Notes that a call of the lane is over.
    pub(super) fn ended(&mut self, name: String) {
        let Some(lane) = self.by_name.get_mut(&name) else { return };
        self.under_way -= 1;
        lane.under_way -= 1;
        if lane.waiting.is_empty() {
            if lane.under_way == 0 {
                self.by_name.remove(&name);
            }
        } else if lane.under_way + 1 == LANE_CALLS_MAX {
            self.turns.push_back(name);
        }
    }
}

fn lane_of(caller: &Caller) -> &str {
    match caller {
        Caller::Push { subscription, .. } => subscription,
        Caller::Task { task, .. } => task.split_once("/tasks/").map_or(task, |(queue, _)| queue),
        Caller::Job { job, .. } => job,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn call(queue: &str, attempt: u64) -> HttpCall {
        HttpCall {
            caller: Caller::Task { task: format!("queues/{queue}/tasks/{attempt}"), attempt },
            method: "POST",
            url: String::new(),
            headers: Vec::new(),
            body: bytes::Bytes::new(),
            timeout: Duration::ZERO,
            token: None,
        }
    }

    fn start(lanes: &mut Lanes) -> Vec<String> {
        std::iter::from_fn(|| lanes.next().map(|(name, ..)| name)).collect()
    }

    #[test]
    fn a_lane_that_hangs_leaves_room_for_the_others() {
        let mut lanes = Lanes::default();
        (0..1000).for_each(|nth| lanes.push(0, call("stuck", nth)));
        assert_eq!(start(&mut lanes).len(), LANE_CALLS_MAX);
        lanes.push(0, call("well", 1));
        assert_eq!(start(&mut lanes), ["queues/well"]);
        lanes.ended("queues/well".into());
        lanes.ended("queues/stuck".into());
        assert_eq!(start(&mut lanes), ["queues/stuck"], "what ends makes room for the next of its lane");
    }

    #[test]
    fn lanes_take_turns_under_the_common_bound_and_nothing_is_dropped() {
        let mut lanes = Lanes::default();
        let names = ["a", "b", "c", "d", "e", "f"];
        (0..600).for_each(|nth| lanes.push(0, call(names[nth % 6], nth as u64)));
        let first = start(&mut lanes);
        assert_eq!(first.len(), CALLS_MAX);
        for name in names {
            let of_lane = first.iter().filter(|lane| lane.ends_with(name)).count();
            assert!((CALLS_MAX / 6..=CALLS_MAX / 6 + 1).contains(&of_lane), "{name}: {of_lane}");
        }
        let (mut open, mut done) = (VecDeque::from(first), 0);
        while let Some(name) = open.pop_front() {
            lanes.ended(name);
            done += 1;
            open.extend(start(&mut lanes));
            assert!(open.len() <= CALLS_MAX);
        }
        assert_eq!(done, 600);
        assert!(lanes.by_name.is_empty() && lanes.turns.is_empty(), "idle lanes cost nothing");
    }

    #[test]
    fn a_lane_keeps_its_order() {
        let mut lanes = Lanes::default();
        (0..10).for_each(|nth| lanes.push(0, call("q", nth)));
        let order: Vec<Caller> = std::iter::from_fn(|| lanes.next().map(|(.., call)| call.caller)).collect();
        let expected: Vec<Caller> = (0..10).map(|nth| call("q", nth).caller).collect();
        assert_eq!(order, expected);
    }
}
