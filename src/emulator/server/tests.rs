use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::error::Kind;

async fn get(emulator: &Emulator, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{}{path}", emulator.address())).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// A gRPC call over plaintext HTTP/2, as official clients make it; returns the status of a refusal, or the answer's frames.
async fn grpc(emulator: &Emulator, path: &str, message: &[u8]) -> Result<Vec<u8>, (String, String)> {
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    let request =
        client.post(format!("http://{}{path}", emulator.address())).header("content-type", "application/grpc").header("te", "trailers");
    let answer = request.body(frame).send().await.unwrap();
    let header = |name| answer.headers().get(name).map(|value: &http::HeaderValue| value.to_str().unwrap().to_owned());
    match header("grpc-status") {
        Some(status) => Err((status, header("grpc-message").unwrap_or_default())),
        None => Ok(answer.bytes().await.unwrap().to_vec()),
    }
}

#[tokio::test]
async fn one_port_speaks_json_and_grpc_and_says_what_it_is() {
    let emulator = Emulator::builder().project("shop".parse().unwrap()).start().await.unwrap();
    let (status, health) = get(&emulator, "/healthz").await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&health).unwrap()["project"], "shop");
    assert!(get(&emulator, "/").await.1.starts_with("redrive emulator"));
    assert!(get(&emulator, "/v1/projects/p/locations").await.1.contains("us-central1"));
    // ListLocationsRequest { name: "projects/p" }
    let answer = grpc(&emulator, "/google.cloud.location.Locations/ListLocations", b"\x0a\x0aprojects/p").await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("us-central1"));
    let refused = grpc(&emulator, "/google.cloud.location.Locations/GetLocation", b"").await.unwrap_err();
    assert_eq!(refused.0, "3", "{refused:?}");
    assert_eq!(grpc(&emulator, "/no.such.Service/Method", b"").await.unwrap_err().0, "12");
    emulator.shutdown().await;
}

#[tokio::test]
async fn messages_of_20_mb_are_taken_and_larger_ones_refused() {
    let emulator = Emulator::builder().start().await.unwrap();
    // A field that ListLocationsRequest does not have: length-delimited, number 15, 20 MB less its own head.
    let mut message = vec![0x7a, 0xfb, 0xff, 0xff, 0x09];
    message.resize(20 * 1024 * 1024, b'x');
    message[1..5].copy_from_slice(&[0xfb, 0xff, 0xff, 0x09]);
    let refused = grpc(&emulator, "/google.cloud.location.Locations/ListLocations", &message).await.unwrap_err();
    assert!(refused.1.contains("Invalid%20resource%20name"), "read, and only then refused: {refused:?}");
    message.push(0);
    let refused = grpc(&emulator, "/google.cloud.location.Locations/ListLocations", &message).await.unwrap_err();
    assert!(refused.0 == "3" && refused.1.contains("exceeds%20the%20limit"), "{refused:?}");
}

#[tokio::test]
async fn a_port_in_use_is_said_with_what_to_do() {
    let first = Emulator::builder().start().await.unwrap();
    let address = first.address().to_string();
    let error = Emulator::builder().listen(&address).start().await.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (Kind::Io, format!("address `{address}` is in use")));
    let hint = error.hint().unwrap();
    assert!(hint.contains("ss -ltnp") && hint.contains(&first.address().port().to_string()), "{hint}");
    first.shutdown().await;
    Emulator::builder().listen(&address).start().await.expect("the port is free again").shutdown().await;
}

#[tokio::test]
async fn addresses_that_cannot_be_are_refused() {
    for address in ["", "8085", "127.0.0.1", "127.0.0.1:99999", "\u{1b}[2J:1"] {
        let error = Emulator::builder().listen(address).start().await.unwrap_err();
        assert!(error.is_invalid_input() && error.hint().is_some(), "{address}: {error}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
    let error = Emulator::builder().listen("192.0.2.1:8085").start().await.unwrap_err();
    assert_eq!(error.to_string(), "`192.0.2.1:8085` is not an address of this machine");
}

#[tokio::test]
async fn dropping_stops_it() {
    let emulator = Emulator::builder().start().await.unwrap();
    let address = emulator.address();
    assert_eq!(get(&emulator, "/healthz").await.0, 200);
    drop(emulator);
    let deadline = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < deadline, "it still listens");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn idle_connections_neither_hinder_others_nor_the_end() {
    const IDLE: usize = 200;
    let emulator = Emulator::builder().start().await.unwrap();
    let mut idle = Vec::new();
    for nth in 0..IDLE {
        let mut stream = TcpStream::connect(emulator.address()).await.unwrap();
        match nth % 3 {
            // Nothing sent, half a request sent, or one answered and then silence.
            0 => {}
            1 => stream.write_all(b"GET /healthz HT").await.unwrap(),
            _ => {
                stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
                assert!(stream.read(&mut [0; 64]).await.unwrap() > 0);
            }
        }
        idle.push(stream);
    }
    assert_eq!(get(&emulator, "/healthz").await.0, 200);
    let start = Instant::now();
    emulator.shutdown().await;
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    for mut stream in idle {
        let mut left = Vec::new();
        // Closed or reset, but over.
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut left)).await.expect("the connection ended");
    }
}

