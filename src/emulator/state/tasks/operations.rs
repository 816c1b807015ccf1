//! Operations of batches: kept to be told again, and so that no other batch takes the id of one.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::emulator::state::saved::saved;
use crate::emulator::state::{Command, Effects, Moment, Refusal, State};
use crate::names::Location;

use super::{Tasks, no_task};

/// So many operations are kept; beyond that the oldest are forgotten.
const OPERATIONS_MAX: usize = 1000;
/// They are no larger than this together: one may hold the bodies of a hundred tasks.
const OPERATIONS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What batches were answered with.
#[derive(Debug, Default)]
pub(super) struct Operations {
    /// Encoded, by full name; empty while the batch is under way.
    kept: HashMap<String, Bytes>,
    /// From the oldest on.
    order: VecDeque<String>,
    bytes: usize,
}

saved!(struct Operations { kept, order, bytes });

/// Takes a name for the operation of a batch that is about to begin.
pub(crate) struct BeginOperation {
    pub(crate) location: Location,
    /// Empty to have one made.
    pub(crate) id: String,
}

saved!(struct BeginOperation { location, id });

/// Keeps what became of the batch.
pub(crate) struct EndOperation {
    pub(crate) name: String,
    /// The answer, encoded.
    pub(crate) operation: Bytes,
}

saved!(struct EndOperation { name, operation });

impl Operations {
    fn begin(&mut self, name: String) {
        self.kept.insert(name.clone(), Bytes::new());
        self.order.push_back(name);
        self.forget();
    }

    fn end(&mut self, name: &str, operation: Bytes) {
        if let Some(kept) = self.kept.get_mut(name) {
            self.bytes += operation.len();
            *kept = operation;
        }
        self.forget();
    }

    /// Lets go of the names of batches that ended with the process: they can be sent again.
    pub(super) fn restart(&mut self) {
        self.kept.retain(|_, operation| !operation.is_empty());
        self.order.retain(|name| self.kept.contains_key(name));
    }

    fn forget(&mut self) {
        while self.order.len() > OPERATIONS_MAX || self.bytes > OPERATIONS_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.kept.remove(&oldest).map_or(0, |operation| operation.len());
        }
    }
}

impl Tasks {
    /// Finds an operation that has ended, encoded.
    pub(crate) fn operation(&self, name: &str) -> Result<Bytes, Refusal> {
        self.operations.kept.get(name).filter(|operation| !operation.is_empty()).cloned().ok_or_else(no_task)
    }
}

impl Command for BeginOperation {
    /// The full name.
    type Reply = String;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<String, Refusal> {
        let id = if self.id.is_empty() { format!("{:020}", at.seed) } else { self.id };
        let name = format!("{}/operations/{id}", self.location);
        let operations = &mut state.tasks.operations;
        if operations.kept.contains_key(&name) {
            return Err(Refusal::invalid(format!("Duplicate operation id in the batch request: {id}")));
        }
        operations.begin(name.clone());
        Ok(name)
    }
}

impl Command for EndOperation {
    type Reply = ();

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        state.tasks.operations.end(&self.name, self.operation);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_ended_with_the_process_leaves_its_name() {
        let mut operations = Operations::default();
        operations.begin("done".to_owned());
        operations.end("done", Bytes::from_static(b"done"));
        operations.begin("cut off".to_owned());
        operations.restart();
        assert_eq!(operations.kept.keys().collect::<Vec<_>>(), ["done"]);
        assert_eq!((operations.order.len(), operations.bytes), (1, 4));
    }

    #[test]
    fn the_oldest_operations_are_forgotten() {
        let mut operations = Operations::default();
        for number in 0..=OPERATIONS_MAX {
            operations.begin(number.to_string());
            operations.end(&number.to_string(), Bytes::from_static(b"done"));
        }
        assert_eq!((operations.kept.len(), operations.bytes), (OPERATIONS_MAX, 4 * OPERATIONS_MAX));
        assert!(!operations.kept.contains_key("0") && operations.kept.contains_key("1"));
        operations.begin("large".to_owned());
        operations.end("large", vec![0; OPERATIONS_BYTES_MAX].into());
        assert_eq!(operations.kept.keys().collect::<Vec<_>>(), ["large"]);
    }
}
