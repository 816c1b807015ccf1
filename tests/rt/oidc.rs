//! Tokens: whose are taken, and whose are not.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use redrive::runtime::{App, Compat, Context, Outcome, Task, done};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower::ServiceExt as _;

use crate::support::{World, alone, eventually};

const ACCOUNT: &str = "worker@shop.iam.gserviceaccount.com";
const URL: &str = "https://shop.example";

#[derive(Serialize, Deserialize)]
struct Noop;

impl Task<()> for Noop {
    const NAME: &'static str = "Noop";

    async fn run(self, _: Context<()>) -> Outcome {
        done()
    }
}

/// A key pair with its id. Making one takes a good part of a second.
struct Key {
    pair: KeyPair,
    id: &'static str,
}

static FIRST: LazyLock<Key> = LazyLock::new(|| Key { pair: KeyPair::generate(KeySize::Rsa2048).unwrap(), id: "first" });
static SECOND: LazyLock<Key> = LazyLock::new(|| Key { pair: KeyPair::generate(KeySize::Rsa2048).unwrap(), id: "second" });

impl Key {
    fn jwk(&self) -> Value {
        // An RSAPublicKey of 2,048 bits in DER: 256 bytes of modulus behind nine of heads, and the exponent 65537 at its end.
        let der = self.pair.public_key().as_ref();
        let (n, e) = (URL_SAFE_NO_PAD.encode(&der[9..265]), URL_SAFE_NO_PAD.encode(&der[der.len() - 3..]));
        json!({ "kid": self.id, "kty": "RSA", "alg": "RS256", "use": "sig", "n": n, "e": e })
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({ "alg": "RS256", "kid": self.id, "typ": "JWT" }), claims)
    }

    fn sign_as(&self, head: &Value, claims: &Value) -> String {
        let text = unsigned(head, claims);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn unsigned(head: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims() -> Value {
    json!({
        "iss": "https://accounts.google.com", "aud": URL, "azp": "1", "sub": "1", "iat": now(), "exp": now() + 3600, "email": ACCOUNT,
        "email_verified": true,
    })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

/// An issuer's keys over HTTP.
struct Issuer {
    url: String,
    shown: Arc<Mutex<Vec<&'static Key>>>,
    asked: Arc<AtomicU64>,
    /// While there is one, answers wait for it.
    gate: Arc<Mutex<Option<Arc<Notify>>>>,
}

impl Issuer {
    async fn start(shown: Vec<&'static Key>, cache_control: &'static str) -> Self {
        let (shown, asked, gate) = (Arc::new(Mutex::new(shown)), Arc::new(AtomicU64::new(0)), Arc::<Mutex<Option<Arc<Notify>>>>::default());
        let (keys, count, closed) = (Arc::clone(&shown), Arc::clone(&asked), Arc::clone(&gate));
        let answer = move || async move {
            count.fetch_add(1, SeqCst);
            let gate = closed.lock().unwrap().clone();
            if let Some(gate) = gate {
                gate.notified().await;
            }
            let keys: Vec<Value> = keys.lock().unwrap().iter().map(|key| key.jwk()).collect();
            ([("cache-control", cache_control)], json!({ "keys": keys }).to_string())
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/certs", listener.local_addr().unwrap());
        let routes = Router::new().route("/certs", get(answer));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, shown, asked, gate }
    }

    fn app(&self) -> App<()> {
        alone((), URL, Some(ACCOUNT)).task::<Noop>().token_keys(&self.url).unknown_key_pause(Duration::from_hours(1)).build().unwrap()
    }

    fn asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }
}

async fn call_with(app: &App<()>, authorization: Option<&str>) -> StatusCode {
    let request = Request::post("/tasks/Noop");
    let request = match authorization {
        Some(value) => request.header("authorization", value),
        None => request,
    };
    app.push().oneshot(request.body(Full::new(Bytes::from_static(b"{}"))).unwrap()).await.unwrap().status()
}

async fn call(app: &App<()>, token: &str) -> StatusCode {
    call_with(app, Some(&format!("Bearer {token}"))).await
}

/// What the services of a new issuer with the first key say to a token, beside a good one.
async fn said_to(token: &str) -> StatusCode {
    let app = Issuer::start(vec![&FIRST], "max-age=3600").await.app();
    assert_eq!(call(&app, &FIRST.sign(&claims())).await, StatusCode::OK, "the good one");
    call(&app, token).await
}

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;

#[tokio::test]
async fn alg_none() {
    let text = unsigned(&json!({ "alg": "none", "kid": "first" }), &claims());
    assert_eq!(said_to(&format!("{text}.")).await, UNAUTHORIZED);
    assert_eq!(said_to(&text).await, UNAUTHORIZED);
    assert_eq!(said_to(&FIRST.sign_as(&json!({ "alg": "none", "kid": "first" }), &claims())).await, UNAUTHORIZED);
}

#[tokio::test]
async fn hs256_signed_with_the_public_key() {
    let jwk = FIRST.jwk();
    let modulus = jwk["n"].as_str().unwrap();
    let text = unsigned(&json!({ "alg": "HS256", "kid": "first", "typ": "JWT" }), &claims());
    for secret in [FIRST.pair.public_key().as_ref().to_vec(), modulus.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(modulus).unwrap()] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes());
        assert_eq!(said_to(&format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))).await, UNAUTHORIZED);
    }
}

