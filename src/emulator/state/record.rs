//! The table of all commands, with the numbers that they have in the log of the data directory.
//!
//! A command that is not in the table does not compile: see [`Record`]. Numbers are never used again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::pubsub::{CloseStream, OpenStream, RequireGrants, SetStreamDeadline, StreamLease};
use super::saved::{Reader, Saved, Writer, damaged, saved};
use super::scheduler::{CreateJob, DeleteJob, PauseJob, ResumeJob, RunJob, UpdateJob};
use super::target::SetAppEngine;
use super::tasks::{
    BeginOperation, BufferTask, CreateQueue, CreateTask, DeleteQueue, DeleteTask, EndOperation, PauseQueue, PurgeQueue, ResumeQueue,
    RunTask, SetQueuePolicy, UpdateCmekConfig, UpdateQueue,
};
use super::{Answered, Command, Effects, Moment, Reset, Restart, Seeding, State, Tick};
use crate::emulator::pb::google::iam::v1 as iam;
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::error::Result;

/// How a command is written to the log.
#[diagnostic::on_unimplemented(
    message = "the command `{Self}` is not in the table of `emulator/state/record.rs`",
    note = "under `changes` with the next number (and `saved!` for what it is made of), or under `reads` if it never changes anything"
)]
pub(crate) trait Record: Sized + Send + 'static {
    /// Its number; none if it only reads, and so needs no place in the log.
    const NUMBER: Option<u16>;

    /// Writes its number and what it is made of.
    fn write(&self, to: &mut Writer);
}

macro_rules! table {
    (changes { $($number:literal => $command:ty),* $(,)? } reads { $($read:ty),* $(,)? }) => {
        $(impl Record for $command {
            const NUMBER: Option<u16> = Some($number);

            fn write(&self, to: &mut Writer) {
                <u16 as Saved>::save(&$number, to);
                self.save(to);
            }
        })*

        $(impl Record for $read {
            const NUMBER: Option<u16> = None;

            fn write(&self, _to: &mut Writer) {}
        })*

        /// Applies a command as the log has it; its effects were carried out when it was new.
        pub(crate) fn replay(record: &[u8], state: &mut State, at: Moment) -> Result<Replayed> {
            let mut from = Reader::new(record);
            match u16::load(&mut from)? {
                $($number => again::<$command>(from, state, at),)*
                unknown => Err(damaged(&format!("it has a command number {unknown}"))),
            }
        }
    };
}

table! {
    changes {
        1 => Tick,
        2 => Answered,
        3 => SetAppEngine,
        4 => Restart,
        5 => Reset,
        6 => Seeding,

        20 => pb::Topic,
        21 => pb::UpdateTopicRequest,
        22 => pb::DeleteTopicRequest,
        23 => pb::PublishRequest,
        24 => pb::Subscription,
        25 => pb::UpdateSubscriptionRequest,
        26 => pb::ModifyPushConfigRequest,
        27 => pb::DeleteSubscriptionRequest,
        28 => pb::DetachSubscriptionRequest,
        29 => pb::PullRequest,
        30 => pb::AcknowledgeRequest,
        31 => pb::ModifyAckDeadlineRequest,
        32 => OpenStream,
        33 => SetStreamDeadline,
        34 => StreamLease,
        35 => CloseStream,
        36 => pb::CreateSnapshotRequest,
        37 => pb::UpdateSnapshotRequest,
        38 => pb::DeleteSnapshotRequest,
        39 => pb::SeekRequest,
        40 => iam::SetIamPolicyRequest,
        41 => pb::CreateSchemaRequest,
        42 => pb::CommitSchemaRequest,
        43 => pb::RollbackSchemaRequest,
        44 => pb::DeleteSchemaRevisionRequest,
        45 => pb::DeleteSchemaRequest,
        46 => RequireGrants,

        60 => CreateQueue,
        61 => UpdateQueue,
        62 => DeleteQueue,
        63 => PurgeQueue,
        64 => PauseQueue,
        65 => ResumeQueue,
        66 => SetQueuePolicy,
        67 => CreateTask,
        68 => DeleteTask,
        69 => RunTask,
        70 => BufferTask,
        71 => UpdateCmekConfig,
        72 => BeginOperation,
        73 => EndOperation,

        80 => CreateJob,
        81 => UpdateJob,
        82 => DeleteJob,
        83 => PauseJob,
        84 => ResumeJob,
        85 => RunJob,
    }
    reads {
        pb::GetTopicRequest,
        pb::ListTopicsRequest,
        pb::ListTopicSubscriptionsRequest,
        pb::ListTopicSnapshotsRequest,
        pb::GetSubscriptionRequest,
        pb::ListSubscriptionsRequest,
        pb::GetSnapshotRequest,
        pb::ListSnapshotsRequest,
        pb::GetSchemaRequest,
        pb::ListSchemasRequest,
        pb::ListSchemaRevisionsRequest,
        pb::ValidateSchemaRequest,
        pb::ValidateMessageRequest,
        iam::GetIamPolicyRequest,
        iam::TestIamPermissionsRequest,
    }
}

// What is kept in the state itself as well, `plain` has.
saved!(message
    pb::UpdateTopicRequest,
    pb::DeleteTopicRequest,
    pb::UpdateSubscriptionRequest,
    pb::ModifyPushConfigRequest,
    pb::DeleteSubscriptionRequest,
    pb::DetachSubscriptionRequest,
    pb::PullRequest,
    pb::AcknowledgeRequest,
    pb::ModifyAckDeadlineRequest,
    pb::CreateSnapshotRequest,
    pb::UpdateSnapshotRequest,
    pb::DeleteSnapshotRequest,
    pb::SeekRequest,
    iam::SetIamPolicyRequest,
    pb::CreateSchemaRequest,
    pb::CommitSchemaRequest,
    pb::RollbackSchemaRequest,
    pb::DeleteSchemaRevisionRequest,
    pb::DeleteSchemaRequest,
);

/// What the log has to know of a command that was applied again.
pub(crate) struct Replayed {
    pub(crate) work: u64,
    pub(crate) resets_clock: bool,
}

fn again<C: Command + Saved>(mut from: Reader<'_>, state: &mut State, at: Moment) -> Result<Replayed> {
    let command = C::load(&mut from)?;
    if !from.is_empty() {
        return Err(damaged("a command is longer than it should be"));
    }
    let replayed = Replayed { work: command.work(), resets_clock: C::RESETS_CLOCK };
    // What was refused is refused again. A panic was its own request's when it was new, and is nobody's now.
    let _ = catch_unwind(AssertUnwindSafe(|| command.apply(state, at, &mut Effects::default()).is_ok()));
    Ok(replayed)
}
