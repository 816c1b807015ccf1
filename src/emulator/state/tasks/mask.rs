//! Updates of queues by mask: what it names is taken from the request, all else stays.

use crate::emulator::state::Refusal;
use crate::emulator::state::target::{Override, Routing, Token};
use crate::names::QueueName;

use super::settings::{HttpOverride, QueueDraft, Settings};

/// Tells whether a mask is everything.
fn is_all(mask: &[String]) -> bool {
    mask.is_empty() || mask.iter().any(|path| path == "*")
}

impl QueueDraft {
    /// Of the two bounds of the back-off the one that is left open is as it was, not the default: they are checked against each other.
    pub(super) fn beside(mut self, settings: &Settings, mask: &[String]) -> Self {
        if !is_all(mask) && mask.iter().all(|path| path != "retry_config") {
            let as_it_was = |bound| jiff::SignedDuration::try_from(bound).ok();
            let names = |path: &str| mask.iter().any(|named| named == path);
            if !names("retry_config.min_backoff") {
                self.retry.backoff_min = as_it_was(settings.retry.backoff_min);
            }
            if !names("retry_config.max_backoff") {
                self.retry.backoff_max = as_it_was(settings.retry.backoff_max);
            }
        }
        self
    }
}

impl Settings {
    /// Takes from `new` what the mask names; an empty mask is everything.
    pub(super) fn update(&mut self, new: Self, mask: &[String], queue: &QueueName) -> Result<(), Refusal> {
        if is_all(mask) {
            *self = new;
            return Ok(());
        }
        let mut next = self.clone();
        for path in mask {
            next.take(&new, path)?;
        }
        next.routing = next.routing.map(|routing| routing.complete(queue.location().project().id()));
        if let Some(http) = &next.http {
            http.check_masked()?;
        }
        *self = next;
        Ok(())
    }

    fn take(&mut self, new: &Self, path: &str) -> Result<(), Refusal> {
        match path {
            "app_engine_routing_override" => self.routing.clone_from(&new.routing),
            "http_target" => self.http.clone_from(&new.http),
            "rate_limits" => (self.per_second, self.burst, self.concurrent) = (new.per_second, new.burst, new.concurrent),
            "rate_limits.max_dispatches_per_second" => (self.per_second, self.burst) = (new.per_second, new.burst),
            "rate_limits.max_concurrent_dispatches" => self.concurrent = new.concurrent,
            "retry_config" => self.retry = new.retry,
            "retry_config.max_attempts" => self.retry.attempts_max = new.retry.attempts_max,
            "retry_config.max_retry_duration" => self.retry.duration_max = new.retry.duration_max,
            "retry_config.min_backoff" => self.retry.backoff_min = new.retry.backoff_min,
            "retry_config.max_backoff" => self.retry.backoff_max = new.retry.backoff_max,
            "retry_config.max_doublings" => self.retry.doublings_max = new.retry.doublings_max,
            "stackdriver_logging_config" | "stackdriver_logging_config.sampling_ratio" => self.sampling_ratio = new.sampling_ratio,
            // Output only: named in a mask, they are ignored.
            "name" | "state" | "purge_time" | "rate_limits.max_burst_size" => {}
            _ => self.take_inner(new, path).ok_or_else(|| no_field(path))?,
        }
        Ok(())
    }

    /// Takes a field of a message inside; `None` when there is none.
    fn take_inner(&mut self, new: &Self, path: &str) -> Option<()> {
        let (outer, field) = path.split_once('.')?;
        match outer {
            "app_engine_routing_override" => {
                let (routing, new) = (self.routing.get_or_insert_default(), new.routing.clone().unwrap_or_default());
                routing.take(new, field)
            }
            "http_target" => {
                let (http, new) = (self.http.get_or_insert_default(), new.http.clone().unwrap_or_default());
                http.take(new, field)
            }
            _ => None,
        }
    }
}

