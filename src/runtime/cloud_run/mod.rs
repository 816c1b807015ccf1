//! What a service on Cloud Run (or App Engine) can find out about itself, from its environment and the metadata server.

mod from_env;
mod metadata;

use std::fmt;

use crate::cloud::Environment;
use crate::error::{Error, Kind, Result};
use crate::names::{LocationId, ProjectId};

use metadata::Metadata;

/// A service on Cloud Run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloudRun {
    /// The project's id.
    pub project: ProjectId,
    /// The project's number.
    pub project_number: String,
    /// The region, such as `europe-west1`.
    pub region: LocationId,
    /// The service's name.
    pub service: String,
    /// The revision (on App Engine: the version).
    pub revision: Option<String>,
    /// The id of this instance.
    pub instance_id: String,
    /// The URL that reaches the service, without a slash at its end.
    pub url: String,
    /// The service account that this process acts as.
    pub account: String,
    /// The address of the metadata server.
    metadata: String,
}

/// Says that this process is not on Cloud Run, or why what it should know there cannot be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotOnCloudRun {
    why: String,
}

impl fmt::Display for NotOnCloudRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not on Cloud Run: {}", self.why)
    }
}

impl std::error::Error for NotOnCloudRun {}

impl From<NotOnCloudRun> for Error {
    fn from(error: NotOnCloudRun) -> Self {
        Self::new(Kind::FailedPrecondition, error.to_string()).with_source(error)
    }
}

/// What runs the service, by the variables it sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Platform {
    Run,
    AppEngine,
}

/// Which service of which platform this is.
fn service(environment: &Environment) -> Option<(Platform, &str, Option<&str>)> {
    if let Some(service) = environment.get("K_SERVICE") {
        return Some((Platform::Run, service, environment.get("K_REVISION")));
    }
    environment.get("GAE_SERVICE").map(|service| (Platform::AppEngine, service, environment.get("GAE_VERSION")))
}

impl CloudRun {
    /// Finds out about this process; waits for the metadata server for 2 s at most.
    ///
    /// # Errors
    ///
    /// Fails when this is not Cloud Run or App Engine, or the metadata server does not say what it should there.
    ///
    /// ```
    /// use redrive::runtime::CloudRun;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// match CloudRun::detect().await {
    ///     Ok(here) => println!("{} in {}", here.service, here.region),
    ///     Err(error) => println!("{error}"), // not on Cloud Run: neither `K_SERVICE` nor `GAE_SERVICE` is set
    /// }
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn detect() -> Result<Self, NotOnCloudRun> {
        Self::detect_in(&Environment::of_process()).await
    }

    /// The same in an environment of its own.
    ///
    /// # Errors
    ///
    /// As [`detect`](Self::detect).
    pub async fn detect_in(environment: &Environment) -> Result<Self, NotOnCloudRun> {
        let not_here = |why: String| NotOnCloudRun { why };
        let (platform, service, revision) =
            service(environment).ok_or_else(|| not_here("neither `K_SERVICE` nor `GAE_SERVICE` is set".to_owned()))?;
        let metadata = Metadata::ask(environment).await.map_err(not_here)?;
        let said = |what: &str, value: Option<&str>| {
            let missing = || not_here(format!("the metadata server does not say the {what}"));
            value.map(str::to_owned).ok_or_else(missing)
        };
        let malformed = |error: Error| not_here(error.to_string());
        let project: ProjectId =
            said("project", environment.get("GOOGLE_CLOUD_PROJECT").or(metadata.project.as_deref()))?.parse().map_err(malformed)?;
        let region = environment.get("CLOUD_RUN_REGION").or(metadata.region.as_deref());
        let region: LocationId = said("region", region)?.parse().map_err(malformed)?;
        let project_number = said("project's number", metadata.project_number.as_deref())?;
        let url = match (environment.get("SERVICE_URL"), platform) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Platform::Run) => format!("https://{service}-{project_number}.{region}.run.app"),
            (None, Platform::AppEngine) if service == "default" => format!("https://{project}.appspot.com"),
            (None, Platform::AppEngine) => format!("https://{service}-dot-{project}.appspot.com"),
        };
        Ok(Self {
            project,
            project_number,
            region,
            service: service.to_owned(),
            revision: revision.map(str::to_owned),
            instance_id: said("instance's id", metadata.instance_id.as_deref())?,
            url,
            account: said("service account", metadata.account.as_deref())?,
            metadata: metadata.base,
        })
    }

    /// Returns an ID token of the account that this process acts as, with which it calls another service: the audience is usually that service's URL.
    ///
    /// # Errors
    ///
    /// Fails when the metadata server gives none.
    pub async fn id_token(&self, audience: &str) -> Result<String> {
        metadata::id_token(&self.metadata, audience).await.map_err(|why| Error::new(Kind::Unavailable, why))
    }
}
