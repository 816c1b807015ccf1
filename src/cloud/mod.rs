//! The one way out to Google's services, or to an emulator of them: official clients, endpoints, credentials, time limits.
//!
//! Must not know what an operator wants (that is `ops`): it makes single calls and says what came of them.

#![cfg_attr(
    not(feature = "tool"),
    expect(dead_code, unused_imports, reason = "most calls are made by the operations, which a service does not compile")
)]

mod address;
mod call;
mod clients;
mod clock;
mod convert;
mod discover;
mod endpoint;
mod enqueue;
mod environment;
mod failure;
mod figures;
mod gcloud;
mod grpc;
mod identity;
mod locations;
mod messages;
mod metadata;
mod pages;
mod provision;
mod publish;
mod pubsub;
mod raw;
mod rest;
mod scheduler;
mod schemas;
mod tasks;
mod tokens;
mod wire;

use std::fmt;
use std::sync::{Arc, OnceLock};

use google_cloud_auth::credentials::Credentials;

use crate::error::{Error, Kind, Result};
use crate::names::{LocationId, Project, ProjectId};

pub use environment::Environment;
pub use messages::{ACK_IDS_BYTES_MAX, PUBLISH_MESSAGES_MAX, PULL_MESSAGES_MAX, Pulled, Received};

pub(crate) use enqueue::code_of;
pub(crate) use figures::{Of, QueueStats, TimeSeries};
pub(crate) use metadata::url as metadata_url;
pub(crate) use pages::Rows;
pub(crate) use pubsub::Passing;
pub(crate) use tasks::{FULL_VIEW, task_of};

use address::Address;
use clients::Clients;
use endpoint::{Api, Endpoint, Endpoints};
use failure::Asked;
use identity::Identity;
use publish::Streams;

/// The project of an emulator where none is named.
pub const EMULATOR_PROJECT: &str = "demo";

/// Where calls go and as whom. Cheap to clone.
#[derive(Clone)]
pub struct Cloud(Arc<Inner>);

struct Inner {
    project: Project,
    locations: Vec<LocationId>,
    place: Place,
    endpoints: Endpoints,
    identity: Option<Identity>,
    credentials: OnceLock<Credentials>,
    http: OnceLock<reqwest::Client>,
    line: grpc::Line,
    clients: Clients,
    streams: Streams,
    known_locations: locations::Known,
}

/// What the user said on the command line; unset fields are found in the environment.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `--project`
    pub project: Option<ProjectId>,
    /// `--location` (several narrow the listings)
    pub locations: Vec<LocationId>,
    /// `--emulator HOST:PORT`: one that serves all three services and Monitoring.
    pub emulator: Option<String>,
    /// `--impersonate-service-account`
    pub impersonate: Option<String>,
    /// `--quota-project` / `GOOGLE_CLOUD_QUOTA_PROJECT`
    pub quota_project: Option<String>,
}

/// What was found of project, credentials and emulators.
pub enum Found {
    /// Enough to go on.
    Ready(Box<Cloud>),
    /// Neither a project nor credentials nor an emulator: a newcomer's machine.
    Nothing,
    /// One without the other, or something that cannot be used: shown as it is, never replaced by sample data.
    Broken(Error),
}

/// What the calls go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Google Cloud; also when only some services go there and others to an emulator.
    Google,
    /// An emulator at `host:port`.
    Emulator(String),
}

impl Cloud {
    /// Finds project, locations and credentials in the environment of this process; see [`Cloud::discover_in`].
    pub async fn discover(settings: &Settings) -> Found {
        Self::discover_in(settings, &Environment::of_process()).await
    }

