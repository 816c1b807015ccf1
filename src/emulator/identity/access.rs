//! Access tokens and refresh tokens: opaque for clients, and signed, so that the emulator knows its own without remembering any.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Identity;

/// Google's access tokens begin so.
const ACCESS_PREFIX: &str = "ya29.c.";
/// Google's refresh tokens begin so.
const REFRESH_PREFIX: &str = "1//0";

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) email: String,
    /// Separated by spaces.
    pub(super) scope: String,
    /// Seconds since 1970; refresh tokens have none.
    pub(super) expires: Option<i64>,
}

/// An access token, and when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccessToken {
    pub(super) text: String,
    pub(super) expires: Timestamp,
}

impl Identity {
    /// Makes an access token that is valid for some seconds.
    pub(super) fn access_token(&self, email: &str, scope: &str, seconds: i64, now: Timestamp) -> AccessToken {
        let expires = Timestamp::from_second(now.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX);
        let grant = Grant { email: email.to_owned(), scope: scope.to_owned(), expires: Some(expires.as_second()) };
        AccessToken { text: self.seal(ACCESS_PREFIX, &grant), expires }
    }

    /// Makes a refresh token of a user.
    pub(super) fn refresh_token(&self, email: &str, scope: &str) -> String {
        self.seal(REFRESH_PREFIX, &Grant { email: email.to_owned(), scope: scope.to_owned(), expires: None })
    }

    /// Returns what an access token of this emulator stands for, unless it has expired.
    pub(super) fn read_access(&self, token: &str, now: Timestamp) -> Option<Grant> {
        self.open(ACCESS_PREFIX, token).filter(|grant| grant.expires.is_some_and(|expires| now.as_second() < expires))
    }

    /// Returns what a refresh token of this emulator stands for.
    pub(super) fn read_refresh(&self, token: &str) -> Option<Grant> {
        self.open(REFRESH_PREFIX, token)
    }

    fn seal(&self, prefix: &str, grant: &Grant) -> String {
        let body = serde_json::to_string(grant).expect("two texts and a number can be written as JSON");
        let text = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(body));
        let tag = hmac::sign(&self.0.secret, text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    fn open(&self, prefix: &str, token: &str) -> Option<Grant> {
        let (text, tag) = token.rsplit_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.0.secret, text.as_bytes(), &tag).ok()?;
        let body = URL_SAFE_NO_PAD.decode(text.strip_prefix(prefix)?).ok()?;
        serde_json::from_slice(&body).ok()
    }
}
