use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use super::keys::SigningKey;
use super::*;
use crate::emulator::state::Code;

const ACCOUNT: &str = "push@p.iam.gserviceaccount.com";
const PUBLISH: &str = "/google.pubsub.v1.Publisher/Publish";

fn identity(required: bool) -> Identity {
    Identity::new("shop".parse().unwrap(), "http://127.0.0.1:8085".into(), Settings { issuer: None, required })
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn part(token: &str, nth: usize) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(nth).unwrap()).unwrap()
}

fn claims(token: &str) -> Json {
    serde_json::from_slice(&part(token, 1)).unwrap()
}

#[test]
fn an_id_token_has_googles_claims_and_the_shown_keys_check_it() {
    let identity = identity(false);
    let token = identity.kept_id_token(ACCOUNT, "https://shop.example/", at(1_000_000)).unwrap();
    let found = claims(&token);
    assert_eq!(found["aud"], "https://shop.example/");
    assert_eq!(found["email"], ACCOUNT);
    assert_eq!(found["email_verified"], true);
    assert_eq!(found["iss"], "https://accounts.google.com");
    assert_eq!(found["exp"].as_i64().unwrap() - found["iat"].as_i64().unwrap(), 3600);
    assert_eq!(found["azp"], found["sub"]);
    assert_eq!(found["sub"].as_str().unwrap().len(), 21);
    let (signed, _) = token.rsplit_once('.').unwrap();
    let keys = identity.signing_keys().unwrap();
    assert_eq!(serde_json::from_slice::<Json>(&part(&token, 0)).unwrap()["kid"], keys[0].id());
    assert!(keys[0].public().verifies(signed.as_bytes(), &part(&token, 2)));
    assert!(!keys[0].public().verifies(b"something else", &part(&token, 2)));
    assert_eq!(identity.kept_id_token(ACCOUNT, "https://shop.example/", at(1_000_060)).unwrap(), token, "used again");
    assert_ne!(identity.kept_id_token(ACCOUNT, "https://shop.example/", at(1_001_800)).unwrap(), token, "made anew");
}

#[test]
fn after_a_turn_the_old_key_is_still_shown_and_then_no_more() {
    let identity = identity(false);
    let first = identity.signing_key().unwrap();
    let shown = |identity: &Identity| identity.signing_keys().unwrap().iter().any(|key| key.id() == first.id());
    identity.rotate().unwrap();
    assert!(shown(&identity) && identity.signing_key().unwrap().id() != first.id());
    identity.rotate().unwrap();
    assert!(!shown(&identity));
}

#[test]
fn access_tokens_are_the_emulators_own_whole_and_not_expired() {
    let identity = identity(false);
    let token = identity.access_token(ACCOUNT, "a b", 60, at(1000));
    assert_eq!(token.expires, at(1060));
    let grant = identity.read_access(&token.text, at(1059)).unwrap();
    assert_eq!((grant.email.as_str(), grant.scope.as_str()), (ACCOUNT, "a b"));
    assert_eq!(identity.read_access(&token.text, at(1060)), None);
    assert_eq!(self::identity(false).read_access(&token.text, at(1000)), None, "another emulator's");
    for position in 0..token.text.len() {
        let mut bent = token.text.clone().into_bytes();
        bent[position] ^= 1;
        assert_eq!(identity.read_access(&String::from_utf8(bent).unwrap(), at(1000)), None, "{position}");
    }
    let refresh = identity.refresh_token("ada@example.com", "a");
    assert_eq!(identity.read_refresh(&refresh).unwrap().email, "ada@example.com");
    assert_eq!((identity.read_access(&refresh, at(0)), identity.read_refresh(&token.text)), (None, None), "not one for the other");
}

/// A service account with its key, outside of the emulator.
struct Holder {
    identity: Identity,
    key: SigningKey,
}

impl Holder {
    fn new(required: bool) -> Self {
        let (identity, key) = (identity(required), SigningKey::generate().unwrap());
        identity.register(ACCOUNT, key.public()).unwrap();
        Self { identity, key }
    }

    fn signed(&self, change: impl std::borrow::Borrow<Json>) -> String {
        let mut claims = json!({"iss": ACCOUNT, "sub": ACCOUNT, "iat": 1000, "exp": 4600, "aud": "https://oauth2.googleapis.com/token"});
        claims.as_object_mut().unwrap().extend(change.borrow().as_object().unwrap().clone());
        self.key.sign(&claims).unwrap()
    }
}

