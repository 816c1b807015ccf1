//! Errors that a service answered: Google's code, message and `ErrorInfo` into kind, words and hint.

use google_cloud_gax::error::rpc::Code;

use super::{Asked, Info, LOGIN_HINT, QUOTA_PROJECT_HINT, shown};
use crate::error::{Error, Kind};

/// The narrowest predefined role with a permission; the first prefix that fits counts.
const ROLES: &[(&str, &str)] = &[
    ("cloudtasks.tasks.fullView", "roles/cloudtasks.admin"),
    ("cloudtasks.tasks.run", "roles/cloudtasks.taskRunner"),
    ("cloudtasks.tasks.delete", "roles/cloudtasks.taskDeleter"),
    ("cloudtasks.tasks.create", "roles/cloudtasks.enqueuer"),
    ("cloudtasks.queues.pause", "roles/cloudtasks.queueAdmin"),
    ("cloudtasks.queues.resume", "roles/cloudtasks.queueAdmin"),
    ("cloudtasks.queues.purge", "roles/cloudtasks.queueAdmin"),
    ("cloudtasks.", "roles/cloudtasks.viewer"),
    ("pubsub.topics.publish", "roles/pubsub.publisher"),
    ("pubsub.subscriptions.consume", "roles/pubsub.subscriber"),
    ("pubsub.topics.attachSubscription", "roles/pubsub.editor"),
    ("pubsub.subscriptions.create", "roles/pubsub.editor"),
    ("pubsub.subscriptions.delete", "roles/pubsub.editor"),
    ("pubsub.snapshots.", "roles/pubsub.editor"),
    ("pubsub.", "roles/pubsub.viewer"),
    ("cloudscheduler.jobs.run", "roles/cloudscheduler.jobRunner"),
    ("cloudscheduler.jobs.pause", "roles/cloudscheduler.admin"),
    ("cloudscheduler.jobs.enable", "roles/cloudscheduler.admin"),
    ("cloudscheduler.", "roles/cloudscheduler.viewer"),
    ("monitoring.timeSeries.list", "roles/monitoring.viewer"),
    ("iam.serviceAccounts.getAccessToken", "roles/iam.serviceAccountTokenCreator"),
    ("serviceusage.services.use", "roles/serviceusage.serviceUsageConsumer"),
];

/// The project of gcloud's own client: Google counts calls without a quota project on it, and refuses them in its name.
const GCLOUD_CLIENT_PROJECT: &str = "projects/764086051850";

/// Maps an error of the service.
pub(super) fn explain(asked: &Asked, code: Code, message: &str, info: Option<&Info>) -> Error {
    let words = |kind: Kind| Error::new(kind, format!("cannot {}: {}", asked.verb, said(message, code)));
    match code {
        Code::PermissionDenied => denied(asked, message, info),
        Code::Unauthenticated => words(Kind::Unauthenticated).with_hint(LOGIN_HINT),
        Code::NotFound => not_found(asked, message),
        Code::AlreadyExists => words(Kind::AlreadyExists),
        Code::InvalidArgument | Code::OutOfRange => words(Kind::InvalidInput),
        Code::FailedPrecondition => words(Kind::FailedPrecondition),
        Code::ResourceExhausted => exhausted(asked, message, info),
        Code::Unimplemented => unsupported(asked),
        Code::Unavailable | Code::Aborted => words(Kind::Unavailable).with_hint("try again in a moment"),
        Code::DeadlineExceeded => words(Kind::Timeout).with_hint("try again; if it was a change, look first whether it has happened"),
        Code::Cancelled => words(Kind::Cancelled),
        _ => words(Kind::Internal),
    }
}

/// Maps an answer that is not of the service's form: a proxy in between, or a server that does not know the call.
pub(super) fn not_in_its_way(asked: &Asked, status: u16) -> Error {
    let name = asked.endpoint.name(asked.api);
    match status {
        404 | 405 | 501 => unsupported(asked),
        401 => Error::new(Kind::Unauthenticated, format!("cannot {}: `{name}` answered HTTP 401", asked.verb)).with_hint(LOGIN_HINT),
        429 => Error::new(Kind::Exhausted, format!("cannot {}: `{name}` answered HTTP 429", asked.verb))
            .with_hint("wait a minute and try again"),
        502..=504 => Error::new(Kind::Unavailable, format!("cannot {}: `{name}` answered HTTP {status}", asked.verb)),
        _ => Error::new(
            Kind::Internal,
            format!("cannot {}: `{name}` answered HTTP {status}, and not in the way of {}", asked.verb, asked.api.title()),
        )
        .with_hint("a proxy or another program may be answering there"),
    }
}

fn said(message: &str, code: Code) -> String {
    if message.trim().is_empty() { code.name().to_owned() } else { shown(message) }
}

fn unsupported(asked: &Asked) -> Error {
    let name = asked.endpoint.name(asked.api);
    Error::new(Kind::Unsupported, format!("cannot {}: the server at `{name}` does not offer this call", asked.verb))
}

