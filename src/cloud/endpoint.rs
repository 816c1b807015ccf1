//! Which server answers for each of Google's services: Google itself, an emulator, or none.

use reqwest::Url;

use crate::cloud::address::Address;
use crate::cloud::environment::Environment;
use crate::error::{Error, Kind, Result};

/// Google's services that are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Api {
    PubSub,
    Tasks,
    Scheduler,
    Monitoring,
    IamCredentials,
    ResourceManager,
}

impl Api {
    /// Returns the name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::PubSub => "Pub/Sub",
            Self::Tasks => "Cloud Tasks",
            Self::Scheduler => "Cloud Scheduler",
            Self::Monitoring => "Monitoring",
            Self::IamCredentials => "IAM Credentials",
            Self::ResourceManager => "Resource Manager",
        }
    }

    /// Returns the name under which Google enables and serves it.
    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::PubSub => "pubsub.googleapis.com",
            Self::Tasks => "cloudtasks.googleapis.com",
            Self::Scheduler => "cloudscheduler.googleapis.com",
            Self::Monitoring => "monitoring.googleapis.com",
            Self::IamCredentials => "iamcredentials.googleapis.com",
            Self::ResourceManager => "cloudresourcemanager.googleapis.com",
        }
    }

    /// Returns gcloud's environment variable for another address of it.
    fn override_variable(self) -> &'static str {
        match self {
            Self::PubSub => "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB",
            Self::Tasks => "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS",
            Self::Scheduler => "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDSCHEDULER",
            Self::Monitoring => "CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING",
            Self::IamCredentials => "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS",
            Self::ResourceManager => "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER",
        }
    }

    /// Returns the environment variable that names an emulator of it; Monitoring is asked where the service itself is.
    pub(crate) fn emulator_variable(self) -> &'static str {
        match self {
            Self::PubSub | Self::Monitoring | Self::IamCredentials | Self::ResourceManager => "PUBSUB_EMULATOR_HOST",
            Self::Tasks => "CLOUD_TASKS_EMULATOR_HOST",
            Self::Scheduler => "CLOUD_SCHEDULER_EMULATOR_HOST",
        }
    }
}

/// What answers for one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Google(Overrides),
    Emulator(Address),
    /// Another service has an emulator and this one has none: nothing is called, least of all Google.
    NotConfigured,
}

/// Google's services at other addresses than the public ones, as gcloud knows them: private endpoints, and tests of the authenticated path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Overrides(Vec<(Api, String)>);

impl Overrides {
    /// Reads gcloud's variables.
    pub(crate) fn find(environment: &Environment) -> Result<Self> {
        let mut found = Vec::new();
        for api in [Api::PubSub, Api::Tasks, Api::Scheduler, Api::Monitoring, Api::IamCredentials, Api::ResourceManager] {
            if let Some(url) = override_of(environment, api.override_variable())? {
                found.push((api, url));
            }
        }
        Ok(Self(found))
    }

    fn url(&self, api: Api) -> Option<&str> {
        self.0.iter().find(|(of, _)| *of == api).map(|(_, url)| url.as_str())
    }
}

/// Reads a base URL; tokens must not travel in the open, except within this machine.
pub(crate) fn override_of(environment: &Environment, variable: &'static str) -> Result<Option<String>> {
    let Some(text) = environment.get(variable) else { return Ok(None) };
    let malformed = |why: &str| {
        Error::invalid(format!("{variable}: `{}` is not the base URL of a service: {why}", text.escape_debug()))
            .with_hint(format!("give scheme and host, such as `{variable}=https://pubsub-shop.p.googleapis.com/`"))
    };
    let url: Url = text.parse().map_err(|_| malformed("it is no URL"))?;
    let host = url.host_str().unwrap_or_default();
    let local = host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if local => {}
        "http" => return Err(malformed("without TLS, tokens are sent to this machine only")),
        _ => return Err(malformed("the scheme is not `https`")),
    }
    if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
        return Err(malformed("it is more than scheme and host"));
    }
    Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
}

impl Endpoint {
    /// Tells whether it is Google's own, wherever that is reached: what credentials are for.
    pub(crate) fn is_google(&self) -> bool {
        matches!(self, Self::Google(_))
    }

    /// Returns the base URL of `api` there; its own, or that of a companion such as Monitoring.
    pub(crate) fn url(&self, api: Api) -> Result<String> {
        match self {
            Self::Google(overrides) => Ok(overrides.url(api).map_or_else(|| format!("https://{}", api.host()), str::to_owned)),
            Self::Emulator(address) => Ok(address.url()),
            Self::NotConfigured => Err(not_configured(api)),
        }
    }

    /// Returns `host:port` for messages.
    pub(crate) fn name(&self, api: Api) -> String {
        match self {
            Self::Emulator(address) => address.to_string(),
            Self::Google(overrides) => overrides.url(api).map_or_else(|| format!("{}:443", api.host()), str::to_owned),
            Self::NotConfigured => format!("{}:443", api.host()),
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
            Api::PubSub | Api::Monitoring | Api::IamCredentials | Api::ResourceManager => &self.pubsub,
            Api::Tasks => &self.tasks,
            Api::Scheduler => &self.scheduler,
        }
    }

    /// Tells whether any service is Google's own.
    pub(crate) fn any_google(&self) -> bool {
        [&self.pubsub, &self.tasks, &self.scheduler].into_iter().any(Endpoint::is_google)
    }

    /// Returns the first emulator.
    pub(crate) fn first_emulator(&self) -> Option<&Address> {
        [&self.pubsub, &self.tasks, &self.scheduler].into_iter().find_map(|endpoint| match endpoint {
            Endpoint::Emulator(address) => Some(address),
            _ => None,
        })
    }
}
