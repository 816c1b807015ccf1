//! The README's Dockerfile without a container engine: each of its lines is done in a root directory of its own, and what it starts runs there in
//! namespaces of its own, with a network of its own.
//!
//! Not shown: what `FROM` brings (only the libraries that the binary needs are laid there), and, unless `REDRIVE_CAMPAIGN` is set, that `RUN`
//! compiles; without it the binary of this build is put where `RUN` would install it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::Notify;

use crate::environments::say;

/// Nothing on one machine takes this long; what does has hung.
const PATIENCE: Duration = Duration::from_mins(1);
/// Set, the package is compiled and installed as the file says.
const FULL: &str = "REDRIVE_CAMPAIGN";
/// Where the official image has Cargo, whose `bin` is on its path.
const CARGO_HOME: &str = "usr/local/cargo";
const PATH: &str = "/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the container says it listens.
const PORT: u16 = 8085;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The file's instructions, in order.
fn instructions() -> [String; 4] {
    let readme = std::fs::read_to_string(package().join("README.md")).unwrap();
    let block = readme.split("```dockerfile\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a Dockerfile is shown");
    let lines: Vec<(&str, &str)> = block.lines().map(|line| line.split_once(' ').unwrap()).collect();
    let [("FROM", from), ("COPY", copy), ("RUN", run), ("ENTRYPOINT", entry)] = lines[..] else { panic!("{lines:?}") };
    [from, copy, run, entry].map(str::to_owned)
}

/// Does `COPY . TO`: the files of the checkout, without those that `.dockerignore` names.
fn copy(root: &Path, words: &str) -> PathBuf {
    let (from, to) = words.split_once(' ').unwrap();
    assert_eq!(from, ".");
    let to = root.join(to.strip_prefix('/').expect("an absolute path"));
    let ignored: BTreeSet<String> = std::fs::read_to_string(package().join(".dockerignore"))
        .unwrap()
        .lines()
        .map(|line| line.trim_start_matches('/').to_owned())
        .collect();
    assert!(ignored.contains("target"), "gigabytes are not copied");
    let listed = std::process::Command::new("git").args(["ls-files", "-z"]).current_dir(package()).output().unwrap();
    let names = String::from_utf8(listed.stdout).unwrap();
    let names: Vec<&str> = names.split_terminator('\0').filter(|name| !ignored.contains(name.split('/').next().unwrap())).collect();
    assert!(names.contains(&"Cargo.toml") && names.contains(&"Cargo.lock"), "a checkout: {names:?}");
    // A file that was just removed is listed until that is committed.
    for name in names.into_iter().filter(|name| package().join(name).exists()) {
        let target = to.join(name);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(package().join(name), target).unwrap();
    }
    to
}

