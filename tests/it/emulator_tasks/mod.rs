//! The emulator's Cloud Tasks, Cloud Scheduler and Monitoring under the official Rust clients, with a real handler behind them.

mod monitoring;
mod scheduler;
mod tasks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use google_cloud_auth::credentials::anonymous;
use google_cloud_scheduler_v1::client::CloudScheduler;
use google_cloud_tasks_v2::client::CloudTasks;
use redrive::emulator::Emulator;
use tokio::sync::mpsc;

/// Everything that is waited for happens within this time.
const DEADLINE: Duration = Duration::from_secs(10);
/// The largest body that a handler here takes.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

const LOCATION: &str = "projects/p/locations/europe-west1";

async fn emulator() -> Emulator {
    Emulator::builder().project("p".parse().unwrap()).start().await.unwrap()
}

fn endpoint(emulator: &Emulator) -> String {
    format!("http://{}", emulator.address())
}

async fn tasks_client(emulator: &Emulator) -> CloudTasks {
    let credentials = anonymous::Builder::new().build();
    CloudTasks::builder().with_endpoint(endpoint(emulator)).with_credentials(credentials).build().await.unwrap()
}

async fn scheduler_client(emulator: &Emulator) -> CloudScheduler {
    let credentials = anonymous::Builder::new().build();
    CloudScheduler::builder().with_endpoint(endpoint(emulator)).with_credentials(credentials).build().await.unwrap()
}

/// What a handler was sent.
#[derive(Debug)]
struct Received {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    #[track_caller]
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().unwrap()
    }
}

/// A server that answers every request with one status and keeps what it was sent.
struct Handler {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    received: mpsc::UnboundedReceiver<Received>,
}

impl Handler {
    async fn start(status: u16) -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let status = Arc::new(AtomicU16::new(status));
        let router = Router::new().fallback(take).with_state((sender, Arc::clone(&status)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, status, received }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    async fn next(&mut self) -> Received {
        tokio::time::timeout(DEADLINE, self.received.recv()).await.expect("a request within the deadline").unwrap()
    }
}

async fn take(State((sender, status)): State<(mpsc::UnboundedSender<Received>, Arc<AtomicU16>)>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let _ = sender.send(Received { method: parts.method, path, headers: parts.headers, body });
    StatusCode::from_u16(status.load(Ordering::Relaxed)).unwrap()
}

/// Asks until `done` says what was waited for.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut done: impl FnMut() -> F) -> T {
    let wait = async {
        loop {
            if let Some(found) = done().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("not within the deadline: {what}"))
}
