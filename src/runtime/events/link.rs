//! Signed URLs: who has one may send one event, of this kind about this thing with these parameters, until it expires.
//!
//! The signature is an HMAC-SHA256 of the whole URL before it, so that nothing in it can be changed.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::runtime::Host;
use crate::runtime::events::{Replay, Settings};
use crate::runtime::oidc::Denied;

const EXPIRES: &str = "redrive-expires=";
const NONCE: &str = "redrive-nonce=";
const SIGNATURE: &str = "redrive-signature=";

/// Makes and takes signed URLs.
pub(crate) struct Links {
    keys: Vec<hmac::Key>,
    replay: Arc<dyn Replay>,
    base: String,
    mount: String,
}

/// A URL that says it is signed.
pub(crate) struct Signed<'a> {
    links: &'a Links,
    /// What was signed.
    text: String,
    query: &'a str,
    signature: &'a str,
}

/// A use of a signed URL. When it is dropped without [`settle`](Self::settle) its work was broken off, and the URL can be used again.
pub(crate) struct Claim {
    replay: Arc<dyn Replay>,
    nonce: Option<String>,
}

impl Links {
    /// `None` where there is no secret.
    pub(crate) fn new(settings: &Settings, mount: &str, host: &Host) -> Option<Self> {
        let base = host.url.trim_end_matches('/').to_owned();
        (!settings.keys.is_empty()).then(|| Self { keys: settings.keys.clone(), replay: settings.replay(), base, mount: mount.to_owned() })
    }

    /// Signs `path?query`; returns the whole query.
    pub(super) fn sign(&self, path: &str, query: &str, expires: Duration) -> Option<String> {
        let separator = if query.is_empty() { "" } else { "&" };
        let query = format!("{query}{separator}{EXPIRES}{}&{NONCE}{}", expires.as_secs(), Uuid::new_v4().simple());
        let tag = hmac::sign(self.keys.first()?, self.text(path, &query).as_bytes());
        Some(format!("{query}&{SIGNATURE}{}", URL_SAFE_NO_PAD.encode(tag)))
    }

    /// Finds a signature in a request; `None` where there is none.
    pub(crate) fn signed<'a>(&'a self, path: &str, query: &'a str) -> Option<Signed<'a>> {
        let (before, signature) = query.rsplit_once('&')?;
        let signature = signature.strip_prefix(SIGNATURE)?;
        Some(Signed { links: self, text: self.text(path, before), query: before, signature })
    }

    fn text(&self, path: &str, query: &str) -> String {
        debug_assert!(path.starts_with(&self.mount));
        format!("redrive-event-1\n{}{path}?{query}", self.base)
    }
}

impl Signed<'_> {
    /// Takes the URL, if it is ours, has not expired at `now` (since the epoch) and was not used.
    pub(crate) async fn claim(self, now: Duration) -> Result<Claim, Denied> {
        let denied = |why: &str| Denied::Unauthenticated(format!("the signed URL is not valid: {why}"));
        let tag = URL_SAFE_NO_PAD.decode(self.signature).map_err(|_| denied("its signature is malformed"))?;
        // `verify` takes as long for a wrong tag as for a right one.
        if !self.links.keys.iter().any(|key| hmac::verify(key, self.text.as_bytes(), &tag).is_ok()) {
            return Err(denied("its signature is wrong"));
        }
        let mut last = self.query.rsplit('&');
        let nonce = last.next().and_then(|part| part.strip_prefix(NONCE)).ok_or_else(|| denied("it has no nonce"))?;
        let expires = last.next().and_then(|part| part.strip_prefix(EXPIRES)?.parse().ok()).ok_or_else(|| denied("it does not expire"))?;
        let expires = Duration::from_secs(expires);
        if now >= expires {
            return Err(denied("it has expired"));
        }
        match self.links.replay.claim(nonce, expires, now).await {
            Ok(true) => Ok(Claim { replay: Arc::clone(&self.links.replay), nonce: Some(nonce.to_owned()) }),
            Ok(false) => Err(Denied::Forbidden("the signed URL was used already".to_owned())),
            Err(error) => Err(Denied::Later(format!("the use of a signed URL cannot be noted: {error}"))),
        }
    }
}

impl Claim {
    /// Says how the work ended: what was not settled may be sent again with the same URL.
    pub(crate) async fn settle(mut self, settled: bool) {
        let Some(nonce) = self.nonce.take() else { return };
        if !settled {
            self.replay.release(&nonce).await;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(nonce) = self.nonce.take() else { return };
        let replay = Arc::clone(&self.replay);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { replay.release(&nonce).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_780_000_000);

    fn links(secrets: &[&[u8; 32]]) -> Links {
        let keys = secrets.iter().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, *secret)).collect();
        let host = Host { location: "l".parse().unwrap(), url: "https://s".to_owned(), account: None };
        Links::new(&Settings { keys, replay: None }, "/api", &host).unwrap()
    }

    async fn claim(links: &Links, path: &str, query: &str, now: Duration) -> Result<Claim, Denied> {
        links.signed(path, query).ok_or_else(|| Denied::Unauthenticated("no signature".to_owned()))?.claim(now).await
    }

    #[tokio::test]
    async fn nothing_of_a_signed_url_can_be_changed() {
        let links = links(&[b"0123456789abcdef0123456789abcdef"]);
        let (path, later) = ("/api/events/upload/7", NOW + Duration::from_mins(1));
        let query = links.sign(path, "a=1", later).unwrap();
        for (path, query) in [
            ("/api/events/upload/8", query.clone()),
            (path, query.replace("a=1", "a=2")),
            (path, query.replace("redrive-expires=1", "redrive-expires=2")),
            (path, query.replace("redrive-nonce=", "redrive-nonce=0")),
            (path, format!("b=1&{query}")),
            (path, query.split_once("&redrive-signature").unwrap().0.to_owned()),
            (path, format!("{query}A")),
            (path, query[..query.len() - 3].to_owned()),
        ] {
            let refused = claim(&links, path, &query, NOW).await.err();
            assert!(matches!(refused, Some(Denied::Unauthenticated(_))), "{query}");
        }
        assert!(claim(&links, path, &query, later).await.is_err(), "expired");
        claim(&links, path, &query, NOW).await.ok().unwrap().settle(true).await;
        assert!(matches!(claim(&links, path, &query, NOW).await, Err(Denied::Forbidden(_))), "used");
    }

    #[tokio::test]
    async fn what_did_not_get_done_may_be_sent_again() {
        let links = links(&[b"0123456789abcdef0123456789abcdef"]);
        let query = links.sign("/api/e", "", NOW + Duration::from_mins(1)).unwrap();
        claim(&links, "/api/e", &query, NOW).await.ok().unwrap().settle(false).await;
        drop(claim(&links, "/api/e", &query, NOW).await.ok().unwrap());
        tokio::task::yield_now().await;
        assert!(claim(&links, "/api/e", &query, NOW).await.is_ok());
    }

    #[tokio::test]
    async fn secrets_can_be_replaced() {
        let (old, new) = (b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210");
        let query = links(&[old]).sign("/api/e", "", NOW + Duration::from_mins(1)).unwrap();
        assert!(claim(&links(&[new, old]), "/api/e", &query, NOW).await.is_ok());
        assert!(claim(&links(&[new]), "/api/e", &query, NOW).await.is_err());
    }
}
