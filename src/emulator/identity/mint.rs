//! Mints ID tokens: Google's claims, signed with the emulator's key.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::PoisonError;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::{Identity, now};
use crate::emulator::state::TokenKind;

/// How long a token is valid, as Google's are.
pub(super) const VALID_SECONDS: i64 = 3600;
/// A token is sent again for this long, then a new one is made: signing costs more than the rest of a call.
const REUSED_SECONDS: i64 = 1800;
/// Tokens kept for use again; with more pairs of account and audience they are all made anew.
const KEPT_MAX: usize = 1000;

/// Tokens by account and audience, and when they were made.
pub(super) type Kept = HashMap<(String, String), (String, i64)>;

impl Identity {
    /// Returns the token that the emulated services send along, for the header `Authorization: Bearer …`. The first call takes a good part of
    /// a second.
    pub(in crate::emulator) fn token(&self, kind: &TokenKind) -> Result<String, String> {
        match kind {
            TokenKind::OAuth { email, scope } => Ok(self.access_token(email, scope, VALID_SECONDS, now()).text),
            TokenKind::Oidc { email, audience } => self.kept_id_token(email, audience, now()),
        }
    }

    pub(super) fn kept_id_token(&self, email: &str, audience: &str, now: Timestamp) -> Result<String, String> {
        let place = (email.to_owned(), audience.to_owned());
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = now.as_second();
        if let Some((token, _)) = kept.get(&place).filter(|(_, made)| (0..REUSED_SECONDS).contains(&(seconds - made))) {
            return Ok(token.clone());
        }
        drop(kept);
        let token = self.id_token(email, audience, true, now)?;
        kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(place, (token.clone(), seconds));
        Ok(token)
    }

    /// Makes an ID token; without `with_email` it says who by number only.
    pub(super) fn id_token(&self, email: &str, audience: &str, with_email: bool, now: Timestamp) -> Result<String, String> {
        let mut claims = claims(&self.0.issuer, email, audience, now.as_second());
        if with_email {
            claims["email"] = email.into();
            claims["email_verified"] = true.into();
        }
        self.signing_key()?.sign(&claims)
    }
}

fn claims(issuer: &str, email: &str, audience: &str, now: i64) -> Json {
    let subject = unique_id(email);
    json!({"aud": audience, "azp": subject, "exp": now + VALID_SECONDS, "iat": now, "iss": issuer, "sub": subject})
}

/// Google's accounts have numbers of 21 digits.
pub(super) fn unique_id(email: &str) -> String {
    format!("1{:020}", number(email))
}

/// A number that belongs to a text.
pub(super) fn number(of: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
