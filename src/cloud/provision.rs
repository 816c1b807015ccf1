//! Making and changing topics, subscriptions, queues, jobs and rights. Each call is one that may be repeated: it says what there shall be.

use google_cloud_pubsub::model as pubsub;
use google_cloud_scheduler_v1::model as scheduler;
use google_cloud_tasks_v2::model as tasks;
use google_cloud_wkt::FieldMask;
use serde::Deserialize;
use serde_json::Value;

use crate::cloud::call::{CALL_TIMEOUT, call};
use crate::cloud::endpoint::{Api, Endpoint};
use crate::cloud::rest::Request;
use crate::cloud::{Cloud, Place, metadata};
use crate::error::{Error, Kind, Result};
use crate::names::{JobName, Location, QueueName, SubscriptionName, TopicName};

/// A policy that another wrote meanwhile is read again so often.
const POLICY_ATTEMPTS_MAX: u32 = 4;

/// The number of a project on an emulator, which has none.
const EMULATOR_NUMBER: &str = "1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProjectAnswer {
    project_number: String,
}

impl Cloud {
    /// Creates a topic.
    pub(crate) async fn create_topic(&self, name: &TopicName, topic: pubsub::Topic) -> Result<()> {
        let asked = self.asked(Api::PubSub, "create the topic", name, "pubsub.topics.create");
        let create = self.topic_admin().await?.create_topic().with_request(topic.set_name(name.to_string()));
        call(&asked, create.send()).await.map(drop)
    }

    /// Changes a topic's labels.
    pub(crate) async fn label_topic(&self, name: &TopicName, topic: pubsub::Topic) -> Result<()> {
        let asked = self.asked(Api::PubSub, "change the topic", name, "pubsub.topics.update");
        let update =
            self.topic_admin().await?.update_topic().set_topic(topic.set_name(name.to_string())).set_update_mask(mask(&["labels"]));
        call(&asked, update.send()).await.map(drop)
    }

    /// Deletes a topic.
    pub(crate) async fn delete_topic(&self, name: &TopicName) -> Result<()> {
        let asked = self.asked(Api::PubSub, "delete the topic", name, "pubsub.topics.delete");
        call(&asked, self.topic_admin().await?.delete_topic().set_topic(name.to_string()).send()).await
    }

    /// Creates a subscription.
    pub(crate) async fn create_subscription(&self, name: &SubscriptionName, subscription: pubsub::Subscription) -> Result<()> {
        let asked = self.asked(Api::PubSub, "create the subscription", name, "pubsub.subscriptions.create");
        let create = self.subscription_admin().await?.create_subscription().with_request(subscription.set_name(name.to_string()));
        call(&asked, create.send()).await.map(drop)
    }

    /// Changes these fields of a subscription.
    pub(crate) async fn update_subscription(
        &self,
        name: &SubscriptionName,
        subscription: pubsub::Subscription,
        paths: &[&str],
    ) -> Result<()> {
        let asked = self.asked(Api::PubSub, "change the subscription", name, "pubsub.subscriptions.update");
        let client = self.subscription_admin().await?;
        let update = client.update_subscription().set_subscription(subscription.set_name(name.to_string())).set_update_mask(mask(paths));
        call(&asked, update.send()).await.map(drop)
    }

    /// Changes these fields of a queue.
    pub(crate) async fn update_queue(&self, name: &QueueName, queue: tasks::Queue, paths: &[&str]) -> Result<()> {
        let asked = self.asked(Api::Tasks, "change the queue", name, "cloudtasks.queues.update");
        let update = self.cloud_tasks().await?.update_queue().set_queue(queue.set_name(name.to_string())).set_update_mask(mask(paths));
        call(&asked, update.send()).await.map(drop)
    }

