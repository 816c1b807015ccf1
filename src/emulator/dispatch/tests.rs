use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::routing::{any, post};
use tokio::net::TcpListener;

use super::*;
use crate::emulator::identity::{Identity, Settings};
use crate::emulator::state::TokenKind;

fn call(url: String) -> HttpCall {
    HttpCall {
        caller: Caller::Task { task: "t".into(), attempt: 1 },
        method: "POST",
        url,
        headers: vec![("user-agent".into(), "Google-Cloud-Tasks".into()), ("x-many".into(), "1".into()), ("x-many".into(), "2".into())],
        body: Bytes::from_static(b"payload"),
        timeout: Duration::from_secs(5),
        token: None,
    }
}

fn identity() -> Identity {
    Identity::new("demo".parse().unwrap(), "http://127.0.0.1:8085".into(), Settings::default())
}

fn sender() -> Sender {
    Sender::new(identity(), Rewrites::default())
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    addr
}

#[tokio::test]
async fn what_is_sent_arrives_and_a_pushs_redirect_is_not_followed() {
    let check = |headers: HeaderMap, body: Bytes| async move {
        let right = headers[header::USER_AGENT] == "Google-Cloud-Tasks"
            && headers.get_all("x-many").iter().count() == 2
            && headers[header::AUTHORIZATION].to_str().unwrap().starts_with("Bearer ey")
            && body == "payload";
        if right { (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]) } else { (StatusCode::BAD_REQUEST, [(header::LOCATION, "")]) }
    };
    let addr = serve(Router::new().route("/", post(check))).await;
    let mut call = call(format!("http://{addr}/"));
    call.token = Some(TokenKind::Oidc { email: "a@b.c".into(), audience: "x".into() });
    call.caller = Caller::Push { subscription: "s".into(), lease: 1 };
    assert_eq!(sender().send(&mut call).await, Answer::Status(302));
}

