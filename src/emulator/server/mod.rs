//! Starts and stops the emulator: its port, its engine, its dispatcher.

mod admin;
mod front;
mod listen;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{SignedDuration, Timestamp};
use tokio::task::{JoinHandle, spawn_blocking};

use super::dispatch::{self, Rewrites, Sender};
use super::engine::{Calls, Engine, Stuck};
use super::faults::{Fault, Faults};
use super::grpc::Services;
use super::identity::{self, Identity, Wanted};
use super::seed::{self, Seed};
use super::state::pubsub::RequireGrants;
use super::state::target::SetAppEngine;
use super::state::{Refusal, Seeding};
use super::store::{LogLimit, Store};
use crate::error::{Error, Kind, Result};
use crate::names::ProjectId;
use crate::wal::RealDisk;

use front::Front;

/// Where the emulator listens unless told otherwise: a free port, for this machine only.
const LISTEN_DEFAULT: &str = "127.0.0.1:0";
/// The project of an emulator that was not given one.
const PROJECT_DEFAULT: &str = "demo";
/// The longest delay of Monitoring: half of what is kept.
const MONITORING_DELAY_MINUTES_MAX: i64 = 30;
/// Open requests get this long to end when the emulator is shut down.
const SHUTDOWN_MS_MAX: u64 = 2000;

/// A running emulator of Pub/Sub, Cloud Tasks, Cloud Scheduler and a part of Monitoring; it stops when dropped.
///
/// One port speaks gRPC and HTTP/JSON, as Google's services do. Any project is served. Nothing is kept when it stops, unless there is a [`Builder::data_dir`].
///
/// ```
/// use redrive::emulator::Emulator;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> redrive::Result<()> {
/// let emulator = Emulator::builder().project("shop".parse()?).start().await?;
/// println!("export PUBSUB_EMULATOR_HOST={}", emulator.address());
/// emulator.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Emulator {
    address: SocketAddr,
    project: ProjectId,
    engine: Engine,
    faults: Faults,
    identity: Identity,
    server: JoinHandle<()>,
    dispatcher: JoinHandle<()>,
}

/// What to start; made by [`Emulator::builder`].
#[derive(Debug, Clone)]
pub struct Builder {
    listen: String,
    project: Option<ProjectId>,
    seed: Option<PathBuf>,
    app_engine: Option<String>,
    identity: identity::Settings,
    dead_letter_grants: bool,
    rewrites: Vec<(String, String)>,
    monitoring_delay: SignedDuration,
    data_dir: Option<PathBuf>,
    log_limit: LogLimit,
}

impl Emulator {
    /// Starts an emulator with nothing in it on a free port of `127.0.0.1`: one for each test, ready in milliseconds.
    ///
    /// # Errors
    ///
    /// Fails when the machine has no port left.
    ///
    /// ```
    /// use redrive::emulator::{Emulator, Fault};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> redrive::Result<()> {
    /// let emulator = Emulator::start().await?;
    /// emulator.inject(Fault::drop_after_commit("Publish").times(1))?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder for an emulator on a free port of `127.0.0.1`.
    pub fn builder() -> Builder {
        Builder {
            listen: LISTEN_DEFAULT.to_owned(),
            project: None,
            seed: None,
            app_engine: None,
            identity: identity::Settings::default(),
            dead_letter_grants: false,
            rewrites: Vec::new(),
            monitoring_delay: SignedDuration::ZERO,
            data_dir: None,
            log_limit: LogLimit::default(),
        }
    }

    /// Returns where it listens, with the port it really got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the project that the seed and the examples are in; others are served too.
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// Empties the emulator, as between two tests: nothing is left of topics, subscriptions, queues, jobs, tasks, histories and faults; the
    /// clock shows the machine's time again, open streams end with `NOT_FOUND`, and calls under way are cut off.
    ///
    /// # Errors
    ///
    /// Fails when the emulator keeps its data on a disk, and that takes no more.
    pub async fn reset(&self) -> Result<()> {
        admin::reset(&self.engine, &self.faults).await.map_err(|refusal| Error::new(Kind::Io, refusal.message))
    }

    /// Returns the emulator's time.
    pub fn now(&self) -> Timestamp {
        self.engine.now()
    }

    /// Moves the emulator's clock forward, through every moment at which something falls due: leases expire, tasks are dispatched, jobs run,
    /// failed calls are tried again. Returns when all that, and what it caused, has been answered.
    ///
    /// # Errors
    ///
    /// Fails after 30 s of real time, with the calls that are still under way; the clock stays where it has got. Fails also when the
    /// emulator is reset meanwhile, or for a time of thousands of years.
    pub async fn advance(&self, by: Duration) -> Result<()> {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        let moved = self.engine.fast_forward(by, Duration::from_secs(admin::ADVANCE_SECONDS)).await;
        moved.map(drop).map_err(|stuck| {
            let kind = match stuck {
                Stuck::TooFar => Kind::InvalidInput,
                Stuck::UnderWay { .. } => Kind::Timeout,
                Stuck::Reset => Kind::Cancelled,
            };
            Error::new(kind, admin::explain(&stuck))
        })
    }

