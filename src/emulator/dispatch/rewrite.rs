//! Other places for the hosts that handlers are configured with: what is `localhost` for a service is `host.docker.internal` for an emulator in
//! a container.

use reqwest::Url;

use crate::error::{Error, Result};

/// Which host is reached where. Without a port, `from` means any and `to` keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rewrite {
    from: (String, Option<u16>),
    to: (String, Option<u16>),
}

/// All rewrites; the first that fits counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::emulator) struct Rewrites(Vec<Rewrite>);

impl Rewrites {
    /// Reads pairs such as `localhost` and `host.docker.internal`, or with ports.
    pub(in crate::emulator) fn parse(pairs: &[(String, String)]) -> Result<Self> {
        pairs.iter().map(|(from, to)| Ok(Rewrite { from: host(from)?, to: host(to)? })).collect::<Result<_>>().map(Self)
    }

    /// Changes where a URL leads; returns the host and port it named before, for the header that tells the handler.
    pub(super) fn apply(&self, url: &mut Url) -> Option<String> {
        let (name, port) = (url.host_str()?.to_owned(), url.port_or_known_default());
        let fits = |rewrite: &&Rewrite| rewrite.from.0.eq_ignore_ascii_case(&name) && rewrite.from.1.is_none_or(|own| Some(own) == port);
        let Rewrite { to, .. } = self.0.iter().find(fits)?;
        let before = url.port().map_or_else(|| name.clone(), |port| format!("{name}:{port}"));
        url.set_host(Some(&to.0)).ok()?;
        if let Some(port) = to.1 {
            url.set_port(Some(port)).ok()?;
        }
        Some(before)
    }
}

fn host(text: &str) -> Result<(String, Option<u16>)> {
    let malformed = || {
        Error::invalid(format!("`{}` is not a host to rewrite, nor host and port", text.escape_debug()))
            .with_hint("it looks like `localhost=host.docker.internal` or `localhost:8080=app:80`")
    };
    let url: Url = format!("http://{text}/").parse().map_err(|_| malformed())?;
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let name = url.host_str().filter(|_| plain && !text.contains(['/', '?', '#', '@'])).ok_or_else(malformed)?;
    let port = text.rsplit_once(':').filter(|(name, _)| !name.is_empty()).and_then(|(_, port)| port.parse().ok());
    Ok((name.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_reached_elsewhere_and_named_as_before() {
        let pairs = [("localhost:8080", "app:80"), ("localhost", "host.docker.internal"), ("127.0.0.1", "localhost:9")];
        let rewrites = Rewrites::parse(&pairs.map(|(from, to)| (from.to_owned(), to.to_owned()))).unwrap();
        for (given, expected, before) in [
            ("http://localhost:8080/a?b=1", "http://app/a?b=1", Some("localhost:8080")),
            ("http://LOCALHOST:3000/a", "http://host.docker.internal:3000/a", Some("localhost:3000")),
            ("https://localhost/", "https://host.docker.internal/", Some("localhost")),
            ("http://127.0.0.1:7/", "http://localhost:9/", Some("127.0.0.1:7")),
            ("http://example.com/localhost", "http://example.com/localhost", None),
        ] {
            let mut url: Url = given.parse().unwrap();
            assert_eq!((rewrites.apply(&mut url).as_deref(), url.as_str()), (before, expected), "{given}");
        }
        for text in ["", "a b", "a/b", "user@host", ":80", "http://host", "host:http"] {
            assert!(Rewrites::parse(&[(text.to_owned(), "x".to_owned())]).is_err(), "{text}");
        }
    }
}
