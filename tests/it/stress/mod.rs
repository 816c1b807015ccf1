//! The emulator's binary under what should not bring it down: very many connections, a client that does not read, a long stream of large messages.
//!
//! `REDRIVE_CAMPAIGN=16 cargo test --test it stress` runs the full sizes: 10,000 connections, 1 GB.

pub(crate) mod rpc_server;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use rpc_server::Server;

/// Nothing on one machine takes this long; what does has hung.
const PATIENCE: Duration = Duration::from_mins(2);
/// Multiplies the sizes.
const FACTOR: &str = "REDRIVE_CAMPAIGN";
const CONNECTIONS: usize = 800;
const CONNECTIONS_MAX: usize = 10_000;
/// Files that this process and the emulator have open besides the connections.
const OTHER_FILES: u64 = 500;
const MB: usize = 1_000_000;
/// Messages of 1 MB in the stream of publishes, and in the backlog before a slow client.
const STREAM_MESSAGES: usize = 64;
const BACKLOG_MESSAGES: usize = 24;
/// Published messages that may wait for the subscriber.
const AHEAD_MAX: usize = 8;
/// Memory of the emulator above what it began with, whatever the length of the stream: what waits, twice over, and what the allocator keeps.
const GROWTH_BYTES_MAX: u64 = 150_000_000;

fn factor() -> usize {
    std::env::var(FACTOR).map_or(1, |value| value.parse().unwrap())
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("nothing happened in time")
}

/// Opens a connection of one of three kinds: silent, after a request of HTTP/1.1, in the middle of a request.
async fn idle_connection(address: &str, number: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    match number % 3 {
        0 => {}
        1 => assert!(health(&mut stream).await.starts_with("HTTP/1.1 200")),
        _ => stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await.unwrap(),
    }
    stream
}

async fn health(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    let read = in_time(stream.read(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_by_the_thousand_leave_it_as_it_was() {
    let wanted = (CONNECTIONS * factor()).min(CONNECTIONS_MAX);
    // More than the emulator's shell allows it: it has to raise its own limit. This process needs as many.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let count = wanted.min(usize::try_from(files - OTHER_FILES).unwrap());
    assert!(count >= CONNECTIONS, "this system allows {files} open files only");
    let server = Server::start("ulimit -Sn 256").await;
    let before = server.rss_bytes();
    let mut idle = Vec::new();
    for number in 0..count {
        idle.push(in_time(idle_connection(&server.address, number)).await);
    }
    server.subscribe("orders", "billing").await;
    let sent = server.publish("orders", vec![Bytes::from_static(b"x")]).await;
    assert_eq!(server.take("billing").await, sent);
    // Every one of them is still good for a request.
    for stream in idle.iter_mut().skip(1).step_by(3) {
        assert!(health(stream).await.starts_with("HTTP/1.1 200"));
    }
    let each = (server.rss_bytes().saturating_sub(before)) / count as u64;
    assert!(each < 100_000, "{each} bytes for a connection");
    note(&format!("{count} connections, {each} bytes each"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_holds_little_and_hinders_nobody() {
    let server = Server::start(":").await;
    server.subscribe("orders", "billing").await;
    let count = BACKLOG_MESSAGES * factor().min(8);
    let mut all = BTreeSet::new();
    for _ in 0..count {
        all.extend(server.publish("orders", vec![Bytes::from(vec![0; MB])]).await);
    }
    let full = server.rss_bytes();
    // One response is read, so that the stream is surely open; then nothing.
    let (mut slow, requests) = server.stream("billing").await;
    let first = in_time(slow.message()).await.unwrap().unwrap();
    assert!(!first.received_messages.is_empty());
    let mut taken = BTreeSet::new();
    loop {
        let batch = server.take("billing").await;
        if batch.is_empty() {
            break;
        }
        taken.extend(batch);
    }
    assert!(taken.len() * 3 >= count, "only {} of {count} were left by the client that does not read", taken.len());
    assert!(server.rss_bytes() < full + GROWTH_BYTES_MAX, "what is held for it is not copied");
    // Gone: what it held comes back, in a time that the emulator's clock makes short.
    drop((slow, requests));
    while taken.len() < count {
        server.advance(11).await;
        taken.extend(server.take("billing").await);
    }
    assert_eq!(taken, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_stream_of_large_messages_needs_no_more_memory_than_what_waits() {
    let server = Arc::new(Server::start(":").await);
    server.subscribe("orders", "billing").await;
    let count = STREAM_MESSAGES * factor();
    let before = server.rss_bytes();
    let ahead = Arc::new(Semaphore::new(AHEAD_MAX));
    let publisher = tokio::spawn({
        let (server, ahead) = (Arc::clone(&server), Arc::clone(&ahead));
        async move {
            for _ in 0..count {
                ahead.acquire().await.unwrap().forget();
                server.publish("orders", vec![Bytes::from(vec![0; MB])]).await;
            }
        }
    });
    let (mut taken, mut peak) = (0, 0);
    while taken < count {
        let batch = server.take("billing").await.len();
        taken += batch;
        ahead.add_permits(batch);
        peak = peak.max(server.rss_bytes());
    }
    in_time(publisher).await.unwrap();
    assert_eq!(taken, count);
    assert!(peak < before + GROWTH_BYTES_MAX, "{} MB at most", peak / 1_000_000);
    note(&format!("{count} MB through, {} MB at most, {} MB before", peak / 1_000_000, before / 1_000_000));
}

/// Figures for those who run the full sizes with `--nocapture`.
#[expect(clippy::print_stderr, reason = "for people, and only where output is not captured")]
fn note(figures: &str) {
    eprintln!("{figures}");
}
