//! Tells whose a token is: RS256 only, by keys that are fetched, kept and renewed here, with claims that have to be exactly so.
//!
//! Must not know what the caller asks for: it is given a token and an audience, before anything else of the request is looked at.

mod claims;
mod keys;
mod remembered;
mod settings;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::{Algorithm, decode_header};

use claims::{Claims, Expected};
use keys::{KeyError, Keys};
use remembered::Remembered;

pub(crate) use settings::{Auth, Settings, auth_of};

/// A token is no longer than this; Google's have about 900 bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Clocks may differ by this much.
const LEEWAY_SECONDS: f64 = 10.0;

/// Verifies tokens. Clones share keys and memory.
#[derive(Clone)]
pub(crate) struct Verifier(Arc<Inner>);

struct Inner {
    expected: Expected,
    keys: Keys,
    remembered: Remembered,
    counts: Counts,
}

/// What came of tokens so far.
#[derive(Debug, Default)]
struct Counts {
    verified: AtomicU64,
    remembered: AtomicU64,
    refused: AtomicU64,
}

/// What came of tokens since the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenMetrics {
    /// Tokens whose signature was verified and whose claims were right.
    pub verified: u64,
    /// Tokens that had been verified before and were remembered.
    pub remembered: u64,
    /// Tokens that were refused, and requests without one.
    pub refused: u64,
    /// How often keys were fetched.
    pub key_fetches: u64,
}

/// Why a caller is not let in: for the log; the caller is told the class of it only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No token, or none that is valid here: 401.
    Unauthenticated(String),
    /// A valid token, of somebody else: 403.
    Forbidden(String),
    /// It cannot be told now, for the keys (or the store of used URLs) cannot be reached: 503.
    Later(String),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unauthenticated(why) | Self::Forbidden(why) | Self::Later(why)) = self;
        f.write_str(why)
    }
}

impl Verifier {
    /// Makes a verifier of tokens of these accounts; fetches nothing yet.
    pub(crate) fn new(settings: &Settings, accounts: Vec<String>, keys_url: String) -> Self {
        let (issuers, audiences) = (settings.issuers.clone(), settings.audiences.clone());
        let expected = Expected { issuers, accounts, audiences, leeway: LEEWAY_SECONDS };
        let keys = Keys::new(keys_url, settings.unknown_key_pause);
        Self(Arc::new(Inner { expected, keys, remembered: Remembered::default(), counts: Counts::default() }))
    }

    /// Finds out whether `token` is of one of the accounts, for exactly this audience, at `now` (since the epoch).
    pub(crate) async fn verify(&self, token: &str, audience: &str, now: Duration) -> Result<(), Denied> {
        let place = remembered::digest(token, audience);
        if self.0.remembered.holds(&place, now) {
            self.0.counts.remembered.fetch_add(1, Relaxed);
            return Ok(());
        }
        let until = Box::pin(self.verify_anew(token, audience, now)).await.inspect_err(|_| self.refused())?;
        self.0.counts.verified.fetch_add(1, Relaxed);
        self.0.remembered.keep(place, until, now);
        Ok(())
    }

    /// Counts a request that is refused.
    pub(crate) fn refused(&self) {
        self.0.counts.refused.fetch_add(1, Relaxed);
    }

    /// Returns what came of tokens so far.
    pub(crate) fn metrics(&self) -> TokenMetrics {
        let Counts { verified, remembered, refused } = &self.0.counts;
        TokenMetrics {
            verified: verified.load(Relaxed),
            remembered: remembered.load(Relaxed),
            refused: refused.load(Relaxed),
            key_fetches: self.0.keys.fetches(),
        }
    }

    /// Verifies a token; returns when it expires.
    async fn verify_anew(&self, token: &str, audience: &str, now: Duration) -> Result<Duration, Denied> {
        let malformed = |why: &dyn fmt::Display| Denied::Unauthenticated(format!("the token is not valid: {why}"));
        if token.len() > TOKEN_BYTES_MAX {
            return Err(malformed(&format!("it has {} bytes", token.len())));
        }
        // Before any key is looked for, so that `alg: none` and tokens without a key's id cost nothing.
        let header = decode_header(token).map_err(|error| malformed(&error))?;
        if header.alg != Algorithm::RS256 || header.crit.is_some() {
            return Err(malformed(&format!("its algorithm is {:?}, or it asks for an extension", header.alg)));
        }
        let id = header.kid.ok_or_else(|| malformed(&"it names no key"))?;
        let key = self.0.keys.get(&id).await.map_err(|error| match error {
            KeyError::Unknown => malformed(&"its key is not known"),
            KeyError::Unavailable(why) => Denied::Later(format!("the keys of tokens cannot be fetched: {why}")),
        })?;
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| malformed(&"it has no signature"))?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|error| malformed(&error))?;
        key.verify_sig(signed.as_bytes(), &signature).map_err(|_| malformed(&"its signature is not of its key"))?;
        // What is read here was signed; `claims` checks what it says, with the time as an argument.
        let claims: Claims = insecure_decode_claims(token).map_err(|error| malformed(&error))?;
        self.0.expected.check(&claims, audience, now)
    }
}
