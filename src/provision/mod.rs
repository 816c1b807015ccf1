//! What an app needs in the cloud: what there shall be, what is there, the plan that leads from one to the other, and its steps.
//!
//! The plan is pure. Must not know where what is desired comes from: a registry of handlers, or an operator.

mod apply;
mod desired;
mod diff;
mod found;
mod google;
mod plan;
pub(crate) mod rights;

use crate::cloud::Cloud;
use crate::error::Result;

pub use apply::Applied;
pub use plan::Plan;

#[cfg(feature = "tool")]
pub(crate) use found::is_served_by_an_app;
pub(crate) use plan::HOLD_SUFFIX;

pub(crate) use desired::{DeadLetterPolicy, Desired, Job, Push, Queue, Subscription, Wrapping};

/// Reads what is there, and plans what is to be done about it; changes nothing.
///
/// With `prune` the plan deletes what this app made earlier and does not need any more: topics, subscriptions and jobs within its own prefix. What
/// was only taken over stays, as do topics that others use and subscriptions that may hold dead letters.
///
/// # Errors
///
/// Fails when what is there cannot be listed.
pub(crate) async fn plan(cloud: &Cloud, desired: &Desired, prune: bool) -> Result<Plan> {
    let found = found::find(cloud, desired).await?;
    Ok(plan::plan(desired, &found, prune))
}
