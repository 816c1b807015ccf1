//! Carries a plan out, step by step. What fails does not stop the rest: the next run does what is left.

use super::found::Labels;
use super::google;
use super::plan::{Plan, Step};
use super::rights::grant;
use crate::cloud::Cloud;
use crate::error::{Error, Result};

/// What became of a plan.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Applied {
    /// Steps that were done.
    pub done: usize,
    /// Those that failed, with the kind and name of what they were about.
    pub failed: Vec<Error>,
}

impl Plan {
    /// Carries it out. It may be done by several instances at once: what is there already is fine.
    pub async fn apply(&self, cloud: &Cloud) -> Applied {
        let mut applied = Applied::default();
        for step in self.due() {
            match step.apply(cloud, &self.owner).await {
                Ok(()) => applied.done += 1,
                Err(error) => {
                    let (kind, name) = step.subject();
                    applied.failed.push(error.context(format!("{kind} {name}").trim_end()));
                }
            }
        }
        applied
    }
}

impl Step {
    async fn apply(&self, cloud: &Cloud, owner: &str) -> Result<()> {
        match self {
            Self::CreateTopic(name) => made(cloud.create_topic(name, google::topic(&Labels::default().of(owner))).await),
            Self::AdoptTopic(name, labels) => cloud.label_topic(name, google::topic(labels)).await,
            Self::CreateSubscription(it) => {
                let labels = Labels::default().of(owner);
                let labels = if it.holds { labels.holding() } else { labels };
                made(cloud.create_subscription(&it.name, google::subscription(it, &labels)).await)
            }
            Self::UpdateSubscription(it, changes, adopted) => {
                let paths: Vec<&str> = changes.iter().map(|change| change.path).chain(adopted.as_ref().map(|_| "labels")).collect();
                let labels = adopted.clone().unwrap_or_default();
                cloud.update_subscription(&it.name, google::subscription(it, &labels), &paths).await
            }
            Self::Grant { agent, rights } => {
                for (resource, right) in rights {
                    cloud.change_iam_policy(resource, |policy| grant(policy, agent, *right)).await?;
                }
                Ok(())
            }
            Self::CreateQueue(queue) => {
                made(cloud.create_queue(queue.name.location(), google::queue(queue)).await)?;
                if queue.paused { cloud.pause_queue(&queue.name).await.map(drop) } else { Ok(()) }
            }
            Self::UpdateQueue(queue, changes) => cloud.update_queue(&queue.name, google::queue(queue), &paths(changes)).await,
            Self::PauseQueue(queue) => cloud.pause_queue(&queue.name).await.map(drop),
            Self::CreateJob(job) => made(cloud.create_job(job.name.location(), google::job(job)).await),
            Self::UpdateJob(job, changes) => cloud.update_job(&job.name, google::job(job), &paths(changes)).await,
            Self::DeleteSubscription(name) => gone(cloud.delete_subscription(name).await),
            Self::DeleteTopic(name) => gone(cloud.delete_topic(name).await),
            Self::DeleteJob(name) => gone(cloud.delete_job(name).await),
        }
    }
}

/// Each field once.
fn paths(changes: &[super::diff::Change]) -> Vec<&'static str> {
    let mut paths: Vec<_> = changes.iter().map(|change| change.path).collect();
    paths.dedup();
    paths
}

/// Another instance may have been first.
fn made(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_already_exists() => Ok(()),
        result => result,
    }
}

fn gone(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        result => result,
    }
}