impl Routing {
    fn take(&mut self, new: Self, field: &str) -> Option<()> {
        match field {
            "service" => self.service = new.service,
            "version" => self.version = new.version,
            "instance" => self.instance = new.instance,
            // Made of the others.
            "host" => {}
            _ => return None,
        }
        Some(())
    }
}

impl HttpOverride {
    fn take(&mut self, new: Self, field: &str) -> Option<()> {
        match field.split_once('.') {
            Some(("uri_override", part)) => return self.uri.get_or_insert_default().take(new.uri.unwrap_or_default(), part),
            Some(("oauth_token", part)) => return self.take_of_token(new.token, false, part),
            Some(("oidc_token", part)) => return self.take_of_token(new.token, true, part),
            Some(_) => return None,
            None => match field {
                "uri_override" => self.uri = new.uri,
                "http_method" => self.method = new.method,
                "header_overrides" => self.headers = new.headers,
                "authorization_header" => self.token = new.token,
                "oauth_token" => self.take_token(new.token, false),
                "oidc_token" => self.take_token(new.token, true),
                _ => return None,
            },
        }
        Some(())
    }

    /// Takes a token of one kind: the other kind's, which stands in the same place, stays unless there is one to take.
    fn take_token(&mut self, new: Option<Token>, oidc: bool) {
        let is_meant = |token: &Token| matches!(token, Token::Oidc { .. }) == oidc;
        self.token = match new {
            Some(token) if is_meant(&token) => Some(token),
            _ => self.token.take().filter(|token| !is_meant(token)),
        };
    }

    /// Takes one part of a token of a kind; one with nothing in it is none.
    fn take_of_token(&mut self, new: Option<Token>, oidc: bool, part: &str) -> Option<()> {
        let (mut email, mut purpose) = parts(self.token.take(), oidc);
        let (new_email, new_purpose) = parts(new, oidc);
        match (part, oidc) {
            ("service_account_email", _) => email = new_email,
            ("audience", true) | ("scope", false) => purpose = new_purpose,
            _ => return None,
        }
        let is_empty = email.is_empty() && purpose.is_empty();
        let token = if oidc { Token::Oidc { email, audience: purpose } } else { Token::OAuth { email, scope: purpose } };
        self.token = Some(token).filter(|_| !is_empty);
        Some(())
    }
}

/// The address and the audience or scope of a token, if it is of the kind.
fn parts(token: Option<Token>, oidc: bool) -> (String, String) {
    match token {
        Some(Token::Oidc { email, audience }) if oidc => (email, audience),
        Some(Token::OAuth { email, scope }) if !oidc => (email, scope),
        _ => (String::new(), String::new()),
    }
}

impl Override {
    fn take(&mut self, new: Self, field: &str) -> Option<()> {
        match field {
            "scheme" => self.scheme = new.scheme,
            "host" => self.host = new.host,
            "port" => self.port = new.port,
            "path_override" => self.path = new.path,
            "path_override.path" => self.path = Some(new.path.unwrap_or_default()),
            "query_override" => self.query = new.query,
            "query_override.query_params" => self.query = Some(new.query.unwrap_or_default()),
            "uri_override_enforce_mode" => (self.if_not_exists, self.always) = (new.if_not_exists, new.always),
            _ => return None,
        }
        Some(())
    }
}