#[tokio::test]
async fn another_algorithm_critical_extensions_and_no_key() {
    for head in [
        json!({ "alg": "RS512", "kid": "first" }),
        json!({ "alg": "PS256", "kid": "first" }),
        json!({ "alg": "RS256", "kid": "first", "crit": ["exp"] }),
        json!({ "alg": "RS256" }),
    ] {
        assert_eq!(said_to(&FIRST.sign_as(&head, &claims())).await, UNAUTHORIZED, "{head}");
    }
}

#[tokio::test]
async fn expired() {
    assert_eq!(said_to(&FIRST.sign(&with("exp", now() - 60))).await, UNAUTHORIZED);
}

#[tokio::test]
async fn not_yet_valid() {
    assert_eq!(said_to(&FIRST.sign(&with("nbf", now() + 300))).await, UNAUTHORIZED);
    assert_eq!(said_to(&FIRST.sign(&with("iat", now() + 300))).await, UNAUTHORIZED);
}

#[tokio::test]
async fn wrong_audience() {
    for audience in ["https://other.example", "https://shop.example/", "https://shop.example/tasks/Noop", ""] {
        assert_eq!(said_to(&FIRST.sign(&with("aud", audience))).await, UNAUTHORIZED, "{audience}");
    }
    assert_eq!(said_to(&FIRST.sign(&with("aud", json!([URL])))).await, UNAUTHORIZED);
}

/// Where a system has tokens made for the whole URL, one for another task is none for this.
#[tokio::test]
async fn the_audience_is_that_of_the_format() {
    let issuer = Issuer::start(vec![&FIRST], "max-age=3600").await;
    let builder = alone((), URL, Some(ACCOUNT)).task::<Noop>().token_keys(&issuer.url).compat(Compat::DjangoGoogleCloudTasks);
    let app = builder.build().unwrap();
    assert_eq!(call(&app, &FIRST.sign(&with("aud", format!("{URL}/tasks/Noop")))).await, StatusCode::OK);
    assert_eq!(call(&app, &FIRST.sign(&with("aud", format!("{URL}/tasks/Other")))).await, UNAUTHORIZED);
    assert_eq!(call(&app, &FIRST.sign(&claims())).await, UNAUTHORIZED);
}

#[tokio::test]
async fn wrong_issuer() {
    assert_eq!(said_to(&FIRST.sign(&with("iss", "https://accounts.google.com.evil.example"))).await, UNAUTHORIZED);
    assert_eq!(said_to(&FIRST.sign(&with("iss", "accounts.google.com"))).await, StatusCode::OK, "Google writes both");
}