#[test]
fn an_assertion_is_exchanged_or_refused_in_googles_words() {
    let holder = Holder::new(false);
    let scope = json!({"scope": "https://www.googleapis.com/auth/pubsub"});
    let answer = holder.identity.exchange(&holder.signed(scope.clone()), at(1000)).unwrap();
    let grant = holder.identity.read_access(answer["access_token"].as_str().unwrap(), at(1000)).unwrap();
    assert_eq!((grant.email.as_str(), grant.scope.as_str()), (ACCOUNT, "https://www.googleapis.com/auth/pubsub"));
    let answer = holder.identity.exchange(&holder.signed(json!({"target_audience": "https://me"})), at(1000)).unwrap();
    assert_eq!(claims(answer["id_token"].as_str().unwrap())["aud"], "https://me");
    let refused = |token: &str, now| holder.identity.exchange(token, at(now)).unwrap_err();
    assert_eq!(refused(&holder.signed(json!({})), 1000), "Empty or missing scope not allowed.");
    assert!(
        refused(&holder.signed(json!({"aud": "https://elsewhere", "scope": "x"})), 1000).starts_with("Invalid JWT: Failed audience check")
    );
    assert_eq!(refused(&holder.signed(json!({"iss": "nobody@p.iam.gserviceaccount.com"})), 1000), "Invalid grant: account not found");
    for (change, now) in [(scope.clone(), 100), (scope, 9000), (json!({"exp": 999_999}), 1000)] {
        assert!(refused(&holder.signed(change), now).starts_with("Invalid JWT: Token must be a short-lived token"));
    }
    let other = SigningKey::generate().unwrap();
    let forged = other.sign(&json!({"iss": ACCOUNT, "iat": 1000, "exp": 4600, "scope": "x", "aud": "x/token"})).unwrap();
    assert_eq!(refused(&forged, 1000), "Invalid JWT Signature.");
    for garbage in ["", "a.b", "a.b.c", "....", &"x".repeat(100_000)] {
        assert_eq!(refused(garbage, 1000), "Bad Request");
    }
}

#[test]
fn the_guard_lets_in_who_shows_a_valid_token() {
    let holder = Holder::new(true);
    let now = now();
    let (iat, exp) = (now.as_second(), now.as_second() + 3600);
    let call = |token: Option<&str>, method: &str| {
        let mut headers = HeaderMap::new();
        headers.extend(token.map(|token| (AUTHORIZATION, format!("Bearer {token}").parse().unwrap())));
        holder.identity.check(&headers, method).map_err(|refusal| (refusal.code, refusal.message))
    };
    let access = |scope: &str| holder.identity.access_token(ACCOUNT, scope, 60, now).text;
    assert_eq!(call(Some(&access("https://www.googleapis.com/auth/cloud-platform")), PUBLISH), Ok(()));
    assert_eq!(call(Some(&access("openid https://www.googleapis.com/auth/pubsub")), PUBLISH), Ok(()));
    assert_eq!(call(Some(&holder.signed(json!({"iat": iat, "exp": exp, "aud": "https://pubsub.googleapis.com/"}))), PUBLISH), Ok(()));
    let platform = json!({"iat": iat, "exp": exp, "aud": null, "scope": "https://www.googleapis.com/auth/cloud-platform"});
    assert_eq!(call(Some(&holder.signed(platform)), PUBLISH), Ok(()));
    let (code, words) = call(None, PUBLISH).unwrap_err();
    assert_eq!(code, Code::Unauthenticated);
    assert!(words.starts_with("Request is missing required authentication credential. Expected OAuth 2 access token,"), "{words}");
    let id_token = holder.identity.id_token(ACCOUNT, "https://pubsub.googleapis.com/", true, now).unwrap();
    let old = holder.signed(json!({"aud": "https://pubsub.googleapis.com/"}));
    let elsewhere = holder.signed(json!({"iat": iat, "exp": exp, "aud": "https://example.com/"}));
    let expired = holder.identity.access_token(ACCOUNT, "x", -1, now).text;
    for token in ["", "x", "ya29.c.x.y", &id_token, &old, &elsewhere, &expired] {
        let (code, words) = call(Some(token), PUBLISH).unwrap_err();
        assert_eq!(code, Code::Unauthenticated);
        assert!(words.starts_with("Request had invalid authentication credentials. Expected OAuth 2 access token,"), "{words}");
    }
    let tasks = "/google.cloud.tasks.v2.CloudTasks/CreateTask";
    let (code, words) = call(Some(&access("https://www.googleapis.com/auth/pubsub")), tasks).unwrap_err();
    assert_eq!((code, words.as_str()), (Code::PermissionDenied, "Request had insufficient authentication scopes."));
    assert!(identity(false).check(&HeaderMap::new(), PUBLISH).is_ok(), "unless nothing is asked for");
}

