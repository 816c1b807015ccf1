//! The public keys of the issuer: fetched when they are needed, kept as long as the issuer says, renewed by one request at a time.
//!
//! While known keys are renewed they go on being used: nobody waits, nobody is refused. A key that is not known is looked for once in a while only, so
//! that made-up ids make no flood of requests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};
use serde::Deserialize;
use tokio::sync::Mutex;

/// A fetch takes no longer: a caller waits for it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Google's answer has about 2 KB.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Google shows two or three.
const KEYS_MAX: usize = 64;
/// Keys are kept this long where the issuer says nothing; Google says about five hours.
const FRESH_DEFAULT: Duration = Duration::from_hours(1);
/// Keys are kept no longer, whatever the issuer says: they turn daily.
const FRESH_MAX: Duration = Duration::from_hours(24);
/// And no shorter: else every request would fetch them.
const FRESH_MIN: Duration = Duration::from_secs(1);
/// Keys that could not be renewed go on being used for this long: the issuer may be down for a while, but a key that was withdrawn must end.
const STALE_MAX: Duration = Duration::from_hours(6);
/// After a fetch that failed none is begun for this long.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

/// Keys by their ids. Clones share them.
#[derive(Clone)]
pub(super) struct Keys(Arc<Inner>);

struct Inner {
    url: String,
    /// A key that is not known is looked for no more often.
    unknown_pause: Duration,
    http: OnceLock<reqwest::Client>,
    kept: RwLock<Kept>,
    /// Held by the one fetch that is under way.
    flight: Arc<Mutex<Flight>>,
    fetches: AtomicU64,
}

#[derive(Default)]
struct Kept {
    keys: HashMap<String, Arc<ParsedPublicKey>>,
    fresh_until: Option<Instant>,
}

#[derive(Default)]
struct Flight {
    /// Fetches that have ended, well or not: who waited for one sees that it was made.
    ended: u64,
    failed: Option<(Instant, String)>,
    unknown: Option<Instant>,
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyError {
    /// The issuer has none of this id.
    Unknown,
    /// The issuer cannot be asked.
    Unavailable(String),
}

/// What is known of a key.
enum Known {
    Fresh(Arc<ParsedPublicKey>),
    Stale(Arc<ParsedPublicKey>),
    /// Keys are there, but not this one.
    Other,
    Nothing,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    #[serde(default)]
    kid: String,
    kty: String,
    #[serde(default)]
    alg: Option<String>,
    #[serde(rename = "use", default)]
    usage: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

impl Keys {
    pub(super) fn new(url: String, unknown_pause: Duration) -> Self {
        Self(Arc::new(Inner {
            url,
            unknown_pause,
            http: OnceLock::new(),
            kept: RwLock::default(),
            flight: Arc::default(),
            fetches: AtomicU64::new(0),
        }))
    }

    /// Returns how often keys were fetched.
    pub(super) fn fetches(&self) -> u64 {
        self.0.fetches.load(Relaxed)
    }

    /// Returns a key, fetching the keys where that is needed and allowed.
    pub(super) async fn get(&self, id: &str) -> Result<Arc<ParsedPublicKey>, KeyError> {
        match self.known(id, Instant::now()) {
            Known::Fresh(key) => Ok(key),
            Known::Stale(key) => {
                self.renew();
                Ok(key)
            }
            Known::Other | Known::Nothing => self.fetch_for(id).await,
        }
    }

    fn known(&self, id: &str, now: Instant) -> Known {
        let kept = self.0.kept.read().unwrap_or_else(PoisonError::into_inner);
        match (kept.keys.get(id), kept.fresh_until) {
            (_, None) => Known::Nothing,
            (_, Some(until)) if now >= until + STALE_MAX => Known::Nothing,
            (None, Some(_)) => Known::Other,
            (Some(key), Some(until)) if now < until => Known::Fresh(Arc::clone(key)),
            (Some(key), Some(_)) => Known::Stale(Arc::clone(key)),
        }
    }

    /// Renews the keys beside the requests, unless somebody does already or has just failed to.
    fn renew(&self) {
        let Ok(mut flight) = Arc::clone(&self.0.flight).try_lock_owned() else { return };
        if flight.failed.as_ref().is_some_and(|(when, _)| when.elapsed() < FAILED_PAUSE) {
            return;
        }
        let keys = self.clone();
        tokio::spawn(async move { keys.fetch(&mut flight).await });
    }

    /// Waits for the fetch that is under way, or makes one, and looks again.
    async fn fetch_for(&self, id: &str) -> Result<Arc<ParsedPublicKey>, KeyError> {
        let keys = self.clone();
        let id = id.to_owned();
        // A task of its own: who asked may go away, who waits with him does not.
        let fetched = tokio::spawn(async move {
            let seen = keys.0.fetches.load(Relaxed);
            let mut flight = Arc::clone(&keys.0.flight).lock_owned().await;
            let now = Instant::now();
            match keys.known(&id, now) {
                Known::Fresh(key) | Known::Stale(key) => return Ok(key),
                // The fetch that was waited for began after the token came, or has just failed: its word holds for this one too.
                Known::Other if flight.ended > seen => return Err(flight.failure().unwrap_or(KeyError::Unknown)),
                Known::Other if flight.unknown.is_some_and(|when| now - when < keys.0.unknown_pause) => return Err(KeyError::Unknown),
                Known::Other => flight.unknown = Some(now),
                Known::Nothing => {}
            }
            if let Some(failure) = flight.recent_failure(now) {
                return Err(failure);
            }
            keys.fetch(&mut flight).await;
            match keys.known(&id, Instant::now()) {
                Known::Fresh(key) | Known::Stale(key) => Ok(key),
                Known::Other | Known::Nothing => Err(flight.failure().unwrap_or(KeyError::Unknown)),
            }
        });
        fetched.await.unwrap_or_else(|error| Err(KeyError::Unavailable(error.to_string())))
    }

