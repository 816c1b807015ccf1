//! A Django service of `tests/clients`, as a process: the library under test is the package from `PyPI`, untouched.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::environments::{find, python_environment, suite};
use crate::support::eventually;

/// The libraries want it; a launcher of pyenv is on the path also where it launches nothing.
const NEW_ENOUGH: &[&str] = &["-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))"];
const NAMES: [&str; 5] = ["python3.12", "python3.13", "python3.14", "python3.15", "python3"];

/// A Django service that runs.
pub(super) struct Django {
    process: Child,
    pub(super) url: String,
    http: reqwest::Client,
}

/// Returns the interpreter of a suite with its library, or why there is none.
pub(super) fn environment(name: &str) -> Result<PathBuf, &'static str> {
    let python = python().ok_or("Python 3.12 or newer is neither on the path nor among pyenv's versions")?;
    Ok(python_environment(name, &python))
}

fn python() -> Option<PathBuf> {
    NAMES.iter().find_map(|name| find(name, NEW_ENOUGH)).or_else(|| of_pyenv()?.into_iter().find_map(|path| find(path, NEW_ENOUGH)))
}

fn of_pyenv() -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".pyenv")))?;
    let versions = std::fs::read_dir(root.join("versions")).ok()?;
    let mut found: Vec<PathBuf> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin/python"))).collect();
    found.sort();
    Some(found)
}

impl Django {
    /// Starts the service of a suite; returns when it answers. Blocks, and asks the emulator meanwhile.
    pub(super) fn start(name: &str, python: &Path, variables: &[(&str, String)]) -> Self {
        let mut command = Command::new(python);
        // Nothing of the machine's own set-up may lead a client elsewhere.
        for variable in ["GOOGLE_CLOUD_PROJECT", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "K_SERVICE"] {
            command.env_remove(variable);
        }
        command.arg("-B").arg(suite("django_common").join("serve.py")).arg(suite(name));
        // What it says of each request, and of what it was made to fail at.
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
        command.stderr(File::create(&log).unwrap());
        let mut process =
            command.envs(variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line
            .trim()
            .strip_prefix("ready ")
            .unwrap_or_else(|| panic!("the service of {name} did not start: {line:?}, see `{}`", log.display()));
        Self { process, url: format!("http://127.0.0.1:{port}"), http: reqwest::Client::new() }
    }

    /// Has it do something, and returns what that returned.
    pub(super) async fn act(&self, what: &str, arguments: Value) -> Value {
        self.act_with(what, arguments, &[]).await
    }

    /// The same, asked for with these headers.
    pub(super) async fn act_with(&self, what: &str, arguments: Value, headers: &[(&str, &str)]) -> Value {
        let request = self.http.post(format!("{}/control/do/{what}", self.url)).body(arguments.to_string());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{what} {arguments}: {text}");
        serde_json::from_str::<Value>(&text).unwrap()["result"].take()
    }

    /// Sends a request to an endpoint of the library.
    pub(super) async fn post(&self, path: &str, body: &str, token: Option<&str>) -> (u16, String) {
        answer_of(&self.http, &format!("{}{path}", self.url), body, token).await
    }

    /// Waits until `count` calls of `what` have arrived, and returns them.
    pub(super) async fn received(&self, what: &str, count: usize) -> Vec<Value> {
        let ask = async || {
            let answer: Value = self.http.get(format!("{}/control/received", self.url)).send().await.unwrap().json().await.unwrap();
            let all = answer["received"].as_array().unwrap();
            let wanted: Vec<Value> = all.iter().filter(|call| call["what"] == what).cloned().collect();
            (wanted.len() >= count).then_some(wanted)
        };
        eventually(&format!("{what} arrives {count} times at Django"), ask).await
    }
}

impl Drop for Django {
    fn drop(&mut self) {
        // Either fails only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a request as Cloud Tasks would, and returns status and body of the answer.
pub(super) async fn answer_of(http: &reqwest::Client, url: &str, body: &str, token: Option<&str>) -> (u16, String) {
    let request = http.post(url).body(body.to_owned());
    let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}
