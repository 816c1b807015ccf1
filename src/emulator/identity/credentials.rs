//! Credentials files in Google's formats, for this emulator: a service account's key, a user's refresh token, and impersonation.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::guard::CLOUD_PLATFORM;
use super::keys::{PublicKey, SigningKey};
use super::{Identity, mint};

/// An address has at most this many characters.
const EMAIL_CHARS_MAX: usize = 254;

/// Which file is wanted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::emulator) struct Wanted {
    /// As in the file: `service_account` (the default), `authorized_user` or `impersonated_service_account`.
    #[serde(rename = "type")]
    pub(in crate::emulator) kind: Option<String>,
    /// Whose; the default is a service account of the emulator's project.
    pub(in crate::emulator) email: Option<String>,
    /// A key in PEM that a service account has already: it is registered, and there is no file.
    pub(in crate::emulator) public_key: Option<String>,
}

impl Identity {
    /// Makes a credentials file whose tokens come from `url`, the emulator's address as the client sees it. Takes a good part of a second.
    pub(in crate::emulator) fn credentials(&self, wanted: &Wanted, url: &str) -> Result<Json, String> {
        let email = wanted.email.clone().unwrap_or_else(|| format!("tests@{}.iam.gserviceaccount.com", self.0.project));
        let is_email = email.len() <= EMAIL_CHARS_MAX && email.contains('@') && email.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if !is_email {
            return Err(format!("`email`: `{}` is not an address such as `tests@shop.iam.gserviceaccount.com`", email.escape_debug()));
        }
        match (wanted.kind.as_deref().unwrap_or("service_account"), &wanted.public_key) {
            ("service_account", None) => self.service_account(&email, url),
            ("service_account", Some(pem)) => {
                let key = PublicKey::from_pem(pem).ok_or("`public_key` is not an RSA key of 2048 bits or more in PEM")?;
                Ok(json!({"client_email": email, "private_key_id": self.register(&email, key)?}))
            }
            (_, Some(_)) => Err("`public_key` belongs to the type `service_account`".to_owned()),
            ("authorized_user", None) => Ok(self.user(&email, url)),
            ("impersonated_service_account", None) => Ok(json!({
                "type": "impersonated_service_account",
                "service_account_impersonation_url": format!("{url}/v1/projects/-/serviceAccounts/{email}:generateAccessToken"),
                "source_credentials": self.user("developer@example.com", url),
                "delegates": [],
            })),
            (kind, None) => Err(format!(
                "`type`: there is no `{}`, only `service_account`, `authorized_user` and `impersonated_service_account`",
                kind.escape_debug()
            )),
        }
    }

    fn service_account(&self, email: &str, url: &str) -> Result<Json, String> {
        let key = SigningKey::generate()?;
        let id = self.register(email, key.public())?;
        Ok(json!({
            "type": "service_account",
            "project_id": self.0.project.as_str(),
            "private_key_id": id,
            "private_key": key.private_pem()?,
            "client_email": email,
            "client_id": mint::unique_id(email),
            "auth_uri": format!("{url}/o/oauth2/auth"),
            "token_uri": format!("{url}/token"),
            "auth_provider_x509_cert_url": format!("{url}/oauth2/v1/certs"),
            "universe_domain": "googleapis.com",
        }))
    }

    fn user(&self, email: &str, url: &str) -> Json {
        json!({
            "type": "authorized_user",
            "client_id": "redrive-emulator.apps.googleusercontent.com",
            "client_secret": "redrive-emulator",
            "refresh_token": self.refresh_token(email, CLOUD_PLATFORM),
            "token_uri": format!("{url}/token"),
            "universe_domain": "googleapis.com",
        })
    }
}
