//! The identity services over HTTP: discovery and keys, the token endpoint, the metadata server, and files of credentials for tests.

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value as Json, json};
use tonic::Code;

use super::mint::VALID_SECONDS;
use super::{Identity, Wanted, metadata, now};
use crate::emulator::rest;

/// The largest body: an assertion with room around it.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Keys may be kept by whoever looks at them, for as long as Google's about.
const KEYS_CACHE: HeaderValue = HeaderValue::from_static("public, max-age=19000, must-revalidate, no-transform");
/// Certificates of the keys that sign ID tokens are in this name.
const CERTIFICATE_NAME: &str = "federated-signon.system.gserviceaccount.com";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Answers a request to the identity services; gives other requests back.
pub(in crate::emulator) async fn answer(identity: &Identity, request: Request<Body>) -> Result<Response<Body>, Request<Body>> {
    let path = request.uri().path();
    let get = matches!(*request.method(), Method::GET | Method::HEAD);
    let post = *request.method() == Method::POST;
    match path {
        "/.well-known/openid-configuration" if get => Ok(cached(&identity.discovery(&url(identity, &request)))),
        "/oauth2/v3/certs" if get => Ok(keys(identity, Identity::key_set).await),
        "/oauth2/v1/certs" if get => Ok(keys(identity, Identity::certificates).await),
        "/token" | "/oauth2/v4/token" if post => Ok(token(identity, request).await),
        "/credentials" if post => Ok(credentials(identity, request).await),
        "/keys/rotate" if post => Ok(keys(identity, |identity| identity.rotate().map(|()| json!({}))).await),
        "/" if get && flavored(&request) => Ok(of_metadata((StatusCode::OK, "application/text", "computeMetadata/\n".to_owned()))),
        path if get && path.starts_with(metadata::ROOT) => Ok(of_machine(identity, request).await),
        _ => Err(request),
    }
}

/// The emulator's address as the client knows it: in a container it is not where it listens.
fn url(identity: &Identity, request: &Request<Body>) -> String {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).map(ToOwned::to_owned);
    let host = host.or_else(|| request.uri().authority().map(ToString::to_string));
    host.map_or_else(|| identity.0.own_url.clone(), |host| format!("http://{host}"))
}

/// Runs what may have to make a key beside the threads that serve.
async fn apart<T: Send + 'static>(
    identity: &Identity,
    work: impl FnOnce(&Identity) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let identity = identity.clone();
    tokio::task::spawn_blocking(move || work(&identity)).await.unwrap_or_else(|error| Err(format!("the work broke off: {error}")))
}

impl Identity {
    fn discovery(&self, url: &str) -> Json {
        json!({
            "issuer": self.0.issuer,
            "authorization_endpoint": format!("{url}/o/oauth2/v2/auth"),
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/oauth2/v3/certs"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email"],
            "claims_supported": ["aud", "azp", "email", "email_verified", "exp", "iat", "iss", "sub"],
            "grant_types_supported": ["refresh_token", JWT_BEARER],
        })
    }

    fn key_set(&self) -> Result<Json, String> {
        Ok(json!({"keys": self.signing_keys()?.iter().rev().map(|key| key.jwk()).collect::<Vec<_>>()}))
    }

    fn certificates(&self) -> Result<Json, String> {
        let mut all = Map::new();
        for key in self.signing_keys()?.iter().rev() {
            all.insert(key.id().to_owned(), key.certificate(CERTIFICATE_NAME, now())?.into());
        }
        Ok(all.into())
    }

    /// Makes an access token of a service account for somebody else.
    pub(in crate::emulator) fn impersonated(&self, email: &str, scope: &str, lifetime: SignedDuration) -> (String, Timestamp) {
        let token = self.access_token(email, scope, lifetime.as_secs().max(1), now());
        (token.text, token.expires)
    }

    /// Makes an ID token of a service account for somebody else.
    pub(in crate::emulator) async fn id_token_of(&self, email: String, audience: String, with_email: bool) -> Result<String, String> {
        apart(self, move |identity| identity.id_token(&email, &audience, with_email, now())).await
    }

    /// Makes a file of credentials for clients that reach the emulator where it listens.
    pub(in crate::emulator) async fn credentials_file(&self, wanted: Wanted) -> Result<Json, String> {
        apart(self, move |identity| identity.credentials(&wanted, &identity.0.own_url)).await
    }
}

async fn keys(identity: &Identity, look: impl FnOnce(&Identity) -> Result<Json, String> + Send + 'static) -> Response<Body> {
    match apart(identity, look).await {
        Ok(json) => cached(&json),
        Err(why) => rest::refuse(Code::Internal, &why),
    }
}

async fn of_machine(identity: &Identity, request: Request<Body>) -> Response<Body> {
    if let Some(refusal) = metadata::refusal(flavored(&request), request.headers().contains_key("x-forwarded-for")) {
        return of_metadata(refusal);
    }
    let uri = request.uri().clone();
    let answer = apart(identity, move |identity| {
        let path = uri.path().strip_prefix(metadata::ROOT).unwrap_or_default();
        Ok(metadata::answer(identity, path, uri.query().unwrap_or_default(), now()))
    });
    answer.await.map_or_else(|why| rest::refuse(Code::Internal, &why), of_metadata)
}

