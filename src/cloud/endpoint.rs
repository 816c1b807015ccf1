//! Which server answers for each of Google's services: Google itself, an emulator, or none.

use crate::cloud::address::Address;
use crate::error::{Error, Kind, Result};

/// Google's services that are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Api {
    PubSub,
    Tasks,
    Scheduler,
    Monitoring,
}

impl Api {
    /// Returns the name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::PubSub => "Pub/Sub",
            Self::Tasks => "Cloud Tasks",
            Self::Scheduler => "Cloud Scheduler",
            Self::Monitoring => "Monitoring",
        }
    }

    /// Returns the name under which Google enables and serves it.
    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::PubSub => "pubsub.googleapis.com",
            Self::Tasks => "cloudtasks.googleapis.com",
            Self::Scheduler => "cloudscheduler.googleapis.com",
            Self::Monitoring => "monitoring.googleapis.com",
        }
    }

    /// Returns the environment variable that names an emulator of it; Monitoring is asked where the service itself is.
    pub(crate) fn emulator_variable(self) -> &'static str {
        match self {
            Self::PubSub | Self::Monitoring => "PUBSUB_EMULATOR_HOST",
            Self::Tasks => "CLOUD_TASKS_EMULATOR_HOST",
            Self::Scheduler => "CLOUD_SCHEDULER_EMULATOR_HOST",
        }
    }
}

/// What answers for one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Google,
    Emulator(Address),
    /// Another service has an emulator and this one has none: nothing is called, least of all Google.
    NotConfigured,
}

impl Endpoint {
    /// Returns the base URL of `api` there; its own, or that of a companion such as Monitoring.
    pub(crate) fn url(&self, api: Api) -> Result<String> {
        match self {
            Self::Google => Ok(format!("https://{}", api.host())),
            Self::Emulator(address) => Ok(address.url()),
            Self::NotConfigured => Err(not_configured(api)),
        }
    }

    /// Returns `host:port` for messages.
    pub(crate) fn name(&self, api: Api) -> String {
        match self {
            Self::Emulator(address) => address.to_string(),
            Self::Google | Self::NotConfigured => format!("{}:443", api.host()),
        }
    }
}

fn not_configured(api: Api) -> Error {
    let variable = api.emulator_variable();
    Error::new(Kind::FailedPrecondition, format!("{} is not configured: other services go to an emulator, this one has none", api.title()))
        .with_hint(format!("set `{variable}=HOST:PORT`, or give `--emulator HOST:PORT` for all services"))
}

/// The endpoints of all services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoints {
    pub(crate) pubsub: Endpoint,
    pub(crate) tasks: Endpoint,
    pub(crate) scheduler: Endpoint,
}

impl Endpoints {
    /// Sends everything to one place.
    pub(crate) fn all(endpoint: Endpoint) -> Self {
        Self { pubsub: endpoint.clone(), tasks: endpoint.clone(), scheduler: endpoint }
    }

    /// Returns the endpoint of a service; Monitoring is a companion of another and asked for by that one.
    pub(crate) fn of(&self, api: Api) -> &Endpoint {
        match api {
            Api::PubSub | Api::Monitoring => &self.pubsub,
            Api::Tasks => &self.tasks,
            Api::Scheduler => &self.scheduler,
        }
    }

    /// Tells whether any service is Google's own.
    pub(crate) fn any_google(&self) -> bool {
        [&self.pubsub, &self.tasks, &self.scheduler].into_iter().any(|endpoint| *endpoint == Endpoint::Google)
    }

    /// Returns the first emulator.
    pub(crate) fn first_emulator(&self) -> Option<&Address> {
        [&self.pubsub, &self.tasks, &self.scheduler].into_iter().find_map(|endpoint| match endpoint {
            Endpoint::Emulator(address) => Some(address),
            _ => None,
        })
    }
}
