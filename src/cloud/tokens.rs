//! Tokens of other service accounts, from IAM Credentials.

use serde::Deserialize;
use serde_json::json;

use crate::cloud::Cloud;
use crate::cloud::call::CALL_TIMEOUT;
use crate::cloud::endpoint::Api;
use crate::cloud::rest::Request;
use crate::error::Result;

#[derive(Deserialize)]
struct IdToken {
    token: String,
}

impl Cloud {
    /// Mints an OIDC token of a service account for an audience, as Pub/Sub does for its pushes.
    pub(crate) async fn identity_token(&self, account: &str, audience: &str) -> Result<String> {
        let resource = format!("projects/-/serviceAccounts/{account}");
        let asked = self.asked(Api::IamCredentials, "mint a token of the push account", &resource, "iam.serviceAccounts.getOpenIdToken");
        let body = json!({ "audience": audience, "includeEmail": true });
        let request = Request::post(format!("/v1/{resource}:generateIdToken"), &body, CALL_TIMEOUT)?;
        Ok(self.rest::<IdToken>(&asked, request).await?.body.token)
    }
}
