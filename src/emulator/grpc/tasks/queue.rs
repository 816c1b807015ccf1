//! Queues from and to the wire.

use super::super::wkt;
use super::pb;
use crate::emulator::state::Refusal;
use crate::emulator::state::target::{Method, Override, Routing, Scheme, Token};
use crate::emulator::state::tasks::{HttpOverride, Queue, QueueDraft, QueueState, RateDraft, RetryDraft, bad_http_target};
use crate::model::queue::TaskRetry;

pub(super) fn from_proto(proto: pb::Queue) -> Result<QueueDraft, Refusal> {
    let rate = proto.rate_limits.unwrap_or_default();
    Ok(QueueDraft {
        routing: proto.app_engine_routing_override.map(routing),
        http: proto.http_target.map(http_override).transpose()?,
        rate: RateDraft { per_second: rate.max_dispatches_per_second, concurrent: rate.max_concurrent_dispatches },
        retry: proto.retry_config.map(retry).unwrap_or_default(),
        sampling_ratio: proto.stackdriver_logging_config.map(|config| config.sampling_ratio),
    })
}

pub(super) fn to_proto(queue: &Queue) -> pb::Queue {
    let settings = &queue.settings;
    pb::Queue {
        name: queue.name.to_string(),
        app_engine_routing_override: settings.routing.as_ref().map(routing_to_proto),
        http_target: settings.http.as_ref().map(http_override_to_proto),
        rate_limits: Some(pb::RateLimits {
            max_dispatches_per_second: settings.per_second,
            max_burst_size: settings.burst.cast_signed(),
            max_concurrent_dispatches: settings.concurrent.cast_signed(),
        }),
        retry_config: Some(retry_to_proto(&settings.retry)),
        state: match queue.state {
            QueueState::Running => pb::queue::State::Running,
            QueueState::Paused => pb::queue::State::Paused,
        }
        .into(),
        purge_time: queue.purge_time.map(wkt::timestamp),
        stackdriver_logging_config: settings.sampling_ratio.map(|sampling_ratio| pb::StackdriverLoggingConfig { sampling_ratio }),
    }
}

pub(super) fn retry(proto: pb::RetryConfig) -> RetryDraft {
    RetryDraft {
        attempts: proto.max_attempts,
        duration: proto.max_retry_duration.map(wkt::from_duration),
        backoff_min: proto.min_backoff.map(wkt::from_duration),
        backoff_max: proto.max_backoff.map(wkt::from_duration),
        doublings: proto.max_doublings,
    }
}

pub(super) fn retry_to_proto(retry: &TaskRetry) -> pb::RetryConfig {
    pb::RetryConfig {
        max_attempts: retry.attempts_max.map_or(-1, u32::cast_signed),
        max_retry_duration: retry.duration_max.map(wkt::duration),
        min_backoff: Some(wkt::duration(retry.backoff_min)),
        max_backoff: Some(wkt::duration(retry.backoff_max)),
        max_doublings: retry.doublings_max.cast_signed(),
    }
}

pub(super) fn routing(proto: pb::AppEngineRouting) -> Routing {
    Routing { service: proto.service, version: proto.version, instance: proto.instance, host: String::new() }
}

pub(super) fn routing_to_proto(routing: &Routing) -> pb::AppEngineRouting {
    pb::AppEngineRouting {
        service: routing.service.clone(),
        version: routing.version.clone(),
        instance: routing.instance.clone(),
        host: routing.host.clone(),
    }
}

/// `None` is unspecified.
pub(super) fn method(number: i32) -> Result<Option<Method>, Refusal> {
    Ok(Some(match pb::HttpMethod::try_from(number) {
        Ok(pb::HttpMethod::Unspecified) => return Ok(None),
        Ok(pb::HttpMethod::Post) => Method::Post,
        Ok(pb::HttpMethod::Get) => Method::Get,
        Ok(pb::HttpMethod::Head) => Method::Head,
        Ok(pb::HttpMethod::Put) => Method::Put,
        Ok(pb::HttpMethod::Delete) => Method::Delete,
        Ok(pb::HttpMethod::Patch) => Method::Patch,
        Ok(pb::HttpMethod::Options) => Method::Options,
        Err(_) => return Err(Refusal::invalid(format!("There is no HTTP method number {number}."))),
    }))
}