    /// Has requests fail as told, over gRPC and REST alike; see [`Fault`].
    ///
    /// # Errors
    ///
    /// Fails when the fault names a method or a code that does not exist, or has a value out of range.
    pub fn inject(&self, fault: Fault) -> Result<()> {
        self.faults.inject(fault).map_err(Error::invalid)
    }

    /// Takes all injected faults away.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// Makes the key of a service account, in the format of Google's files: what `GOOGLE_APPLICATION_CREDENTIALS` can name. Its tokens come
    /// from this emulator. Takes a good part of a second.
    ///
    /// # Errors
    ///
    /// Fails when `email` is not an address.
    ///
    /// ```
    /// use redrive::emulator::Emulator;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> redrive::Result<()> {
    /// let emulator = Emulator::builder().require_auth().start().await?;
    /// let key = emulator.service_account_key("worker@shop.iam.gserviceaccount.com").await?;
    /// assert!(key.contains("-----BEGIN PRIVATE KEY-----"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn service_account_key(&self, email: &str) -> Result<String> {
        let wanted = Wanted { email: Some(email.to_owned()), ..Wanted::default() };
        self.identity.credentials_file(wanted).await.map(|file| format!("{file:#}\n")).map_err(Error::invalid)
    }

    /// Stops listening, ends open streams, lets open requests end for up to 2 s, and cuts off what is left.
    pub async fn shutdown(mut self) {
        self.engine.shut_down();
        // Their tasks end by themselves; one that panicked has ended as well.
        let _ = (&mut self.server).await;
        let _ = (&mut self.dispatcher).await;
        let engine = self.engine.clone();
        let _ = spawn_blocking(move || engine.close()).await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.engine.shut_down();
        self.server.abort();
        self.dispatcher.abort();
        self.engine.close();
    }
}

