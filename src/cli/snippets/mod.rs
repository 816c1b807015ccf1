//! Lines that point a client at the emulator, ready to paste.
//!
//! Those for Python, Node, Go and gcloud are run by `tests/it/clients.rs` and `tests/it/cli/snippets.rs` with the clients they are for; those for
//! Rust compile as below. Those for Java are written after the clients' documentation and run by nothing here: no registry with Google's
//! clients for Java can be reached. The heading says so.
//!
//! ```no_run
//! # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
#![doc = include_str!("rust.txt")]
//! # Ok(())
//! # }
//! ```

use std::net::SocketAddr;

/// Language, and its lines with `{address}`, `{host}`, `{port}` and `{project}` to be filled in.
const TEMPLATES: &[(&str, &str)] = &[
    ("Python", include_str!("python.txt")),
    ("Node", include_str!("node.txt")),
    ("Go", include_str!("go.txt")),
    ("Java (not run by our tests)", include_str!("java.txt")),
    ("Rust", include_str!("rust.txt")),
    ("gcloud", include_str!("gcloud.txt")),
];

/// Writes the lines for all languages, a heading before each.
pub(super) fn all(address: SocketAddr, project: &str) -> String {
    TEMPLATES.iter().flat_map(|(language, template)| [format!("\n── {language}\n"), fill(template, address, project)]).collect()
}

fn fill(template: &str, address: SocketAddr, project: &str) -> String {
    // An emulator that listens on all interfaces is reached by the loopback one.
    let (host, port) = (if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() }, address.port());
    let shown = if address.is_ipv6() && !address.ip().is_unspecified() { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    template.replace("{address}", &shown).replace("{host}", &host).replace("{port}", &port.to_string()).replace("{project}", project)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_be_filled_in() {
        let text = all("0.0.0.0:8085".parse().unwrap(), "shop");
        for placeholder in ["{address}", "{host}", "{port}", "{project}"] {
            assert!(!text.contains(placeholder), "{placeholder}");
        }
        assert!(text.contains("grpc.insecure_channel(\"127.0.0.1:8085\")"), "{text}");
        assert!(all("[::1]:9".parse().unwrap(), "shop").contains("http://[::1]:9/"));
    }
}
