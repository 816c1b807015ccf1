//! As whom Google is called: where credentials come from, and how Google's library makes tokens of them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use google_cloud_auth::build_errors::Error as BuildError;
use google_cloud_auth::credentials::{Credentials, anonymous, external_account, impersonated, mds, service_account, user_account};
use serde_json::{Value, json};

use crate::cloud::call::{backoff_policy, retry_policy};
use crate::cloud::environment::Environment;
use crate::cloud::failure::LOGIN_HINT;
use crate::error::{Error, Kind, Result};
use crate::names::ProjectId;

/// Where credentials come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// A file of one of Google's formats.
    File(CredentialsFile),
    /// The metadata server at this base URL.
    Metadata(String),
}

/// A credentials file, read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CredentialsFile {
    path: PathBuf,
    kind: String,
    json: Value,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Identity {
    pub(crate) source: Source,
    /// The service account to act as.
    pub(crate) impersonate: Option<String>,
    /// Where the tokens of that account come from, if not from Google's public address.
    pub(crate) iam_url: Option<String>,
    /// The project that calls are counted on.
    pub(crate) quota_project: Option<String>,
}

impl CredentialsFile {
    /// Finds the file that `GOOGLE_APPLICATION_CREDENTIALS` names, else gcloud's application-default credentials.
    pub(crate) fn find(environment: &Environment) -> Result<Option<Self>> {
        if let Some(path) = environment.get("GOOGLE_APPLICATION_CREDENTIALS") {
            return match Self::read(Path::new(path))? {
                Some(file) => Ok(Some(file)),
                None => {
                    Err(Error::new(Kind::Unauthenticated, format!("`GOOGLE_APPLICATION_CREDENTIALS` names `{path}`, which does not exist"))
                        .with_hint(LOGIN_HINT))
                }
            };
        }
        let Some(folder) = environment.gcloud_folder() else { return Ok(None) };
        Self::read(&folder.join("application_default_credentials.json"))
    }

    fn read(path: &Path) -> Result<Option<Self>> {
        let unusable = |why: String| {
            Error::new(Kind::Unauthenticated, format!("the credentials file `{}` {why}", path.display())).with_hint(LOGIN_HINT)
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(format!("cannot be read: {error}")).with_source(error)),
        };
        let json: Value = serde_json::from_str(&text).map_err(|error| unusable(format!("is not JSON: {error}")).with_source(error))?;
        let kind = json.get("type").and_then(Value::as_str).ok_or_else(|| unusable("has no field `type`".to_owned()))?.to_owned();
        Ok(Some(Self { path: path.to_owned(), kind, json }))
    }

    /// Returns the project that the file names.
    pub(crate) fn project(&self) -> Result<Option<ProjectId>> {
        let Some(text) = self.json.get("project_id").and_then(Value::as_str) else { return Ok(None) };
        text.parse().map(Some).map_err(|error: Error| error.context(format!("`project_id` in `{}`", self.path.display())))
    }
}

impl Identity {
    /// Makes the credentials; asks for no token yet, but needs a tokio runtime.
    pub(crate) fn credentials(&self) -> Result<Credentials> {
        let Some(account) = &self.impersonate else { return self.source_credentials() };
        let builder = match &self.iam_url {
            None => impersonated::Builder::from_source_credentials(self.source_credentials()?).with_target_principal(account),
            Some(url) => impersonated::Builder::new(self.impersonation_file(account, url)?),
        };
        let builder = builder.with_retry_policy(retry_policy()).with_backoff_policy(backoff_policy());
        let builder = self.quota_project.iter().fold(builder, impersonated::Builder::with_quota_project_id);
        builder.build().map_err(|error| unusable(&format!("`{account}` cannot be impersonated"), error))
    }

    /// Google's library takes another address for impersonation in such a file only.
    fn impersonation_file(&self, account: &str, url: &str) -> Result<Value> {
        let Source::File(file) = &self.source else {
            let words = format!("`{account}` cannot be impersonated through `{url}`: that needs a credentials file");
            return Err(Error::new(Kind::Unauthenticated, words).with_hint(LOGIN_HINT));
        };
        Ok(json!({
            "type": "impersonated_service_account",
            "service_account_impersonation_url": format!("{url}/v1/projects/-/serviceAccounts/{account}:generateAccessToken"),
            "source_credentials": file.json,
        }))
    }

    fn source_credentials(&self) -> Result<Credentials> {
        let quota = self.quota_project.as_ref();
        let file = match &self.source {
            Source::Metadata(url) => {
                let builder =
                    mds::Builder::default().with_endpoint(url).with_retry_policy(retry_policy()).with_backoff_policy(backoff_policy());
                let builder = quota.into_iter().fold(builder, mds::Builder::with_quota_project_id);
                return builder.build().map_err(|error| unusable("the metadata server's credentials", error));
            }
            Source::File(file) => file,
        };
        let json = file.json.clone();
        macro_rules! finish {
            ($builder:expr) => {
                quota.into_iter().fold($builder, |builder, project| builder.with_quota_project_id(project)).build()
            };
        }
        let built = match file.kind.as_str() {
            "authorized_user" => {
                finish!(user_account::Builder::new(json).with_retry_policy(retry_policy()).with_backoff_policy(backoff_policy()))
            }
            // Signs its tokens itself: nothing to be repeated.
            "service_account" => finish!(service_account::Builder::new(json)),
            "impersonated_service_account" => {
                finish!(impersonated::Builder::new(json).with_retry_policy(retry_policy()).with_backoff_policy(backoff_policy()))
            }
            "external_account" => {
                finish!(external_account::Builder::new(json).with_retry_policy(retry_policy()).with_backoff_policy(backoff_policy()))
            }
            kind => {
                let words = format!(
                    "the credentials file `{}` is of the type `{}`, which is not supported",
                    file.path.display(),
                    kind.escape_debug()
                );
                return Err(Error::new(Kind::Unauthenticated, words).with_hint(LOGIN_HINT));
            }
        };
        built.map_err(|error| unusable(&format!("the credentials file `{}`", file.path.display()), error))
    }
}

/// Returns credentials that say nothing, for emulators.
pub(crate) fn nobody() -> Credentials {
    anonymous::Builder::new().build()
}

fn unusable(what: &str, error: BuildError) -> Error {
    let why =
        crate::model::text::line(&std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)).into_owned();
    Error::new(Kind::Unauthenticated, format!("{what} cannot be used: {why}")).with_hint(LOGIN_HINT).with_source(error)
}
