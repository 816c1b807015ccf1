//! What a token says, and what it has to say. Pure: the time is an argument.

use std::time::Duration;

use serde::Deserialize;

use crate::runtime::oidc::Denied;

/// A token is no longer valid than this, however far away it says its end is: Google's are valid for an hour, and what is verified is remembered.
const LIFETIME_SECONDS_MAX: f64 = 24.0 * 3600.0;

/// The claims of an ID token. Times are numbers: a text is not read as one.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    exp: f64,
    iat: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Option<bool>,
}

/// What is expected of every token.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) issuers: Vec<String>,
    pub(super) accounts: Vec<String>,
    /// In seconds.
    pub(super) leeway: f64,
}

impl Expected {
    /// Checks the claims of a token whose signature is good; returns when it expires, since the epoch.
    pub(super) fn check(&self, claims: &Claims, audience: &str, now: Duration) -> Result<Duration, Denied> {
        let refused = |why: &str| Err(Denied::Unauthenticated(format!("the token is not valid: {why}")));
        let now = now.as_secs_f64();
        if !self.issuers.contains(&claims.iss) {
            return refused(&format!("it is of the issuer `{}`", claims.iss.escape_debug()));
        }
        if claims.aud != audience {
            return refused(&format!("it is for `{}`, and this is `{audience}`", claims.aud.escape_debug()));
        }
        if claims.exp + self.leeway <= now {
            return refused("it has expired");
        }
        if claims.iat - self.leeway > now || claims.nbf.is_some_and(|from| from - self.leeway > now) {
            return refused("it is not valid yet");
        }
        if claims.exp - claims.iat > LIFETIME_SECONDS_MAX {
            return refused("it is valid for too long");
        }
        let forbidden = |why: String| Err(Denied::Forbidden(why));
        let email = claims.email.as_deref().unwrap_or_default();
        if !self.accounts.iter().any(|account| account == email) {
            return forbidden(format!("the token is of `{}`", email.escape_debug()));
        }
        if claims.email_verified != Some(true) {
            return forbidden(format!("the address `{email}` in the token is not verified"));
        }
        Ok(Duration::try_from_secs_f64(claims.exp).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_780_000_000;

    fn check(change: impl FnOnce(&mut Value)) -> Result<Duration, String> {
        let mut claims = json!({
            "iss": "https://accounts.google.com", "aud": "https://s", "exp": NOW + 3600, "iat": NOW, "email": "a@x", "email_verified": true,
        });
        change(&mut claims);
        let claims: Claims = serde_json::from_value(claims).map_err(|error| error.to_string())?;
        let expected = Expected { issuers: vec!["https://accounts.google.com".to_owned()], accounts: vec!["a@x".to_owned()], leeway: 10.0 };
        expected.check(&claims, "https://s", Duration::from_secs(NOW)).map_err(|denied| denied.to_string())
    }

    #[test]
    fn every_claim_counts() {
        assert_eq!(check(|_| {}), Ok(Duration::from_secs(NOW + 3600)));
        for (claim, value) in [
            ("iss", json!("https://evil.example")),
            ("aud", json!("https://s/")),
            ("aud", json!(["https://s"])),
            ("exp", json!(NOW - 11)),
            ("exp", json!((NOW + 3600).to_string())),
            ("exp", json!(NOW + 90_000)),
            ("exp", Value::Null),
            ("iat", json!(NOW + 11)),
            ("nbf", json!(NOW + 11)),
            ("nbf", json!("0")),
            ("email", json!("A@x")),
            ("email", Value::Null),
            ("email_verified", json!(false)),
            ("email_verified", json!("true")),
            ("email_verified", Value::Null),
        ] {
            let said = check(|claims| claims[claim] = value.clone());
            assert!(said.is_err(), "{claim} = {value}");
        }
        for claim in ["iss", "aud", "exp", "iat", "email", "email_verified"] {
            let said = check(|claims| drop(claims.as_object_mut().unwrap().remove(claim)));
            assert!(said.is_err(), "without {claim}");
        }
    }

    #[test]
    fn clocks_may_differ_a_little() {
        for (claim, value) in [("exp", json!(NOW - 9)), ("iat", json!(NOW + 9)), ("nbf", json!(NOW + 9)), ("exp", json!(3600.5 + 1.78e9))] {
            assert!(check(|claims| claims[claim] = value.clone()).is_ok(), "{claim} = {value}");
        }
    }
}