#[tokio::test]
async fn a_seeded_task_is_sent_and_a_paused_queue_keeps_its_own() {
    let (heard, mut requests) = tokio::sync::mpsc::channel(10);
    let handler = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let heard = heard.clone();
        async move {
            let name = request.headers()["x-cloudtasks-taskname"].to_str().unwrap().to_owned();
            let body = axum::body::to_bytes(request.into_body(), 1000).await.unwrap();
            heard.send((name, body)).await.unwrap();
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, handler).await });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.yaml");
    let seed = format!(
        "project: shop\nlocation: mars-north1\nqueues:\n  - {{ name: emails }}\n  - {{ name: later, paused: true }}\ntasks:\n  \
         - {{ queue: later, name: kept, http: {{ url: '{url}' }} }}\n  - {{ queue: emails, name: sent, http: {{ url: '{url}', json: {{ to: ada }} }} }}\n"
    );
    std::fs::write(&path, seed).unwrap();
    let emulator = Emulator::builder().seed_file(&path).start().await.unwrap();
    assert_eq!(emulator.project().as_str(), "shop");
    let (name, body) = tokio::time::timeout(Duration::from_secs(10), requests.recv()).await.unwrap().unwrap();
    assert_eq!((name.as_str(), &body[..]), ("sent", &b"{\"to\":\"ada\"}"[..]));
    let (_, kept) = get(&emulator, "/v2/projects/shop/locations/mars-north1/queues/later/tasks").await;
    assert!(kept.contains("/tasks/kept") && requests.try_recv().is_err(), "{kept}");
    let (_, queue) = get(&emulator, "/v2/projects/shop/locations/mars-north1/queues/later?$alt=json;enum-encoding=int").await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&queue).unwrap()["state"], 2, "PAUSED as a number");
    assert!(get(&emulator, "/v2/projects/shop/locations").await.1.contains("mars-north1"), "a place that holds something is listed");
}

#[tokio::test]
async fn what_a_service_refuses_is_told_with_the_entry_of_the_seed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.toml");
    std::fs::write(&path, "[[tasks]]\nqueue = \"none\"\nlocation = \"europe-west1\"\nhttp.url = \"http://localhost/\"\n").unwrap();
    let error = Emulator::builder().seed_file(&path).start().await.unwrap_err();
    assert!(error.to_string().starts_with("task 1 for queue `none` of the seed cannot be made: "), "{error}");
}

#[cfg(feature = "tool")]
#[tokio::test]
async fn each_request_is_a_line_of_the_log_and_stays_one() {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (lines, emulator) = (Lines::default(), Emulator::builder().start().await.unwrap());
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let ask = async || {
        get(&emulator, "/v1/projects/p/locations/there").await;
        get(&emulator, "/v1/%1b[2J").await;
        let request = client.post(format!("http://{}/google.cloud.location.Locations/GetLocation", emulator.address()));
        let request = request.header("content-type", "application/grpc").header("x-goog-request-params", "name=projects%2Fp");
        request.body(vec![0; 5]).send().await.unwrap();
    };
    // While there is but one, a place in the code that another test's thread reaches, which has none, is remembered as silent.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let logging = tracing::subscriber::set_default(subscriber);
    for _ in 0..10 {
        // Such a thread may just be about to remember it.
        tracing::callsite::rebuild_interest_cache();
        ask().await;
        if !lines.0.lock().unwrap().is_empty() {
            break;
        }
    }
    drop(logging);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let requests: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("redrive::emulator::request: ")).map(|(_, line)| line).collect();
    let without_ms: Vec<&str> = requests.iter().map(|line| line.split_once(" ms=").unwrap().0).collect();
    let expected = [
        "method=GET resource=/v1/projects/p/locations/there status=200",
        "method=GET resource=/v1/%1b[2J status=404",
        "method=google.cloud.location.Locations/GetLocation resource=name=projects/p status=InvalidArgument",
    ];
    assert_eq!(without_ms, expected);
}

