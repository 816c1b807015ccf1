//! `HOST:PORT` of an emulator, parsed once, with the flag or variable that named it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::error::{Error, Result};

/// Where an emulator listens, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
    named_by: &'static str,
}

impl Address {
    /// Reads `HOST:PORT`; `named_by` is the flag or variable to be named in errors.
    pub(crate) fn parse(text: &str, named_by: &'static str) -> Result<Self> {
        let malformed = |why: &str| {
            Error::invalid(format!("{named_by}: `{}` is not `HOST:PORT`: {why}", text.escape_debug()))
                .with_hint(format!("give host and port only, such as `{}`", example(named_by)))
        };
        if text.contains("://") {
            return Err(malformed("it has a scheme"));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| malformed("the port is missing"))?;
        let port = port.parse().ok().filter(|&port: &u16| port > 0).ok_or_else(|| malformed("the port is not a number from 1 to 65535"))?;
        if !is_host(host) {
            return Err(malformed("the host is no name and no address"));
        }
        Ok(Self { host: host.to_owned(), port, named_by })
    }

    /// Returns the base URL: emulators speak plain HTTP.
    pub(crate) fn url(&self) -> String {
        format!("http://{self}")
    }

    /// Returns the flag or variable that named it.
    pub(crate) fn named_by(&self) -> &'static str {
        self.named_by
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn example(named_by: &str) -> String {
    let separator = if named_by.starts_with("--") { ' ' } else { '=' };
    format!("{named_by}{separator}127.0.0.1:8085")
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4())
        || (!host.is_empty() && host.len() <= 253 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for text in ["localhost:8085", "127.0.0.1:1", "[::1]:65535", "pubsub-emulator.dev_net:8085"] {
            assert_eq!(Address::parse(text, "--emulator").unwrap().to_string(), text);
        }
        assert_eq!(Address::parse("[::1]:80", "--emulator").unwrap().url(), "http://[::1]:80");
    }

    #[test]
    fn names_the_variable_and_the_reason() {
        let cases = [
            ("localhost", "the port is missing"),
            ("http://localhost:8085", "it has a scheme"),
            ("localhost:0", "the port is not a number"),
            ("localhost:http", "the port is not a number"),
            ("localhost:65536", "the port is not a number"),
            (":8085", "the host is no name"),
            ("a b:8085", "the host is no name"),
            ("::1:8085", "the host is no name"),
            ("host/path:8085", "the host is no name"),
            ("user@host:8085", "the host is no name"),
        ];
        for (text, why) in cases {
            let error = Address::parse(text, "PUBSUB_EMULATOR_HOST").unwrap_err();
            assert!(error.is_invalid_input());
            assert!(error.to_string().starts_with("PUBSUB_EMULATOR_HOST: "), "{error}");
            assert!(error.to_string().contains(why), "{text}: {error}");
            assert_eq!(error.hint(), Some("give host and port only, such as `PUBSUB_EMULATOR_HOST=127.0.0.1:8085`"));
        }
    }
}
