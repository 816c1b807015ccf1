//! Who calls: what `--require-auth` asks of every call to a service.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use super::{Identity, now};
use crate::emulator::state::{Code, Info, Refusal};

/// Suffices for everything.
pub(super) const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Scopes that suffice for one service, by the beginning of its methods' paths.
const NARROW_SCOPES: [(&str, &str); 4] = [
    ("/google.pubsub.", "https://www.googleapis.com/auth/pubsub"),
    ("/google.monitoring.", "https://www.googleapis.com/auth/monitoring"),
    ("/google.monitoring.", "https://www.googleapis.com/auth/monitoring.read"),
    ("/google.iam.credentials.", "https://www.googleapis.com/auth/iam"),
];
/// What a token that a service account made itself may be meant for.
const SERVICE_AUDIENCES: (&str, &str) = ("https://", ".googleapis.com");

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Missing,
    Invalid,
    Scope,
}

impl Identity {
    /// Refuses a call without a valid token, where that is wanted. `method` is `/package.Service/Method`.
    pub(in crate::emulator) fn check(&self, headers: &HeaderMap, method: &str) -> Result<(), Refusal> {
        if !self.0.required {
            return Ok(());
        }
        self.caller(headers.get(AUTHORIZATION), method, now()).map_err(|flaw| flaw.refusal(method))
    }

    fn caller(&self, header: Option<&HeaderValue>, method: &str, now: Timestamp) -> Result<(), Flaw> {
        let header = header.ok_or(Flaw::Missing)?.to_str().map_err(|_| Flaw::Invalid)?;
        let (kind, token) = header.split_once(' ').ok_or(Flaw::Invalid)?;
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(Flaw::Invalid);
        }
        if let Some(grant) = self.read_access(token.trim(), now) {
            return if suffices(&grant.scope, method) { Ok(()) } else { Err(Flaw::Scope) };
        }
        // Service accounts may call with what they have signed themselves, for a service or with scopes.
        let claims = self.assertion(token.trim(), now).map_err(|_| Flaw::Invalid)?;
        if claims.sub.as_ref().is_some_and(|subject| *subject != claims.iss) {
            return Err(Flaw::Invalid);
        }
        match (&claims.scope, &claims.aud) {
            (Some(scope), _) if suffices(scope, method) => Ok(()),
            (Some(_), _) => Err(Flaw::Scope),
            (None, Some(audience)) if self.is_service(audience) => Ok(()),
            _ => Err(Flaw::Invalid),
        }
    }

    fn is_service(&self, audience: &str) -> bool {
        let base = audience.trim_end_matches('/');
        let (begin, end) = SERVICE_AUDIENCES;
        base == self.0.own_url || base.starts_with(begin) && base.split('/').nth(2).is_some_and(|host| host.ends_with(end))
    }
}

fn suffices(scopes: &str, method: &str) -> bool {
    scopes.split(' ').any(|scope| {
        scope == CLOUD_PLATFORM || NARROW_SCOPES.iter().any(|(service, narrow)| *narrow == scope && method.starts_with(service))
    })
}

impl Flaw {
    /// Google's words, and Google's reason for programs.
    fn refusal(self, method: &str) -> Refusal {
        let expected = "Expected OAuth 2 access token, login cookie or other valid authentication credential. See \
                        https://developers.google.com/identity/sign-in/web/devconsole-project.";
        let (code, message, reason) = match self {
            Self::Missing => {
                let message = format!("Request is missing required authentication credential. {expected}");
                (Code::Unauthenticated, message, "CREDENTIALS_MISSING")
            }
            Self::Invalid => {
                let message = format!("Request had invalid authentication credentials. {expected}");
                (Code::Unauthenticated, message, "ACCESS_TOKEN_TYPE_UNSUPPORTED")
            }
            Self::Scope => {
                let message = "Request had insufficient authentication scopes.".to_owned();
                (Code::PermissionDenied, message, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
            }
        };
        let (service, name) = method.trim_start_matches('/').split_once('/').unwrap_or((method, ""));
        let metadata = [("service".to_owned(), host_of(service).to_owned()), ("method".to_owned(), format!("{service}.{name}"))];
        Refusal::new(code, message).with_info(Info { reason, domain: "googleapis.com", metadata: metadata.into() })
    }
}

/// The name under which Google serves a package's services.
fn host_of(service: &str) -> &'static str {
    match service.split('.').nth(1) {
        Some("pubsub" | "iam") if !service.contains("credentials") => "pubsub.googleapis.com",
        Some("monitoring") => "monitoring.googleapis.com",
        Some("iam") => "iamcredentials.googleapis.com",
        Some("cloud") if service.contains(".scheduler.") => "cloudscheduler.googleapis.com",
        _ => "cloudtasks.googleapis.com",
    }
}
