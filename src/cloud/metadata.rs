//! Google's metadata server: whether this machine is Google's, and in which project.

use std::time::Duration;

use crate::cloud::address::Address;
use crate::cloud::environment::Environment;
use crate::error::Result;
use crate::names::ProjectId;

/// The server's fixed address: by its name a resolver could stall elsewhere.
const DEFAULT_HOST: &str = "169.254.169.254";

/// A project id is short; what is longer comes from another kind of server.
const ANSWER_BYTES_MAX: usize = 1024;

/// What the metadata server told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Metadata {
    /// Its base URL.
    pub(crate) url: String,
    /// The project of this machine.
    pub(crate) project: ProjectId,
}

/// Returns the server's base URL.
pub(crate) fn url(environment: &Environment) -> Result<String> {
    match environment.get("GCE_METADATA_HOST") {
        None => Ok(format!("http://{DEFAULT_HOST}")),
        Some(host) if !host.contains(':') => Ok(Address::parse(&format!("{host}:80"), "GCE_METADATA_HOST")?.url()),
        Some(host) => Ok(Address::parse(host, "GCE_METADATA_HOST")?.url()),
    }
}

/// Asks the server at `url` once, for no longer than `limit`; `None` where there is none.
pub(crate) async fn ask(url: String, limit: Duration) -> Option<Metadata> {
    tokio::time::timeout(limit, project(&url)).await.ok().flatten().map(|project| Metadata { url, project })
}

async fn project(url: &str) -> Option<ProjectId> {
    value(url, "project/project-id").await?.parse().ok()
}

/// Asks this machine's server for the number of a project; `None` where there is no server, or it is of another project.
pub(crate) async fn number_of(id: &str) -> Option<String> {
    /// A server within the machine answers at once, or there is none.
    const NUMBER_TIMEOUT: Duration = Duration::from_secs(2);
    let url = url(&Environment::of_process()).ok()?;
    let found = async {
        let project = project(&url).await.filter(|project| project.as_str() == id)?;
        let number = value(&url, "project/numeric-project-id").await?;
        (project.as_str() == id && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
    };
    tokio::time::timeout(NUMBER_TIMEOUT, found).await.ok().flatten()
}

async fn value(url: &str, key: &str) -> Option<String> {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().ok()?;
    let request = client.get(format!("{url}/computeMetadata/v1/{key}")).header("Metadata-Flavor", "Google");
    let mut response = request.send().await.ok()?;
    // Any server may answer there; Google's says that it is.
    let is_google = response.headers().get("Metadata-Flavor").is_some_and(|flavor| flavor == "Google");
    if !response.status().is_success() || !is_google {
        return None;
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return None;
        }
    }
    Some(String::from_utf8(body).ok()?.trim().to_owned())
}