fn no_field(path: &str) -> Refusal {
    Refusal::invalid(format!("Invalid mask: {}", path.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::state::target::Method;
    use crate::emulator::state::tasks::{RateDraft, UpdateQueue};
    use crate::emulator::state::{Command, Effects, Moment, State};

    fn settings(draft: QueueDraft) -> Settings {
        draft.check(&queue()).unwrap()
    }

    fn queue() -> QueueName {
        "projects/p/locations/l/queues/q".parse().unwrap()
    }

    fn target() -> HttpOverride {
        HttpOverride {
            uri: Some(Override { host: Some("a.example".into()), path: Some("/a".into()), ..Override::default() }),
            method: Some(Method::Put),
            headers: vec![("X-A".into(), "a".into())],
            token: Some(Token::Oidc { email: "a@p.iam".into(), audience: String::new() }),
        }
    }

    #[test]
    fn a_field_of_a_target_is_changed_alone() {
        let before = settings(QueueDraft { http: Some(target()), ..QueueDraft::default() });
        let check = |new: Option<HttpOverride>, mask: &[&str], expected: Option<HttpOverride>| {
            let mut settings = before.clone();
            let mask: Vec<String> = mask.iter().map(ToString::to_string).collect();
            let new = self::settings(QueueDraft { http: new, ..QueueDraft::default() });
            settings.update(new, &mask, &queue()).unwrap();
            assert_eq!(settings.http, expected, "{mask:?}");
        };
        let get = HttpOverride { method: Some(Method::Get), ..HttpOverride::default() };
        check(Some(get.clone()), &["http_target.http_method"], Some(HttpOverride { method: Some(Method::Get), ..target() }));
        check(Some(get.clone()), &["http_target"], Some(get));
        check(None, &["http_target.header_overrides"], Some(HttpOverride { headers: Vec::new(), ..target() }));
        check(None, &["http_target.oidc_token", "http_target.uri_override"], Some(HttpOverride { uri: None, token: None, ..target() }));
        let elsewhere = Override { host: Some("b.example".into()), path: Some("/b".into()), ..Override::default() };
        let moved = HttpOverride { uri: Some(Override { path: Some("/a".into()), ..elsewhere.clone() }), ..target() };
        check(Some(HttpOverride { uri: Some(elsewhere), ..HttpOverride::default() }), &["http_target.uri_override.host"], Some(moved));
        check(None, &["http_target"], None);
        let all = ["http_target.uri_override", "http_target.http_method", "http_target.header_overrides", "http_target.oidc_token"];
        check(None, &all, Some(HttpOverride::default()));
        let without_path = Override { path: Some(String::new()), ..target().uri.unwrap() };
        check(None, &["http_target.uri_override.path_override.path"], Some(HttpOverride { uri: Some(without_path), ..target() }));
    }

    #[test]
    fn a_token_is_changed_in_parts() {
        let oidc = |email: &str, audience: &str| Some(Token::Oidc { email: email.into(), audience: audience.into() });
        let oauth = |email: &str, scope: &str| Some(Token::OAuth { email: email.into(), scope: scope.into() });
        let check = |old: Option<Token>, mask: &str, expected: Option<Token>| {
            let with = |token| settings(QueueDraft { http: Some(HttpOverride { token, ..target() }), ..QueueDraft::default() });
            let mut settings = with(old);
            settings.update(with(oauth("b@p.iam", "email")), &[mask.to_owned()], &queue()).unwrap();
            assert_eq!(settings.http.unwrap().token, expected, "{mask}");
        };
        check(oidc("a@p.iam", "aud"), "http_target.oidc_token", None);
        check(oidc("a@p.iam", "aud"), "http_target.oidc_token.audience", oidc("a@p.iam", ""));
        check(oidc("a@p.iam", ""), "http_target.oidc_token.service_account_email", None);
        check(oidc("a@p.iam", "aud"), "http_target.oauth_token", oauth("b@p.iam", "email"));
        check(oidc("a@p.iam", "aud"), "http_target.oauth_token.scope", oauth("", "email"));
        check(oauth("a@p.iam", "aud"), "http_target.oidc_token", oauth("a@p.iam", "aud"));
    }

    #[test]
    fn an_override_that_a_mask_empties_is_refused() {
        let uri = Override { host: Some("a.example".into()), ..Override::default() };
        let http = Some(HttpOverride { uri: Some(uri), ..HttpOverride::default() });
        let mut settings = settings(QueueDraft { http, ..QueueDraft::default() });
        let (before, new) = (settings.clone(), self::settings(QueueDraft::default()));
        let refusal = settings.update(new, &["http_target.uri_override.host".to_owned()], &queue()).unwrap_err();
        assert_eq!(refusal.message, "Error in parsing HttpTarget. Invalid uri_override.");
        assert_eq!(settings, before);
    }

    #[test]
    fn a_queue_made_by_an_update_has_what_the_mask_names_and_defaults() {
        let draft = QueueDraft { rate: RateDraft { per_second: 5.0, concurrent: 6 }, ..QueueDraft::default() };
        let update = |path: &str| {
            let (mut state, at) = (State::default(), Moment { now: jiff::Timestamp::UNIX_EPOCH, seed: 1 });
            let update = UpdateQueue { name: queue(), draft: draft.clone(), mask: vec![path.to_owned()] };
            update.apply(&mut state, at, &mut Effects::default()).map_err(|refusal| refusal.message)?;
            let settings = &state.tasks.queue(&queue()).unwrap().settings;
            Ok::<_, String>((settings.per_second, settings.concurrent))
        };
        assert_eq!(update("rate_limits.max_concurrent_dispatches"), Ok((500.0, 6)));
        assert_eq!(update("bogus"), Err("Invalid mask: bogus".to_owned()));
    }

    #[test]
    fn a_part_of_a_routing_is_changed_alone() {
        let routing = |service: &str, version: &str| {
            let routing = Routing { service: service.into(), version: version.into(), ..Routing::default() };
            settings(QueueDraft { routing: Some(routing), ..QueueDraft::default() })
        };
        let mut settings = routing("web", "v1");
        settings.update(routing("worker", "v2"), &["app_engine_routing_override.service".into()], &queue()).unwrap();
        assert_eq!(settings.routing.unwrap().host, "v1.worker.p.appspot.com");
    }

    #[test]
    fn the_bound_of_a_back_off_that_is_not_named_stays() {
        let retry = |min: Option<i64>, max: Option<i64>| {
            let duration = |ms: Option<i64>| ms.map(jiff::SignedDuration::from_millis);
            let retry = super::super::settings::RetryDraft { backoff_min: duration(min), backoff_max: duration(max), ..Default::default() };
            QueueDraft { retry, ..QueueDraft::default() }
        };
        let before = settings(retry(Some(10), Some(20)));
        let check = |draft: QueueDraft, mask: &str| draft.beside(&before, &[mask.to_owned()]).check(&queue());
        // Below the default of the other bound.
        let new = check(retry(None, Some(50)), "retry_config.max_backoff").unwrap();
        assert_eq!((new.retry.backoff_min.as_millis(), new.retry.backoff_max.as_millis()), (10, 50));
        assert!(check(retry(None, Some(5)), "retry_config.max_backoff").is_err());
        assert!(check(retry(Some(30), None), "retry_config.min_backoff").is_err());
        assert_eq!(check(retry(Some(30), None), "retry_config").unwrap().retry.backoff_max.as_secs(), 3600, "left open, all of it is new");
    }

    #[test]
    fn what_there_is_not_is_refused() {
        for path in [
            "",
            "nonsense",
            "http_target.nonsense",
            "http_target.uri_override.nonsense",
            "http_target.oidc_token.scope",
            "app_engine_routing_override.x",
            "rate_limits.x",
            "rate_limits.max_dispatches_per_second.x",
            "rateLimits.maxDispatchesPerSecond",
            "rate_limits,retry_config",
            " state",
        ] {
            let mut settings = settings(QueueDraft::default());
            let new = settings.clone();
            let refusal = settings.update(new.clone(), &[path.to_owned()], &queue()).unwrap_err();
            assert_eq!(refusal.message, format!("Invalid mask: {path}"));
            assert_eq!(settings, new, "{path}: nothing has changed");
        }
    }
}
