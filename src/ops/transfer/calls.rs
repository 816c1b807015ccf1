//! The calls of [`Ops`] on transfers.

use super::{Plan, Request, Summary, TransferId};
use crate::error::Result;
use crate::ops::Ops;

impl Ops {
    /// Looks before the leap: what a transfer would do. Changes nothing.
    pub async fn plan_transfer(&self, request: Request) -> Result<Plan> {
        todo!()
    }

    /// Starts a transfer in the background and returns its id; refused where the plan has refusals.
    pub async fn start_transfer(&self, plan: Plan) -> Result<TransferId> {
        todo!()
    }

    /// Lists the transfers of this project known on this machine, newest first, running ones with their present counts.
    pub fn transfers(&self) -> Result<Vec<Summary>> {
        todo!()
    }

    /// Follows a transfer of this process until it ends.
    pub fn watch_transfer(&self, id: &TransferId) -> Result<tokio::sync::watch::Receiver<Summary>> {
        todo!()
    }

    /// Stops a running transfer within one batch; what is leased is released.
    pub async fn cancel_transfer(&self, id: &TransferId) -> Result<()> {
        todo!()
    }

    /// Goes on with a transfer that was cancelled, stopped or cut off by a crash.
    pub async fn resume_transfer(&self, id: &TransferId) -> Result<()> {
        todo!()
    }
}
