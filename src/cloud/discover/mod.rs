//! Finds project, credentials and emulators: files and environment first, then the metadata server, for half a second at most.

use std::time::{Duration, Instant};

use google_cloud_auth::credentials::Credentials;
use http::Extensions;

use crate::cloud::address::Address;
use crate::cloud::endpoint::{Api, Endpoint, Endpoints, Overrides, override_of};
use crate::cloud::environment::Environment;
use crate::cloud::failure::{Asked, Failure, LOGIN_HINT};
use crate::cloud::identity::{CredentialsFile, Identity, Source};
use crate::cloud::{Cloud, Found, Settings, gcloud, metadata};
use crate::error::{Error, Kind, Result};
use crate::names::{Project, ProjectId};

/// Discovery waits for the network this long in all, metadata server and first token together.
pub(crate) const NETWORK_TIMEOUT: Duration = Duration::from_millis(500);

/// Finds out what to call.
pub(crate) async fn discover(settings: &Settings, environment: &Environment) -> Found {
    let found = match emulators(settings, environment) {
        Ok(Some(_))
            if settings.impersonate.is_some() && explicit_google(settings, environment).is_ok_and(|identity| identity.is_none()) =>
        {
            Err(Error::invalid("`--impersonate-service-account` has no effect with an emulator")
                .with_hint("leave it out, or leave the emulator out"))
        }
        Ok(Some(endpoints)) => with_emulators(settings, environment, endpoints).map(Some),
        Ok(None) => google(settings, environment).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(Some(cloud)) => Found::Ready(Box::new(cloud)),
        Ok(None) => Found::Nothing,
        Err(error) => Found::Broken(error),
    }
}

/// Finds the emulators: `--emulator` is one for everything; variables are one for each service, and a service without goes nowhere.
fn emulators(settings: &Settings, environment: &Environment) -> Result<Option<Endpoints>> {
    if let Some(text) = &settings.emulator {
        return Ok(Some(Endpoints::all(Endpoint::Emulator(Address::parse(text, "--emulator")?))));
    }
    let of = |api: Api| -> Result<Endpoint> {
        let variable = api.emulator_variable();
        let address = environment.get(variable).map(|text| Address::parse(text, variable)).transpose()?;
        Ok(address.map_or(Endpoint::NotConfigured, Endpoint::Emulator))
    };
    let endpoints = Endpoints { pubsub: of(Api::PubSub)?, tasks: of(Api::Tasks)?, scheduler: of(Api::Scheduler)? };
    Ok(endpoints.first_emulator().is_some().then_some(endpoints))
}

fn with_emulators(settings: &Settings, environment: &Environment, mut endpoints: Endpoints) -> Result<Cloud> {
    let identity = explicit_google(settings, environment)?;
    if identity.is_some() && settings.emulator.is_none() {
        let overrides = Overrides::find(environment)?;
        for endpoint in [&mut endpoints.pubsub, &mut endpoints.tasks, &mut endpoints.scheduler] {
            if *endpoint == Endpoint::NotConfigured {
                *endpoint = Endpoint::Google(overrides.clone());
            }
        }
    }
    let named = named_project(settings, environment)?;
    let project =
        match named.or(variable_project(environment, "PUBSUB_PROJECT_ID")?).or(variable_project(environment, "CLOUDSDK_CORE_PROJECT")?) {
            Some(project) => project,
            None => super::EMULATOR_PROJECT.parse()?,
        };
    Cloud::new(Project::new(project), settings.locations.clone(), endpoints, identity)
}

/// Returns Google's identity where project and credentials are both named outright. What merely lies about in the home folder never sends
/// a service to Google while another goes to an emulator.
fn explicit_google(settings: &Settings, environment: &Environment) -> Result<Option<Identity>> {
    if named_project(settings, environment)?.is_none() || environment.get("GOOGLE_APPLICATION_CREDENTIALS").is_none() {
        return Ok(None);
    }
    let file = CredentialsFile::find(environment)?;
    file.map(|file| identity(settings, environment, Source::File(file))).transpose()
}

async fn google(settings: &Settings, environment: &Environment) -> Result<Option<Cloud>> {
    let begun = Instant::now();
    let overrides = Overrides::find(environment)?;
    let file = CredentialsFile::find(environment)?;
    let mut project = match named_project(settings, environment)? {
        Some(project) => Some(project),
        None => gcloud::project(environment)?,
    };
    if let (None, Some(file)) = (&project, &file) {
        project = file.project()?;
    }
    let mut source = file.map(Source::File);
    if (project.is_none() || source.is_none())
        && let Some(found) = metadata::ask(metadata::url(environment)?, NETWORK_TIMEOUT).await
    {
        project.get_or_insert(found.project);
        source.get_or_insert(Source::Metadata(found.url));
    }
    let (project, source) = match (project, source) {
        (Some(project), Some(source)) => (project, source),
        (Some(project), None) => return Err(no_credentials(&project)),
        (None, Some(_)) => return Err(no_project()),
        (None, None) if settings.impersonate.is_some() => return Err(no_project()),
        (None, None) => return Ok(None),
    };
    let identity = identity(settings, environment, source)?;
    let endpoints = Endpoints::all(Endpoint::Google(overrides));
    let cloud = Cloud::new(Project::new(project), settings.locations.clone(), endpoints, Some(identity))?;
    try_token(&cloud, NETWORK_TIMEOUT.saturating_sub(begun.elapsed())).await?;
    Ok(Some(cloud))
}

fn identity(settings: &Settings, environment: &Environment, source: Source) -> Result<Identity> {
    let quota_project = settings.quota_project.clone().or_else(|| environment.get("GOOGLE_CLOUD_QUOTA_PROJECT").map(str::to_owned));
    let iam_url = override_of(environment, "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS")?;
    Ok(Identity { source, impersonate: settings.impersonate.clone(), iam_url, quota_project })
}

/// Fails where the credentials are refused for good; what cannot be told within `limit` is left to the first call.
async fn try_token(cloud: &Cloud, limit: Duration) -> Result<()> {
    let credentials: &Credentials = cloud.credentials()?;
    let Ok(Err(error)) = tokio::time::timeout(limit, credentials.headers(Extensions::new())).await else { return Ok(()) };
    if error.is_transient() {
        return Ok(());
    }
    let asked = Asked {
        api: Api::PubSub,
        endpoint: cloud.0.endpoints.pubsub.clone(),
        verb: "sign in to Google Cloud",
        resource: cloud.project().to_string(),
        permission: "iam.serviceAccounts.getAccessToken",
    };
    Err(Failure::of_credentials(&error).explain(&asked).with_source(error))
}

fn named_project(settings: &Settings, environment: &Environment) -> Result<Option<ProjectId>> {
    match &settings.project {
        Some(project) => Ok(Some(project.clone())),
        None => variable_project(environment, "GOOGLE_CLOUD_PROJECT"),
    }
}

fn variable_project(environment: &Environment, name: &str) -> Result<Option<ProjectId>> {
    environment.get(name).map(|text| text.parse().map_err(|error: Error| error.context(format!("`{name}`")))).transpose()
}

fn no_credentials(project: &ProjectId) -> Error {
    Error::new(Kind::Unauthenticated, format!("project `{project}` is configured, but there are no credentials")).with_hint(LOGIN_HINT)
}

fn no_project() -> Error {
    Error::invalid("there are credentials, but no project is configured")
        .with_hint("name one with `--project PROJECT`, `GOOGLE_CLOUD_PROJECT=PROJECT` or `gcloud config set project PROJECT`")
}

#[cfg(test)]
mod tests;
