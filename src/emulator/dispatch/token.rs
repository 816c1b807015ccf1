//! Mints the tokens that the emulated services send with their calls: Google's claims, signed with a key of this emulator's own.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, OnceLock, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::json;

use crate::emulator::state::TokenKind;

/// How long a token is valid, as Google's are.
const VALID_SECONDS: i64 = 3600;
/// A token is sent again for this long, then a new one is made: signing costs more than the rest of a call.
const REUSED_SECONDS: i64 = 1800;
/// Tokens kept for use again; with more pairs of account and audience they are all made anew.
const KEPT_MAX: usize = 1000;
/// The id in the head of each token, under which a receiver would look for the key.
const KEY_ID: &str = "redrive-emulator";

/// Makes tokens; the key is made with the first.
#[derive(Default)]
pub(super) struct Mint {
    key: OnceLock<KeyPair>,
    kept: Mutex<HashMap<(String, String), (String, i64)>>,
}

impl Mint {
    /// Returns a token for the header `Authorization: Bearer …`. The first call takes a good part of a second.
    pub(super) fn token(&self, kind: &TokenKind) -> Result<String, String> {
        // The wall clock, not the emulator's: whoever checks the token has no other.
        self.token_at(kind, Timestamp::now().as_second())
    }

    fn token_at(&self, kind: &TokenKind, now: i64) -> Result<String, String> {
        match kind {
            TokenKind::OAuth { email, scope } => Ok(format!("ya29.redrive-emulator.{:016x}", hash(&(email, scope)))),
            TokenKind::Oidc { email, audience } => self.oidc(email, audience, now),
        }
    }

    fn oidc(&self, email: &str, audience: &str, now: i64) -> Result<String, String> {
        let place = (email.to_owned(), audience.to_owned());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, _)) = kept.get(&place).filter(|(_, made)| (0..REUSED_SECONDS).contains(&(now - made))) {
            return Ok(token.clone());
        }
        let token = self.sign(&claims(email, audience, now))?;
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(place, (token.clone(), now));
        Ok(token)
    }

    fn sign(&self, claims: &serde_json::Value) -> Result<String, String> {
        let failed = |_| "no token can be signed".to_owned();
        if self.key.get().is_none() {
            // A second thread may make one too: the first to arrive is kept.
            let _ = self.key.set(KeyPair::generate(KeySize::Rsa2048).map_err(failed)?);
        }
        let key = self.key.get().expect("it was set just now");
        let head = json!({"alg": "RS256", "kid": KEY_ID, "typ": "JWT"});
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature).map_err(failed)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }
}

fn claims(email: &str, audience: &str, now: i64) -> serde_json::Value {
    // Google's accounts have numbers of 21 digits.
    let subject = format!("1{:020}", hash(&email));
    json!({
        "aud": audience,
        "azp": subject,
        "email": email,
        "email_verified": true,
        "exp": now + VALID_SECONDS,
        "iat": now,
        "iss": "https://accounts.google.com",
        "sub": subject,
    })
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    fn part(token: &str, nth: usize) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(token.split('.').nth(nth).unwrap()).unwrap()
    }

    #[test]
    fn a_token_has_googles_claims_and_its_signature_holds() {
        let mint = Mint::default();
        let kind = TokenKind::Oidc { email: "push@p.iam.gserviceaccount.com".into(), audience: "https://shop.example/".into() };
        let token = mint.token_at(&kind, 1_000_000).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&part(&token, 1)).unwrap();
        assert_eq!(claims["aud"], "https://shop.example/");
        assert_eq!(claims["email"], "push@p.iam.gserviceaccount.com");
        assert_eq!(claims["email_verified"], true);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
        assert_eq!(claims["azp"], claims["sub"]);
        assert_eq!(claims["sub"].as_str().unwrap().len(), 21);
        let (signed, _) = token.rsplit_once('.').unwrap();
        let key = mint.key.get().unwrap().public_key().as_ref().to_vec();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(signed.as_bytes(), &part(&token, 2)).unwrap();
        assert_eq!(mint.token_at(&kind, 1_000_000 + 60).unwrap(), token, "used again");
        assert_ne!(mint.token_at(&kind, 1_000_000 + 1800).unwrap(), token, "made anew");
    }
}