    /// Finds what to call, in this order; waits for the network 500 ms at most.
    ///
    /// 1. Emulators: `--emulator` for everything, else `PUBSUB_EMULATOR_HOST`, `CLOUD_TASKS_EMULATOR_HOST` and
    ///    `CLOUD_SCHEDULER_EMULATOR_HOST` for one service each. A service without an emulator, where another has one, is *not configured*
    ///    and answers with an error that says so; it goes to Google only where a project (`--project` or `GOOGLE_CLOUD_PROJECT`) and
    ///    `GOOGLE_APPLICATION_CREDENTIALS` are both named outright.
    /// 2. Credentials: `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's application-default credentials, the metadata server.
    /// 3. Project: the flag, `GOOGLE_CLOUD_PROJECT`, gcloud's active configuration, the credentials file, the metadata server. With
    ///    emulators: the flag, `GOOGLE_CLOUD_PROJECT`, `PUBSUB_PROJECT_ID`, `CLOUDSDK_CORE_PROJECT`, else [`EMULATOR_PROJECT`].
    ///
    /// ```
    /// use redrive::cloud::{Cloud, Environment, Found, Settings};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let environment = Environment::new(None, [("PUBSUB_EMULATOR_HOST", "127.0.0.1:8085"), ("GOOGLE_CLOUD_PROJECT", "shop")]);
    /// let Found::Ready(cloud) = Cloud::discover_in(&Settings::default(), &environment).await else { panic!("there is an emulator") };
    /// assert_eq!(cloud.project().id(), "shop");
    ///
    /// let environment = Environment::new(None, [("PUBSUB_EMULATOR_HOST", "no port")]);
    /// let Found::Broken(error) = Cloud::discover_in(&Settings::default(), &environment).await else { panic!("that is malformed") };
    /// assert!(error.is_invalid_input());
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn discover_in(settings: &Settings, environment: &Environment) -> Found {
        discover::discover(settings, environment).await
    }

    /// Connects to an emulator at `host:port` that serves everything; nothing is called yet.
    ///
    /// # Errors
    ///
    /// Fails with an invalid-input error where `host` is not `HOST:PORT`.
    ///
    /// ```
    /// use redrive::cloud::{Cloud, Place};
    ///
    /// let cloud = Cloud::emulator("127.0.0.1:8085", "shop".parse()?)?;
    /// assert_eq!(cloud.place(), &Place::Emulator("127.0.0.1:8085".to_owned()));
    /// # Ok::<(), redrive::Error>(())
    /// ```
    pub fn emulator(host: &str, project: ProjectId) -> Result<Self> {
        let endpoint = Endpoint::Emulator(Address::parse(host, "--emulator")?);
        Self::new(Project::new(project), Vec::new(), Endpoints::all(endpoint), None)
    }

    fn new(project: Project, locations: Vec<LocationId>, endpoints: Endpoints, identity: Option<Identity>) -> Result<Self> {
        let place = match endpoints.first_emulator() {
            Some(address) if !endpoints.any_google() => Place::Emulator(address.to_string()),
            _ => Place::Google,
        };
        if endpoints.any_google() && identity.is_none() {
            return Err(Error::new(Kind::Unauthenticated, "there are no credentials for Google Cloud").with_hint(failure::LOGIN_HINT));
        }
        Ok(Self(Arc::new(Inner {
            project,
            locations,
            place,
            endpoints,
            identity,
            credentials: OnceLock::new(),
            http: OnceLock::new(),
            line: grpc::Line::default(),
            clients: Clients::default(),
            streams: Streams::default(),
            known_locations: locations::Known::default(),
        })))
    }

    /// Returns the project.
    pub fn project(&self) -> &Project {
        &self.0.project
    }

    /// Returns what the calls go to.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Returns the locations that the user narrowed to; empty is all.
    pub fn locations(&self) -> &[LocationId] {
        &self.0.locations
    }

    /// Returns the credentials for Google; none where everything is an emulator.
    fn credentials(&self) -> Result<&Credentials> {
        if let Some(credentials) = self.0.credentials.get() {
            return Ok(credentials);
        }
        let made = match &self.0.identity {
            Some(identity) => identity.credentials()?,
            None => identity::nobody(),
        };
        Ok(self.0.credentials.get_or_init(|| made))
    }

    /// Returns the HTTP client for the calls that no official client offers. Emulators are never asked through a proxy.
    fn http(&self) -> Result<&reqwest::Client> {
        if let Some(client) = self.0.http.get() {
            return Ok(client);
        }
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).connect_timeout(call::ATTEMPT_TIMEOUT);
        // Emulators are spoken to without TLS: reading the system's certificates would be the larger part of a short command.
        let builder = if self.0.endpoints.any_google() { builder } else { builder.no_proxy().tls_certs_only([]) };
        let made = builder.build().map_err(|error| Error::new(Kind::Internal, "no HTTP client can be made").with_source(error))?;
        Ok(self.0.http.get_or_init(|| made))
    }

    /// Describes a call for the message about its failure.
    fn asked(&self, api: Api, verb: &'static str, resource: &impl fmt::Display, permission: &'static str) -> Asked {
        Asked { api, endpoint: self.0.endpoints.of(api).clone(), verb, resource: resource.to_string(), permission }
    }
}