pub(super) fn method_to_proto(method: Method) -> pb::HttpMethod {
    match method {
        Method::Post => pb::HttpMethod::Post,
        Method::Get => pb::HttpMethod::Get,
        Method::Head => pb::HttpMethod::Head,
        Method::Put => pb::HttpMethod::Put,
        Method::Delete => pb::HttpMethod::Delete,
        Method::Patch => pb::HttpMethod::Patch,
        Method::Options => pb::HttpMethod::Options,
    }
}

pub(super) fn oauth(token: pb::OAuthToken) -> Token {
    Token::OAuth { email: token.service_account_email, scope: token.scope }
}

pub(super) fn oidc(token: pb::OidcToken) -> Token {
    Token::Oidc { email: token.service_account_email, audience: token.audience }
}

fn http_override(proto: pb::HttpTarget) -> Result<HttpOverride, Refusal> {
    use pb::http_target::AuthorizationHeader;
    Ok(HttpOverride {
        uri: proto.uri_override.map(uri_override).transpose()?,
        method: method(proto.http_method).map_err(|_| unknown_number())?,
        headers: proto.header_overrides.into_iter().filter_map(|header| header.header).map(|header| (header.key, header.value)).collect(),
        token: proto.authorization_header.map(|header| match header {
            AuthorizationHeader::OauthToken(token) => oauth(token),
            AuthorizationHeader::OidcToken(token) => oidc(token),
        }),
    })
}

/// The refusal of an enum's number that there is not: it does not say which.
fn unknown_number() -> Refusal {
    bad_http_target("")
}

fn uri_override(proto: pb::UriOverride) -> Result<Override, Refusal> {
    use pb::uri_override::UriOverrideEnforceMode as Mode;
    let scheme = |number: i32| match pb::uri_override::Scheme::try_from(number) {
        Ok(pb::uri_override::Scheme::Http) => Ok(Scheme::Http),
        Ok(pb::uri_override::Scheme::Https) => Ok(Scheme::Https),
        Ok(pb::uri_override::Scheme::Unspecified) => Ok(Scheme::Unspecified),
        Err(_) => Err(unknown_number()),
    };
    let mode = Mode::try_from(proto.uri_override_enforce_mode).map_err(|_| unknown_number())?;
    Ok(Override {
        scheme: proto.scheme.map(scheme).transpose()?,
        if_not_exists: mode == Mode::IfNotExists,
        always: mode == Mode::Always,
        host: proto.host,
        port: proto.port,
        path: proto.path_override.map(|path| path.path),
        query: proto.query_override.map(|query| query.query_params),
    })
}

pub(super) fn http_override_to_proto(http: &HttpOverride) -> pb::HttpTarget {
    use pb::http_target::{AuthorizationHeader, Header, HeaderOverride};
    let header = |(key, value): &(String, String)| HeaderOverride { header: Some(Header { key: key.clone(), value: value.clone() }) };
    pb::HttpTarget {
        uri_override: http.uri.as_ref().map(uri_override_to_proto),
        http_method: http.method.map_or(pb::HttpMethod::Unspecified, method_to_proto).into(),
        header_overrides: http.headers.iter().map(header).collect(),
        authorization_header: http.token.clone().map(|token| match token {
            Token::OAuth { email, scope } => AuthorizationHeader::OauthToken(pb::OAuthToken { service_account_email: email, scope }),
            Token::Oidc { email, audience } => AuthorizationHeader::OidcToken(pb::OidcToken { service_account_email: email, audience }),
        }),
    }
}

fn uri_override_to_proto(uri: &Override) -> pb::UriOverride {
    use pb::uri_override::UriOverrideEnforceMode as Mode;
    let scheme = |scheme| match scheme {
        Scheme::Http => pb::uri_override::Scheme::Http.into(),
        Scheme::Https => pb::uri_override::Scheme::Https.into(),
        Scheme::Unspecified => pb::uri_override::Scheme::Unspecified.into(),
    };
    let mode = match (uri.if_not_exists, uri.always) {
        (true, _) => Mode::IfNotExists,
        (false, true) => Mode::Always,
        (false, false) => Mode::Unspecified,
    };
    pb::UriOverride {
        scheme: uri.scheme.map(scheme),
        host: uri.host.clone(),
        port: uri.port,
        path_override: uri.path.clone().map(|path| pb::PathOverride { path }),
        query_override: uri.query.clone().map(|query_params| pb::QueryOverride { query_params }),
        uri_override_enforce_mode: mode.into(),
    }
}
