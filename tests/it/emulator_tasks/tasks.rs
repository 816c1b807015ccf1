use google_cloud_gax::error::rpc::Code;
use google_cloud_tasks_v2::client::CloudTasks;
use google_cloud_tasks_v2::model::queue::State;
use google_cloud_tasks_v2::model::task::View;
use google_cloud_tasks_v2::model::uri_override::Scheme;
use google_cloud_tasks_v2::model::{
    AppEngineHttpRequest, BatchCreateTasksResponse, CmekConfig, CreateTaskRequest, HttpMethod, HttpRequest, HttpTarget, OidcToken,
    PathOverride, Queue, RateLimits, RetryConfig, Task, UriOverride,
};
use google_cloud_wkt::{Duration, FieldMask, Timestamp};
use serde_json::{Value, json};

use super::*;

const QUEUE: &str = "projects/p/locations/europe-west1/queues/emails";

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, google_cloud_gax::error::Error>) -> (Code, String) {
    let error = result.unwrap_err();
    let status = error.status().unwrap_or_else(|| panic!("no answer of the service: {error:?}"));
    (status.code, status.message.clone())
}

/// A queue that retries after `backoff` seconds.
async fn queue(client: &CloudTasks, backoff: i64) -> Queue {
    let retry = RetryConfig::new().set_min_backoff(Duration::clamp(backoff, 0)).set_max_attempts(5);
    let queue = Queue::new().set_name(QUEUE).set_retry_config(retry);
    client.create_queue().set_parent(LOCATION).set_queue(queue).send().await.unwrap()
}

fn task(url: String) -> Task {
    Task::new().set_http_request(HttpRequest::new().set_url(url))
}

async fn create(client: &CloudTasks, task: Task) -> Task {
    client.create_task().set_parent(QUEUE).set_task(task).send().await.unwrap()
}

#[tokio::test]
async fn queues_are_kept_as_google_keeps_them() {
    let emulator = emulator().await;
    let client = tasks_client(&emulator).await;
    let made = queue(&client, 3).await;
    assert_eq!((made.name.as_str(), &made.state, made.purge_time), (QUEUE, &State::Running, None));
    let rate = made.rate_limits.clone().unwrap();
    assert_eq!((rate.max_dispatches_per_second, rate.max_burst_size, rate.max_concurrent_dispatches), (500.0, 100, 1000));
    let retry = made.retry_config.clone().unwrap();
    assert_eq!((retry.max_attempts, retry.max_doublings, retry.min_backoff.unwrap().seconds()), (5, 16, 3));
    assert_eq!((retry.max_backoff.unwrap().seconds(), retry.max_retry_duration), (3600, None));
    assert_eq!(client.get_queue().set_name(QUEUE).send().await.unwrap(), made);

    let change = Queue::new().set_name(QUEUE).set_rate_limits(RateLimits::new().set_max_dispatches_per_second(5.0));
    let mask = FieldMask::default().set_paths(["rate_limits.max_dispatches_per_second"]);
    let changed = client.update_queue().set_queue(change).set_update_mask(mask).send().await.unwrap();
    let rate = changed.rate_limits.unwrap();
    assert_eq!((rate.max_dispatches_per_second, rate.max_burst_size), (5.0, 10));
    assert_eq!(changed.retry_config, made.retry_config);

    let other = Queue::new().set_name(format!("{LOCATION}/queues/other"));
    client.update_queue().set_queue(other).send().await.unwrap();
    let paused = client.pause_queue().set_name(QUEUE).send().await.unwrap();
    assert_eq!(paused.state, State::Paused);
    let list = |filter: &str| client.list_queues().set_parent(LOCATION).set_filter(filter);
    let names = |queues: Vec<Queue>| queues.into_iter().map(|queue| queue.name.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(list("state: PAUSED").send().await.unwrap().queues), ["emails"]);
    let page = list("").set_page_size(1).send().await.unwrap();
    let rest = list("").set_page_token(page.next_page_token).send().await.unwrap();
    assert_eq!((names(page.queues), names(rest.queues), rest.next_page_token.as_str()), (vec!["emails".into()], vec!["other".into()], ""));
    assert_eq!(client.resume_queue().set_name(QUEUE).send().await.unwrap().state, State::Running);
    assert!(client.purge_queue().set_name(QUEUE).send().await.unwrap().purge_time.is_some());

    let again = client.create_queue().set_parent(LOCATION).set_queue(Queue::new().set_name(QUEUE));
    assert_eq!(code(again.send().await).0, Code::AlreadyExists);
    client.delete_queue().set_name(QUEUE).send().await.unwrap();
    assert_eq!(code(client.get_queue().set_name(QUEUE).send().await).0, Code::NotFound);
    let again = client.create_queue().set_parent(LOCATION).set_queue(Queue::new().set_name(QUEUE)).send().await;
    let (code, message) = code(again);
    assert_eq!(
        (code, message.as_str()),
        (Code::FailedPrecondition, "The queue cannot be created because a queue with this name existed too recently.")
    );
    let locations = client.list_locations().set_name("projects/p").send().await.unwrap().locations;
    assert!(locations.iter().any(|location| location.location_id == "europe-west1"));
}