    /// Creates a job.
    pub(crate) async fn create_job(&self, location: &Location, job: scheduler::Job) -> Result<()> {
        let asked = self.asked(Api::Scheduler, "create a job", location, "cloudscheduler.jobs.create");
        let create = self.cloud_scheduler().await?.create_job().set_parent(location.to_string()).set_job(job);
        call(&asked, create.send()).await.map(drop)
    }

    /// Changes these fields of a job.
    pub(crate) async fn update_job(&self, name: &JobName, job: scheduler::Job, paths: &[&str]) -> Result<()> {
        let asked = self.asked(Api::Scheduler, "change the job", name, "cloudscheduler.jobs.update");
        let update = self.cloud_scheduler().await?.update_job().set_job(job.set_name(name.to_string())).set_update_mask(mask(paths));
        call(&asked, update.send()).await.map(drop)
    }

    /// Deletes a job.
    pub(crate) async fn delete_job(&self, name: &JobName) -> Result<()> {
        let asked = self.asked(Api::Scheduler, "delete the job", name, "cloudscheduler.jobs.delete");
        call(&asked, self.cloud_scheduler().await?.delete_job().set_name(name.to_string()).send()).await
    }

    /// Reads who may do what with a topic or subscription, by its full name: Google's own JSON of the policy.
    pub(crate) async fn iam_policy(&self, resource: &str) -> Result<Value> {
        let asked = self.asked(Api::PubSub, "read the rights", &resource, "pubsub.*.getIamPolicy");
        let request = Request::get(format!("/v1/{resource}:getIamPolicy"), CALL_TIMEOUT).query("options.requestedPolicyVersion", "3");
        Ok(self.rest::<Value>(&asked, request).await?.body)
    }

    /// Changes a policy: `change` is asked again when another wrote it meanwhile, and says whether there is anything to write.
    pub(crate) async fn change_iam_policy(&self, resource: &str, change: impl Fn(&mut Value) -> bool) -> Result<()> {
        let asked = self.asked(Api::PubSub, "grant the rights", &resource, "pubsub.*.setIamPolicy");
        for attempt in 1.. {
            let mut policy = self.iam_policy(resource).await?;
            if !change(&mut policy) {
                return Ok(());
            }
            let body = serde_json::json!({ "policy": policy });
            let request = Request::post(format!("/v1/{resource}:setIamPolicy"), &body, CALL_TIMEOUT)?;
            match self.rest::<Value>(&asked, request).await {
                // `ABORTED`: the etag is not that of the policy any more.
                Err(error) if error.kind() == Kind::Unavailable && attempt < POLICY_ATTEMPTS_MAX => {}
                answer => return answer.map(drop),
            }
        }
        unreachable!("attempts are counted without end")
    }

    /// Finds the number of the project, of which the name of Pub/Sub's service agent is made: asks Resource Manager, then the metadata server.
    pub(crate) async fn project_number(&self) -> Result<String> {
        let id = self.project().id();
        if id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(id.to_owned());
        }
        if matches!(self.place(), Place::Emulator(_)) || !matches!(self.0.endpoints.of(Api::PubSub), Endpoint::Google(_)) {
            return Ok(EMULATOR_NUMBER.to_owned());
        }
        let asked = self.asked(Api::ResourceManager, "find the number of the project", self.project(), "resourcemanager.projects.get");
        let refused = match self.rest::<ProjectAnswer>(&asked, Request::get(format!("/v1/{}", self.project()), CALL_TIMEOUT)).await {
            Ok(answer) => return Ok(answer.body.project_number),
            Err(error) => error,
        };
        match metadata::number_of(id).await {
            Some(number) => Ok(number),
            None => Err(Error::new(refused.kind(), refused.to_string())
                .with_hint("`gcloud projects describe PROJECT --format='value(projectNumber)'` tells it; give it to the app with `.project_number(…)`")
                .with_source(refused)),
        }
    }
}

fn mask(paths: &[&str]) -> FieldMask {
    FieldMask::default().set_paths(paths.iter().copied())
}
