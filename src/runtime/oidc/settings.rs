//! Who may call, and how that is found out.

use std::time::Duration;

use crate::cloud::{Cloud, Place};
use crate::error::{Error, Kind, Result};
use crate::runtime::oidc::Verifier;
use crate::runtime::{Builder, Host};

/// Where Google's keys are.
const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
/// Whom Google's tokens are from: both are written.
const GOOGLE_ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
/// A key that is not known is looked for no more often than this.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(30);

/// What tokens have to be.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(super) issuers: Vec<String>,
    pub(super) callers: Vec<String>,
    pub(super) keys_url: Option<String>,
    pub(super) unknown_key_pause: Duration,
    pub(super) unauthenticated: bool,
    pub(crate) audiences: Vec<String>,
}

/// How callers are checked.
#[derive(Clone)]
pub(crate) enum Auth {
    /// By their tokens.
    Tokens(Verifier),
    /// Not at all, as somebody said outright, or because it is an emulator that sends no tokens.
    Nobody,
    /// Nobody said how: nobody is let in.
    Missing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuers: GOOGLE_ISSUERS.map(str::to_owned).to_vec(),
            callers: Vec::new(),
            keys_url: None,
            unknown_key_pause: UNKNOWN_KEY_PAUSE,
            unauthenticated: false,
            audiences: Vec::new(),
        }
    }
}

/// Decides how callers are checked.
pub(crate) fn auth_of(settings: &Settings, cloud: &Cloud, host: &Host) -> Auth {
    if settings.unauthenticated {
        return Auth::Nobody;
    }
    let accounts: Vec<String> = host.account.iter().chain(&settings.callers).cloned().collect();
    match (accounts.is_empty(), cloud.place()) {
        (true, Place::Emulator(_)) => {
            tracing::warn!(target: "redrive::runtime", "no account is configured, and this is an emulator: everybody may call");
            Auth::Nobody
        }
        (true, Place::Google) => Auth::Missing,
        (false, place) => {
            let url = settings.keys_url.clone().unwrap_or_else(|| match place {
                Place::Google => GOOGLE_KEYS.to_owned(),
                Place::Emulator(address) => format!("http://{address}/oauth2/v3/certs"),
            });
            Auth::Tokens(Verifier::new(settings, accounts, url))
        }
    }
}

impl Auth {
    /// Fails where nobody could ever call.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Tokens(_) | Self::Nobody => Ok(()),
            Self::Missing => Err(Error::new(Kind::FailedPrecondition, "no account is configured, so that no caller can be let in")
                .with_hint(
                    "name the service account of tasks and pushes as `Host::account`, add others with `.caller(…)`, or say `.unauthenticated()`",
                )),
        }
    }
}

impl<S: Send + Sync + 'static> Builder<S> {
    /// Lets callers with tokens of this account in as well, such as the one of an Eventarc trigger.
    ///
    /// ```
    /// use redrive::runtime::App;
    ///
    /// let builder = App::new(()).caller("eventarc@shop.iam.gserviceaccount.com");
    /// ```
    pub fn caller(mut self, account: impl Into<String>) -> Self {
        self.config_mut().oidc.callers.push(account.into());
        self
    }

    /// Takes tokens for this audience as well; without it a token is for exactly what this app has its own tokens made for.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.config_mut().oidc.audiences.push(audience.into());
        self
    }

    /// Takes tokens of this issuer instead of Google's, whose keys are at `keys_url`.
    pub fn issuer(mut self, issuer: impl Into<String>, keys_url: impl Into<String>) -> Self {
        let oidc = &mut self.config_mut().oidc;
        (oidc.issuers, oidc.keys_url) = (vec![issuer.into()], Some(keys_url.into()));
        self
    }

    /// Fetches the keys of tokens here instead of at Google; on an emulator without this, at the emulator.
    pub fn token_keys(mut self, url: impl Into<String>) -> Self {
        self.config_mut().oidc.keys_url = Some(url.into());
        self
    }

    /// Lets a key that is not known be looked for this often at most; 30 s without this.
    pub fn unknown_key_pause(mut self, pause: Duration) -> Self {
        self.config_mut().oidc.unknown_key_pause = pause;
        self
    }

    /// Lets everybody call, token or not: for services that something else protects (Cloud Run's own check of the invoker, a private network).
    pub fn unauthenticated(mut self) -> Self {
        self.config_mut().oidc.unauthenticated = true;
        self
    }
}
