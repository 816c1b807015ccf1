//! The server: time limits that act, a cap on connections, and an orderly end.
//!
//! Hyper's own time limits do nothing without a timer, and none of them covers a connection that never says which protocol it speaks, or an idle one of
//! HTTP/2; therefore a watch goes along with each connection.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service;

use crate::error::{Error, Result};
use crate::runtime::push::Settings;
use crate::runtime::{App, Compat};

/// Where Cloud Run expects a service unless it says otherwise in `PORT`.
const PORT_DEFAULT: u16 = 8080;
/// Requests at once on one connection of HTTP/2.
const STREAMS_MAX: u32 = 256;
/// The head of a request has no more bytes: headers of a task have 80 KB at most.
const HEAD_BYTES_MAX: usize = 128 * 1024;
/// So many times within its limit a connection is looked at for whether anything is asked.
const LOOKS: u32 = 4;
/// Headers of a request where messages may come: an unwrapped one has up to 100 attributes. Elsewhere hyper's own limit of 100 holds, within which it needs no
/// memory to read them.
const HEADERS_MAX: usize = 200;
/// After an error of `accept` (no file handles left, say) this is waited, instead of failing again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a server ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections that were cut off because their requests did not end in time.
    pub cut_off: usize,
}

impl<S: Send + Sync + 'static> App<S> {
    /// Serves the push endpoint at `0.0.0.0:$PORT` (8080 without the variable) until SIGTERM or Ctrl-C, then lets requests end.
    ///
    /// # Errors
    ///
    /// Fails when the port is taken or malformed, and when nobody could ever call: see [`Builder::unauthenticated`](crate::runtime::Builder::unauthenticated).
    pub async fn serve(&self) -> Result<Drained> {
        let port = match std::env::var("PORT") {
            Ok(text) if !text.is_empty() => {
                text.parse().map_err(|_| Error::invalid(format!("`PORT` is `{}`, which is no port", text.escape_debug())))?
            }
            _ => PORT_DEFAULT,
        };
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let listener = TcpListener::bind(address).await.map_err(|error| Error::from(error).context(format!("`{address}`")))?;
        let address = listener.local_addr()?;
        tracing::info!(target: "redrive::runtime", %address, "serving");
        self.serve_on(listener, stop_signal()?).await
    }

    /// Serves the push endpoint until `stop` ends, then lets requests end for [`Builder::drain_time`](crate::runtime::Builder::drain_time). Meanwhile it
    /// pulls for the subscribers that are declared [`pulled`](crate::runtime::Subscription::pulled), and, where the app
    /// [`provisions_at_start`](crate::runtime::Builder::provisions_at_start), makes what it needs.
    ///
    /// # Errors
    ///
    /// Fails when nobody could ever call.
    pub async fn serve_on(&self, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<Drained> {
        self.serve_beside(self.push(), listener, stop).await
    }

    /// Serves a router of the service's own, with [`router`](Self::router) somewhere in it, under the same limits; and does beside it all that
    /// [`serve_on`](Self::serve_on) does.
    ///
    /// # Errors
    ///
    /// As [`serve_on`](Self::serve_on).
    pub async fn serve_router(&self, router: Router, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<Drained> {
        self.serve_beside(router, listener, stop).await
    }

    /// Returns how many headers a request may have, if not as many as anywhere.
    fn headers_max(&self) -> Option<usize> {
        let takes_messages = self.registry().subscribers().next().is_some() || self.config().compat == Compat::SingleEndpoint;
        takes_messages.then_some(HEADERS_MAX)
    }

    /// Serves, pulls and provisions.
    async fn serve_beside<T, B>(&self, service: T, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<Drained>
    where
        T: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        T::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let entrance = self.entrance();
        // Whoever has a signed URL may call also where no token is taken.
        if entrance.links.is_none() {
            entrance.auth.check()?;
        }
        self.provision_at_start();
        let pulling = if self.has_pulled() { Some(self.pull().start()?) } else { None };
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let stop = async {
            stop.await;
            // Nobody waits where nothing is pulled.
            let _ = stopping.send(());
        };
        // Both drain at once: there are ten seconds for all.
        let pulled = async {
            if let Some(pulling) = pulling {
                let _ = stopped.await;
                pulling.stop().await;
            }
        };
        let (drained, ()) = tokio::join!(run(listener, service, stop, &self.config().push, self.headers_max()), pulled);
        Ok(drained)
    }
}

/// Ends when the process is asked to stop, by SIGTERM (as Cloud Run does) or Ctrl-C: for [`App::serve_on`] and [`App::serve_router`]. Signals count from the call.
///
/// # Errors
///
/// Fails when signals cannot be listened for.
///
/// ```no_run
/// # async fn example(app: redrive::runtime::App<()>) -> redrive::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// app.serve_on(listener, redrive::runtime::stop_signal()?).await?;
/// # Ok(())
/// # }
/// ```
pub fn stop_signal() -> Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}

