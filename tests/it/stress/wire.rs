//! Bytes that are no request, or a broken one: each is answered by what its protocol has for it, or the connection ends; the next client is served.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::in_time;
use super::rpc_server::Server;

/// Sends bytes and returns what comes back: as much as `wanted` says, or, where nothing is wanted, all until the end, after saying that no more
/// bytes come.
async fn exchange(address: &str, bytes: &[u8], wanted: usize) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may have been answered and closed before all is written, and closed with a reset.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    if wanted == 0 {
        let _ = stream.shutdown().await;
        let _ = in_time(stream.read_to_end(&mut answer)).await;
    } else {
        // A server need not answer a client that has half closed already.
        let _ = in_time((&mut stream).take(wanted as u64).read_to_end(&mut answer)).await;
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn broken_bytes_are_answered_by_their_protocol() {
    let server = Server::start(":").await;
    let long = "x".repeat(500_000);
    let rows: [(String, &str); 12] = [
        ("GET /v1/projects/p/topics HTTP/1.1\r\nhost: x\r\n\r\n".into(), "HTTP/1.1 200"),
        ("nonsense\r\n\r\n".into(), "HTTP/1.1 400"),
        ("GET / HTTP/9.9\r\n\r\n".into(), "HTTP/1.1 400"),
        ("GET /\u{1b}[2J HTTP/1.1\r\nhost: x\r\n\r\n".into(), "HTTP/1.1 400"),
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n".into(), "HTTP/1.1 400"),
        // Answered with 431, which may get lost: the connection ends while the rest of the header is on its way.
        (format!("GET / HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n"), ""),
        ("POST /v1/projects/p/topics/t:publish HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".into(), "HTTP/1.1 400"),
        ("POST /v1/projects/p/topics/t:publish HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".into(), "HTTP/1.1 400"),
        ("PUT /v1/projects/p/topics/tea HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{".into(), ""),
        ("PUT /v1/projects/p/topics/tea HTTP/1.0\r\ncontent-length: 1\r\n\r\n{".into(), "HTTP/1.0 400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame at all, but long enough to be read as one".into(), ""),
        ("\u{16}\u{3}\u{1}\u{2}hello, TLS".into(), "HTTP/1.1 400"),
    ];
    for (bytes, begin) in rows {
        let shown: String = bytes.chars().take(60).collect();
        let answer = exchange(&server.address, bytes.as_bytes(), begin.len()).await;
        assert!(answer.starts_with(begin), "{shown:?}: {answer:?}");
        assert!(!answer.contains('\u{1b}'), "{shown:?}: {answer:?}");
    }
}

/// Calls a gRPC method with a body of raw bytes; returns code and message.
async fn grpc(server: &Server, path: &str, kind: &str, encoding: &str, body: &'static [u8]) -> (String, String) {
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let request = client.post(format!("http://{}{path}", server.address)).header("content-type", kind).header("te", "trailers");
    let response = in_time(request.header("grpc-encoding", encoding).body(body).send()).await.unwrap();
    let header = |name: &str| response.headers().get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned());
    (header("grpc-status"), header("grpc-message").replace("%20", " "))
}

/// Path, content type, encoding, body, and the code and words of the answer.
type Row = (&'static str, &'static str, &'static str, &'static [u8], &'static str, &'static str);

#[tokio::test]
async fn broken_grpc_is_refused_with_a_code_and_a_reason() {
    const CREATE: &str = "/google.pubsub.v1.Publisher/CreateTopic";
    const GRPC: &str = "application/grpc";
    let server = Server::start(":").await;
    let rows: [Row; 8] = [
        (CREATE, GRPC, "identity", b"\0\0\0\0\0", "3", "name"),
        ("/google.pubsub.v1.Publisher/Explode", GRPC, "identity", b"\0\0\0\0\0", "12", ""),
        ("/no.such.Service/Method", GRPC, "identity", b"\0\0\0\0\0", "12", ""),
        (CREATE, GRPC, "identity", b"", "13", "Missing request message"),
        (CREATE, GRPC, "identity", b"\0\0\0\0\x09short", "13", ""),
        (CREATE, GRPC, "identity", b"\0\0\0\0\x02\xff\xff", "13", "decode"),
        (CREATE, GRPC, "identity", b"\0\0\0\0\x04\x0a\x02\xff\xfe", "13", "decode"),
        (CREATE, GRPC, "rot13", b"\x01\0\0\0\x01x", "12", "rot13"),
    ];
    for (path, kind, encoding, body, code, text) in rows {
        let (status, message) = grpc(&server, path, kind, encoding, body).await;
        assert!(status == code && message.contains(text), "{path} {body:?}: {status} {message}");
    }
}
