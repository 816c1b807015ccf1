//! Headers that go along with work: what the caller had (`traceparent`, say) is there again where the work is done, and in what that asks for.

use std::cell::RefCell;
use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::runtime::logging::trace;

/// A header's value is cut off the propagation when longer: Cloud Tasks takes 80 KB of headers, Pub/Sub 1,024 bytes of an attribute.
const VALUE_BYTES_MAX: usize = 1024;

tokio::task_local! {
    static CURRENT: RefCell<Headers>;
}

/// Propagated headers, by name in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers(std::collections::BTreeMap<String, String>);

impl Headers {
    /// Keeps of `all` what has one of these names (in any case) and a value that a header may have: visible ASCII, of 1,024 bytes at most. What has not
    /// is left out: a line break in it would be a header of its own.
    pub(crate) fn only<'a>(names: &[String], all: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let wanted = |name: &str| names.iter().find(|wanted| wanted.eq_ignore_ascii_case(name));
        let fits = |value: &str| value.len() <= VALUE_BYTES_MAX && value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let kept = all.into_iter().filter(|(_, value)| fits(value));
        Self(kept.filter_map(|(name, value)| Some((wanted(name)?.to_ascii_lowercase(), value.to_owned()))).collect())
    }

    /// Returns a header's value; the name may be in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        match self.0.get(name) {
            Some(value) => Some(value),
            None => self.0.get(&name.to_ascii_lowercase()).map(String::as_str),
        }
    }

    /// Sets a header.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_ascii_lowercase(), value.into());
    }

    /// Adds what is not there yet.
    pub(crate) fn fill(&mut self, others: &Self) {
        for (name, value) in &others.0 {
            self.0.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }

    /// Returns all, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns the headers of the work that is being done; none outside of any. What is asked for here has this work as its parent in the trace.
pub(crate) fn current() -> Headers {
    let mut headers = CURRENT.try_with(|headers| headers.borrow().clone()).unwrap_or_default();
    if let Some(hop) = trace::current() {
        headers.set(trace::HEADER, hop.to_string());
    }
    headers
}

/// Does work under these headers.
pub(crate) async fn under<F: Future>(headers: Headers, work: F) -> F::Output {
    CURRENT.scope(RefCell::new(headers), work).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_and_can_be_a_header() {
        let names = ["Traceparent".to_owned(), "X-Tenant".to_owned()];
        let all = [("TRACEPARENT", "00-a-b-01"), ("x-tenant", "a\r\nEvil: 1"), ("cookie", "secret")];
        let kept = Headers::only(&names, all);
        assert_eq!(kept.iter().collect::<Vec<_>>(), [("traceparent", "00-a-b-01")]);
        assert_eq!(kept.get("TraceParent"), Some("00-a-b-01"));
        assert!(Headers::only(&names, [("x-tenant", "x".repeat(1025).as_str())]).is_empty());
    }
}
