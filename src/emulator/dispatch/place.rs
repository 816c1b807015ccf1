//! Where a URL leads, worked out once: the handlers of a queue or a subscription mostly have one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, Uri};
use reqwest::Url;

use super::Rewrites;

/// So many places are remembered; with one more all are forgotten.
const PLACES_MAX: usize = 256;
/// Longer URLs, in bytes, are worked out each time.
const URL_BYTES_MAX: usize = 512;

/// Where a call goes.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// As a browser would read it, host rewritten.
    pub(super) url: Url,
    pub(super) uri: Uri,
    /// The host to name to the handler, where that is not the one of the URL.
    pub(super) host: Option<HeaderValue>,
}

impl Place {
    /// Tells whether it takes nothing but a request: no TLS, no login in the URL.
    pub(super) fn is_plain(&self) -> bool {
        self.url.scheme() == "http" && self.url.username().is_empty() && self.url.password().is_none()
    }
}

/// The places that calls went to.
#[derive(Debug)]
pub(super) struct Places {
    rewrites: Rewrites,
    known: Mutex<HashMap<String, Arc<Place>>>,
}

impl Places {
    pub(super) fn new(rewrites: Rewrites) -> Self {
        Self { rewrites, known: Mutex::default() }
    }

    /// Finds where a URL leads; an error is for people.
    pub(super) fn find(&self, text: &str) -> Result<Arc<Place>, String> {
        if let Some(place) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Ok(Arc::clone(place));
        }
        let place = Arc::new(self.work_out(text)?);
        if text.len() <= URL_BYTES_MAX {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= PLACES_MAX {
                known.clear();
            }
            known.insert(text.to_owned(), Arc::clone(&place));
        }
        Ok(place)
    }

    fn work_out(&self, text: &str) -> Result<Place, String> {
        let malformed = |why: &dyn std::fmt::Display| format!("`{}` is not a URL: {why}", text.escape_debug());
        let mut url = Url::parse(text).map_err(|error| malformed(&error))?;
        if url.scheme() != "http" && url.scheme() != "https" {
            return Err(malformed(&"it begins neither with `http://` nor with `https://`, so there is no host to send to"));
        }
        let host = self.rewrites.apply(&mut url).and_then(|host| HeaderValue::try_from(host).ok());
        let mut plain = url.clone();
        plain.set_fragment(None);
        let uri = plain.as_str().parse().map_err(|error| malformed(&error))?;
        Ok(Place { url, uri, host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_as_urls_are_read_and_remembered_in_bounds() {
        let places = Places::new(Rewrites::parse(&[("localhost".to_owned(), "app:90".to_owned())]).unwrap());
        for (text, uri, host) in [
            ("http://localhost:80/a/../b?c=d#e", "http://app:90/b?c=d", Some("localhost")),
            ("HTTP://0x7f.1:81", "http://127.0.0.1:81/", None),
            ("https://ähm.example/ü", "https://xn--hm-uia.example/%C3%BC", None),
        ] {
            let place = places.find(text).unwrap();
            assert_eq!((place.uri.to_string().as_str(), place.host.as_ref().map(|host| host.to_str().unwrap())), (uri, host), "{text}");
            assert!(Arc::ptr_eq(&place, &places.find(text).unwrap()), "{text} is known");
        }
        assert!(places.find("ftp://host/").is_err_and(|why| why.contains("`http://`")));
        for number in 0..2 * PLACES_MAX {
            places.find(&format!("http://host/{number}")).unwrap();
        }
        places.find(&format!("http://host/{}", "x".repeat(URL_BYTES_MAX))).unwrap();
        assert!(places.known.lock().unwrap().len() <= PLACES_MAX);
    }
}
