//! Updates of jobs: what the mask names is taken from the request, all else stays; then the whole is checked as if it were new.

use jiff::SignedDuration;

use crate::emulator::state::Refusal;
use crate::emulator::state::target::{AppEngineTarget, HttpTarget, Token};
use crate::model::queue::TaskRetry;

use super::draft::{JobDraft, RetryDraft};
use super::job::{Job, JobTarget};

impl JobDraft {
    /// The job as a client would have to give it to get the same.
    pub(super) fn of(job: &Job) -> Self {
        Self {
            description: job.description.clone(),
            target: Some(job.target.clone()),
            schedule: job.schedule.as_str().to_owned(),
            time_zone: job.zone_name.clone(),
            retry: RetryDraft::of(job.retry),
            deadline: job.deadline,
        }
    }

    /// With what the mask names taken from `new`; an empty mask is everything.
    pub(super) fn updated(mut self, new: Self, mask: &[String]) -> Result<Self, Refusal> {
        if mask.is_empty() || mask.iter().any(|path| path == "*") {
            return Ok(new);
        }
        for path in mask {
            match path.split('.').next().unwrap_or_default() {
                "description" => self.description.clone_from(&new.description),
                "schedule" => self.schedule.clone_from(&new.schedule),
                "time_zone" => self.time_zone.clone_from(&new.time_zone),
                "attempt_deadline" => self.deadline = new.deadline,
                "retry_config" => self.retry.take(new.retry, path)?,
                "target" | "pubsub_target" | "http_target" | "app_engine_http_target" => self.take_target(&new, path)?,
                // Output only: named in a mask, they are ignored.
                "name" | "state" | "status" | "user_update_time" | "schedule_time" | "last_attempt_time" => {}
                _ => return Err(no_field(path)),
            }
        }
        Ok(self)
    }

    /// Takes a field of the target, or all of it where the job had one of another kind.
    fn take_target(&mut self, new: &Self, path: &str) -> Result<(), Refusal> {
        let kind = new.target.as_ref().or(self.target.as_ref()).map(std::mem::discriminant);
        let same_kind = self.target.as_ref().map(std::mem::discriminant) == kind;
        let field = path.split_once('.').map(|(_, field)| field).filter(|_| same_kind);
        match (field, &mut self.target, &new.target) {
            (Some(field), Some(JobTarget::Http(http)), Some(JobTarget::Http(new))) => take_http(http, new, field, path),
            (Some(field), Some(JobTarget::Http(http)), None) => take_http(http, &HttpTarget::default(), field, path),
            (Some(field), Some(JobTarget::AppEngine(app)), Some(JobTarget::AppEngine(new))) => take_app_engine(app, new, field, path),
            (Some(field), Some(JobTarget::AppEngine(app)), None) => take_app_engine(app, &AppEngineTarget::default(), field, path),
            (Some("data"), Some(JobTarget::PubSub { message, .. }), Some(JobTarget::PubSub { message: new, .. })) => {
                message.data = new.data.clone();
                Ok(())
            }
            (Some("attributes"), Some(JobTarget::PubSub { message, .. }), Some(JobTarget::PubSub { message: new, .. })) => {
                message.attributes.clone_from(&new.attributes);
                Ok(())
            }
            (Some("topic_name"), Some(JobTarget::PubSub { topic, .. }), Some(JobTarget::PubSub { topic: new, .. })) => {
                topic.clone_from(new);
                Ok(())
            }
            (Some(_), ..) => Err(no_field(path)),
            (None, ..) => {
                if !same_kind {
                    self.deadline = new.deadline;
                }
                self.target.clone_from(&new.target);
                Ok(())
            }
        }
    }
}

fn take_http(http: &mut HttpTarget, new: &HttpTarget, field: &str, path: &str) -> Result<(), Refusal> {
    let field = field.split('.').next().unwrap_or_default();
    // Clearing the token of one kind leaves that of the other.
    let is_other = match &http.token {
        Some(Token::OAuth { .. }) => field == "oidc_token",
        Some(Token::Oidc { .. }) => field == "oauth_token",
        None => false,
    };
    match field {
        "uri" => http.url.clone_from(&new.url),
        "http_method" => http.method = new.method,
        "headers" => http.headers.clone_from(&new.headers),
        "body" => http.body = new.body.clone(),
        _ if is_other && new.token.is_none() => {}
        "authorization_header" | "oauth_token" | "oidc_token" => http.token.clone_from(&new.token),
        _ => return Err(no_field(path)),
    }
    Ok(())
}

fn take_app_engine(app: &mut AppEngineTarget, new: &AppEngineTarget, field: &str, path: &str) -> Result<(), Refusal> {
    match field.split('.').next().unwrap_or_default() {
        "http_method" => app.method = new.method,
        "app_engine_routing" => app.routing.clone_from(&new.routing),
        "relative_uri" => app.relative_uri.clone_from(&new.relative_uri),
        "headers" => app.headers.clone_from(&new.headers),
        "body" => app.body = new.body.clone(),
        _ => return Err(no_field(path)),
    }
    Ok(())
}

impl RetryDraft {
    fn of(retry: TaskRetry) -> Self {
        let duration = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        Self {
            count: retry.attempts_max.map_or(0, |attempts| attempts.saturating_sub(1).cast_signed()),
            duration: retry.duration_max.map(duration),
            backoff_min: Some(duration(retry.backoff_min)),
            backoff_max: Some(duration(retry.backoff_max)),
            doublings: retry.doublings_max.cast_signed(),
        }
    }

    fn take(&mut self, new: Self, path: &str) -> Result<(), Refusal> {
        match path {
            "retry_config" => *self = new,
            "retry_config.retry_count" => self.count = new.count,
            "retry_config.max_retry_duration" => self.duration = new.duration,
            "retry_config.min_backoff_duration" => self.backoff_min = new.backoff_min,
            "retry_config.max_backoff_duration" => self.backoff_max = new.backoff_max,
            "retry_config.max_doublings" => self.doublings = new.doublings,
            _ => return Err(no_field(path)),
        }
        Ok(())
    }
}

fn no_field(path: &str) -> Refusal {
    Refusal::invalid(format!("Invalid update mask: the job has no field \"{}\".", path.escape_debug()))
}
