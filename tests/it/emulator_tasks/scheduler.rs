use google_cloud_gax::error::rpc::Code;
use google_cloud_scheduler_v1::model::job::State;
use google_cloud_scheduler_v1::model::{HttpMethod, HttpTarget, Job, PubsubTarget, RetryConfig};
use google_cloud_wkt::{Duration, FieldMask};
use serde_json::{Value, json};

use super::*;

const JOB: &str = "projects/p/locations/europe-west1/jobs/nightly";

fn job(url: String) -> Job {
    let target = HttpTarget::new().set_uri(url).set_http_method(HttpMethod::Put).set_body("run");
    Job::new().set_name(JOB).set_schedule("0 3 * * *").set_time_zone("Europe/Berlin").set_http_target(target)
}

#[tokio::test]
async fn a_job_is_kept_run_paused_and_changed() {
    let emulator = emulator().await;
    let client = scheduler_client(&emulator).await;
    let mut handler = Handler::start(500).await;
    let retry = RetryConfig::new().set_retry_count(2).set_min_backoff_duration(Duration::clamp(7, 0));
    let made = client.create_job().set_parent(LOCATION).set_job(job(handler.url("/nightly")).set_retry_config(retry)).send().await.unwrap();
    assert_eq!((made.name.as_str(), made.schedule.as_str(), made.time_zone.as_str()), (JOB, "0 3 * * *", "Europe/Berlin"));
    assert_eq!((&made.state, made.status.as_ref(), made.last_attempt_time), (&State::Enabled, None, None));
    assert_eq!(made.attempt_deadline.unwrap().seconds(), 180);
    let kept = made.retry_config.clone().unwrap();
    assert_eq!((kept.retry_count, kept.max_doublings, kept.min_backoff_duration.unwrap().seconds()), (2, 5, 7));
    let next = jiff::Timestamp::from_second(made.schedule_time.unwrap().seconds()).unwrap().in_tz("Europe/Berlin").unwrap();
    assert_eq!((next.hour(), next.minute()), (3, 0));
    assert!(made.user_update_time.is_some());
    assert_eq!(client.get_job().set_name(JOB).send().await.unwrap(), made);

    client.run_job().set_name(JOB).send().await.unwrap();
    let received = handler.next().await;
    assert_eq!((received.method.as_str(), received.path.as_str(), &received.body[..]), ("PUT", "/nightly", &b"run"[..]));
    for (name, value) in [
        ("user-agent", "Google-Cloud-Scheduler"),
        ("content-type", "application/octet-stream"),
        ("x-cloudscheduler", "true"),
        ("x-cloudscheduler-jobname", "nightly"),
    ] {
        assert_eq!(received.header(name), value, "{name}");
    }
    assert!(received.header("x-cloudscheduler-scheduletime").parse::<jiff::Timestamp>().is_ok());
    let failed = until("the answer", async || client.get_job().set_name(JOB).send().await.unwrap().status).await;
    assert_eq!((failed.code, failed.message.as_str()), (13, "INTERNAL(13): HTTP status code 500"));

    let paused = client.pause_job().set_name(JOB).send().await.unwrap();
    assert_eq!((&paused.state, paused.schedule_time), (&State::Paused, None));
    let again = client.pause_job().set_name(JOB).send().await.unwrap_err();
    assert_eq!(again.status().unwrap().code, Code::FailedPrecondition);
    assert_eq!(client.resume_job().set_name(JOB).send().await.unwrap().state, State::Enabled);
    let mask = FieldMask::default().set_paths(["schedule", "time_zone"]);
    let change = Job::new().set_name(JOB).set_schedule("every monday 09:00").set_time_zone("UTC");
    let changed = client.update_job().set_job(change).set_update_mask(mask).send().await.unwrap();
    assert_eq!((changed.schedule.as_str(), changed.time_zone.as_str()), ("every monday 09:00", "UTC"));
    assert_eq!(changed.http_target().unwrap().uri, made.http_target().unwrap().uri);
    assert_eq!(client.list_jobs().set_parent(LOCATION).send().await.unwrap().jobs.len(), 1);
    client.delete_job().set_name(JOB).send().await.unwrap();
    assert_eq!(client.get_job().set_name(JOB).send().await.unwrap_err().status().unwrap().code, Code::NotFound);
}

#[tokio::test]
async fn a_bad_schedule_is_refused() {
    let emulator = emulator().await;
    let client = scheduler_client(&emulator).await;
    for wrong in [job("http://h.example".into()).set_schedule("61 * * * *"), job("http://h.example".into()).set_time_zone("Mars/Olympus")] {
        let error = client.create_job().set_parent(LOCATION).set_job(wrong).send().await.unwrap_err();
        let status = error.status().unwrap();
        assert_eq!((status.code, status.message.as_str()), (Code::InvalidArgument, "Schedule or time zone is invalid."));
    }
}

#[tokio::test]
async fn a_job_publishes() {
    let emulator = emulator().await;
    let client = scheduler_client(&emulator).await;
    let rest = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = format!("{}/v1/projects/p", endpoint(&emulator));
    let send = async |method: reqwest::Method, path: &str, body: Value| {
        let answer = rest.request(method, format!("{base}/{path}")).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json::<Value>().await.unwrap()
    };
    let target = PubsubTarget::new().set_topic_name("projects/p/topics/reports").set_data("run").set_attributes([("kind", "night")]);
    let job = Job::new().set_name(JOB).set_schedule("0 3 * * *").set_pubsub_target(target);
    client.create_job().set_parent(LOCATION).set_job(job).send().await.unwrap();
    let missing = client.run_job().set_name(JOB).send().await.unwrap();
    assert_eq!(missing.status.unwrap().code, 5, "the topic is not there yet");
    send(reqwest::Method::PUT, "topics/reports", json!({})).await;
    send(reqwest::Method::PUT, "subscriptions/reports-sub", json!({"topic": "projects/p/topics/reports"})).await;
    let run = client.run_job().set_name(JOB).send().await.unwrap();
    assert_eq!((run.status.unwrap().code, run.last_attempt_time.is_some()), (0, true));
    let pulled = send(reqwest::Method::POST, "subscriptions/reports-sub:pull", json!({"maxMessages": 5})).await;
    let message = &pulled["receivedMessages"][0]["message"];
    assert_eq!((&message["data"], &message["attributes"]["kind"]), (&json!("cnVu"), &json!("night")), "{pulled}");
}
