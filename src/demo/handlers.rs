//! The shop's HTTP side: what push subscriptions, tasks and jobs call.
//!
//! A handler decides by what it is sent alone, so that any of them can be called again at any time.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::error::Result;

/// Larger requests are refused: the shop's own are below 1 KiB.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// A message that was redriven bears it; the shop's data has been mended since it failed.
pub(super) const REDRIVEN: &str = "redrive-generation";

/// A thumbnail takes this long.
const THUMBNAIL_MS: u64 = 1500;

/// The warehouse in Lyon does not answer before the task's deadline.
const SILENCE_SECONDS: u64 = 60;

type Answer = (StatusCode, String);

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener) -> Result<()> {
    let router = Router::new()
        .route("/pubsub/{subscription}", post(async |Path(name): Path<String>, body: Bytes| pushed(&name, &body).await))
        .route("/tasks/{name}", post(async |Path(name): Path<String>, headers: HeaderMap, body: Bytes| task(&name, &headers, &body).await))
        .route("/jobs/{name}", post(async |Path(name): Path<String>| job(&name)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    Ok(axum::serve(listener, router).await?)
}

/// What Pub/Sub posts.
#[derive(Debug, Deserialize)]
struct Envelope {
    message: Pushed,
}

#[derive(Debug, Deserialize)]
struct Pushed {
    #[serde(default)]
    data: String,
    #[serde(default)]
    attributes: std::collections::BTreeMap<String, String>,
}

async fn pushed(subscription: &str, body: &[u8]) -> Answer {
    let Ok(Envelope { message }) = serde_json::from_slice(body) else { return no(StatusCode::BAD_REQUEST, "not a message of Pub/Sub") };
    let payload = STANDARD.decode(&message.data).ok().and_then(|data| serde_json::from_slice(&data).ok()).unwrap_or(Value::Null);
    let redriven = message.attributes.contains_key(REDRIVEN);
    let answer = match subscription {
        "billing" => bill(&payload, redriven),
        "mailer" => send_mail(&payload, redriven),
        "thumbnailer" => {
            tokio::time::sleep(Duration::from_millis(200)).await;
            look_at_upload(&payload)
        }
        "report-builder" => yes(),
        _ => no(StatusCode::NOT_FOUND, "no such subscriber"),
    };
    if !answer.0.is_success() {
        tracing::debug!(subscription, status = answer.0.as_u16(), why = answer.1, "not handled");
    }
    answer
}

/// Writes an invoice. The tax office asks for the VAT id of companies; orders in the old format are private customers'.
///
/// Redriven, the VAT id has been asked for by phone meanwhile, and every other card has money on it again.
fn bill(order: &Value, redriven: bool) -> Answer {
    let customer = &order["customer"];
    if customer["company"] == true && customer["vat_id"].is_null() && !redriven {
        return no(StatusCode::UNPROCESSABLE_ENTITY, "missing field `customer.vat_id`");
    }
    let refilled = redriven && customer["id"].as_u64().is_some_and(|id| id.is_multiple_of(2));
    if order["payment"]["status"] == "declined" && !refilled {
        return no(StatusCode::PAYMENT_REQUIRED, "card_declined");
    }
    yes()
}

/// Tells whether audit can read an order: only the old format it cannot, until somebody has taught it to.
pub(super) fn audit_can_read(order: &Value, redriven: bool) -> bool {
    redriven || order["version"] != 1
}

/// Mails. The old template was put back after the first mails had failed.
fn send_mail(mail: &Value, redriven: bool) -> Answer {
    if mail["template"] == "welcome-1" && !redriven {
        no(StatusCode::UNPROCESSABLE_ENTITY, "template `welcome-1` does not exist")
    } else {
        yes()
    }
}

fn look_at_upload(upload: &Value) -> Answer {
    let kind = upload["content_type"].as_str().unwrap_or_default();
    if kind.starts_with("image/") { yes() } else { no(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not an image") }
}

async fn task(name: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let first = headers.get("x-cloudtasks-taskretrycount").is_none_or(|count| count == "0");
    match name {
        "DrawThumbnail" => {
            tokio::time::sleep(Duration::from_millis(THUMBNAIL_MS)).await;
            yes()
        }
        "BuildReport" if first && body["flaky"] == true => no(StatusCode::INTERNAL_SERVER_ERROR, "the database was restarted"),
        "SendReceipt" | "SendNewsletter" | "BuildReport" => yes(),
        "ExportOrder" => {
            if body["warehouse"] == "lyon" {
                tokio::time::sleep(Duration::from_secs(SILENCE_SECONDS)).await;
            }
            no(StatusCode::SERVICE_UNAVAILABLE, "the warehouse is down")
        }
        _ => no(StatusCode::NOT_FOUND, "no such task"),
    }
}

fn job(name: &str) -> Answer {
    match name {
        "inventory-sync" => no(StatusCode::SERVICE_UNAVAILABLE, "the warehouse is down"),
        _ => yes(),
    }
}

fn yes() -> Answer {
    (StatusCode::NO_CONTENT, String::new())
}

fn no(status: StatusCode, why: &str) -> Answer {
    (status, why.to_owned())
}