#[tokio::test]
async fn the_example_seed_is_there_from_the_start() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/seed.yaml");
    let emulator = Emulator::builder().seed_file(path).start().await.unwrap();
    let table = [
        (
            "/v1/projects/shop/topics/orders",
            r#"{"name":"projects/shop/topics/orders","labels":{"team":"shop"},"messageRetentionDuration":"604800s""#,
        ),
        ("/v1/projects/shop/topics/orders/subscriptions", "orders-audit"),
        (
            "/v1/projects/shop/subscriptions/orders-mail",
            r#""deadLetterPolicy":{"deadLetterTopic":"projects/shop/topics/orders-dead","maxDeliveryAttempts":5}"#,
        ),
        ("/v1/projects/shop/subscriptions/orders-mail", r#""retryPolicy":{"minimumBackoff":"10s","maximumBackoff":"600s"}"#),
        ("/v2/projects/shop/locations/us-central1/queues/reports", r#""state":"PAUSED""#),
        ("/v2/projects/shop/locations/europe-west1/queues/emails", r#""maxDispatchesPerSecond":5"#),
        ("/v2/projects/shop/locations/europe-west1/queues/emails/tasks", "/tasks/welcome-ada"),
        ("/v1/projects/shop/locations/europe-west1/jobs/nightly", r#""timeZone":"Europe/Paris""#),
        ("/v1/projects/shop/locations/europe-west1/jobs/cleanup", r#""state":"PAUSED""#),
    ];
    for (path, expected) in table {
        let (status, json) = get(&emulator, path).await;
        assert!(status == 200 && json.contains(expected), "{path}: {json}");
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let pull = client.post(format!("http://{}/v1/projects/shop/subscriptions/orders-dead-hold:pull", emulator.address()));
    let pulled = pull.body(r#"{"maxMessages":5}"#).send().await.unwrap().text().await.unwrap();
    assert!(pulled.contains(r#""data":"bm90IEpTT04gYXQgYWxs""#), "{pulled}");
    // Once more: what is there is left alone.
    let services = Services::new(&emulator.engine);
    let seed = seed::read(std::path::Path::new(path)).await.unwrap();
    seed::apply(&seed, emulator.project(), &services, emulator.engine.now()).await.unwrap();
}

#[tokio::test]
async fn a_message_of_12_mb_is_refused_by_pub_subs_own_rule() {
    let emulator = Emulator::builder().start().await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let at = |rest: &str| format!("http://{}/v1/projects/p/topics/orders{rest}", emulator.address());
    assert!(client.put(at("")).send().await.unwrap().status().is_success());
    let data = "A".repeat(16 * 1024 * 1024);
    let answer = client.post(at(":publish")).body(format!(r#"{{"messages":[{{"data":"{data}"}}]}}"#)).send().await.unwrap();
    let status = answer.status().as_u16();
    let json: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert!(status == 400 && json["error"]["message"].as_str().unwrap().contains("10"), "{json}");
    let largest = format!(r#"{{"messages":[{{"data":"{}"}}]}}"#, "A".repeat(13_000_000));
    assert_eq!(client.post(at(":publish")).body(largest).send().await.unwrap().status().as_u16(), 200, "9.75 MB are taken");
}

#[tokio::test]
async fn a_pull_that_waits_is_answered_when_the_emulator_ends() {
    let emulator = Emulator::builder().start().await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let root = format!("http://{}/v1/projects/p", emulator.address());
    assert!(client.put(format!("{root}/topics/orders")).send().await.unwrap().status().is_success());
    let subscription = format!("{root}/subscriptions/mail");
    let made = client.put(&subscription).body(r#"{"topic":"projects/p/topics/orders"}"#).send().await.unwrap();
    assert!(made.status().is_success());
    let pull = tokio::spawn(client.post(format!("{subscription}:pull")).body(r#"{"maxMessages":1}"#).send());
    let deadline = Instant::now() + Duration::from_secs(10);
    while emulator.engine.waited_on() == 0 {
        assert!(Instant::now() < deadline, "the pull does not wait");
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    emulator.shutdown().await;
    assert!(start.elapsed() < Duration::from_millis(SHUTDOWN_MS_MAX), "nothing had to be cut off: {:?}", start.elapsed());
    assert_eq!(pull.await.unwrap().unwrap().text().await.unwrap(), "{}");
}

#[tokio::test]
async fn a_seed_that_could_not_be_made_is_made_by_the_next_start_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let (seed, data) = (folder.path().join("seed.yaml"), folder.path().join("data"));
    let start = || Emulator::builder().data_dir(&data).seed_file(&seed).start();
    let subscription = "/v1/projects/demo/subscriptions/mail";
    let text = |filter: &str| format!("topics: [{{ name: orders }}]\nsubscriptions: [{{ name: mail, topic: orders, filter: '{filter}' }}]");
    std::fs::write(&seed, text("nonsense")).unwrap();
    let error = start().await.unwrap_err();
    assert!(error.to_string().contains("mail"), "{error}");
    std::fs::write(&seed, text("attributes:paid")).unwrap();
    let emulator = start().await.unwrap();
    let (status, answer) = get(&emulator, subscription).await;
    assert!(status == 200 && answer.contains("attributes:paid"), "{answer}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let deleted = client.delete(format!("http://{}{subscription}", emulator.address())).send().await.unwrap();
    assert_eq!(deleted.status().as_u16(), 200);
    emulator.shutdown().await;
    let emulator = start().await.unwrap();
    assert_eq!(get(&emulator, subscription).await.0, 404, "what was deleted since is not made again");
}
