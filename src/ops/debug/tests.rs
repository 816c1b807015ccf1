use std::process::Command;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::model::task::TaskRequest;

fn task(url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Task {
    Task {
        name: "projects/p/locations/l/queues/emails/tasks/t-1".parse().unwrap(),
        request: TaskRequest {
            method: "POST".to_owned(),
            url: url.to_owned(),
            app_engine: false,
            headers: headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: body.into(),
            token_account: None,
        },
        schedule_time: Some("2026-11-21T06:00:00.25Z".parse().unwrap()),
        create_time: None,
        dispatch_deadline: Some(Duration::from_secs(15)),
        dispatch_count: 4,
        response_count: 3,
        first_attempt: None,
        last_attempt: None,
        full: true,
        raw: serde_json::Value::Null,
    }
}

/// Answers one request with `answer` and returns what was asked.
async fn serve_once(answer: Vec<u8>) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        let mut buffer = [0; 4096];
        while !asked.ends_with(b"END") {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the request ended early");
            asked.extend_from_slice(&buffer[..read]);
        }
        // The client may hang up in the middle of a long answer.
        let _ = stream.write_all(&answer).await;
        String::from_utf8(asked).unwrap()
    });
    (address, asked)
}

#[tokio::test]
async fn sends_as_cloud_tasks_does_without_credentials() {
    let (address, asked) =
        serve_once(b"HTTP/1.1 503 Nope\r\nX-Why: because\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy".to_vec()).await;
    let headers = [
        ("Authorization", "Bearer secret1"),
        ("Cookie", "secret2"),
        ("Host", "elsewhere"),
        ("Traceparent", "00-abc"),
        ("X-CSRF-Token", "secret3"),
        ("X-Api-Key", "secret4"),
        ("X-CloudTasks-TaskName", "forged"),
    ];
    let task = task("https://mail.run.app/tasks/Send%20it?x=1&y=%2F", &headers, "bodyEND");
    let base = parse_base(&address.to_string()).unwrap();
    let answer = send(&task, &base, &loopback(&base).await.unwrap()).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (503, &b"busy"[..]));
    assert!(answer.headers.contains(&("x-why".to_owned(), "because".to_owned())), "{:?}", answer.headers);
    let asked = asked.await.unwrap();
    let lines: Vec<&str> = asked.lines().collect();
    assert_eq!(lines[0], "POST /tasks/Send%20it?x=1&y=%2F HTTP/1.1");
    for expected in [
        "traceparent: 00-abc",
        "content-type: application/octet-stream",
        "x-cloudtasks-queuename: emails",
        "x-cloudtasks-taskname: t-1",
        "x-cloudtasks-taskretrycount: 4",
        "x-cloudtasks-taskexecutioncount: 3",
        "x-cloudtasks-tasketa: 1795240800.250000",
        "user-agent: Google-Cloud-Tasks",
    ] {
        assert!(lines.contains(&expected), "{expected} is missing in {lines:?}");
    }
    assert!(!asked.contains("secret") && !asked.contains("forged") && !asked.contains("elsewhere"), "{asked}");
}

#[tokio::test]
async fn long_answers_are_cut_and_redirects_are_shown() {
    let mut long = format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: {}\r\n\r\n", 2 * HANDLER_BODY_BYTES_MAX)
        .into_bytes();
    long.resize(long.len() + 2 * HANDLER_BODY_BYTES_MAX, b'x');
    let (address, asked) = serve_once(long).await;
    let base = parse_base(&format!("http://{address}")).unwrap();
    let answer = send(&task("http://h/", &[], "END"), &base, &[address]).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (302, HANDLER_BODY_BYTES_MAX));
    asked.await.unwrap();
}

#[tokio::test]
async fn only_this_machine() {
    for here in ["localhost:1", "127.0.0.1:1", "http://[::1]:1", "127.9.9.9:80", "http://[::ffff:127.0.0.1]:1"] {
        assert!(loopback(&parse_base(here).unwrap()).await.is_ok(), "{here}");
    }
    for elsewhere in
        ["10.0.0.1:80", "http://169.254.169.254", "0.0.0.0:80", "http://[::]:80", "https://192.0.2.1", "http://[::ffff:10.0.0.1]:1"]
    {
        let error = loopback(&parse_base(elsewhere).unwrap()).await.unwrap_err();
        assert!(error.is_refused(), "{elsewhere}: {error}");
    }
    for malformed in
        ["", "ftp://localhost", "http://localhost/path", "http://u:p@localhost", "http://localhost?x", "http://", "localhost:99999"]
    {
        assert!(parse_base(malformed).unwrap_err().is_invalid_input(), "{malformed}");
    }
}

#[tokio::test]
async fn a_handler_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let base = parse_base(&address.to_string()).unwrap();
    let error = send(&task("http://h/", &[], ""), &base, &[address]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(error.to_string(), format!("no connection to the handler at `{address}`"));
}

#[test]
fn app_engine_paths_and_headers() {
    let mut task = task("//evil/tasks?x=1", &[], "");
    task.request.app_engine = true;
    let base = parse_base("localhost:8080").unwrap();
    assert_eq!(target(&task, &base).unwrap().as_str(), "http://localhost:8080/evil/tasks?x=1");
    assert!(service_headers(&task).iter().any(|(name, value)| name == "X-AppEngine-QueueName" && value == "emails"));
}

/// Runs the command with a `curl` that prints its arguments and its input.
fn run_curl(task: &Task) -> (Vec<String>, Vec<u8>) {
    let script = format!("curl() {{ printf '%s\\0' \"$@\" >&2; case \"$*\" in *@-) cat;; esac; }}\n{}", curl(task));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, script.as_bytes()).unwrap();
    let output = Command::new("sh").arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let arguments = String::from_utf8(output.stderr).unwrap().split_terminator('\0').map(str::to_owned).collect();
    (arguments, output.stdout)
}

#[test]
fn curl_passes_everything_on() {
    let headers = [
        ("X-Q", "it's \"$HOME\" `id`"),
        ("Authorization", "Bearer secret"),
        ("@/etc/passwd", "x"),
        ("X-Empty", ""),
        ("X-Esc", "a\u{1b}[2J"),
    ];
    let (arguments, _) = run_curl(&task("http://h/a?b=[1]&c='", &headers, "@file\n'quoted'"));
    assert_eq!(&arguments[..5], ["--globoff", "--request", "POST", "--url", "http://h/a?b=[1]&c='"]);
    for expected in ["X-Q: it's \"$HOME\" `id`", "X-Empty;", "X-Esc: a\u{1b}[2J", "X-CloudTasks-QueueName: emails"] {
        assert!(arguments.iter().any(|argument| argument == expected), "{expected}: {arguments:?}");
    }
    assert!(!arguments.iter().any(|argument| argument.contains("secret") || argument.contains("passwd")));
    assert_eq!(arguments[arguments.len() - 2..], ["--data-raw", "@file\n'quoted'"]);
}

#[test]
fn curl_takes_bodies_of_any_bytes() {
    for body in [vec![0, 159, 146, 150, 13, 10], b"\x1b[2J".to_vec(), vec![b'x'; 300_000]] {
        let task = task("http://h/", &[], body.clone());
        assert!(curl(&task).chars().all(|c| crate::model::text::is_safe(c) || c == '\n'));
        let (arguments, input) = run_curl(&task);
        assert_eq!(arguments[arguments.len() - 2..], ["--data-binary", "@-"]);
        assert_eq!(input, body);
    }
}
