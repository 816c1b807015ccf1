//! Cloud Scheduler v1.

use tonic::{Request, Response, Status};

use super::{Engine, MESSAGE_BYTES_MAX, page, wkt};
use crate::emulator::pb::google::cloud::scheduler::v1 as pb;
use crate::emulator::pb::google::cloud::scheduler::v1::cloud_scheduler_server::{CloudScheduler, CloudSchedulerServer};
use crate::emulator::state::Refusal;
use crate::emulator::state::pubsub::Draft;
use crate::emulator::state::scheduler::{
    CreateJob, DeleteJob, Job, JobDraft, JobState, JobTarget, PauseJob, ResumeJob, RetryDraft, RunJob, UpdateJob,
};
use crate::emulator::state::target::{AppEngineTarget, HttpTarget, Method, Routing, Token};
use crate::names::{JobName, Location};

use pb::http_target::AuthorizationHeader;
use pb::job::Target;

const PAGE_JOBS_MAX: usize = 500;

pub(crate) fn service(engine: Engine) -> CloudSchedulerServer<Service> {
    CloudSchedulerServer::new(Service { engine }).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// The service on its engine.
#[derive(Debug)]
pub(crate) struct Service {
    engine: Engine,
}

fn location(parent: &str) -> Result<Location, Refusal> {
    parent.parse().map_err(|_| Refusal::invalid("Location name must be formatted: \"projects/<PROJECT_ID>/locations/<LOCATION_ID>\""))
}

fn job_name(name: &str) -> Result<JobName, Refusal> {
    let text = "Job name must be formatted: \"projects/<PROJECT_ID>/locations/<LOCATION_ID>/jobs/<JOB_ID>\"";
    name.parse().map_err(|_| Refusal::invalid(text))
}

#[tonic::async_trait]
impl CloudScheduler for Service {
    async fn list_jobs(&self, request: Request<pb::ListJobsRequest>) -> Result<Response<pb::ListJobsResponse>, Status> {
        let request = request.into_inner();
        let location = location(&request.parent)?;
        let wanted = page::wanted(request.page_size, &request.page_token, PAGE_JOBS_MAX)?;
        let response = self.engine.read(|state, _| {
            let page = state.scheduler.list_jobs(&location, wanted.from.as_deref(), wanted.limit);
            let jobs = page.items.into_iter().map(to_proto).collect();
            pb::ListJobsResponse { jobs, next_page_token: page::token(page.next.as_deref()) }
        });
        Ok(Response::new(response))
    }

    async fn get_job(&self, request: Request<pb::GetJobRequest>) -> Result<Response<pb::Job>, Status> {
        let name = job_name(&request.into_inner().name)?;
        let job = self.engine.read(|state, _| state.scheduler.job(&name).map(to_proto))?;
        Ok(Response::new(job))
    }

    async fn create_job(&self, request: Request<pb::CreateJobRequest>) -> Result<Response<pb::Job>, Status> {
        let request = request.into_inner();
        let location = location(&request.parent)?;
        let proto = request.job.unwrap_or_default();
        let name = proto.name.clone();
        let job = self.engine.run(CreateJob { location, name, draft: from_proto(proto)? }).await?;
        Ok(Response::new(to_proto(&job)))
    }

    async fn update_job(&self, request: Request<pb::UpdateJobRequest>) -> Result<Response<pb::Job>, Status> {
        let request = request.into_inner();
        let proto = request.job.unwrap_or_default();
        let name = job_name(&proto.name)?;
        let mask = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        let job = self.engine.run(UpdateJob { name, draft: from_proto(proto)?, mask }).await?;
        Ok(Response::new(to_proto(&job)))
    }

    async fn delete_job(&self, request: Request<pb::DeleteJobRequest>) -> Result<Response<()>, Status> {
        self.engine.run(DeleteJob(job_name(&request.into_inner().name)?)).await?;
        Ok(Response::new(()))
    }

    async fn pause_job(&self, request: Request<pb::PauseJobRequest>) -> Result<Response<pb::Job>, Status> {
        Ok(Response::new(to_proto(&self.engine.run(PauseJob(job_name(&request.into_inner().name)?)).await?)))
    }

    async fn resume_job(&self, request: Request<pb::ResumeJobRequest>) -> Result<Response<pb::Job>, Status> {
        Ok(Response::new(to_proto(&self.engine.run(ResumeJob(job_name(&request.into_inner().name)?)).await?)))
    }

    async fn run_job(&self, request: Request<pb::RunJobRequest>) -> Result<Response<pb::Job>, Status> {
        Ok(Response::new(to_proto(&self.engine.run(RunJob(job_name(&request.into_inner().name)?)).await?)))
    }
}

fn from_proto(proto: pb::Job) -> Result<JobDraft, Refusal> {
    let retry = proto.retry_config.unwrap_or_default();
    Ok(JobDraft {
        description: proto.description,
        target: proto.target.map(target).transpose()?,
        schedule: proto.schedule,
        time_zone: proto.time_zone,
        retry: RetryDraft {
            count: retry.retry_count,
            duration: retry.max_retry_duration.map(wkt::from_duration),
            backoff_min: retry.min_backoff_duration.map(wkt::from_duration),
            backoff_max: retry.max_backoff_duration.map(wkt::from_duration),
            doublings: retry.max_doublings,
        },
        deadline: proto.attempt_deadline.map(|deadline| wkt::from_unsigned(deadline, "Job.attemptDeadline")).transpose()?,
    })
}

fn target(proto: Target) -> Result<JobTarget, Refusal> {
    Ok(match proto {
        Target::PubsubTarget(target) => JobTarget::PubSub {
            topic: target
                .topic_name
                .parse()
                .map_err(|_| Refusal::invalid("PubsubTarget.topicName must be formatted: \"projects/<PROJECT_ID>/topics/<TOPIC_ID>\""))?,
            message: Draft { data: target.data.into(), attributes: target.attributes.into_iter().collect(), ordering_key: String::new() },
        },
        Target::HttpTarget(target) => JobTarget::Http(HttpTarget {
            url: target.uri,
            method: method(target.http_method)?,
            headers: target.headers,
            body: target.body.into(),
            token: target.authorization_header.map(|header| match header {
                AuthorizationHeader::OauthToken(token) => Token::OAuth { email: token.service_account_email, scope: token.scope },
                AuthorizationHeader::OidcToken(token) => Token::Oidc { email: token.service_account_email, audience: token.audience },
            }),
        }),
        Target::AppEngineHttpTarget(target) => JobTarget::AppEngine(AppEngineTarget {
            method: method(target.http_method)?,
            routing: target.app_engine_routing.map(|routing| Routing {
                service: routing.service,
                version: routing.version,
                instance: routing.instance,
                host: String::new(),
            }),
            relative_uri: target.relative_uri,
            headers: target.headers,
            body: target.body.into(),
        }),
    })
}

fn method(number: i32) -> Result<Method, Refusal> {
    Ok(match pb::HttpMethod::try_from(number) {
        Ok(pb::HttpMethod::Unspecified | pb::HttpMethod::Post) => Method::Post,
        Ok(pb::HttpMethod::Get) => Method::Get,
        Ok(pb::HttpMethod::Head) => Method::Head,
        Ok(pb::HttpMethod::Put) => Method::Put,
        Ok(pb::HttpMethod::Delete) => Method::Delete,
        Ok(pb::HttpMethod::Patch) => Method::Patch,
        Ok(pb::HttpMethod::Options) => Method::Options,
        Err(_) => return Err(Refusal::invalid(format!("There is no HTTP method number {number}."))),
    })
}

fn method_to_proto(method: Method) -> i32 {
    match method {
        Method::Post => pb::HttpMethod::Post,
        Method::Get => pb::HttpMethod::Get,
        Method::Head => pb::HttpMethod::Head,
        Method::Put => pb::HttpMethod::Put,
        Method::Delete => pb::HttpMethod::Delete,
        Method::Patch => pb::HttpMethod::Patch,
        Method::Options => pb::HttpMethod::Options,
    }
    .into()
}

fn to_proto(job: &Job) -> pb::Job {
    pb::Job {
        name: job.name.to_string(),
        description: job.description.clone(),
        target: Some(target_to_proto(&job.target)),
        schedule: job.schedule.to_string(),
        time_zone: job.zone_name.clone(),
        user_update_time: Some(wkt::timestamp(job.user_update_time)),
        state: match job.state {
            JobState::Enabled => pb::job::State::Enabled,
            JobState::Paused => pb::job::State::Paused,
        }
        .into(),
        status: job.status.as_ref().map(wkt::status),
        schedule_time: job.schedule_time.map(wkt::timestamp),
        last_attempt_time: job.last_attempt_time.map(wkt::timestamp),
        retry_config: Some(pb::RetryConfig {
            retry_count: job.retry.attempts_max.map_or(0, |max| max.saturating_sub(1).cast_signed()),
            max_retry_duration: Some(wkt::duration(job.retry.duration_max.unwrap_or_default())),
            min_backoff_duration: Some(wkt::duration(job.retry.backoff_min)),
            max_backoff_duration: Some(wkt::duration(job.retry.backoff_max)),
            max_doublings: job.retry.doublings_max.cast_signed(),
        }),
        attempt_deadline: job.deadline.map(wkt::duration),
    }
}

fn target_to_proto(target: &JobTarget) -> Target {
    match target {
        JobTarget::PubSub { topic, message } => Target::PubsubTarget(pb::PubsubTarget {
            topic_name: topic.to_string(),
            data: message.data.to_vec(),
            attributes: message.attributes.clone().into_iter().collect(),
        }),
        JobTarget::Http(http) => Target::HttpTarget(pb::HttpTarget {
            uri: http.url.clone(),
            http_method: method_to_proto(http.method),
            headers: http.headers.clone(),
            body: http.body.to_vec(),
            authorization_header: http.token.clone().map(|token| match token {
                Token::OAuth { email, scope } => AuthorizationHeader::OauthToken(pb::OAuthToken { service_account_email: email, scope }),
                Token::Oidc { email, audience } => AuthorizationHeader::OidcToken(pb::OidcToken { service_account_email: email, audience }),
            }),
        }),
        JobTarget::AppEngine(app) => Target::AppEngineHttpTarget(pb::AppEngineHttpTarget {
            http_method: method_to_proto(app.method),
            app_engine_routing: app.routing.clone().map(|routing| pb::AppEngineRouting {
                service: routing.service,
                version: routing.version,
                instance: routing.instance,
                host: routing.host,
            }),
            relative_uri: app.relative_uri.clone(),
            headers: app.headers.clone(),
            body: app.body.to_vec(),
        }),
    }
}
