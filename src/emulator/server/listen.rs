//! The port: accepts connections, serves each with all its streams in a task of its own, ends them all on shutdown.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::Either;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::body::Body;

use super::Engine;
use super::front::Front;
use crate::emulator::faults::is_broken;
use crate::emulator::nursery::{self, Nursery};
use crate::error::{Error, Kind, Result};

/// Headers that do not arrive in this time end an HTTP/1.1 connection, and so does silence between two requests: longer than the idle
/// time of common clients, so that they are the ones to close.
const HEADER_SECONDS_MAX: u64 = 120;
/// HTTP/2 connections are asked this often whether somebody is still there …
const PING_SECONDS: u64 = 60;
/// … and closed without an answer in this time.
const PONG_SECONDS_MAX: u64 = 20;
/// Streams of one HTTP/2 connection at once; a client with many subscribers opens one for each.
const STREAMS_MAX: u32 = 1000;
/// What a client may send ahead on one stream and on a connection: some large messages, without a pause for permission.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// The method whose requests are many megabytes at times.
const PUBLISH: &str = "/google.pubsub.v1.Publisher/Publish";
/// From this size on, of its first frame, one is answered beside its connection; to be a task of its own costs as much as some messages.
const HEAVY_BYTES: usize = 4096;
/// After a failed accept (no file descriptors left, say) the next try waits this long.
const ACCEPT_PAUSE_MS: u64 = 50;

/// Takes the port; errors say what to do.
pub(super) async fn bind(address: &str) -> Result<(TcpListener, SocketAddr)> {
    let failed = |error| explain(error, address);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

fn explain(error: io::Error, address: &str) -> Error {
    let shown = address.escape_debug();
    let port = address.rsplit_once(':').map_or("8085", |(_, port)| port).escape_debug();
    match error.kind() {
        io::ErrorKind::AddrInUse => Error::new(Kind::Io, format!("address `{shown}` is in use")).with_hint(format!(
            "see who has it with `ss -ltnp 'sport = :{port}'`, or take a free port with `redrive emulator --listen 127.0.0.1:0`"
        )),
        io::ErrorKind::PermissionDenied => Error::new(Kind::Io, format!("this user may not listen on `{shown}`"))
            .with_hint("ports from 1024 on need no rights: `redrive emulator --listen 127.0.0.1:8085`"),
        io::ErrorKind::AddrNotAvailable => Error::new(Kind::Io, format!("`{shown}` is not an address of this machine"))
            .with_hint("listen on `127.0.0.1:8085` for this machine only, or on `0.0.0.0:8085` for all that can reach it"),
        _ => Error::invalid(format!("`{shown}` is not an address to listen on"))
            .with_hint("it looks like `127.0.0.1:8085`; port 0 takes a free one"),
    }
    .with_source(error)
}

/// Serves until the engine shuts down, then gives open requests `grace` to end.
pub(super) async fn serve(listener: TcpListener, front: Front, engine: Engine, grace: Duration) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, front.clone(), graceful.watcher()));
                }
                Err(error) => {
                    tracing::warn!(target: "redrive::emulator", %error, "a connection was not accepted; if too many files are open, `ulimit -n` is the limit");
                    tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        () = accepting => {}
        () = engine.shutting_down() => {}
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::debug!(target: "redrive::emulator", "open requests are cut off");
    }
}

async fn connection(stream: TcpStream, front: Front, watcher: hyper_util::server::graceful::Watcher) {
    // Small answers go out at once; a socket that refuses this works too.
    let _ = stream.set_nodelay(true);
    let broken = Arc::new(Notify::new());
    let breaks = Arc::clone(&broken);
    let service = service_fn(move |request| {
        let (front, breaks) = (front.clone(), Arc::clone(&breaks));
        async move {
            let response = answer(front, request).await;
            if is_broken(&response) {
                breaks.notify_one();
                // Nothing is answered any more.
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(response)
        }
    });
    let streams = Nursery::default();
    let connection = builder(streams.clone()).serve_connection(TokioIo::new(stream), service).into_owned();
    let served = async move {
        tokio::select! {
            ended = watcher.watch(connection) => if let Err(error) = ended {
                tracing::debug!(target: "redrive::emulator", ?error, "a connection broke");
            },
            () = broken.notified() => tracing::debug!(target: "redrive::emulator", "a fault broke a connection"),
        }
    };
    nursery::run(streams, served).await;
}

/// Answers a request within the connection's task. What publishes is in a box, which no other has to have room for.
fn answer(front: Front, request: Request<Incoming>) -> impl Future<Output = Response<Body>> {
    if request.uri().path() == PUBLISH {
        Either::Right(Box::pin(publish(front, request)))
    } else {
        Either::Left(front.answer(request.map(Body::new)))
    }
}

/// Answers a publish within the connection's task too, or beside it where it brings much, so that another core can read and apply that.
async fn publish(front: Front, request: Request<Incoming>) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let first = body.frame().await;
    let bytes = first.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
    let body = StreamBody::new(stream::iter(first).chain(BodyStream::new(body)));
    let answer = front.answer(Request::from_parts(head, Body::new(body)));
    if bytes < HEAVY_BYTES {
        return answer.await;
    }
    // A panic is that request's only.
    tokio::spawn(answer).await.unwrap_or_else(|_| Status::internal("The request was not carried out.").into_http())
}

fn builder(streams: Nursery) -> auto::Builder<Nursery> {
    let mut builder = auto::Builder::new(streams);
    // Without a timer hyper silently has no time limits at all.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEADER_SECONDS_MAX));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(PING_SECONDS))
        .keep_alive_timeout(Duration::from_secs(PONG_SECONDS_MAX))
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    builder
}
