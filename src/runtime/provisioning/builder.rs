//! Settings of provisioning.

use crate::error::Error;
use crate::runtime::{Builder, Entity, Message};

impl<S: Send + Sync + 'static> Builder<S> {
    /// Says that the app publishes messages of a type, so that provisioning creates their topic. Publishing itself does not need it.
    pub fn publishes<M: Message>(mut self) -> Self {
        self.registry_mut().add_publisher(M::TOPIC, false);
        self.publishes_to(M::TOPIC)
    }

    /// Says that the app publishes records of a type by tasks, in the format of `django-google-cloud-tasks`: tasks that are called as its
    /// [`PUBLISHER`](Entity::PUBLISHER) publish to the app's own topics. In other formats it says nothing.
    pub fn publishes_records<E: Entity>(mut self) -> Self {
        if E::PUBLISHER.is_empty() {
            return self.note(Err(Error::invalid("a record that is published by tasks of its own needs a name for them")
                .with_hint("set `const PUBLISHER: &'static str` where `Entity` is implemented for it")));
        }
        self.registry_mut().add_publisher(E::PUBLISHER, true);
        self
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