#[tokio::test]
async fn wrong_email() {
    assert_eq!(said_to(&FIRST.sign(&with("email", "eve@shop.iam.gserviceaccount.com"))).await, StatusCode::FORBIDDEN);
    assert_eq!(said_to(&FIRST.sign(&with("email", Value::Null))).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn unverified_email() {
    assert_eq!(said_to(&FIRST.sign(&with("email_verified", false))).await, StatusCode::FORBIDDEN);
    assert_eq!(said_to(&FIRST.sign(&with("email_verified", "true"))).await, UNAUTHORIZED);
}

#[tokio::test]
async fn exp_as_a_string() {
    assert_eq!(said_to(&FIRST.sign(&with("exp", (now() + 3600).to_string()))).await, UNAUTHORIZED);
    assert_eq!(said_to(&FIRST.sign(&with("exp", Value::Null))).await, UNAUTHORIZED);
}

#[tokio::test]
async fn another_key_under_the_same_id_and_a_changed_token() {
    let other = Key { pair: KeyPair::generate(KeySize::Rsa2048).unwrap(), id: "first" };
    assert_eq!(said_to(&other.sign(&claims())).await, UNAUTHORIZED);
    let good = FIRST.sign(&claims());
    let [head, _, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let changed = URL_SAFE_NO_PAD.encode(with("email", "eve@x").to_string());
    assert_eq!(said_to(&format!("{head}.{changed}.{signature}")).await, UNAUTHORIZED);
}

#[tokio::test]
async fn no_token_and_what_is_none() {
    let app = Issuer::start(vec![&FIRST], "max-age=3600").await.app();
    assert_eq!(call_with(&app, None).await, UNAUTHORIZED);
    let long = format!("Bearer {}", "a".repeat(100_000));
    for value in ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer a.b.c", "Bearer ..", "Bearer a.b.SIGNATURE_REMOVED_BY_GOOGLE", &long] {
        assert_eq!(call_with(&app, Some(value)).await, UNAUTHORIZED, "{value}");
    }
    let good = format!("bearer {}", FIRST.sign(&claims()));
    assert_eq!(call_with(&app, Some(&good)).await, StatusCode::OK, "a scheme may be in any case");
    let twice = Request::post("/tasks/Noop").header("authorization", &good).header("authorization", &good);
    let answer = app.push().oneshot(twice.body(Full::new(Bytes::from_static(b"{}"))).unwrap()).await.unwrap();
    assert_eq!(answer.status(), UNAUTHORIZED);
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn a_flood_of_unknown_keys_makes_one_fetch() {
    let issuer = Issuer::start(vec![&FIRST], "max-age=3600").await;
    let app = issuer.app();
    assert_eq!(call(&app, &FIRST.sign(&claims())).await, StatusCode::OK);
    let before = issuer.asked();
    let made_up = |number: usize| FIRST.sign_as(&json!({ "alg": "RS256", "kid": format!("made-up-{number}") }), &claims());
    let calls = (0..200).map(|number| {
        let (app, token) = (app.clone(), made_up(number));
        tokio::spawn(async move { call(&app, &token).await })
    });
    for answer in calls.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), UNAUTHORIZED);
    }
    assert_eq!(issuer.asked() - before, 1);
    assert_eq!(call(&app, &FIRST.sign(&with("sub", "2"))).await, StatusCode::OK, "known keys are as good as before");
    assert_eq!(app.metrics().tokens.key_fetches, issuer.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_keys_refresh_64_at_once_all_succeed() {
    // Kept for a second: the shortest that there is.
    let issuer = Issuer::start(vec![&FIRST], "max-age=1").await;
    let app = issuer.app();
    assert_eq!(call(&app, &FIRST.sign(&claims())).await, StatusCode::OK);
    let gate = Arc::new(Notify::new());
    *issuer.gate.lock().unwrap() = Some(Arc::clone(&gate));
    // Until the first fetch after that second hangs.
    let hangs = async || {
        assert_eq!(call(&app, &FIRST.sign(&with("sub", now()))).await, StatusCode::OK);
        (issuer.asked() == 2).then_some(())
    };
    eventually("the keys are fetched anew", hangs).await;
    let calls = (0..64).map(|number| {
        let (app, token) = (app.clone(), FIRST.sign(&with("sub", number)));
        tokio::spawn(async move { call(&app, &token).await })
    });
    for answer in calls.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(issuer.asked(), 2, "and nobody else asks");
    *issuer.gate.lock().unwrap() = None;
    gate.notify_one();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_64_at_once_and_a_new_key() {
    let issuer = Issuer::start(vec![&FIRST], "max-age=3600").await;
    let app = issuer.app();
    let burst = async |key: &'static Key| {
        let calls = (0..64).map(|number| {
            let (app, token) = (app.clone(), key.sign(&with("sub", number)));
            tokio::spawn(async move { call(&app, &token).await })
        });
        for answer in calls.collect::<Vec<_>>() {
            assert_eq!(answer.await.unwrap(), StatusCode::OK);
        }
    };
    burst(&FIRST).await;
    assert_eq!(issuer.asked(), 1);
    issuer.shown.lock().unwrap().insert(0, &SECOND);
    burst(&SECOND).await;
    assert_eq!(issuer.asked(), 2, "the new key is looked for once, and everybody has it");
    burst(&FIRST).await;
}

#[tokio::test]
async fn without_keys_nobody_is_told_that_his_token_is_bad() {
    let app = alone((), URL, Some(ACCOUNT)).task::<Noop>().token_keys("http://127.0.0.1:9/certs").build().unwrap();
    assert_eq!(call(&app, &FIRST.sign(&claims())).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_token_is_verified_once_and_remembered_for_its_audience() {
    let issuer = Issuer::start(vec![&FIRST], "max-age=3600").await;
    let app = issuer.app();
    let token = FIRST.sign(&claims());
    for _ in 0..3 {
        assert_eq!(call(&app, &token).await, StatusCode::OK);
    }
    let tokens = app.metrics().tokens;
    assert_eq!((tokens.verified, tokens.remembered, tokens.refused), (1, 2, 0));
    let other = alone((), "https://other.example", Some(ACCOUNT)).task::<Noop>().token_keys(&issuer.url).build().unwrap();
    assert_eq!(call(&other, &token).await, UNAUTHORIZED);
    assert_eq!(other.metrics().tokens.refused, 1);
}

#[tokio::test]
async fn others_may_call_when_they_are_named() {
    let issuer = Issuer::start(vec![&FIRST], "max-age=3600").await;
    let builder = alone((), URL, Some(ACCOUNT)).task::<Noop>().caller("eventarc@shop").audience("https://alias.example");
    let app = builder.issuer("https://issuer.example", &issuer.url).build().unwrap();
    let mut claims = with("iss", "https://issuer.example");
    assert_eq!(call(&app, &FIRST.sign(&claims)).await, StatusCode::OK);
    claims["email"] = "eventarc@shop".into();
    claims["aud"] = "https://alias.example".into();
    assert_eq!(call(&app, &FIRST.sign(&claims)).await, StatusCode::OK);
    assert_eq!(call(&app, &FIRST.sign(&with("email", ACCOUNT))).await, UNAUTHORIZED, "Google's issuer is not this app's any more");
}

#[tokio::test]
async fn without_an_account_an_emulator_lets_everybody_in_and_google_nobody() {
    let world = World::start("").await;
    let app = world.app((), URL).task::<Noop>().build().unwrap();
    assert_eq!(call_with(&app, None).await, StatusCode::OK);
    let app = world.app((), URL).task::<Noop>().caller(ACCOUNT).build().unwrap();
    assert_eq!(call_with(&app, None).await, UNAUTHORIZED, "with one it asks for tokens");
    let app = alone((), URL, Some(ACCOUNT)).task::<Noop>().unauthenticated().build().unwrap();
    assert_eq!(call_with(&app, None).await, StatusCode::OK, "as somebody said outright");
}

/// Keys and tokens of the emulator, which signs as Google does.
#[tokio::test]
async fn the_emulators_tokens_are_good_also_after_its_key_turned() {
    let world = World::start("").await;
    let base = format!("http://{}", world.emulator.address());
    let client = reqwest::Client::new();
    let number = async |path: &str| {
        let request = client.get(format!("{base}/computeMetadata/v1/{path}")).header("Metadata-Flavor", "Google");
        request.send().await.unwrap().text().await.unwrap()
    };
    let account = number("instance/service-accounts/default/email").await;
    let app = world.app((), URL).task::<Noop>().caller(account).build().unwrap();
    let path = format!("instance/service-accounts/default/identity?format=full&audience={URL}");
    assert_eq!(call(&app, &number(&path).await).await, StatusCode::OK);
    client.post(format!("{base}/keys/rotate")).send().await.unwrap();
    assert_eq!(call(&app, &number(&path).await).await, StatusCode::OK);
    assert_eq!(app.metrics().tokens.key_fetches, 2);
}
