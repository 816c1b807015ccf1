//! What a queue may put in the place of its tasks' own settings, and in which words the service refuses the rest.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use http::HeaderName;

use crate::emulator::state::target::{Override, Token, check_overrides};
use crate::emulator::state::{Info, Refusal};

use super::settings::HttpOverride;

/// Headers that only the service sets.
const RESERVED: [&str; 5] = ["host", "user-agent", "content-length", "transfer-encoding", "connection"];
/// The same for all that begin so.
const RESERVED_PREFIXES: [&str; 4] = ["x-google-", "x-appengine-", "x-cloudtasks-", "x-forwarded-"];

/// The refusal of a queue's HTTP target, with what is wrong with it for programs as well.
pub(crate) fn bad_http_target(why: &str) -> Refusal {
    let metadata = BTreeMap::from([("invalid_field".to_owned(), why.to_owned())]);
    let info = Info { reason: "INVALID_INPUT_ON_HTTP_TARGET_OVERRIDE", domain: "cloudtasks.googleapis.com", metadata };
    Refusal::invalid(format!("Error in parsing HttpTarget. {why}")).with_info(info)
}

impl HttpOverride {
    /// Checks a target as a client gave it.
    pub(super) fn check(&mut self) -> Result<(), Refusal> {
        if let Some(uri) = &self.uri {
            uri.check()?;
        }
        let bad: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).filter(|name| may_not(name)).collect();
        if !bad.is_empty() {
            let rule = "Header name cannot be empty or start with reserved prefixes.";
            let bad = bad.join(", ");
            return Err(Refusal::invalid(format!("Error in parsing HttpTarget.headers. {rule} Invalid headers found: {bad}")));
        }
        check_overrides(&mut self.headers)?;
        match &self.token {
            Some(Token::OAuth { email, .. } | Token::Oidc { email, .. }) => check_email(email),
            None => Ok(()),
        }
    }

    /// Checks what a mask has made of a target.
    pub(super) fn check_masked(&self) -> Result<(), Refusal> {
        if self.uri.as_ref().is_some_and(|uri| *uri == Override::default()) { Err(empty_uri()) } else { Ok(()) }
    }
}

impl Override {
    fn check(&self) -> Result<(), Refusal> {
        if *self == Self::default() {
            return Err(empty_uri());
        }
        if self.host.as_deref().is_some_and(|host| !is_host(host)) {
            return Err(bad_http_target("Invalid Host."));
        }
        // Beyond 65535 it is taken, as the service does.
        if self.port.is_some_and(|port| port < 0) {
            return Err(bad_http_target("Port number should be a positive integer."));
        }
        Ok(())
    }
}

fn empty_uri() -> Refusal {
    bad_http_target("Invalid uri_override.")
}

/// A name or an address, with nothing before or behind it.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}

/// Whether a queue may not set the header.
fn may_not(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    HeaderName::try_from(name).is_err()
        || RESERVED.contains(&lower.as_str())
        || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
}

fn check_email(email: &str) -> Result<(), Refusal> {
    if email.is_empty() {
        return Err(Refusal::invalid("service_account_email must be set."));
    }
    match email.split_once('@') {
        Some((name, domain)) if !name.is_empty() && !domain.is_empty() => Ok(()),
        _ => Err(Refusal::invalid("Request contains an invalid argument.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::state::target::Scheme;

    fn uri(uri: Override) -> HttpOverride {
        HttpOverride { uri: Some(uri), ..HttpOverride::default() }
    }

    fn host(host: &str) -> HttpOverride {
        uri(Override { host: Some(host.into()), ..Override::default() })
    }

    #[test]
    fn a_target_is_refused_with_what_is_wrong_for_programs() {
        for (mut target, why) in [
            (host(""), "Invalid Host."),
            (host("https://example.net"), "Invalid Host."),
            (host("example.net:8080"), "Invalid Host."),
            (host("example.net/path"), "Invalid Host."),
            (uri(Override { port: Some(-1), ..Override::default() }), "Port number should be a positive integer."),
            (uri(Override::default()), "Invalid uri_override."),
        ] {
            let refusal = target.check().unwrap_err();
            assert_eq!(refusal.message, format!("Error in parsing HttpTarget. {why}"));
            let info = refusal.info.unwrap();
            assert_eq!((info.reason, info.metadata["invalid_field"].as_str()), ("INVALID_INPUT_ON_HTTP_TARGET_OVERRIDE", why));
        }
    }

    #[test]
    fn odd_targets_are_taken_as_the_service_takes_them() {
        for mut target in [
            HttpOverride::default(),
            host("127.0.0.1"),
            host("[::1]"),
            uri(Override { port: Some(65_536), ..Override::default() }),
            uri(Override { port: Some(0), path: Some(String::new()), query: Some(String::new()), ..Override::default() }),
            uri(Override { path: Some("path".into()), ..Override::default() }),
            uri(Override { path: Some("/a b".into()), query: Some("?a=1".into()), ..Override::default() }),
            uri(Override { scheme: Some(Scheme::Unspecified), ..Override::default() }),
        ] {
            let before = target.clone();
            target.check().unwrap();
            assert_eq!(target, before);
        }
    }

    #[test]
    fn headers_of_the_service_are_refused_and_named() {
        let check = |names: &[&str]| {
            let headers = names.iter().map(|name| ((*name).to_owned(), "value".to_owned())).collect();
            HttpOverride { headers, ..HttpOverride::default() }.check().map_err(|refusal| refusal.message)
        };
        for name in ["", "X:Custom", "Host", "host", "User-Agent", "Content-Length", "Connection", "Transfer-Encoding"] {
            let refused = check(&["X-Custom", name]).unwrap_err();
            assert!(refused.ends_with(&format!("Invalid headers found: {name}")), "{refused}");
        }
        for name in ["X-Forwarded-For", "X-Google-Custom", "X-AppEngine-Custom", "X-CloudTasks-TaskName", "X-CloudTasks-Custom"] {
            check(&[name]).unwrap_err();
        }
        let both = "Error in parsing HttpTarget.headers. Header name cannot be empty or start with reserved prefixes. \
                    Invalid headers found: User-Agent, Host";
        assert_eq!(check(&["User-Agent", "Host"]).unwrap_err(), both);
        check(&["X-Custom", "x-custom", "Content-Type", "Authorization"]).unwrap();
    }

    #[test]
    fn a_token_needs_an_address() {
        for (email, expected) in [("", "service_account_email must be set."), ("not-an-email", "Request contains an invalid argument.")] {
            for token in
                [Token::Oidc { email: email.into(), audience: String::new() }, Token::OAuth { email: email.into(), scope: String::new() }]
            {
                let refusal = HttpOverride { token: Some(token), ..HttpOverride::default() }.check().unwrap_err();
                assert_eq!(refusal.message, expected);
            }
        }
        let token = Token::Oidc { email: "a@p.iam".into(), audience: "audience".into() };
        HttpOverride { token: Some(token), ..HttpOverride::default() }.check().unwrap();
    }
}
