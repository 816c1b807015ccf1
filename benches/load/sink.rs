//! An HTTP server that answers everything with 200 at once and counts: the handler of dispatched tasks. It reads just enough of HTTP/1.1 to know
//! where a request ends, so that it costs next to nothing beside the server that is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// The handler; it ends with the runtime.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) url: String,
    seen: Arc<AtomicUsize>,
    changed: Arc<Notify>,
}

impl Sink {
    pub(crate) async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let sink = Self { url, seen: Arc::default(), changed: Arc::default() };
        let served = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sink = served.clone();
                // A connection that breaks is its peer's affair.
                tokio::spawn(async move { drop(sink.serve(stream).await) });
            }
        });
        Ok(sink)
    }

    /// Waits until so many requests have been answered since it was opened.
    pub(crate) async fn reached(&self, count: usize) {
        loop {
            let changed = self.changed.notified();
            if self.seen.load(Ordering::Relaxed) >= count {
                return;
            }
            changed.await;
        }
    }

    async fn serve(&self, stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        let mut body = 0;
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                body = length.trim().parse()?;
            }
            if line == "\r\n" {
                stream.read_exact(&mut vec![0; body]).await?;
                body = 0;
                stream.get_mut().write_all(OK).await?;
                self.seen.fetch_add(1, Ordering::Relaxed);
                self.changed.notify_waiters();
            }
        }
    }
}