impl Builder {
    /// Sets the address to listen on, `HOST:PORT`; port 0 takes a free one.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = address.into();
        self
    }

    /// Sets the project that the seed is made in, whatever the seed file says.
    #[must_use]
    pub fn project(mut self, project: ProjectId) -> Self {
        self.project = Some(project);
        self
    }

    /// Sets the base URL of the app that stands for App Engine, such as `http://localhost:8080`: tasks and jobs with App Engine targets are
    /// sent there. Without one their attempts fail, and say why.
    #[must_use]
    pub fn app_engine(mut self, url: impl Into<String>) -> Self {
        self.app_engine = Some(url.into());
        self
    }

    /// Refuses calls without a valid token of this emulator's own, as Google does: one from its token endpoint, its metadata server or its IAM
    /// Credentials service, or signed with a service account's key that it handed out.
    #[must_use]
    pub fn require_auth(mut self) -> Self {
        self.identity.required = true;
        self
    }

    /// Has requests to a host go elsewhere, for an emulator that does not see handlers under the names they are configured with: in a container,
    /// `localhost` is `host.docker.internal`. Both may have a port. The handler sees the name that it is configured with.
    #[must_use]
    pub fn rewrite_host(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.rewrites.push((from.into(), to.into()));
        self
    }

    /// Has Monitoring show its points so much later, half an hour at most: Google's come about three minutes late. Without it they are of this
    /// very moment.
    #[must_use]
    pub fn monitoring_delay(mut self, delay: Duration) -> Self {
        self.monitoring_delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
        self
    }

    /// Sets whom ID tokens are from, for receivers that look the issuer up: `self` is this emulator's own address. Without it they are from
    /// `https://accounts.google.com`, as Google's.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.identity.issuer = Some(issuer.into());
        self
    }

    /// Has dead letters move only where Pub/Sub's service agent (`service-NUMBER@gcp-sa-pubsub.iam.gserviceaccount.com`) was granted it by
    /// policies of the subscription (subscriber) and of the dead-letter topic (publisher), as on Google Cloud. Else every permission is
    /// taken for granted. `PUT /dead-letter-grants` switches it while the emulator runs.
    #[must_use]
    pub fn require_dead_letter_grants(mut self) -> Self {
        self.dead_letter_grants = true;
        self
    }

    /// Keeps everything in this directory, made if it is missing, and goes on from what is there: what was answered before a crash or a
    /// power cut is still so after it. Streams have ended then; calls that were under way are made again. Without a directory everything
    /// is forgotten when the emulator stops. A seed file counts only when the directory is new.
    ///
    /// When the disk is full, calls that change something fail with `RESOURCE_EXHAUSTED`, and have not happened.
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// Sets how long the log of a [`Builder::data_dir`] becomes, in bytes, before the state is written anew and the log begins again: 256 MiB
    /// or commands that take about two seconds to read again unless told otherwise. A shorter one is read faster after a crash, and writes the state more often; it is never shorter than
    /// twice the state.
    #[must_use]
    pub fn log_limit(mut self, bytes: u64) -> Self {
        self.log_limit = LogLimit::bytes(bytes);
        self
    }

    /// Sets the file, YAML or TOML, of what is there from the start: topics, subscriptions, queues, jobs, messages and tasks.
    ///
    /// ```yaml
    /// location: europe-west1
    /// topics:
    ///   - { name: orders, labels: { team: shop }, retention: 7d }
    /// queues:
    ///   - { name: emails, max_dispatches_per_second: 5, retry: { max_attempts: 3 } }
    /// tasks:
    ///   - { queue: emails, delay: 5m, http: { url: "http://localhost:8080/email", json: { to: ada } } }
    /// ```
    ///
    /// `examples/seed.yaml` in the repository has every field.
    #[must_use]
    pub fn seed_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.seed = Some(path.into());
        self
    }

    /// Starts the emulator on the current tokio runtime; when this returns, it answers.
    ///
    /// # Errors
    ///
    /// Fails when the address is malformed, in use or not this machine's, and when the seed file is wrong; the error says which, where and
    /// what to do.
    pub async fn start(self) -> Result<Emulator> {
        let seed = match &self.seed {
            Some(path) => seed::read(path).await?,
            None => Seed::default(),
        };
        let project = match self.project.or_else(|| seed.project().cloned()) {
            Some(project) => project,
            None => PROJECT_DEFAULT.parse()?,
        };
        let rewrites = Rewrites::parse(&self.rewrites)?;
        if self.monitoring_delay > SignedDuration::from_mins(MONITORING_DELAY_MINUTES_MAX) {
            return Err(Error::invalid(format!("Monitoring's delay is {MONITORING_DELAY_MINUTES_MAX} minutes at most")));
        }
        let (listener, address) = listen::bind(&self.listen).await?;
        let (engine, calls, is_new) = begin(self.data_dir, self.log_limit, self.app_engine).await?;
        let grants = RequireGrants { required: self.dead_letter_grants, from_start: true };
        if let Err(refusal) = engine.run(grants).await {
            engine.shut_down();
            engine.close();
            return Err(Error::invalid(refusal.message));
        }
        let identity = Identity::new(project.clone(), reachable(address), self.identity);
        let services = Services::guarded(&engine, identity.clone(), self.monitoring_delay);
        if is_new && let Err(error) = begin_with(&seed, &project, &services, &engine).await {
            engine.shut_down();
            engine.close();
            return Err(error);
        }
        let faults = services.faults().clone();
        let front = Front::new(engine.clone(), services, identity.clone(), &project);
        let server = tokio::spawn(listen::serve(listener, front, engine.clone(), Duration::from_millis(SHUTDOWN_MS_MAX)));
        let dispatcher = tokio::spawn(dispatch::run(engine.clone(), calls, Sender::new(identity.clone(), rewrites)));
        tracing::info!(target: "redrive::emulator", %address, %project, "the emulator listens");
        Ok(Emulator { address, project, engine, faults, identity, server, dispatcher })
    }
}

/// Makes what a new emulator begins with. Where an earlier process did not get to the end of it, nobody was served yet, and it is made anew.
async fn begin_with(seed: &Seed, project: &ProjectId, services: &Services, engine: &Engine) -> Result<()> {
    let failed = |refusal: Refusal| Error::new(Kind::Io, refusal.message);
    if engine.read(|state, _| state.seeding) {
        engine.reset().await.map_err(failed)?;
    }
    seed::apply(seed, project, &services.unguarded(), engine.now()).await?;
    engine.run(Seeding(false)).await.map_err(failed)
}

/// The URL of an address for clients on this machine.
fn reachable(mut address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{address}")
}

/// Starts the engine, in memory or on a directory; tells whether there is nothing in it yet.
async fn begin(data_dir: Option<PathBuf>, log_limit: LogLimit, app_engine: Option<String>) -> Result<(Engine, Calls, bool)> {
    let failed = |refusal: Refusal| Error::new(Kind::Io, refusal.message);
    let Some(dir) = data_dir else {
        let (engine, calls) = Engine::start(start_seed());
        engine.run(SetAppEngine(app_engine)).await.map_err(failed)?;
        return Ok((engine, calls, true));
    };
    let opened = spawn_blocking(move || Store::open(Arc::new(RealDisk), &dir)).await;
    let mut opened = opened.map_err(|error| Error::new(Kind::Internal, format!("the data directory was not read: {error}")))??;
    opened.store.set_log_limit(log_limit);
    let is_new = opened.store.is_new() || opened.state.seeding;
    let (engine, calls) = Engine::open(start_seed(), opened, app_engine).await.map_err(failed)?;
    Ok((engine, calls, is_new))
}

/// Differs from start to start, so that ids of an earlier run do not come again.
fn start_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().rotate_left(32) ^ u64::from(since.subsec_nanos()) ^ u64::from(std::process::id()).rotate_left(48)
}

#[cfg(test)]
mod tests;
