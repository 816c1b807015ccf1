//! The metadata server, as a service asks it. Credentials come from it by Google's own library, not from here.

use std::time::Duration;

use reqwest::Url;

use crate::cloud::{Environment, metadata_url};

/// All questions together take no longer.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// Answers are names, numbers, and a token of about a kilobyte.
const ANSWER_BYTES_MAX: usize = 8 * 1024;
/// Where there are ID tokens of the service's account.
const TOKEN_PATH: &str = "instance/service-accounts/default/identity";

/// What it said; what it did not say is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// Its address.
    pub(super) base: String,
    pub(super) project: Option<String>,
    pub(super) project_number: Option<String>,
    pub(super) region: Option<String>,
    pub(super) instance_id: Option<String>,
    pub(super) account: Option<String>,
}

/// Asks for an ID token of the account that the service acts as, for an audience.
pub(super) async fn id_token(base: &str, audience: &str) -> Result<String, String> {
    let client = client()?;
    let mut url = Url::parse(&format!("{base}/computeMetadata/v1/{TOKEN_PATH}")).map_err(|error| error.to_string())?;
    url.query_pairs_mut().append_pair("audience", audience).append_pair("format", "full");
    let token = tokio::time::timeout(ASK_TIMEOUT, text(&client, url.into())).await.ok().flatten();
    token.ok_or_else(|| "the metadata server gives no token".to_owned())
}

fn client() -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.build().map_err(|error| error.to_string())
}

impl Metadata {
    /// Asks everything at once; fails where there is no metadata server.
    pub(super) async fn ask(environment: &Environment) -> Result<Self, String> {
        let url = metadata_url(environment).map_err(|error| error.to_string())?;
        let client = client()?;
        let of = |path: &'static str| text(&client, format!("{url}/computeMetadata/v1/{path}"));
        let all = async {
            tokio::join!(
                of("project/project-id"),
                of("project/numeric-project-id"),
                of("instance/region"),
                of("instance/id"),
                of("instance/service-accounts/default/email")
            )
        };
        let silent = || "the metadata server does not answer".to_owned();
        let (project, project_number, region, instance_id, account) = tokio::time::timeout(ASK_TIMEOUT, all).await.map_err(|_| silent())?;
        if project.is_none() {
            return Err(silent());
        }
        // `projects/NUMBER/regions/REGION`
        let region = region.and_then(|text| text.rsplit('/').next().map(str::to_owned));
        Ok(Self { base: url, project, project_number, region, instance_id, account })
    }
}

async fn text(client: &reqwest::Client, url: String) -> Option<String> {
    let mut response = client.get(url).header("Metadata-Flavor", "Google").send().await.ok()?;
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
    let text = String::from_utf8(body).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
