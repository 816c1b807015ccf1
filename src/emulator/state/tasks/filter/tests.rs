use super::*;
use crate::emulator::state::target::{Method, Override, Token};
use crate::emulator::state::tasks::queue::QueueState;
use crate::emulator::state::tasks::settings::{HttpOverride, QueueDraft, RateDraft, RetryDraft};
use crate::names::QueueName;

fn queue(id: &str, draft: QueueDraft) -> Queue {
    let name: QueueName = format!("projects/p/locations/l/queues/{id}").parse().unwrap();
    let settings = draft.check(&name).unwrap();
    Queue::new(name, settings)
}

/// Checks which of the queues each filter lets through, by the letters of their ids.
fn check(queues: &[Queue], table: &[(&str, &str)]) {
    for (text, expected) in table {
        let filter = Filter::parse(text).unwrap_or_else(|refusal| panic!("{text}: {}", refusal.message));
        let found: String = queues.iter().filter(|queue| filter.matches(queue)).map(|queue| queue.name.id()).collect();
        assert_eq!(found, *expected, "{text}");
    }
}

#[test]
fn by_state_and_joined() {
    let mut queues = [queue("p", QueueDraft::default()), queue("r", QueueDraft::default())];
    queues[0].state = QueueState::Paused;
    check(
        &queues,
        &[
            ("", "pr"),
            ("state: PAUSED", "p"),
            ("state:PAUSED", "p"),
            ("state = PAUSED", "p"),
            ("state != PAUSED", "r"),
            ("State: Paused", "p"),
            ("state: \"PAUSED\"", "p"),
            ("state: DISABLED", ""),
            ("NOT state: PAUSED", "r"),
            ("-state: PAUSED", "r"),
            ("state: PAUSED OR state: RUNNING", "pr"),
            ("state: PAUSED AND state: RUNNING", ""),
            ("state: PAUSED state: RUNNING", ""),
            ("(state: PAUSED)", "p"),
            ("NOT(state:PAUSED)", "r"),
            ("state: PAUSED OR (state: RUNNING AND NOT state: RUNNING)", "p"),
            ("state > RUNNING", "p"),
        ],
    );
}

#[test]
fn by_numbers_durations_and_times() {
    let seconds = |seconds| Some(jiff::SignedDuration::from_secs(seconds));
    let retry = RetryDraft { attempts: 5, duration: seconds(60), backoff_min: seconds(1), backoff_max: seconds(10), doublings: 3 };
    let configured = QueueDraft { rate: RateDraft { per_second: 10.0, concurrent: 5 }, retry, ..QueueDraft::default() };
    let mut queues = [queue("c", configured), queue("p", QueueDraft::default())];
    queues[1].purge_time = Some("2026-01-01T00:00:00Z".parse().unwrap());
    check(
        &queues,
        &[
            ("name: queues/C", "c"),
            ("name: *", "cp"),
            ("rate_limits.max_dispatches_per_second = 500", "p"),
            ("rate_limits.max_dispatches_per_second < 100", "c"),
            ("rate_limits.max_dispatches_per_second: 10", "c"),
            ("rateLimits.maxDispatchesPerSecond <= 10", "c"),
            ("rate_limits.max_concurrent_dispatches >= 1000", "p"),
            ("rate_limits.max_burst_size != 100", "c"),
            ("retry_config.max_attempts = 5", "c"),
            ("retry_config.min_backoff = 1s", "c"),
            ("retry_config.min_backoff > 0.5s", "c"),
            ("retry_config.min_backoff: 0.1s", "p"),
            ("retry_config.max_retry_duration: *", "c"),
            ("retry_config.max_retry_duration < 1s", "p"),
            ("purge_time: *", "p"),
            ("purge_time > \"2020-01-01T00:00:00Z\"", "p"),
            ("purge_time < \"2020-01-01T00:00:00Z\"", "c"),
            ("rate_limits: *", "cp"),
            ("http_target: *", ""),
        ],
    );
}

#[test]
fn by_target() {
    let uri = Override {
        host: Some("example.net".into()),
        port: Some(8080),
        path: Some("/path".into()),
        query: Some("a=1".into()),
        ..Override::default()
    };
    let full = HttpOverride {
        uri: Some(uri),
        method: Some(Method::Put),
        headers: vec![("X-Custom".into(), "queue".into())],
        token: Some(Token::Oidc { email: "a@p.iam".into(), audience: "https://example.com/audience".into() }),
    };
    let queues = [
        queue("e", QueueDraft { http: Some(HttpOverride::default()), ..QueueDraft::default() }),
        queue("f", QueueDraft { http: Some(full), sampling_ratio: Some(0.5), ..QueueDraft::default() }),
        queue("n", QueueDraft::default()),
    ];
    check(
        &queues,
        &[
            ("http_target: *", "ef"),
            ("http_target.http_method = PUT", "f"),
            ("http_target.http_method: put", "f"),
            ("http_target.http_method = HTTP_METHOD_UNSPECIFIED", "en"),
            ("http_target.http_method > POST", "f"),
            ("http_target.uri_override: *", "f"),
            ("http_target.uri_override.host: example", "f"),
            ("http_target.uri_override.host: *", "f"),
            ("http_target.uri_override.port = 8080", "f"),
            ("http_target.uri_override.scheme = HTTPS", ""),
            ("http_target.uri_override.scheme = SCHEME_UNSPECIFIED", "efn"),
            ("http_target.uri_override.uri_override_enforce_mode = URI_OVERRIDE_ENFORCE_MODE_UNSPECIFIED", "efn"),
            ("http_target.uri_override.path_override: *", "f"),
            ("http_target.uri_override.path_override.path: path", "f"),
            ("http_target.header_overrides: *", "f"),
            ("http_target.header_overrides.header.key: X-Custom", "f"),
            ("http_target.oidc_token: *", "f"),
            ("http_target.oidc_token.audience: example", "f"),
            ("http_target.oauth_token: *", ""),
            ("stackdriver_logging_config: *", "f"),
            ("stackdriver_logging_config.sampling_ratio > 0.1", "f"),
            ("stackdriver_logging_config.sampling_ratio = 0", "en"),
            ("app_engine_routing_override.instance: *", ""),
        ],
    );
}

#[test]
fn what_is_wrong_is_said_in_googles_words() {
    for (text, expected) in [
        ("bogus_field: x", "Field not found: 'bogus_field'."),
        ("max_dispatches_per_second < 100", "Field not found: 'max_dispatches_per_second'."),
        ("state: BOGUS", "The value 'bogus' is of incorrect type."),
        ("state: 2", "The value '2' is of incorrect type."),
        ("retry_config.max_backoff = 3600", "The value '3600' is of incorrect type."),
        ("rate_limits.max_dispatches_per_second = fast", "The value 'fast' is of incorrect type."),
        ("rate_limits: 10", "Cannot match a nested type 'rate_limits'. A member field of scalar or enum type must be provided."),
        ("paused", "Invalid filter \"paused\"."),
        ("(state: PAUSED", "Invalid filter \"(state: PAUSED\"."),
        ("state: PAUSED)", "Invalid filter \"state: PAUSED)\"."),
        ("name: \"open", "Invalid filter \"name: \\\"open\"."),
    ] {
        assert_eq!(Filter::parse(text).unwrap_err().message, expected);
    }
    let deep = format!("{}state: PAUSED{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(Filter::parse(&deep).is_err());
}