#[tokio::test]
async fn a_queue_has_a_policy() {
    let emulator = emulator().await;
    queue(&tasks_client(&emulator).await, 1).await;
    let rest = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |verb: &str, body: Value| {
        let url = format!("{}/v2/{QUEUE}:{verb}", endpoint(&emulator));
        rest.post(url).json(&body).send().await.unwrap().json::<Value>().await.unwrap()
    };
    let unset = ask("getIamPolicy", json!({})).await;
    let bindings = json!([{"role": "roles/cloudtasks.enqueuer", "members": ["user:ada@example.com"]}]);
    let set = ask("setIamPolicy", json!({"policy": {"bindings": bindings, "etag": unset["etag"]}})).await;
    assert_eq!((&set["bindings"], &set["version"]), (&bindings, &json!(1)), "{set}");
    assert_eq!(ask("getIamPolicy", json!({})).await, set);
    let stale = ask("setIamPolicy", json!({"policy": {"etag": unset["etag"]}})).await;
    assert_eq!(stale["error"]["status"], "ABORTED", "{stale}");
    let text = stale["error"]["message"].as_str().unwrap();
    assert!(text.contains(r"The request's ETag '\000 \001' did not match the current policy's ETag '"), "{text}");
    let held = ask("testIamPermissions", json!({"permissions": ["cloudtasks.queues.get"]})).await;
    assert_eq!(held["permissions"], json!(["cloudtasks.queues.get"]));
}

#[tokio::test]
async fn a_task_fails_is_retried_and_succeeds() {
    let emulator = emulator().await;
    let client = tasks_client(&emulator).await;
    let mut handler = Handler::start(500).await;
    queue(&client, 1).await;
    let request = HttpRequest::new()
        .set_url(handler.url("/mail?x=1"))
        .set_http_method(HttpMethod::Put)
        .set_headers([("Content-Type", "application/json"), ("X-Mine", "1"), ("X-CloudTasks-QueueName", "evil")])
        .set_body("{\"to\":\"ada\"}")
        .set_oidc_token(OidcToken::new().set_service_account_email("a@p.iam.gserviceaccount.com").set_audience("mail"));
    let wanted = Task::new().set_name(format!("{QUEUE}/tasks/mail-1")).set_http_request(request);
    let made = create(&client, wanted.clone()).await;
    assert_eq!(made.name, format!("{QUEUE}/tasks/mail-1"));
    assert_eq!((made.dispatch_count, made.response_count, made.first_attempt.as_ref(), &made.view), (0, 0, None, &View::Basic));
    assert_eq!(made.dispatch_deadline.unwrap().seconds(), 600);
    let Some(request) = made.http_request() else { panic!("{:?}", made.message_type) };
    assert_eq!((request.body.len(), request.headers["User-Agent"].as_str()), (0, "Google-Cloud-Tasks"));

    let first = handler.next().await;
    assert_eq!((first.method.as_str(), first.path.as_str(), &first.body[..]), ("PUT", "/mail?x=1", &b"{\"to\":\"ada\"}"[..]));
    for (name, value) in [
        ("user-agent", "Google-Cloud-Tasks"),
        ("content-type", "application/json"),
        ("x-mine", "1"),
        ("x-cloudtasks-queuename", "emails"),
        ("x-cloudtasks-taskname", "mail-1"),
        ("x-cloudtasks-taskretrycount", "0"),
        ("x-cloudtasks-taskexecutioncount", "0"),
    ] {
        assert_eq!(first.header(name), value, "{name}");
    }
    assert!(first.header("x-cloudtasks-tasketa").parse::<f64>().unwrap() > 1.7e9);
    assert_eq!(first.header("authorization").strip_prefix("Bearer ").unwrap().split('.').count(), 3, "a token");
    handler.answer(204);
    let second = handler.next().await;
    assert_eq!((second.header("x-cloudtasks-taskretrycount"), second.header("x-cloudtasks-taskpreviousresponse")), ("1", "500"));
    let gone = until("the task is done", async || client.get_task().set_name(&*made.name).send().await.err()).await;
    assert_eq!(gone.status().unwrap().code, Code::NotFound);
    let (code, message) = code(client.create_task().set_parent(QUEUE).set_task(wanted).send().await);
    assert_eq!(code, Code::AlreadyExists);
    assert!(message.starts_with("The task cannot be created because a task with this name existed too recently."), "{message}");
}

