//! Where a request may go: which addresses a name may stand for. What was checked is what is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;

use crate::error::{Error, Kind, Result};
use crate::model::text;

/// A name that stands for more addresses than this is not looked into.
const ADDRESSES_MAX: usize = 16;

/// Names of metadata servers, which hand out credentials to whoever asks.
const METADATA_NAMES: [&str; 4] = ["metadata", "metadata.google.internal", "metadata.goog", "instance-data"];

/// Whom a request may reach. Metadata servers it never may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// This machine only: a replay.
    Loopback,
    /// This machine, and the public net by TLS: an endpoint as Pub/Sub takes it.
    Public,
    /// Also private networks.
    Private,
    /// Any, without TLS too.
    Anywhere,
}

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Loopback,
    Metadata,
    Private,
    Public,
}

/// Resolves a URL's host; every address must be one that may be reached.
pub(super) async fn resolve(url: &Url, reach: Reach) -> Result<Vec<SocketAddr>> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let shown = text::line(&host).into_owned();
    if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
        return Err(Error::invalid(format!("`{}` is no http or https address", text::line(url.as_str()))));
    }
    if METADATA_NAMES.contains(&host.as_str()) {
        return Err(refused(&shown, "is a metadata server"));
    }
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::net::lookup_host((host.as_str(), port))
        .await
        .map_err(|error| Error::new(Kind::Unavailable, format!("`{shown}` cannot be resolved")).with_source(error))?;
    let addresses: Vec<SocketAddr> = found.take(ADDRESSES_MAX + 1).collect();
    if addresses.is_empty() || addresses.len() > ADDRESSES_MAX {
        return Err(refused(&shown, &format!("stands for none or more than {ADDRESSES_MAX} addresses")));
    }
    for address in &addresses {
        let class = class(address.ip());
        match (class, reach) {
            (Class::Loopback, _) | (Class::Public | Class::Private, Reach::Anywhere) => {}
            (Class::Metadata, _) => return Err(refused(&shown, "is a link-local or metadata address")),
            (_, Reach::Loopback) => {
                return Err(refused(&shown, "is not this machine")
                    .with_hint("give it as `http://localhost:PORT`, or allow other machines with `--allow-remote`"));
            }
            (Class::Private, Reach::Public) => {
                return Err(refused(&shown, "has a private address").with_hint("allow that with `--allow-private`"));
            }
            (Class::Public | Class::Private, _) if url.scheme() != "https" => return Err(refused(&shown, "is not reached by https")),
            (Class::Public | Class::Private, _) => {}
        }
    }
    Ok(addresses)
}

fn refused(host: &str, why: &str) -> Error {
    Error::new(Kind::Refused, format!("`{host}` {why}: nothing is sent there"))
}

fn class(ip: IpAddr) -> Class {
    match ip.to_canonical() {
        ip if ip.is_loopback() => Class::Loopback,
        IpAddr::V4(ip) => class_of_v4(ip),
        IpAddr::V6(ip) => class_of_v6(ip),
    }
}

fn class_of_v4(ip: Ipv4Addr) -> Class {
    let [a, b, c, d] = ip.octets();
    match (a, b) {
        (169, 254) => Class::Metadata,
        (100, 100) if (c, d) == (100, 200) => Class::Metadata,
        (0 | 10 | 127 | 224..=255, _) | (172, 16..=31) | (192, 168) | (100, 64..=127) | (198, 18 | 19) => Class::Private,
        (192, 0) if c == 0 => Class::Private,
        _ => Class::Public,
    }
}

fn class_of_v6(ip: Ipv6Addr) -> Class {
    let segments = ip.segments();
    match segments[0] {
        0xfe80..=0xfebf => Class::Metadata,
        // Google's and Amazon's metadata servers.
        0xfd20 if segments[1] == 0x00ce => Class::Metadata,
        0xfd00 if segments[1] == 0x0ec2 => Class::Metadata,
        // An IPv4 address within: what it stands for is what counts.
        0x0064 if segments[1] == 0xff9b => {
            let [.., a, b, c, d] = ip.octets();
            class(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        0xfc00..=0xfdff | 0xff00..=0xffff | 0x2002 | 0x0000 => Class::Private,
        _ => Class::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_they_are() {
        let cases = [
            (Class::Loopback, &["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"][..]),
            (
                Class::Metadata,
                &["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fd20:ce::254", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"],
            ),
            (
                Class::Private,
                &["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0", "::", "fc00::1", "224.0.0.1", "2002:a00:1::"],
            ),
            (Class::Public, &["8.8.8.8", "172.32.0.1", "2001:4860:4860::8888", "100.128.0.1"]),
        ];
        for (expected, addresses) in cases {
            for address in addresses {
                assert_eq!(class(address.parse().unwrap()), expected, "{address}");
            }
        }
    }

    #[tokio::test]
    async fn only_what_is_allowed_is_reached() {
        let reached = async |url: &str, reach| resolve(&url.parse().unwrap(), reach).await.map_err(|error| error.to_string());
        assert_eq!(reached("http://127.0.0.1:9/x", Reach::Loopback).await.unwrap(), ["127.0.0.1:9".parse::<SocketAddr>().unwrap()]);
        for (url, reach, words) in [
            ("https://8.8.8.8/", Reach::Loopback, "is not this machine"),
            ("http://8.8.8.8/", Reach::Public, "is not reached by https"),
            ("https://10.0.0.1/", Reach::Public, "has a private address"),
            ("http://10.0.0.1/", Reach::Private, "is not reached by https"),
            ("http://169.254.169.254/", Reach::Anywhere, "metadata"),
            ("http://metadata.google.internal./", Reach::Anywhere, "metadata"),
            ("ftp://127.0.0.1/", Reach::Anywhere, "no http or https"),
        ] {
            let error = reached(url, reach).await.unwrap_err();
            assert!(error.contains(words), "{url}: {error}");
        }
        assert!(reached("https://8.8.8.8/", Reach::Public).await.is_ok() && reached("https://10.0.0.1/", Reach::Private).await.is_ok());
        assert!(reached("http://10.0.0.1/", Reach::Anywhere).await.is_ok());
    }
}
