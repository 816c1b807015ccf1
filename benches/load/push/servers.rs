//! The servers: each a process of its own, the bare ones and ours from this very binary.

use std::future::pending;
use std::net::TcpListener as StdListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use redrive::cloud::Cloud;
use redrive::runtime::{App, Context, Host, Outcome, Task, done};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::client;
use super::tokens::{ACCOUNT, AUDIENCE, ISSUER, Issuer};

/// A server that does not answer within this time is not there.
const START_MAX: Duration = Duration::from_mins(1);
/// Workers of gunicorn: one for each processor of a small machine.
const WORKERS: &str = "2";
/// What the view needs, pinned.
const PACKAGES: [&str; 5] = ["django-google-cloud-tasks==2.21.0", "Django==5.2.*", "python-dateutil", "cachetools", "gunicorn"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The runtime's endpoint
    Ours,
    /// A bare handler that verifies the token and reads the body
    BareVerify,
    /// A bare handler that reads the body
    BareParse,
    /// `django-google-cloud-tasks` under gunicorn
    Django,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "redrive",
            Self::BareVerify => "bare axum and RS256",
            Self::BareParse => "bare axum",
            Self::Django => "django-google-cloud-tasks",
        }
    }
}

/// One server in this process, for as long as it lives
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    #[arg(value_enum)]
    kind: Kind,
    #[arg(long)]
    listen: String,
    #[arg(long)]
    keys: String,
    /// Where ours tells how many tokens were verified
    #[arg(long)]
    metrics: String,
}

/// A task; what is done for it is nothing.
#[derive(Serialize, Deserialize)]
struct Send {
    to: String,
    price: u32,
    quantity: u32,
}

impl Task<()> for Send {
    const NAME: &'static str = "Send";

    async fn run(self, _: Context<()>) -> Outcome {
        done()
    }
}

/// Serves until the process is killed.
pub(crate) async fn serve(options: &Serve) -> Result<()> {
    let listener = TcpListener::bind(&options.listen).await?;
    match options.kind {
        Kind::Ours => ours(listener, &options.keys, &options.metrics).await,
        Kind::BareParse => Ok(axum::serve(listener, Router::new().route("/tasks/Send", post(parse))).await?),
        Kind::BareVerify => {
            let bare = Arc::new(Bare::new(&options.keys).await?);
            Ok(axum::serve(listener, Router::new().route("/tasks/Send", post(verify)).with_state(bare)).await?)
        }
        Kind::Django => bail!("that is not served by this process"),
    }
}

async fn ours(listener: TcpListener, keys: &str, metrics: &str) -> Result<()> {
    let host = Host { location: "europe-west1".parse()?, url: AUDIENCE.to_owned(), account: Some(ACCOUNT.to_owned()) };
    // Nothing is enqueued: the address is never called.
    let cloud = Cloud::emulator("127.0.0.1:9", "shop".parse()?)?;
    let app = App::new(()).task::<Send>().on(cloud).host(host).token_keys(keys).build()?;
    let measured = app.clone();
    let numbers = get(move || async move { measured.metrics().tokens.verified.to_string() });
    let metrics = TcpListener::bind(metrics).await?;
    tokio::spawn(async move { axum::serve(metrics, Router::new().route("/metrics", numbers)).await });
    app.serve_on(listener, pending()).await?;
    Ok(())
}

/// What a handler without the runtime would do.
struct Bare {
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    email: String,
    email_verified: bool,
}

impl Bare {
    async fn new(keys: &str) -> Result<Self> {
        let set: Value = reqwest::get(keys).await?.json().await?;
        let part = |name: &str| set["keys"][0][name].as_str().context("a key").map(str::to_owned);
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        Ok(Self { key: DecodingKey::from_rsa_components(&part("n")?, &part("e")?)?, validation })
    }
}

async fn verify(State(bare): State<Arc<Bare>>, headers: HeaderMap, body: Bytes) -> Response {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let claims = token.and_then(|token| decode::<Claims>(token, &bare.key, &bare.validation).ok());
    match claims.map(|token| token.claims) {
        Some(Claims { email, email_verified: true }) if email == ACCOUNT => parse(body).await,
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn parse(body: Bytes) -> Response {
    match serde_json::from_slice::<Send>(&body) {
        Ok(_) => ([("content-type", "application/json")], r#"{"result":null,"status":"executed"}"#).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// A server's process; it is killed when this is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) address: String,
    /// Where ours tells how it does.
    pub(super) metrics: String,
}

impl Server {
    pub(super) async fn start(kind: Kind, issuer: &Issuer) -> Result<Self> {
        let (address, metrics) = (free_address()?, free_address()?);
        let mut command = if kind == Kind::Django {
            gunicorn(&address).await?
        } else {
            let mut command = Command::new(std::env::current_exe()?);
            let kind = clap::ValueEnum::to_possible_value(&kind).context("a kind")?;
            command.args(["serve-push", kind.get_name(), "--listen", &address, "--keys", &issuer.url, "--metrics", &metrics]);
            command
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("{} does not start", kind.name()))?;
        let token = issuer.tokens(1)?;
        let begun = Instant::now();
        while client::Load::new(&token).run(&address, 1, 1).await.is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("{} ended at its start: {status}", kind.name());
            }
            if begun.elapsed() > START_MAX {
                bail!("{} did not answer within {START_MAX:?}", kind.name());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { child, address, metrics })
    }

    /// Returns the memory that is resident, in bytes.
    pub(super) fn rss_bytes(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().context("the server has ended")?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kb: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kb * 1024.0)
    }
}

fn free_address() -> Result<String> {
    Ok(StdListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// The view's environment, made when it is not there, under `target`.
async fn gunicorn(address: &str) -> Result<Command> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let environment: PathBuf = root.join("target/tools/push-peer");
    let binary = environment.join("bin/gunicorn");
    if !binary.exists() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&environment).status().await.context("python3 with venv")?;
        let installed = Command::new(environment.join("bin/python")).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES).status();
        if !made.success() || !installed.await?.success() {
            bail!("its packages cannot be installed");
        }
    }
    let mut command = Command::new(binary);
    command.args(["-w", WORKERS, "-b", address, "shop:application"]).current_dir(root.join("benches/load/push"));
    command.env("GOOGLE_CLOUD_PROJECT", "shop").env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}
