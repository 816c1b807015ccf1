//! `redrive emulator` and `redrive demo --headless`: they say when they serve, and end gracefully.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::binary;

/// A command that runs until it is told to stop, and the address it said it serves at.
struct Served {
    child: Child,
    address: String,
    _home: tempfile::TempDir,
}

async fn serve(args: &[&str]) -> Served {
    let home = tempfile::TempDir::new().unwrap();
    let mut command = binary(home.path());
    command.args(args);
    started(command, home).await
}

async fn started(mut command: Command, home: tempfile::TempDir) -> Served {
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await.expect("within 30 s").unwrap().expect("a line");
    let address = line.strip_prefix("ready ").unwrap_or_else(|| panic!("`{line}`")).to_owned();
    Served { child, address, _home: home }
}

impl Served {
    /// Sends a signal, and returns exit code and stderr.
    async fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().expect("still runs").to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).await.unwrap();
        let status = tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await.expect("ends within 10 s").unwrap();
        (status.code(), err)
    }
}

#[tokio::test]
async fn the_emulator_says_when_it_is_ready_and_how_to_use_it() {
    let served = serve(&["emulator", "--listen", "127.0.0.1:0", "--wait-ready", "--project", "shop"]).await;
    let health: serde_json::Value = reqwest::get(format!("http://{}/healthz", served.address)).await.unwrap().json().await.unwrap();
    assert_eq!((&health["status"], &health["project"]), (&"ok".into(), &"shop".into()));
    let address = served.address.clone();
    let (code, err) = served.stop("-TERM").await;
    assert_eq!(code, Some(0), "{err}");
    for language in ["Python", "Node", "Go", "Java (not run by our tests)", "Rust", "gcloud"] {
        assert!(err.contains(&format!("── {language}\n")), "{language}: {err}");
    }
    assert!(err.contains(&format!("redrive --emulator {address} --project shop")) && err.ends_with("stopped\n"), "{err}");
}

#[tokio::test]
async fn ctrl_c_ends_it_as_well() {
    let served = serve(&["emulator", "--listen", "127.0.0.1:0", "--wait-ready", "--quiet"]).await;
    assert_eq!(served.stop("-INT").await, (Some(0), String::new()));
}

#[tokio::test]
async fn the_emulator_needs_no_home_and_says_when_it_may_open_few_files() {
    let home = tempfile::TempDir::new().unwrap();
    let mut command = Command::new("sh");
    let script = "ulimit -n 300 && exec \"$0\" emulator --listen 127.0.0.1:0 --wait-ready";
    command.args(["-c", script, env!("CARGO_BIN_EXE_redrive")]).env_clear().env("PATH", "/usr/bin:/bin");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let (code, err) = started(command, home).await.stop("-TERM").await;
    assert_eq!(code, Some(0), "{err}");
    assert!(
        err.contains("at most 300 files may be open here, and each connection is one; `ulimit -Hn 10500` raises that, where it may"),
        "{err}"
    );
}

#[tokio::test]
async fn the_demo_without_a_console_serves_the_shop() {
    let served = serve(&["demo", "--headless"]).await;
    let url = format!("http://{}/v1/projects/demo/subscriptions", served.address);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let list: serde_json::Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
        if list["subscriptions"].as_array().is_some_and(|list| list.len() == 9) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{list}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (code, err) = served.stop("-TERM").await;
    assert_eq!(code, Some(0), "{err}");
}