#[tokio::test]
async fn a_failed_attempt_is_told_and_a_paused_task_can_be_run() {
    let emulator = emulator().await;
    let client = tasks_client(&emulator).await;
    let mut handler = Handler::start(503).await;
    queue(&client, 600).await;
    client.pause_queue().set_name(QUEUE).send().await.unwrap();
    let draft = Task::new().set_http_request(HttpRequest::new().set_url(handler.url("/")).set_body("payload"));
    let made = create(&client, draft).await;
    assert!(made.name.rsplit('/').next().unwrap().bytes().all(|byte| byte.is_ascii_digit()), "{}", made.name);

    let run = client.run_task().set_name(&*made.name).set_response_view(View::Full).send().await.unwrap();
    let begun = run.last_attempt.as_ref().unwrap();
    assert!(run.first_attempt.is_none() && begun.schedule_time.is_some() && begun.dispatch_time.is_none(), "not dispatched yet: {run:?}");
    assert_eq!((run.dispatch_count, &run.view, &run.http_request().unwrap().body[..]), (1, &View::Full, &b"payload"[..]));
    handler.next().await;
    let failed = until("the answer", async || {
        let task = client.get_task().set_name(&*made.name).send().await.unwrap();
        let answered = task.last_attempt.as_ref().is_some_and(|attempt| attempt.response_time.is_some());
        answered.then_some(task)
    })
    .await;
    assert_eq!((failed.dispatch_count, failed.response_count), (1, 0), "a 5xx is no response of the handler");
    let attempt = failed.last_attempt.unwrap();
    let status = attempt.response_status.unwrap();
    assert_eq!((status.code, status.message.as_str()), (14, "UNAVAILABLE(14): HTTP status code 503"));
    assert!(attempt.schedule_time.is_some() && attempt.dispatch_time.is_some() && attempt.response_time.is_some());
    let first = failed.first_attempt.unwrap();
    assert!(first.dispatch_time == attempt.dispatch_time && first.response_time.is_none() && first.response_status.is_none());
    let wait = failed.schedule_time.unwrap().seconds() - attempt.dispatch_time.unwrap().seconds();
    assert!((600..=601).contains(&wait), "now + back-off: {wait}");
    let listed = client.list_tasks().set_parent(QUEUE).set_response_view(View::Full).send().await.unwrap().tasks;
    assert_eq!((listed.len(), &listed[0].http_request().unwrap().body[..]), (1, &b"payload"[..]));
    client.delete_task().set_name(&*made.name).send().await.unwrap();
    assert_eq!(code(client.run_task().set_name(&*made.name).send().await).0, Code::NotFound);
}

#[tokio::test]
async fn batches_are_done_at_once_and_tell_what_failed() {
    let emulator = emulator().await;
    let client = tasks_client(&emulator).await;
    queue(&client, 1).await;
    client.pause_queue().set_name(QUEUE).send().await.unwrap();
    let one = |task| CreateTaskRequest::new().set_parent(QUEUE).set_task(task);
    let requests = [one(task("http://localhost:9/a".into())), one(task("nonsense".into())), one(task("http://localhost:9/b".into()))];
    let batch = client.batch_create_tasks().set_parent(QUEUE).set_request_id("first").set_requests(requests);
    let operation = batch.clone().send().await.unwrap();
    assert!(operation.done && operation.name == format!("{LOCATION}/operations/first"), "{operation:?}");
    assert_eq!(code(batch.send().await), (Code::InvalidArgument, "Duplicate operation id in the batch request: first".to_owned()));
    let url = format!("{}/v2/{}", endpoint(&emulator), operation.name);
    let rest = reqwest::Client::builder().no_proxy().build().unwrap();
    let told = rest.get(url).send().await.unwrap().json::<Value>().await.unwrap();
    let shown = (&told["name"], &told["done"], &told["metadata"]["state"], told["response"]["tasks"].as_array().map(Vec::len));
    assert_eq!(shown, (&json!(operation.name), &json!(true), &json!("PARTIALLY_SUCCEEDED"), Some(2)), "{told}");
    let made = operation.response().unwrap().to_msg::<BatchCreateTasksResponse>().unwrap().tasks;
    assert_eq!(made.len(), 2);
    let metadata = operation.metadata.unwrap().to_msg::<google_cloud_tasks_v2::model::BatchCreateTasksMetadata>().unwrap();
    assert_eq!((metadata.failed_requests.len(), metadata.failed_requests[&1].code), (1, 3));
    let names = made.iter().map(|task| task.name.clone());
    let operation = client.batch_delete_tasks().set_parent(QUEUE).set_names(names).send().await.unwrap();
    assert!(operation.done && operation.error().is_none());
    assert!(client.list_tasks().set_parent(QUEUE).send().await.unwrap().tasks.is_empty());
}

