//! URLs of targets: encoding, and what a queue puts in the place of a task's own parts.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::emulator::state::saved::saved;
use http::Uri;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
    /// Said to be none: kept, and replaces nothing.
    Unspecified,
}

saved!(enum Scheme { 0 = Http, 1 = Https, 2 = Unspecified });

/// A queue's replacements for parts of its tasks' URLs (`UriOverride`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Override {
    pub(crate) scheme: Option<Scheme>,
    pub(crate) host: Option<String>,
    /// 0 removes the port.
    pub(crate) port: Option<i64>,
    pub(crate) path: Option<String>,
    pub(crate) query: Option<String>,
    /// Only what the task's own URL lacks is replaced.
    pub(crate) if_not_exists: bool,
    /// Said to replace always, which it does as well where nothing is said.
    pub(crate) always: bool,
}

saved!(struct Override { scheme, host, port, path, query, if_not_exists; always });

/// Percent-encodes what may not stand in a URL: blanks, control characters, quotes and all beyond ASCII.
pub(crate) fn encode(url: &str) -> Cow<'_, str> {
    let may_not = |byte: u8| byte <= b' ' || byte >= 0x7f || b"\"<>\\^`{|}".contains(&byte);
    if !url.bytes().any(may_not) {
        return url.into();
    }
    let mut encoded = String::with_capacity(url.len());
    for byte in url.bytes() {
        if may_not(byte) {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        } else {
            encoded.push(char::from(byte));
        }
    }
    encoded.into()
}

impl Override {
    /// Returns `url` with its parts replaced; as it is if it cannot be read.
    pub(crate) fn apply(&self, url: &str) -> String {
        let Ok(uri) = encode(url).parse::<Uri>() else { return url.to_owned() };
        let takes = |exists: bool| !(self.if_not_exists && exists);
        let scheme = match self.scheme.filter(|_| takes(true)) {
            Some(Scheme::Http) => "http",
            Some(Scheme::Https) => "https",
            Some(Scheme::Unspecified) | None => uri.scheme_str().unwrap_or("https"),
        };
        let own_host = uri.host().unwrap_or_default();
        let host = self.host.as_deref().filter(|_| takes(!own_host.is_empty())).unwrap_or(own_host);
        let own_port = uri.port_u16().map(i64::from);
        let port = self.port.filter(|_| takes(own_port.is_some())).or(own_port).filter(|&port| port != 0);
        let own_path = uri.path();
        let path = self.path.as_deref().filter(|_| takes(!matches!(own_path, "" | "/"))).unwrap_or(own_path);
        let query = self.query.as_deref().filter(|_| takes(uri.query().is_some())).or(uri.query()).filter(|query| !query.is_empty());
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        encode(&format!("{scheme}://{host}{port}{slash}{path}{query}")).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_parts_it_names() {
        let check = |rule: Override, expected: &str| assert_eq!(rule.apply("http://a.example:81/x?y=1"), expected);
        check(Override::default(), "http://a.example:81/x?y=1");
        check(Override { host: Some("b.example".into()), ..Override::default() }, "http://b.example:81/x?y=1");
        check(Override { scheme: Some(Scheme::Https), port: Some(0), ..Override::default() }, "https://a.example/x?y=1");
        check(Override { path: Some("to/here".into()), query: Some(String::new()), ..Override::default() }, "http://a.example:81/to/here");
        check(
            Override { path: Some("/b".into()), query: Some("z".into()), if_not_exists: true, ..Override::default() },
            "http://a.example:81/x?y=1",
        );
        let lacking = Override { path: Some("/b".into()), query: Some("z".into()), if_not_exists: true, ..Override::default() };
        assert_eq!(lacking.apply("http://a.example"), "http://a.example/b?z");
        assert_eq!(encode("http://a/ä b"), "http://a/%C3%A4%20b");
    }
}