fn flavored(request: &Request<Body>) -> bool {
    request.headers().get(metadata::FLAVOR.0).is_some_and(|flavor| flavor == metadata::FLAVOR.1)
}

fn of_metadata((status, kind, text): metadata::Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let (name, value) = metadata::FLAVOR;
    response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Answers at the token endpoint, in the form of RFC 6749.
async fn token(identity: &Identity, request: Request<Body>) -> Response<Body> {
    let Some(fields) = read(request).await.as_deref().and_then(fields) else {
        return denied(StatusCode::BAD_REQUEST, "invalid_request", "The body is neither a form nor JSON.");
    };
    let field = |name: &str| fields.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    match field("grant_type").as_str() {
        JWT_BEARER => {
            let assertion = field("assertion");
            let granted = apart(identity, move |identity| Ok(identity.exchange(&assertion, now())));
            granted
                .await
                .unwrap_or_else(Err)
                .map_or_else(|why| denied(StatusCode::BAD_REQUEST, "invalid_grant", &why), |answer| plain(&answer))
        }
        "refresh_token" if field("client_id").is_empty() || field("client_secret").is_empty() => {
            denied(StatusCode::UNAUTHORIZED, "invalid_client", "The OAuth client was not found.")
        }
        "refresh_token" => match identity.read_refresh(&field("refresh_token")) {
            None => denied(StatusCode::BAD_REQUEST, "invalid_grant", "Bad Request"),
            Some(grant) => {
                let scope = Some(field("scope")).filter(|scope| !scope.is_empty()).unwrap_or(grant.scope);
                let token = identity.access_token(&grant.email, &scope, VALID_SECONDS, now());
                let answer = json!({
                    "access_token": token.text, "expires_in": VALID_SECONDS - 1, "scope": scope, "token_type": "Bearer",
                });
                plain(&answer)
            }
        },
        other => denied(StatusCode::BAD_REQUEST, "unsupported_grant_type", &format!("Invalid grant_type: {}", other.escape_debug())),
    }
}

impl Identity {
    /// Gives a token for a service account's assertion.
    pub(super) fn exchange(&self, assertion: &str, now: Timestamp) -> Result<Json, String> {
        let claims = self.assertion(assertion, now)?;
        let audience = claims.aud.unwrap_or_default();
        if !audience.ends_with("/token") {
            return Err("Invalid JWT: Failed audience check. The right audience is https://oauth2.googleapis.com/token".to_owned());
        }
        if let Some(target) = claims.target_audience {
            return Ok(json!({"id_token": self.id_token(&claims.iss, &target, true, now)?}));
        }
        let scope = claims.scope.filter(|scope| !scope.trim().is_empty());
        let scope = scope.ok_or("Empty or missing scope not allowed.")?;
        let token = self.access_token(&claims.iss, &scope, VALID_SECONDS, now);
        Ok(json!({"access_token": token.text, "expires_in": VALID_SECONDS - 1, "token_type": "Bearer"}))
    }
}

async fn credentials(identity: &Identity, request: Request<Body>) -> Response<Body> {
    let url = url(identity, &request);
    let wanted = match read(request).await {
        None => return rest::refuse(Code::InvalidArgument, "The body broke off, or is too large."),
        Some(body) if body.iter().all(u8::is_ascii_whitespace) => Ok(Wanted::default()),
        Some(body) => serde_json::from_slice::<Wanted>(&body),
    };
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return rest::refuse(Code::InvalidArgument, &format!("The body says no credentials: {error}.")),
    };
    match apart(identity, move |identity| identity.credentials(&wanted, &url)).await {
        Ok(file) => plain(&file),
        Err(why) => rest::refuse(Code::InvalidArgument, &why),
    }
}

/// Reads a body; `None` where it breaks off or is too large.
async fn read(request: Request<Body>) -> Option<Vec<u8>> {
    Some(Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await.ok()?.to_bytes().to_vec())
}

/// The fields of a body: clients send forms, and some JSON.
fn fields(body: &[u8]) -> Option<Map<String, Json>> {
    if body.trim_ascii_start().starts_with(b"{") {
        return serde_json::from_slice(body).ok();
    }
    let text = str::from_utf8(body).ok()?;
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    Some(pairs.map(|(name, value)| (rest::form_decode(name), rest::form_decode(value).into())).collect())
}

/// The value of a parameter of a query.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(found, _)| *found == name).map(|(_, value)| rest::form_decode(value))
}

fn plain(json: &Json) -> Response<Body> {
    let mut response = Response::new(Body::from(json.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

fn cached(json: &Json) -> Response<Body> {
    let mut response = plain(json);
    response.headers_mut().insert(CACHE_CONTROL, KEYS_CACHE);
    response
}

fn denied(status: StatusCode, error: &str, description: &str) -> Response<Body> {
    let mut response = plain(&json!({"error": error, "error_description": description}));
    *response.status_mut() = status;
    response
}