#[tokio::test]
async fn what_is_gone_is_told_from_what_never_was() {
    let emulator = emulator().await;
    let client = tasks_client(&emulator).await;
    queue(&client, 1).await;
    client.pause_queue().set_name(QUEUE).send().await.unwrap();
    let gone = create(&client, task("http://h.example".into()).set_name(format!("{QUEUE}/tasks/gone"))).await.name;
    client.delete_task().set_name(&*gone).send().await.unwrap();
    let get = async |name: &str| code(client.get_task().set_name(name).send().await).1;
    assert!(get(&gone).await.starts_with("The task no longer exists, though a task with this name existed recently."));
    let unknown = "Requested entity was not found.";
    assert_eq!([get(&format!("{QUEUE}/tasks/never")).await, get(&format!("{QUEUE}-not/tasks/never")).await], [unknown; 2]);
    assert_eq!(code(client.delete_task().set_name(&*gone).send().await).1, unknown);
    assert_eq!(code(client.run_task().set_name(&*gone).send().await).1, unknown);
    let run = code(client.run_task().set_name(format!("{QUEUE}-not/tasks/never")).send().await).1;
    assert!(run.starts_with("Queue does not exist. If you just created the queue, wait at least a minute"), "{run}");
    assert!(get(&format!("{QUEUE}/tasks/a.b")).await.starts_with("Task ID \"a.b\" can contain only letters"));
}

#[tokio::test]
async fn only_an_empty_page_of_tasks_is_the_last() {
    let emulator = emulator().await;
    let client = tasks_client(&emulator).await;
    queue(&client, 1).await;
    client.pause_queue().set_name(QUEUE).send().await.unwrap();
    for id in ["a", "b", "c"] {
        create(&client, task("http://h.example".into()).set_name(format!("{QUEUE}/tasks/{id}"))).await;
    }
    let mut token = String::new();
    for (count, more) in [(2, true), (1, true), (0, false)] {
        let page = client.list_tasks().set_parent(QUEUE).set_page_size(2).set_page_token(token).send().await.unwrap();
        assert_eq!((page.tasks.len(), !page.next_page_token.is_empty()), (count, more));
        token = page.next_page_token;
    }
    let refused = async |size: i32, token: &str| {
        let list = client.list_tasks().set_parent(QUEUE).set_page_size(size).set_page_token(token);
        code(list.send().await).1
    };
    assert_eq!(refused(-1, "").await, "ListTasksRequest.pageSize cannot be negative.");
    assert_eq!(refused(0, "!").await, "Invalid page_token");
}

#[tokio::test]
async fn app_engine_targets_go_to_the_app_that_stands_for_it() {
    let mut handler = Handler::start(200).await;
    let emulator = Emulator::builder().app_engine(handler.url("")).start().await.unwrap();
    let client = tasks_client(&emulator).await;
    queue(&client, 1).await;
    let request = AppEngineHttpRequest::new().set_relative_uri("/work").set_body("x");
    let made = create(&client, Task::new().set_app_engine_http_request(request)).await;
    let request = made.app_engine_http_request().unwrap();
    assert_eq!(request.app_engine_routing.as_ref().unwrap().host, "p.appspot.com");
    let received = handler.next().await;
    assert_eq!((received.path.as_str(), received.header("x-appengine-queuename")), ("/work", "emails"));
    assert_eq!((received.header("content-type"), received.header("host")), ("application/octet-stream", "p.appspot.com"));
}

