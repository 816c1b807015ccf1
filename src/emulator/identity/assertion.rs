//! What service accounts sign with their own keys: assertions that are exchanged for tokens, and tokens they make themselves.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;

use super::Identity;

/// Nothing longer is looked at: a header line of common servers.
const ASSERTION_BYTES_MAX: usize = 16 * 1024;
/// Such a token may be valid for an hour, and clocks may differ by some minutes.
const VALID_SECONDS_MAX: i64 = 3600;
const LEEWAY_SECONDS: i64 = 300;

const TIMEFRAME: &str = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp \
                         values in the JWT claim.";

#[derive(Debug, Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
}

/// The claims that count.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: Option<String>,
    pub(super) aud: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) target_audience: Option<String>,
    iat: i64,
    exp: i64,
}

impl Identity {
    /// Checks the signature and the times of what a service account has signed; an error is Google's text.
    pub(super) fn assertion(&self, token: &str, now: Timestamp) -> Result<Claims, &'static str> {
        let malformed = "Bad Request";
        if token.len() > ASSERTION_BYTES_MAX {
            return Err(malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (head, claims) = signed.split_once('.').ok_or(malformed)?;
        let head: Head = read(head).ok_or(malformed)?;
        let claims: Claims = read(claims).ok_or("Invalid JWT: Failed to parse the claims.")?;
        let signature = URL_SAFE_NO_PAD.decode(signature.trim_end_matches('=')).map_err(|_| malformed)?;
        if self.account_keys(None, &claims.iss).is_empty() {
            return Err("Invalid grant: account not found");
        }
        let keys = self.account_keys(head.kid.as_deref(), &claims.iss);
        if head.alg != "RS256" || !keys.iter().any(|key| key.verifies(signed.as_bytes(), &signature)) {
            return Err("Invalid JWT Signature.");
        }
        let seconds = now.as_second();
        let begun = claims.iat <= seconds.saturating_add(LEEWAY_SECONDS);
        let over = claims.exp.saturating_add(LEEWAY_SECONDS) <= seconds;
        let short = claims.exp.saturating_sub(claims.iat) <= VALID_SECONDS_MAX + LEEWAY_SECONDS;
        if begun && !over && short { Ok(claims) } else { Err(TIMEFRAME) }
    }
}

fn read<T: for<'a> Deserialize<'a>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?).ok()
}
