//! The least client that keeps a server busy: requests made beforehand, written over kept connections, their answers only skimmed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A task, as every server here takes it.
const BODY: &str = r#"{"to":"ada@example.com","price":3,"quantity":4}"#;

/// Requests that are sent in turn; the next run goes on where the last one ended.
#[derive(Clone)]
pub(super) struct Load {
    requests: Arc<Vec<Vec<u8>>>,
    sent: Arc<AtomicUsize>,
}

impl Load {
    /// One request for each token, with the headers that Cloud Tasks sends.
    pub(super) fn new(tokens: &[String]) -> Self {
        let request = |token: &String| {
            format!(
                "POST /tasks/Send HTTP/1.1\r\nhost: shop.example\r\nuser-agent: Google-Cloud-Tasks\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/json\r\nx-cloudtasks-queuename: shop\r\nx-cloudtasks-taskname: 5318008\r\nx-cloudtasks-taskretrycount: 0\r\n\
                 x-cloudtasks-taskexecutioncount: 0\r\nx-cloudtasks-tasketa: 1780000000.25\r\ncontent-length: {}\r\n\r\n{BODY}",
                BODY.len()
            )
            .into_bytes()
        };
        Self { requests: Arc::new(tokens.iter().map(request).collect()), sent: Arc::default() }
    }

    /// Sends this many; returns how many were answered in a second. Another answer than 200 fails.
    pub(super) async fn run(&self, address: &str, requests: usize, concurrency: usize) -> Result<f64> {
        let next = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let connections: Vec<_> = (0..concurrency)
            .map(|_| {
                let (load, next, address) = (self.clone(), Arc::clone(&next), address.to_owned());
                tokio::spawn(async move { load.drive(&address, &next, requests).await })
            })
            .collect();
        for connection in connections {
            connection.await??;
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        Ok(requests as f64 / begun.elapsed().as_secs_f64())
    }

    async fn drive(&self, address: &str, next: &AtomicUsize, requests: usize) -> Result<()> {
        let mut connection = Connection::open(address).await?;
        loop {
            if next.fetch_add(1, Relaxed) >= requests {
                return Ok(());
            }
            let request = &self.requests[self.sent.fetch_add(1, Relaxed) % self.requests.len()];
            let (status, closed) = connection.exchange(request).await?;
            if status != *b"200" {
                bail!("an answer is {}: {}", String::from_utf8_lossy(&status), String::from_utf8_lossy(&connection.buffer));
            }
            if closed {
                connection = Connection::open(address).await?;
            }
        }
    }
}

/// Asks for a page; returns its body.
pub(super) async fn get(address: &str, path: &str) -> Result<String> {
    let mut connection = Connection::open(address).await?;
    connection.exchange(format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\n\r\n").as_bytes()).await?;
    let text = String::from_utf8_lossy(&connection.buffer).into_owned();
    Ok(text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads its answer; returns the status, and whether the server closes.
    async fn exchange(&mut self, request: &[u8]) -> Result<([u8; 3], bool)> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        loop {
            let ended = self.stream.read_buf(&mut self.buffer).await? == 0;
            if let Some(closed) = complete(&self.buffer, ended) {
                let status = self.buffer.get(9..12).context("a status line")?;
                return Ok(([status[0], status[1], status[2]], closed));
            }
            if ended {
                bail!("the connection broke off");
            }
        }
    }
}

/// Tells whether an answer is there in full, and then whether the server closes the connection.
fn complete(answer: &[u8], ended: bool) -> Option<bool> {
    let head = answer.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).ok()?.to_ascii_lowercase();
    let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
    let body = &answer[head..];
    let closes = header("connection:") == Some("close");
    let whole = match (header("content-length:"), header("transfer-encoding:")) {
        (Some(length), _) => body.len() >= length.parse().ok()?,
        (None, Some(_)) => body.ends_with(b"0\r\n\r\n"),
        (None, None) => ended,
    };
    whole.then_some(closes || ended)
}