#[tokio::test]
async fn bad_requests_are_refused_in_googles_words() {
    let emulator = emulator().await;
    let client = tasks_client(&emulator).await;
    queue(&client, 1).await;
    let create = |task| client.create_task().set_parent(QUEUE).set_task(task);
    let far = Timestamp::clamp(4_000_000_000, 0);
    let (code_far, message) = code(create(task("http://h.example".into()).set_schedule_time(far)).send().await);
    assert_eq!(code_far, Code::InvalidArgument);
    assert_eq!(
        message,
        "The Task.scheduleTime, 2096-10-02T00:06:40-07:00, is too far in the future. Schedule time must be no more than 720h in the future."
    );
    let large = HttpRequest::new().set_url("http://h.example").set_body(vec![0; 1024 * 1024 + 1]);
    assert_eq!(code(create(Task::new().set_http_request(large)).send().await).1, "Task size too large");
    let missing = client.create_task().set_parent(format!("{LOCATION}/queues/none")).set_task(task("http://h.example".into()));
    let (code_missing, message) = code(missing.send().await);
    assert!(code_missing == Code::NotFound && message.starts_with("Queue does not exist."), "{message}");
    let malformed = client.get_queue().set_name(format!("{LOCATION}/queues/a_b"));
    assert_eq!(code(malformed.send().await).0, Code::InvalidArgument);
}

#[tokio::test]
async fn a_task_is_buffered_with_nothing_but_a_body() {
    let emulator = emulator().await;
    let mut handler = Handler::start(200).await;
    let client = tasks_client(&emulator).await;
    let address = handler.address;
    let uri = UriOverride::new().set_scheme(Scheme::Http).set_host(address.ip().to_string()).set_port(i64::from(address.port()));
    let uri = uri.set_path_override(PathOverride::new().set_path("/work"));
    let target = HttpTarget::new().set_uri_override(uri).set_http_method(HttpMethod::Put);
    let queue = Queue::new().set_name(QUEUE).set_http_target(target);
    client.create_queue().set_parent(LOCATION).set_queue(queue).send().await.unwrap();
    // Google publishes this call over REST only.
    let buffer = async |path: &str| {
        let body = json!({"body": {"contentType": "text/plain", "data": "aGVsbG8="}});
        let url = format!("{}/v2/{QUEUE}/tasks{path}:buffer", endpoint(&emulator));
        let answer = reqwest::Client::new().post(url).body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, made) = buffer("/one").await;
    assert_eq!((status, made["task"]["name"].as_str()), (200, Some(format!("{QUEUE}/tasks/one").as_str())), "{made}");
    let received = handler.next().await;
    assert_eq!((received.method.as_str(), received.path.as_str(), &received.body[..]), ("PUT", "/work", &b"hello"[..]));
    assert_eq!((received.header("content-type"), received.header("x-cloudtasks-taskname")), ("text/plain", "one"));
    assert_eq!(buffer("/one").await.0, 409);
    // gcloud leaves the id empty, and the slash where it is.
    for path in ["", "/"] {
        let (status, made) = buffer(path).await;
        let id = made["task"]["name"].as_str().unwrap().rsplit('/').next().unwrap();
        assert!(status == 200 && id.bytes().all(|byte| byte.is_ascii_digit()), "{made}");
        handler.next().await;
    }
    // Google's samples send the body as it is.
    let url = format!("{}/v2beta3/{QUEUE}/tasks:buffer", endpoint(&emulator));
    for method in [reqwest::Method::POST, reqwest::Method::GET] {
        let request = reqwest::Client::new().request(method, &url).header("content-type", "application/json").body(r#"{"user":7}"#);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
        let received = handler.next().await;
        assert_eq!((received.header("content-type"), &received.body[..]), ("application/json", &br#"{"user":7}"#[..]));
    }
}

#[tokio::test]
async fn a_locations_key_is_set_and_told() {
    let emulator = emulator().await;
    let client = tasks_client(&emulator).await;
    let name = format!("{LOCATION}/cmekConfig");
    assert_eq!(client.get_cmek_config().set_name(&name).send().await.unwrap(), CmekConfig::new().set_name(&name));
    let config = CmekConfig::new().set_name(&name).set_kms_key(format!("{LOCATION}/keyRings/ring/cryptoKeys/key"));
    assert_eq!(client.update_cmek_config().set_cmek_config(config.clone()).send().await.unwrap(), config);
    assert_eq!(client.get_cmek_config().set_name(&name).send().await.unwrap(), config);
    let bad = client.update_cmek_config().set_cmek_config(config.set_kms_key("key")).send().await;
    let text = "Resource name [key] does not match any known resource name pattern.";
    assert_eq!(code(bad), (Code::InvalidArgument, text.to_owned()));
}
