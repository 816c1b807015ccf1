//! The metadata server of Compute Engine, Cloud Run and the like, as far as client libraries ask it: project, place, and tokens of the default
//! service account. Clients find it by `GCE_METADATA_HOST`.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::guard::CLOUD_PLATFORM;
use super::mint::VALID_SECONDS;
use super::{Identity, pages};

/// What every request says, and every answer.
pub(super) const FLAVOR: (&str, &str) = ("metadata-flavor", "Google");
/// All paths begin so.
pub(super) const ROOT: &str = "/computeMetadata/v1";
/// The place of this machine.
const ZONE: &str = "europe-west1-b";
const REGION: &str = "europe-west1";
const ACCOUNTS: &str = "instance/service-accounts";

/// An answer: status, media type, text.
pub(super) type Answer = (StatusCode, &'static str, String);

const TEXT: &str = "application/text";

fn not_found() -> Answer {
    (StatusCode::NOT_FOUND, "text/html; charset=UTF-8", "Error 404 (Not Found): the metadata server has nothing at this path.\n".to_owned())
}

/// Says why a request is refused before its path is looked at; `None` if it is not.
pub(super) fn refusal(flavored: bool, forwarded: bool) -> Option<Answer> {
    let why = match (flavored, forwarded) {
        (true, false) => return None,
        (false, _) => "Missing required header: Metadata-Flavor: Google",
        (_, true) => "The header X-Forwarded-For is not allowed",
    };
    Some((StatusCode::FORBIDDEN, "text/html; charset=UTF-8", format!("Error 403 (Forbidden): {why}.\n")))
}

/// Answers for a path below [`ROOT`]. ID tokens need the key, whose making takes a good part of a second.
pub(super) fn answer(identity: &Identity, path: &str, query: &str, now: Timestamp) -> Answer {
    let path = path.trim_matches('/');
    if let Some(asked) = path.strip_prefix(ACCOUNTS) {
        return account(identity, asked.trim_start_matches('/'), query, now);
    }
    let project = identity.0.project.as_str();
    let number = identity.project_number();
    let text = match path {
        "" => "instance/\nproject/\nuniverse/\n".to_owned(),
        "project" => "numeric-project-id\nproject-id\n".to_owned(),
        "project/project-id" => project.to_owned(),
        "project/numeric-project-id" | "instance/id" => number.to_string(),
        "instance" => "hostname\nid\nname\nregion\nservice-accounts/\nzone\n".to_owned(),
        "instance/zone" => format!("projects/{number}/zones/{ZONE}"),
        "instance/region" => format!("projects/{number}/regions/{REGION}"),
        "instance/name" => "redrive-emulator".to_owned(),
        "instance/hostname" => format!("redrive-emulator.{ZONE}.c.{project}.internal"),
        "universe/universe-domain" | "universe/universe_domain" => "googleapis.com".to_owned(),
        _ => return not_found(),
    };
    (StatusCode::OK, TEXT, text)
}

fn account(identity: &Identity, asked: &str, query: &str, now: Timestamp) -> Answer {
    let default = identity.account();
    let recursive = pages::parameter(query, "recursive").is_some_and(|value| value == "true");
    let about = || json!({"aliases": ["default"], "email": default, "scopes": [CLOUD_PLATFORM]});
    let json = |json: Json| (StatusCode::OK, "application/json", json.to_string());
    let Some((name, what)) = asked.split_once('/').or((!asked.is_empty()).then_some((asked, ""))) else {
        return if recursive {
            json(json!({"default": about(), default.as_str(): about()}))
        } else {
            (StatusCode::OK, TEXT, format!("default/\n{default}/\n"))
        };
    };
    if name != "default" && name != default {
        return not_found();
    }
    match what {
        "" if recursive => json(about()),
        "" => (StatusCode::OK, TEXT, "aliases\nemail\nidentity\nscopes\ntoken\n".to_owned()),
        "aliases" => (StatusCode::OK, TEXT, "default\n".to_owned()),
        "email" => (StatusCode::OK, TEXT, default),
        "scopes" => (StatusCode::OK, TEXT, format!("{CLOUD_PLATFORM}\n")),
        "token" => {
            let scopes = pages::parameter(query, "scopes").map_or(CLOUD_PLATFORM.to_owned(), |scopes| scopes.replace(',', " "));
            let token = identity.access_token(&default, &scopes, VALID_SECONDS, now);
            json(json!({"access_token": token.text, "expires_in": VALID_SECONDS - 1, "token_type": "Bearer"}))
        }
        "identity" => id_token(identity, &default, query, now),
        _ => not_found(),
    }
}

fn id_token(identity: &Identity, account: &str, query: &str, now: Timestamp) -> Answer {
    let Some(audience) = pages::parameter(query, "audience").filter(|audience| !audience.is_empty()) else {
        return (StatusCode::BAD_REQUEST, TEXT, "non-empty audience parameter required\n".to_owned());
    };
    let full = pages::parameter(query, "format").is_some_and(|format| format == "full");
    match identity.id_token(account, &audience, full, now) {
        Ok(token) => (StatusCode::OK, "text/html", token),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, why),
    }
}
