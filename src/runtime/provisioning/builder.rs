//! Settings of provisioning.

use crate::runtime::{Builder, Message};

impl<S: Send + Sync + 'static> Builder<S> {
    /// Says that the app publishes messages of a type, so that provisioning creates their topic. Publishing itself does not need it.
    pub fn publishes<M: Message>(self) -> Self {
        self.publishes_to(M::TOPIC)
    }

    /// The same, by the name of a topic, without the app's prefix: for topics that depend on what is published.
    pub fn publishes_to(mut self, topic: impl Into<String>) -> Self {
        self.config_mut().provisioning.topics.push(topic.into());
        self
    }

    /// Lets messages go by way of Cloud Tasks ([`Publish::asap`](crate::runtime::Publish::asap)): the service gets an endpoint that publishes to the app's own
    /// topics, and provisioning makes the app's queue. Who can call that endpoint can publish; no app has it that does not say so.
    pub fn publishes_by_tasks(mut self) -> Self {
        self.registry_mut().set_publishes_by_tasks();
        self
    }

    /// Sets the number of the project, of which the name of Pub/Sub's service agent is made (it needs rights for dead letters); else it is asked for.
    pub fn project_number(mut self, number: u64) -> Self {
        self.config_mut().provisioning.project_number = Some(number.to_string());
        self
    }

    /// Has the service provision what it needs when it starts, beside its work: what fails goes to the log. Nothing is ever deleted that way.
    pub fn provisions_at_start(mut self) -> Self {
        self.config_mut().provisioning.at_start = true;
        self
    }
}