fn not_found(asked: &Asked, message: &str) -> Error {
    let resource = &asked.resource;
    // A listing below a project or location fails so when the project itself is unknown.
    if resource.split('/').count() <= 4 && !resource.contains("/topics/") && !resource.contains("/subscriptions/") {
        return Error::new(Kind::NotFound, format!("cannot {} of `{resource}`: {}", asked.verb, said(message, Code::NotFound)))
            .with_hint("check the project's id: list yours with `gcloud projects list`");
    }
    Error::new(Kind::NotFound, format!("cannot {}: `{resource}` does not exist", asked.verb))
}

fn exhausted(asked: &Asked, message: &str, info: Option<&Info>) -> Error {
    let limit = info.and_then(|info| info.metadata.get("quota_limit").or_else(|| info.metadata.get("quota_metric")));
    let detail = limit.map_or_else(|| said(message, Code::ResourceExhausted), |limit| format!("the quota `{}` is used up", shown(limit)));
    Error::new(Kind::Exhausted, format!("cannot {}: {detail}", asked.verb)).with_hint("wait a minute and try again")
}

fn denied(asked: &Asked, message: &str, info: Option<&Info>) -> Error {
    let reason = info.map_or("", |info| info.reason.as_str());
    let datum = |key: &str| info.and_then(|info| info.metadata.get(key)).map(String::as_str);
    let no_quota_project =
        message.contains("requires a quota project") || (reason == "SERVICE_DISABLED" && datum("consumer") == Some(GCLOUD_CLIENT_PROJECT));
    if no_quota_project {
        let words = format!("cannot {}: user credentials need a quota project, and none is set", asked.verb);
        return Error::new(Kind::PermissionDenied, words).with_hint(QUOTA_PROJECT_HINT);
    }
    match reason {
        "SERVICE_DISABLED" => disabled(asked, datum("service")),
        "USER_PROJECT_DENIED" => {
            let consumer =
                datum("consumer").map_or_else(|| "the quota project".to_owned(), |project| format!("quota project `{}`", shown(project)));
            let words = format!("cannot {}: permission `serviceusage.services.use` is missing on {consumer}", asked.verb);
            Error::new(Kind::PermissionDenied, words)
                .with_hint(format!("have `roles/serviceusage.serviceUsageConsumer` granted there, or {QUOTA_PROJECT_HINT}"))
        }
        "BILLING_DISABLED" => {
            Error::new(Kind::FailedPrecondition, format!("cannot {}: project `{}` has no billing account", asked.verb, asked.project()))
                .with_hint(format!("link one: `gcloud billing projects link {} --billing-account=ACCOUNT`", asked.project()))
        }
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT" => {
            Error::new(Kind::PermissionDenied, format!("cannot {}: the access token lacks the scope `cloud-platform`", asked.verb))
                .with_hint(
                    "sign in again with `gcloud auth application-default login`; on a virtual machine, give it the scope `cloud-platform`",
                )
        }
        _ => missing(asked, message, datum("permission"), datum("resource")),
    }
}

fn disabled(asked: &Asked, service: Option<&str>) -> Error {
    let service = service.map_or_else(|| asked.api.host().to_owned(), shown);
    Error::new(
        Kind::ApiDisabled,
        format!("cannot {}: the {} API is not enabled in project `{}`", asked.verb, asked.api.title(), asked.project()),
    )
    .with_hint(format!("enable it with `gcloud services enable {service} --project {}`", asked.project()))
}

fn missing(asked: &Asked, message: &str, permission: Option<&str>, resource: Option<&str>) -> Error {
    if !asked.endpoint.is_google() {
        return Error::new(Kind::PermissionDenied, format!("cannot {}: {}", asked.verb, said(message, Code::PermissionDenied)));
    }
    let told = permission.map(str::to_owned).or_else(|| permission_in(message));
    // Pub/Sub does not name it ("User not authorized to perform this action"): then it is the one that the call needs.
    let permission = told.as_deref().map_or_else(|| asked.permission.to_owned(), shown);
    let resource = resource.map_or_else(|| asked.resource.clone(), |resource| shown(resource.trim_start_matches("//")));
    let role = ROLES.iter().find(|(prefix, _)| permission.starts_with(prefix)).map_or("ROLE", |(_, role)| role);
    Error::new(Kind::PermissionDenied, format!("cannot {}: permission `{permission}` is missing on `{resource}`", asked.verb))
        .with_hint(format!("have it granted: `gcloud projects add-iam-policy-binding {} --member=user:YOU --role={role}`", asked.project()))
}

/// Finds `service.resource.verb` in a message.
fn permission_in(message: &str) -> Option<String> {
    let services = ["cloudtasks.", "pubsub.", "cloudscheduler.", "monitoring.", "iam.", "serviceusage."];
    message
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
        .map(|word| word.trim_matches('.'))
        .find(|word| {
            services.iter().any(|service| word.starts_with(service)) && word.split('.').count() == 3 && !word.contains("googleapis")
        })
        .map(str::to_owned)
}