async fn run<T, B>(
    listener: TcpListener,
    service: T,
    stop: impl Future<Output = ()>,
    settings: &Settings,
    headers_max: Option<usize>,
) -> Drained
where
    T: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    T::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut stop = pin!(stop);
    let places = Arc::new(Semaphore::new(settings.connections_max));
    let (stopping, stopped) = watch::channel(());
    let builder = Arc::new(builder(settings, headers_max));
    let mut connections = JoinSet::new();
    loop {
        // A place first: who finds none waits in the system's queue, and costs nothing here.
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            () = &mut stop => break,
            // Ended ones are taken away, else they would pile up.
            Some(_) = connections.join_next() => {}
            (place, stream) = accepted => match stream {
                Ok((stream, _)) => {
                    let serving = connection(stream, service.clone(), Arc::clone(&builder), stopped.clone(), settings.header_time_max);
                    connections.spawn(async move { serving.await; drop(place) });
                }
                Err(error) => {
                    tracing::warn!(target: "redrive::runtime", %error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    drop(stopping);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(settings.drain_time_max, all).await;
    let cut_off = connections.len();
    if cut_off > 0 {
        tracing::warn!(target: "redrive::runtime", cut_off, "requests did not end in time and are cut off");
    }
    connections.shutdown().await;
    Drained { cut_off }
}

fn builder(settings: &Settings, headers_max: Option<usize>) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // `Activity` limits the time of a head: hyper's own limit would set a timer for each request.
    builder.http1().header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    if let Some(max) = headers_max {
        builder.http1().max_headers(max);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(settings.header_time_max)
        .keep_alive_timeout(settings.header_time_max)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
    builder
}

/// Requests of one connection: how many are under way, and how many there were.
#[derive(Default)]
struct Activity {
    under_way: AtomicUsize,
    begun: AtomicU64,
}

/// A request under way; also one that is dropped has ended.
struct UnderWay(Arc<Activity>);

impl UnderWay {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.under_way.fetch_add(1, SeqCst);
        activity.begun.fetch_add(1, SeqCst);
        Self(Arc::clone(activity))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, SeqCst);
    }
}

impl Activity {
    /// Ends when no request was begun (with its whole head) or under way for `max`, or a little longer.
    async fn idle(&self, max: Duration) {
        let (mut before, mut looks) = (self.begun.load(SeqCst), 0);
        while looks < LOOKS {
            tokio::time::sleep(max / LOOKS).await;
            let begun = self.begun.load(SeqCst);
            let quiet = self.under_way.load(SeqCst) == 0 && begun == before;
            (before, looks) = (begun, if quiet { looks + 1 } else { 0 });
        }
    }
}

async fn connection<T, B>(
    stream: TcpStream,
    service: T,
    builder: Arc<auto::Builder<TokioExecutor>>,
    mut stopped: watch::Receiver<()>,
    idle_max: Duration,
) where
    T: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    T::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    // Answers are small and awaited; without it they would be held back.
    let _ = stream.set_nodelay(true);
    let activity = Arc::new(Activity::default());
    let counted = Arc::clone(&activity);
    let service = service_fn(move |request| {
        let under_way = UnderWay::begin(&counted);
        let mut service = service.clone();
        async move {
            let answer = service.call(request).await;
            drop(under_way);
            answer
        }
    });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut idle = pin!(activity.idle(idle_max));
    let mut draining = false;
    loop {
        tokio::select! {
            biased;
            _ = serving.as_mut() => return,
            () = idle.as_mut() => return,
            _ = stopped.changed(), if !draining => {
                draining = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}
