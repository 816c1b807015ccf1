//! What must not get through, or bring a service down.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redrive::runtime::{Builder, Context, Outcome, Received, Subscriber, Subscription, Task, done};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Served, alone};

/// What the causes of failures say, and no answer may.
const SECRET: &str = "password";
/// The time limits of the services here.
const LIMIT: Duration = Duration::from_millis(300);
/// Long enough for a busy machine, and short against limits that are off.
const PATIENCE: Duration = Duration::from_secs(20);

/// The headers that handlers were given.
type Seen = Arc<Mutex<Vec<String>>>;

fn note(cx: &Context<Seen>) {
    let headers: Vec<String> = cx.headers().iter().map(|(name, value)| format!("{name}={value}")).collect();
    cx.state().lock().unwrap().push(headers.join(","));
}

#[derive(Serialize, Deserialize)]
struct Work {
    value: Value,
}

impl Task<Seen> for Work {
    const NAME: &'static str = "Work";

    async fn run(self, cx: Context<Seen>) -> Outcome {
        note(&cx);
        if self.value == "fail" { Err(format!("no connection with the {SECRET} hunter2").into()) } else { done() }
    }
}

struct Sink;

impl Subscriber<Seen> for Sink {
    type Message = Value;
    const NAME: &'static str = "Sink";

    fn subscription() -> Subscription {
        Subscription::to("orders")
    }

    async fn run(_: Received<Value>, cx: Context<Seen>) -> Outcome {
        note(&cx);
        done()
    }
}

async fn serve(seen: &Seen, change: impl FnOnce(Builder<Seen>) -> Builder<Seen>) -> Served {
    let make = |url: &str| change(alone(Arc::clone(seen), url, None).task::<Work>().subscriber::<Sink>());
    Served::start(make).await.1
}