/// Does `RUN cargo install --locked --path FOLDER`, or, if nobody wants to wait so long, sees that Cargo understands the folder, and that what it would
/// install is the binary of this build.
fn install(root: &Path, words: &str, folder: &Path) {
    let shown = format!("/{}", folder.strip_prefix(root).unwrap().display());
    let words: Vec<&str> = words.split(' ').map(|word| if word == shown { folder.to_str().unwrap() } else { word }).collect();
    let ["cargo", "install", "--locked", "--path", path] = words[..] else { panic!("{words:?}") };
    let home = root.join(CARGO_HOME);
    if std::env::var_os(FULL).is_some() {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args(&words[1..]).arg("--root").arg(&home).env("CARGO_TARGET_DIR", package().join("target/container"));
        assert!(cargo.status().unwrap().success(), "{words:?}");
        return;
    }
    let mut cargo = std::process::Command::new(env!("CARGO"));
    let cargo = cargo.args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1", "--manifest-path"]);
    let output = cargo.arg(Path::new(path).join("Cargo.toml")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let targets = metadata["packages"][0]["targets"].as_array().unwrap();
    let binaries: Vec<&Value> = targets.iter().filter(|target| target["kind"] == json!(["bin"])).map(|target| &target["name"]).collect();
    assert_eq!(binaries, ["redrive"]);
    std::fs::create_dir_all(home.join("bin")).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_redrive"), home.join("bin/redrive")).unwrap();
}

/// Lays what a dynamically linked binary needs where it looks for it.
fn libraries(root: &Path) {
    let listed = std::process::Command::new("ldd").arg(root.join(CARGO_HOME).join("bin/redrive")).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<&str> = listed.split_whitespace().filter(|word| word.starts_with('/')).collect();
    assert!(files.iter().any(|file| file.contains("libc.so")), "{listed}");
    for file in files {
        let target = root.join(file.trim_start_matches('/'));
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(file, target).unwrap();
    }
}

/// A network between this machine and a container, like that of a container engine: a pair of devices, two addresses.
struct Network {
    device: String,
    host: String,
    container: String,
}

impl Network {
    fn new() -> Self {
        let id = std::process::id();
        let subnet = format!("10.213.{}", id % 250);
        Self { device: format!("rd{}", id % 1_000_000), host: format!("{subnet}.1"), container: format!("{subnet}.2") }
    }

    /// Tells whether this user may have namespaces and devices.
    fn is_possible(&self) -> bool {
        let works = |words: &[&str]| {
            std::process::Command::new(words[0]).args(&words[1..]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        works(&["unshare", "--pid", "--net", "--mount", "--fork", "true"])
            && works(&["ip", "link", "add", &self.device, "type", "veth", "peer", "name", &format!("{}p", self.device)])
            && works(&["ip", "link", "delete", &self.device])
    }

    /// Connects the network namespace of a process.
    async fn connect(&self, pid: &str) {
        let Self { device, host, container } = self;
        let inside = format!("nsenter --net=/proc/{pid}/ns/net ip");
        run(&format!("ip link add {device} type veth peer name eth0 netns {pid}")).await;
        run(&format!("ip address add {host}/30 dev {device}")).await;
        run(&format!("ip link set {device} up")).await;
        run(&format!("{inside} address add {container}/30 dev eth0")).await;
        run(&format!("{inside} link set eth0 up")).await;
    }
}

async fn run(words: &str) {
    let words: Vec<&str> = words.split(' ').collect();
    let output = Command::new(words[0]).args(&words[1..]).output().await.unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it starts in time").unwrap().expect("a line")
}

/// Starts what `ENTRYPOINT` says, with more arguments, as `docker run IMAGE ARGUMENTS` does; inside `root` where there is one.
fn start(entry: &[String], arguments: &[String], root: Option<&Path>) -> Child {
    let mut command = if let Some(root) = root {
        let mut command = Command::new("unshare");
        let namespaces = ["--pid", "--net", "--mount", "--uts", "--ipc", "--fork", "--kill-child", "--wd=/"];
        command.args(namespaces).arg(format!("--root={}", root.display()));
        command.args(entry).env_clear().env("PATH", PATH);
        command
    } else {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redrive"));
        command.args(&entry[1..]);
        command
    };
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    command.spawn().unwrap()
}

/// A handler on all addresses of this machine: its port, and what rings when it was asked for under the name that is configured.
async fn handler() -> (u16, Arc<Notify>) {
    let pushed = Arc::new(Notify::new());
    let seen = Arc::clone(&pushed);
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(async move |headers: HeaderMap| {
        assert_eq!(headers["host"], format!("localhost:{port}"), "as it is configured");
        seen.notify_one();
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, pushed)
}

/// Uses the emulator at an address as a service beside the container does; a push comes back to this machine.
async fn use_it(address: &str, port: u16, pushed: &Notify) {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let put = async |path: &str, body: Value| {
        let answer = client.put(format!("http://{address}/v1/projects/shop/{path}")).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    };
    let health: Value = client.get(format!("http://{address}/healthz")).send().await.unwrap().json().await.unwrap();
    assert_eq!(health["status"], "ok");
    put("topics/orders", json!({})).await;
    let push = json!({"topic": "projects/shop/topics/orders", "pushConfig": {"pushEndpoint": format!("http://localhost:{port}/push")}});
    put("subscriptions/billing", push).await;
    let publish = client.post(format!("http://{address}/v1/projects/shop/topics/orders:publish"));
    assert!(publish.json(&json!({"messages": [{"data": "eA=="}]})).send().await.unwrap().status().is_success());
    tokio::time::timeout(PATIENCE, pushed.notified()).await.expect("the push reaches this machine");
}

#[tokio::test]
async fn what_the_shown_dockerfile_builds_serves_its_network_and_reaches_handlers_on_the_host() {
    let [from, copied, installed, entry] = instructions();
    let manifest = std::fs::read_to_string(package().join("Cargo.toml")).unwrap();
    let minimum = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert_eq!(from, format!("rust:{minimum}"), "the compiler that the package asks for");
    let entry: Vec<String> = serde_json::from_str(&entry).unwrap();
    assert_eq!(entry[0], "redrive", "found on the path of the image");
    let image = TempDir::new().unwrap();
    let folder = copy(image.path(), &copied);
    install(image.path(), &installed, &folder);
    let (port, pushed) = handler().await;
    let network = Network::new();
    if network.is_possible() {
        libraries(image.path());
        let arguments = ["--quiet", "--wait-ready", "--rewrite-host", &format!("localhost={}", network.host)].map(str::to_owned);
        let mut container = start(&entry, &arguments, Some(image.path()));
        let mut lines = BufReader::new(container.stdout.take().unwrap()).lines();
        assert_eq!(line(&mut lines).await, format!("ready 0.0.0.0:{PORT}"));
        let pid = container.id().unwrap();
        let inside = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        network.connect(inside.trim()).await;
        use_it(&format!("{}:{PORT}", network.container), port, &pushed).await;
        return;
    }
    say("no namespaces for this user: what the Dockerfile starts runs on this machine itself");
    let mut process = start(&entry, &["--quiet", "--wait-ready"].map(str::to_owned), None);
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert_eq!(line(&mut lines).await, format!("ready 0.0.0.0:{PORT}"));
    // Not the address that the emulator has unless it is told otherwise.
    use_it(&format!("127.0.0.2:{PORT}"), port, &pushed).await;
}