#[test]
fn files_are_checked_before_they_are_made() {
    let identity = identity(false);
    let make = |wanted: Json| identity.credentials(&serde_json::from_value(wanted).unwrap(), "http://localhost:1");
    let user = make(json!({"type": "authorized_user", "email": "ada@example.com"})).unwrap();
    assert_eq!(user["token_uri"], "http://localhost:1/token");
    assert_eq!(identity.read_refresh(user["refresh_token"].as_str().unwrap()).unwrap().email, "ada@example.com");
    let acting = make(json!({"type": "impersonated_service_account", "email": ACCOUNT})).unwrap();
    let url = "http://localhost:1/v1/projects/-/serviceAccounts/push@p.iam.gserviceaccount.com:generateAccessToken";
    assert_eq!(acting["service_account_impersonation_url"], url);
    for (wanted, says) in [
        (json!({"email": "nobody"}), "is not an address"),
        (json!({"email": "a@b/c"}), "is not an address"),
        (json!({"type": "martian"}), "there is no `martian`"),
        (json!({"type": "authorized_user", "public_key": "x"}), "belongs to the type `service_account`"),
        (json!({"public_key": "x"}), "is not an RSA key"),
        (json!({"public_key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"}), "is not an RSA key"),
    ] {
        let why = make(wanted.clone()).unwrap_err();
        assert!(why.contains(says), "{wanted}: {why}");
    }
}

#[test]
fn a_key_made_elsewhere_can_be_registered() {
    let (identity, key) = (identity(false), SigningKey::generate().unwrap());
    let pem = der::pem("RSA PUBLIC KEY", key.public().der());
    let wanted = json!({"email": ACCOUNT, "public_key": pem});
    let answer = identity.credentials(&serde_json::from_value(wanted).unwrap(), "http://localhost:1").unwrap();
    assert_eq!(answer, json!({"client_email": ACCOUNT, "private_key_id": key.id()}));
    let claims = json!({"iss": ACCOUNT, "iat": 1000, "exp": 4600, "scope": "x", "aud": "https://oauth2.googleapis.com/token"});
    identity.exchange(&key.sign(&claims).unwrap(), at(1000)).unwrap();
}

#[test]
fn the_metadata_server_says_who_and_where() {
    let identity = identity(false);
    let ask = |path: &str, query: &str| metadata::answer(&identity, path, query, at(1000));
    let text = |path: &str| ask(path, "").2;
    assert_eq!(text("/project/project-id"), "shop");
    let number: u64 = text("/project/numeric-project-id").parse().unwrap();
    assert_eq!(number.to_string().len(), 12);
    assert_eq!(text("/instance/zone"), format!("projects/{number}/zones/europe-west1-b"));
    assert_eq!(text("/instance/region"), format!("projects/{number}/regions/europe-west1"));
    let email = text("/instance/service-accounts/default/email");
    assert_eq!(email, format!("{number}-compute@developer.gserviceaccount.com"));
    assert_eq!(text("/instance/service-accounts/"), format!("default/\n{email}/\n"));
    let about: Json = serde_json::from_str(&ask("/instance/service-accounts/default/", "recursive=true").2).unwrap();
    assert_eq!(about["email"], email.as_str());
    let token: Json = serde_json::from_str(&ask(&format!("/instance/service-accounts/{email}/token"), "scopes=a%2Cb").2).unwrap();
    assert_eq!(identity.read_access(token["access_token"].as_str().unwrap(), at(1000)).unwrap().scope, "a b");
    let said = |query| claims(&ask("/instance/service-accounts/default/identity", query).2);
    assert_eq!(
        (said("audience=https%3A%2F%2Fme&format=full")["email"].as_str(), said("audience=me")["email"].as_str()),
        (Some(&*email), None)
    );
    assert_eq!(said("audience=https%3A%2F%2Fme")["aud"], "https://me");
    assert_eq!(ask("/instance/service-accounts/default/identity", "").0, StatusCode::BAD_REQUEST);
    for path in ["/instance/service-accounts/other/email", "/nothing", "/instance/service-accounts/default/email/more"] {
        assert_eq!(ask(path, "").0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(metadata::refusal(false, false).unwrap().0, StatusCode::FORBIDDEN);
    assert_eq!(metadata::refusal(true, true).unwrap().0, StatusCode::FORBIDDEN);
    assert!(metadata::refusal(true, false).is_none());
}

#[test]
fn a_certificate_is_made_whose_key_is_the_keys() {
    let key = SigningKey::generate().unwrap();
    let now = at(1_800_000_000);
    let pem = key.certificate("a name", now).unwrap();
    let der = der::from_pem(&pem, "CERTIFICATE").unwrap();
    assert!(der.windows(6).any(|window| window == b"a name"));
    let until = now.checked_add(SignedDuration::from_hours(14 * 24)).unwrap().strftime("%y%m%d%H%M%SZ").to_string();
    assert!(der.windows(13).any(|window| window == until.as_bytes()));
    let public = key.public();
    assert!(der.windows(public.der().len()).any(|window| window == public.der()), "an `RSAPublicKey` is inside");
}