#[tokio::test]
async fn a_tasks_redirects_are_followed_in_the_same_attempt() {
    let to = |status: StatusCode, location: &'static str| any(move || async move { (status, [(header::LOCATION, location)]) });
    let as_get = |method: Method, headers: HeaderMap, body: Bytes| async move {
        let right = method == Method::GET && body.is_empty() && headers.get_all("x-many").iter().count() == 2;
        if right && headers.contains_key(header::AUTHORIZATION) { StatusCode::OK } else { StatusCode::BAD_REQUEST }
    };
    let as_it_was = |method: Method, body: Bytes| async move {
        if method == Method::POST && body == "payload" { StatusCode::ACCEPTED } else { StatusCode::BAD_REQUEST }
    };
    let stranger = |headers: HeaderMap| async move {
        let told = headers.contains_key(header::AUTHORIZATION) || headers.contains_key(header::COOKIE);
        if told { StatusCode::BAD_REQUEST } else { StatusCode::CREATED }
    };
    let other = serve(Router::new().route("/", any(stranger))).await;
    let elsewhere = any(move || async move { (StatusCode::FOUND, [(header::LOCATION, format!("http://{other}/"))]) });
    let routes = Router::new()
        .route("/found", to(StatusCode::FOUND, "as-get"))
        .route("/moved", to(StatusCode::MOVED_PERMANENTLY, "/found"))
        .route("/kept", to(StatusCode::TEMPORARY_REDIRECT, "/as-it-was"))
        .route("/nowhere", any(|| async { StatusCode::FOUND }))
        .route("/round", to(StatusCode::FOUND, "/round"))
        .route("/elsewhere", elsewhere)
        .route("/as-get", any(as_get))
        .route("/as-it-was", any(as_it_was));
    let addr = serve(routes).await;
    for (path, status) in [("found", 200), ("moved", 200), ("kept", 202), ("nowhere", 302), ("round", 302), ("elsewhere", 201)] {
        let mut call = call(format!("http://{addr}/{path}"));
        call.headers.push(("Cookie".into(), "session=1".into()));
        call.token = Some(TokenKind::OAuth { email: "a@b.c".into(), scope: String::new() });
        assert_eq!(sender().send(&mut call).await, Answer::Status(status), "{path}");
        let mut app_engine = self::call(format!("http://{addr}/{path}"));
        app_engine.headers.push(("Host".into(), "worker.p.appspot.com".into()));
        let answer = sender().send(&mut app_engine).await;
        assert!(matches!(answer, Answer::Status(300..=399)), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn what_may_have_a_body_says_that_it_has_none() {
    let check = |method: Method, headers: HeaderMap| async move {
        let length = headers.get(header::CONTENT_LENGTH).map(HeaderValue::as_bytes);
        let may = method == Method::POST || method == Method::PUT || method == Method::PATCH;
        if length == may.then_some(&b"0"[..]) { StatusCode::OK } else { StatusCode::BAD_REQUEST }
    };
    let addr = serve(Router::new().route("/", any(check))).await;
    for method in ["POST", "PUT", "PATCH", "GET", "DELETE"] {
        let mut call = HttpCall { method, body: Bytes::new(), ..call(format!("http://{addr}/")) };
        assert_eq!(sender().send(&mut call).await, Answer::Status(200), "{method}");
    }
}

#[tokio::test]
async fn a_header_of_the_callers_own_replaces_the_token() {
    let check = |headers: HeaderMap| async move {
        if headers[header::AUTHORIZATION] == "Basic eDp5" { StatusCode::OK } else { StatusCode::BAD_REQUEST }
    };
    let addr = serve(Router::new().route("/", any(check))).await;
    let mut call = call(format!("http://{addr}/"));
    call.headers.push(("Authorization".into(), "Basic eDp5".into()));
    call.token = Some(TokenKind::OAuth { email: "a@b.c".into(), scope: String::new() });
    assert_eq!(sender().send(&mut call).await, Answer::Status(200));
}

#[tokio::test]
async fn access_tokens_are_good_for_calls_to_this_very_emulator() {
    let settings = Settings { required: true, ..Settings::default() };
    let identity = Identity::new("demo".parse().unwrap(), "http://127.0.0.1:8085".into(), settings);
    let guard = identity.clone();
    let check = |headers: HeaderMap| async move {
        // Enough for Pub/Sub, and for nothing else.
        let [publish, create] = ["google.pubsub.v1.Publisher/Publish", "google.cloud.tasks.v2.CloudTasks/CreateTask"];
        let good = guard.check(&headers, &format!("/{publish}")).is_ok() && guard.check(&headers, &format!("/{create}")).is_err();
        if good { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
    };
    let addr = serve(Router::new().route("/", any(check))).await;
    let mut call = call(format!("http://{addr}/"));
    call.token = Some(TokenKind::OAuth { email: "a@b.c".into(), scope: "https://www.googleapis.com/auth/pubsub".into() });
    assert_eq!(Sender::new(identity, Rewrites::default()).send(&mut call).await, Answer::Status(200));
}

#[tokio::test]
async fn failures_are_said_in_words() {
    let sender = sender();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let said = |answer| match answer {
        Answer::Failed(why) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(said(sender.send(&mut call(format!("http://{closed}/x"))).await), format!("connection refused by {closed}"));
    assert!(said(sender.send(&mut call("not a url".into())).await).starts_with("`not a url` is not a URL"));
    let mut bad = call(format!("http://{closed}/"));
    bad.headers.push(("x y\n".into(), "1".into()));
    assert_eq!(said(sender.send(&mut bad).await), "header `x y\\n` cannot be sent");
    assert!(said(sender.send(&mut call("ftp://host/".into())).await).contains("host"));
}

#[tokio::test]
async fn a_silent_handler_times_out_and_an_endless_answer_does_not_matter() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut late = call(format!("http://{}/", silent.local_addr().unwrap()));
    late.timeout = Duration::from_millis(50);
    assert_eq!(sender().send(&mut late).await, Answer::TimedOut);
    let large = serve(Router::new().route("/", any(|| async { vec![b'x'; 4 << 20] }))).await;
    assert_eq!(sender().send(&mut call(format!("http://{large}/"))).await, Answer::Status(200));
}

#[tokio::test]
async fn calls_beyond_the_bound_wait_and_all_arrive() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    static DONE: AtomicUsize = AtomicUsize::new(0);
    const CALLS: usize = lanes::LANE_CALLS_MAX * 3;
    let slow = || async {
        MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        NOW.fetch_sub(1, Ordering::SeqCst);
        DONE.fetch_add(1, Ordering::SeqCst);
    };
    let addr = serve(Router::new().route("/", any(slow))).await;
    let (engine, _) = Engine::start(1);
    let (queue, calls) = mpsc::unbounded_channel();
    for _ in 0..CALLS {
        queue.send((0, call(format!("http://{addr}/")))).unwrap();
    }
    let dispatcher = tokio::spawn(run(engine.clone(), calls, sender()));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while DONE.load(Ordering::SeqCst) < CALLS {
        assert!(tokio::time::Instant::now() < deadline, "{} of {CALLS}", DONE.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(MOST.load(Ordering::SeqCst) <= lanes::LANE_CALLS_MAX);
    engine.shut_down();
    dispatcher.await.unwrap();
}

#[tokio::test]
async fn an_overloaded_handler_says_when_to_come_back() {
    let answer = |status: StatusCode, after: &'static str| async move { (status, [(header::RETRY_AFTER, after)]) };
    let routes = Router::new()
        .route("/seconds", any(move || answer(StatusCode::TOO_MANY_REQUESTS, "120")))
        .route("/past", any(move || answer(StatusCode::SERVICE_UNAVAILABLE, "Wed, 21 Oct 2015 07:28:00 GMT")))
        .route("/nonsense", any(move || answer(StatusCode::SERVICE_UNAVAILABLE, "soon")))
        .route("/well", any(move || answer(StatusCode::OK, "120")));
    let addr = serve(routes).await;
    let answered = async |path: &str| sender().send(&mut call(format!("http://{addr}/{path}"))).await;
    assert_eq!(answered("seconds").await, Answer::Later { status: 429, after: Duration::from_mins(2) });
    assert_eq!(answered("past").await, Answer::Later { status: 503, after: Duration::ZERO });
    assert_eq!(answered("nonsense").await, Answer::Status(503));
    assert_eq!(answered("well").await, Answer::Status(200));
}

#[tokio::test]
async fn a_host_that_a_call_names_is_told_unless_it_is_rewritten() {
    let host = |expected: &'static str| {
        any(
            move |headers: HeaderMap| async move { if headers[header::HOST] == expected { StatusCode::OK } else { StatusCode::BAD_REQUEST } },
        )
    };
    let addr = serve(Router::new().route("/named", host("worker.p.appspot.com")).route("/rewritten", host("app.invalid"))).await;
    let rewrites = Rewrites::parse(&[("app.invalid".to_owned(), addr.to_string())]).unwrap();
    let sender = Sender::new(identity(), rewrites);
    for url in [format!("http://{addr}/named"), "http://app.invalid/rewritten".to_owned()] {
        let mut call = call(url);
        call.headers.push(("Host".into(), "worker.p.appspot.com".into()));
        assert_eq!(sender.send(&mut call).await, Answer::Status(200), "{}", call.url);
    }
}

#[tokio::test]
async fn a_host_that_is_rewritten_is_reached_elsewhere_and_sees_its_own_name() {
    let check = |headers: HeaderMap| async move {
        if headers[header::HOST] == "shop.invalid:8080" { StatusCode::OK } else { StatusCode::BAD_REQUEST }
    };
    let addr = serve(Router::new().route("/push", any(check))).await;
    let rewrites = Rewrites::parse(&[("shop.invalid".to_owned(), addr.to_string())]).unwrap();
    let answer = Sender::new(identity(), rewrites).send(&mut call("http://shop.invalid:8080/push".to_owned())).await;
    assert_eq!(answer, Answer::Status(200));
}