/// Sends bytes as they are and reads until the other side closes; fails where it does not.
async fn raw(served: &Served, parts: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(served.address()).await.unwrap();
    for part in parts {
        // Who has been refused already may be hung up on.
        if stream.write_all(part).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _reset = read.expect("the connection is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

fn head(path: &str, more: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{more}\r\n")
}

async fn post(served: &Served, path: &str, body: &str) -> (u16, String) {
    let answer = raw(served, &[head(path, &format!("content-length: {}\r\n", body.len())).as_bytes(), body.as_bytes()]).await;
    (status(&answer), answer)
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status in {answer:?}"))
}

#[tokio::test]
async fn what_is_no_message_or_no_task() {
    let seen = Seen::default();
    let served = serve(&seen, |builder| builder).await;
    let deep = format!(r#"{{"value":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let enveloped =
        |data: &str| json!({ "message": { "data": data, "messageId": "1" }, "subscription": "projects/p/subscriptions/sub" }).to_string();
    let cases = [
        ("/subscriptions/Sink", r#"{"msg":{"data":"e30="}}"#.to_owned(), 400),
        ("/subscriptions/Sink", "not json".to_owned(), 400),
        ("/subscriptions/Sink", String::new(), 400),
        ("/subscriptions/Sink", enveloped("%%%not base64"), 400),
        ("/subscriptions/Sink", enveloped("aGk"), 400),
        // `hi` is base64 of something, and no JSON.
        ("/subscriptions/Sink", enveloped("aGk="), 400),
        ("/subscriptions/Sink", deep.clone(), 400),
        ("/subscriptions/Nobody", enveloped("e30="), 404),
        ("/tasks/Work", deep, 400),
        ("/tasks/Work", "{".to_owned(), 400),
        ("/tasks/Work", r#"{"value":1,"value":2}"#.to_owned(), 400),
        ("/tasks/../Work", "{}".to_owned(), 404),
        ("/tasks/Nobody", "{}".to_owned(), 404),
        ("/events/none/1", "{}".to_owned(), 404),
        ("/tasks/%2e%2e", "{}".to_owned(), 404),
    ];
    for (path, body, expected) in cases {
        let (found, answer) = post(&served, path, &body).await;
        assert_eq!(found, expected, "{path} {body:.60}: {answer}");
        for cause in ["line 1", "column", "recursion", "base64", "missing field", "duplicate", "expected"] {
            assert!(!answer.contains(cause), "{path}: the cause is in {answer}");
        }
    }
    assert!(seen.lock().unwrap().is_empty(), "no handler was called");
}

#[tokio::test]
async fn the_cause_of_a_failure_stays_here() {
    let served = serve(&Seen::default(), |builder| builder).await;
    let (status, answer) = post(&served, "/tasks/Work", r#"{"value":"fail"}"#).await;
    assert_eq!(status, 500);
    assert!(!answer.contains(SECRET) && !answer.contains("connection with"), "{answer}");
}

#[tokio::test]
async fn a_body_of_20_mb_is_refused_before_it_is_read() {
    let served = serve(&Seen::default(), |builder| builder).await;
    for (path, more) in [
        ("/subscriptions/Sink", "content-length: 20000000\r\n"),
        ("/tasks/Work", "content-length: 1048577\r\n"),
        ("/tasks/Work", "expect: 100-continue\r\ncontent-length: 20000000\r\n"),
    ] {
        let answer = raw(&served, &[head(path, more).as_bytes()]).await;
        assert_eq!(status(&answer), 413, "not a byte of it was sent: {answer}");
    }
    // Without an announcement it is refused when it gets too long.
    let mut parts = vec![head("/subscriptions/Sink", "transfer-encoding: chunked\r\n").into_bytes()];
    let chunk = [b"100000\r\n".to_vec(), vec![b' '; 0x10_0000], b"\r\n".to_vec()].concat();
    parts.extend(std::iter::repeat_n(chunk, 20));
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let mut stream = TcpStream::connect(served.address()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let write = async {
        for part in parts {
            if writer.write_all(part).await.is_err() {
                break;
            }
        }
    };
    let mut answer = vec![0; 1024];
    let (read, ()) = tokio::join!(reader.read(&mut answer), write);
    assert_eq!(status(&String::from_utf8_lossy(&answer[..read.unwrap()])), 413);
}

#[tokio::test]
async fn who_may_not_call_is_refused_before_a_byte_of_the_body_is_read() {
    let make = |url: &str| alone(Seen::default(), url, Some("worker@shop")).task::<Work>().token_keys("http://127.0.0.1:9/certs");
    let (_app, served) = Served::start(make).await;
    for more in ["content-length: 1000000\r\n", "authorization: Bearer a.b.c\r\ntransfer-encoding: chunked\r\n"] {
        let answer = raw(&served, &[head("/tasks/Work", more).as_bytes()]).await;
        assert_eq!(status(&answer), 401, "{answer}");
        assert!(!answer.contains("base64") && !answer.contains("Invalid"), "the cause is in {answer}");
    }
}

/// Its payload panics when it is read.
#[derive(Serialize)]
struct Mine;

impl<'de> Deserialize<'de> for Mine {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("{SECRET}")
    }
}

impl Task<Seen> for Mine {
    const NAME: &'static str = "Mine";

    async fn run(self, _: Context<Seen>) -> Outcome {
        done()
    }
}

#[tokio::test]
async fn a_payload_that_panics_is_answered() {
    let served = serve(&Seen::default(), Builder::task::<Mine>).await;
    let (status, answer) = post(&served, "/tasks/Mine", "{}").await;
    assert!(status == 500 && !answer.contains(SECRET), "{answer}");
    assert_eq!(post(&served, "/tasks/Work", r#"{"value":1}"#).await.0, 200, "and the service goes on");
}

#[tokio::test]
async fn the_largest_message_gets_through() {
    let seen = Seen::default();
    let served = serve(&seen, |builder| builder).await;
    // 10 MB, about 13.4 MB as base64.
    let data = format!("\"{}\"", "x".repeat(10_000_000));
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, data);
    let body = json!({ "message": { "data": data, "messageId": "1" }, "subscription": "projects/p/subscriptions/sub" }).to_string();
    assert_eq!(post(&served, "/subscriptions/Sink", &body).await.0, 200);
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn who_is_slow_is_hung_up_on() {
    let served = serve(&Seen::default(), |builder| builder.header_time(LIMIT).body_time(LIMIT)).await;
    let begun = Instant::now();
    // Nothing at all, half a head, the begin of HTTP/2, and a head of HTTP/2 that does not go on.
    for begin in ["", "POST /tasks/Work HT", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let answer = raw(&served, &[begin.as_bytes()]).await;
        assert!(!answer.contains(" 200"), "{begin:?}: {answer:?}");
    }
    assert!(begun.elapsed() >= LIMIT * 4, "not before their time");
    let answer = raw(&served, &[head("/tasks/Work", "content-length: 100\r\n").as_bytes(), b"{\"value\""]).await;
    assert_eq!(status(&answer), 408, "{answer}");
    // A connection that is not used any more.
    let keep = "POST /tasks/Work HTTP/1.1\r\nhost: shop\r\ncontent-length: 11\r\n\r\n{\"value\":1}";
    let answer = raw(&served, &[keep.as_bytes()]).await;
    assert_eq!(status(&answer), 200);
    assert!(begun.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_head_that_trickles_is_no_way_around_the_limit() {
    let served = serve(&Seen::default(), |builder| builder.header_time(LIMIT)).await;
    let mut stream = TcpStream::connect(served.address()).await.unwrap();
    let trickle = async {
        for byte in b"POST /tasks/Work HTTP/1.1\r\nx: ".iter().copied().chain(std::iter::repeat(b'y')) {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trickle).await.expect("the connection is closed while bytes still come");
}

#[tokio::test]
async fn connections_are_capped_and_freed() {
    let served = serve(&Seen::default(), |builder| builder.connections(2).header_time(LIMIT)).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(TcpStream::connect(served.address()).await.unwrap());
    }
    // It waits until those before it are hung up on, two by two.
    let begun = Instant::now();
    assert_eq!(post(&served, "/tasks/Work", r#"{"value":1}"#).await.0, 200);
    assert!(begun.elapsed() >= LIMIT * 3, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_head_that_is_too_large() {
    let served = serve(&Seen::default(), |builder| builder).await;
    let many = (0..300).map(|number| format!("x-{number}: 1\r\n")).collect::<Vec<_>>().concat();
    let answer = raw(&served, &[head("/tasks/Work", &many).as_bytes()]).await;
    assert_eq!(status(&answer), 431, "{answer}");
    let long = format!("x: {}\r\n", "y".repeat(300_000));
    let answer = raw(&served, &[head("/tasks/Work", &long).as_bytes()]).await;
    assert!(answer.is_empty() || status(&answer) == 431, "{answer}");
}

#[tokio::test]
async fn propagated_headers_are_no_way_to_inject_headers() {
    let seen = Seen::default();
    let served = serve(&seen, |builder| builder.propagates("x-tenant")).await;
    let attributes =
        json!({ "traceparent": "00-a-b-01\r\nauthorization: Bearer evil", "x-tenant": "a\u{0}b", "tracestate": "é", "cookie": "c" });
    let body = json!({ "message": { "data": "e30=", "messageId": "1", "attributes": attributes }, "subscription": "projects/p/subscriptions/sub" });
    assert_eq!(post(&served, "/subscriptions/Sink", &body.to_string()).await.0, 200);
    assert_eq!(*seen.lock().unwrap(), [""], "none of them is passed on");
    let more = "x-tenant: a\tb\r\ntracestate: \u{e9}\r\ncookie: c\r\ncontent-length: 11\r\n";
    let answer = raw(&served, &[head("/tasks/Work", more).as_bytes(), br#"{"value":1}"#]).await;
    assert_eq!(status(&answer), 200);
    assert_eq!(seen.lock().unwrap()[1], "");
    // A line break in a header of HTTP ends it.
    let answer = raw(&served, &[head("/tasks/Work", "x-tenant: a\rb: c\r\ncontent-length: 11\r\n").as_bytes(), br#"{"value":1}"#]).await;
    assert_eq!(status(&answer), 400, "{answer}");
}