    /// Fetches the keys; only who holds the flight does.
    async fn fetch(&self, flight: &mut Flight) {
        self.0.fetches.fetch_add(1, Relaxed);
        match tokio::time::timeout(FETCH_TIMEOUT, self.ask()).await.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(kept) => {
                *self.0.kept.write().unwrap_or_else(PoisonError::into_inner) = kept;
                flight.failed = None;
            }
            Err(why) => {
                tracing::warn!(target: "redrive::runtime", url = self.0.url, why, "the keys of tokens cannot be fetched");
                flight.failed = Some((Instant::now(), why));
            }
        }
        flight.ended = self.0.fetches.load(Relaxed);
    }

    async fn ask(&self) -> Result<Kept, String> {
        let words = |error: reqwest::Error| error.without_url().to_string();
        let mut response = self.http()?.get(&self.0.url).send().await.map_err(words)?;
        if !response.status().is_success() {
            return Err(format!("the answer is {}", response.status()));
        }
        let fresh = fresh(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(words)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err("the answer is too large".to_owned());
            }
        }
        Ok(Kept { keys: read(&body)?, fresh_until: Some(Instant::now() + fresh) })
    }

    fn http(&self) -> Result<&reqwest::Client, String> {
        if let Some(client) = self.0.http.get() {
            return Ok(client);
        }
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).connect_timeout(FETCH_TIMEOUT);
        // Without TLS it is an emulator within the machine, which no proxy reaches.
        let builder = if self.0.url.starts_with("http://") { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|error| error.to_string())?;
        Ok(self.0.http.get_or_init(|| client))
    }
}

impl Flight {
    fn failure(&self) -> Option<KeyError> {
        self.failed.as_ref().map(|(_, why)| KeyError::Unavailable(why.clone()))
    }

    fn recent_failure(&self, now: Instant) -> Option<KeyError> {
        let (when, _) = self.failed.as_ref()?;
        if now.saturating_duration_since(*when) < FAILED_PAUSE { self.failure() } else { None }
    }
}

/// Reads a key set; what is no key for RS256 is left out.
fn read(body: &[u8]) -> Result<HashMap<String, Arc<ParsedPublicKey>>, String> {
    let set: KeySet = serde_json::from_slice(body).map_err(|error| format!("the answer is no key set: {error}"))?;
    let fits = |key: &Jwk| {
        let alg = key.alg.as_deref().is_none_or(|alg| alg == "RS256");
        key.kty == "RSA" && alg && key.usage.as_deref().is_none_or(|usage| usage == "sig") && !key.kid.is_empty()
    };
    let made = set.keys.into_iter().filter(fits).take(KEYS_MAX).filter_map(|key| {
        // Taken apart once, not for each token.
        let (n, e) = (URL_SAFE_NO_PAD.decode(&key.n).ok()?, URL_SAFE_NO_PAD.decode(&key.e).ok()?);
        let made = RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
        Some((key.kid, Arc::new(made)))
    });
    let keys: HashMap<_, _> = made.collect();
    if keys.is_empty() { Err("the answer has no key for RS256".to_owned()) } else { Ok(keys) }
}

/// How long an answer may be kept.
fn fresh(headers: &HeaderMap) -> Duration {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let directives = text(CACHE_CONTROL).unwrap_or_default().to_ascii_lowercase();
    let mut directives = directives.split(',').map(str::trim);
    let age = text(AGE).and_then(|age| age.trim().parse().ok()).unwrap_or(0);
    if directives.clone().any(|directive| directive == "no-store" || directive == "no-cache") {
        return FRESH_MIN;
    }
    let max_age = directives.find_map(|directive| directive.strip_prefix("max-age=")?.trim_matches('"').parse::<u64>().ok());
    let fresh = max_age.map_or(FRESH_DEFAULT, |seconds| Duration::from_secs(seconds.saturating_sub(age)));
    fresh.clamp(FRESH_MIN, FRESH_MAX)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn keys_are_kept_as_long_as_the_issuer_says() {
        let of = |control: &'static str, age: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(control));
            headers.insert(AGE, HeaderValue::from_static(age));
            fresh(&headers).as_secs()
        };
        assert_eq!(of("public, max-age=19000, must-revalidate, no-transform", "0"), 19000);
        assert_eq!(of("Public, Max-Age=19000", "1000"), 18000);
        assert_eq!((of("max-age=5", "9"), of("no-store, max-age=99", "0"), of("max-age=x", "x")), (1, 1, 3600));
        assert_eq!(of("max-age=99999999", "0"), 24 * 3600);
        assert_eq!(fresh(&HeaderMap::new()).as_secs(), 3600);
    }

    #[test]
    fn only_keys_for_rs256_are_read() {
        let set = |key: &str| read(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).map(|keys| keys.len());
        assert_eq!(set(r#"{"kid":"1","kty":"RSA","alg":"RS256","use":"sig","n":"AQAB","e":"AQAB"}"#), Ok(1));
        for key in [
            r#"{"kid":"1","kty":"oct","k":"AQAB"}"#,
            r#"{"kid":"1","kty":"RSA","alg":"RS512","n":"AQAB","e":"AQAB"}"#,
            r#"{"kid":"1","kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"}"#,
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
            r#"{"kid":"1","kty":"RSA","n":"?","e":"AQAB"}"#,
        ] {
            assert!(set(key).is_err(), "{key}");
        }
        assert!(read(b"[").is_err());
    }
}
