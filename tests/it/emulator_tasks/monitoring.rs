use google_cloud_tasks_v2::model::{AppEngineRouting, HttpMethod, HttpRequest, HttpTarget, Queue, Task, UriOverride};
use serde_json::{Value, json};

use super::*;

const QUEUE: &str = "projects/p/locations/europe-west1/queues/emails";

/// A paused queue with `tasks` tasks.
async fn paused_queue(emulator: &Emulator, tasks: usize) {
    let client = tasks_client(emulator).await;
    client.create_queue().set_parent(LOCATION).set_queue(Queue::new().set_name(QUEUE)).send().await.unwrap();
    client.pause_queue().set_name(QUEUE).send().await.unwrap();
    for _ in 0..tasks {
        let task = Task::new().set_http_request(HttpRequest::new().set_url("http://localhost:9/"));
        client.create_task().set_parent(QUEUE).set_task(task).send().await.unwrap();
    }
}

async fn get(emulator: &Emulator, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
    let rest = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut url = reqwest::Url::parse(&format!("{}{path}", endpoint(emulator))).unwrap();
    url.query_pairs_mut().extend_pairs(query);
    let answer = rest.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn series(emulator: &Emulator, filter: &str) -> (u16, Value) {
    series_with(emulator, filter, &[]).await
}

async fn series_with(emulator: &Emulator, filter: &str, more: &[(&str, &str)]) -> (u16, Value) {
    let now = jiff::Timestamp::now();
    let (start, end) = ((now - jiff::SignedDuration::from_mins(5)).to_string(), now.to_string());
    let query = [("filter", filter), ("interval.startTime", start.as_str()), ("interval.endTime", end.as_str()), ("view", "FULL")];
    get(emulator, "/v3/projects/p/timeSeries", &[&query, more].concat()).await
}

#[tokio::test]
async fn the_depth_of_a_queue_is_told_as_of_now() {
    let emulator = emulator().await;
    paused_queue(&emulator, 3).await;
    let filter = r#"metric.type = "cloudtasks.googleapis.com/queue/depth" AND resource.labels.queue_id = "emails""#;
    let (status, body) = series(&emulator, filter).await;
    assert_eq!(status, 200, "{body}");
    let series = &body["timeSeries"][0];
    assert_eq!(series["metric"], json!({"type": "cloudtasks.googleapis.com/queue/depth"}));
    assert_eq!(series["resource"]["type"], "cloud_tasks_queue");
    let labels = &series["resource"]["labels"];
    assert_eq!((&labels["project_id"], &labels["location"], &labels["queue_id"]), (&json!("p"), &json!("europe-west1"), &json!("emails")));
    assert_eq!((&series["metricKind"], &series["valueType"]), (&json!("GAUGE"), &json!("INT64")));
    let newest = &series["points"][0];
    assert_eq!(newest["value"], json!({"int64Value": "3"}));
    assert_eq!(newest["interval"]["startTime"], newest["interval"]["endTime"]);
    let (_, none) =
        self::series(&emulator, r#"metric.type="cloudtasks.googleapis.com/queue/depth" AND resource.labels.queue_id="none""#).await;
    assert!(none.get("timeSeries").is_none(), "{none}");
}

#[tokio::test]
async fn attempts_are_counted_by_code() {
    let emulator = emulator().await;
    paused_queue(&emulator, 1).await;
    let client = tasks_client(&emulator).await;
    let mut handler = Handler::start(200).await;
    let task = Task::new().set_http_request(HttpRequest::new().set_url(handler.url("/")));
    let task = client.create_task().set_parent(QUEUE).set_task(task).send().await.unwrap();
    client.run_task().set_name(&*task.name).send().await.unwrap();
    handler.next().await;
    let filter = r#"metric.type = "cloudtasks.googleapis.com/queue/task_attempt_count""#;
    let series = until("the count", async || {
        let (_, mut body) = series(&emulator, filter).await;
        body["timeSeries"].as_array_mut().and_then(Vec::pop)
    })
    .await;
    assert_eq!((&series["metric"]["labels"]["response_code"], &series["metricKind"]), (&json!("ok"), &json!("DELTA")));
    let sum: i64 = series["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point["value"]["int64Value"].as_str().unwrap().parse::<i64>().unwrap())
        .sum();
    assert_eq!(sum, 1);
}

#[tokio::test]
async fn what_is_unknown_is_said_as_google_says_it() {
    let emulator = emulator().await;
    let (status, body) = series(&emulator, r#"metric.type = "pubsub.googleapis.com/none""#).await;
    assert_eq!((status, &body["error"]["status"]), (404, &json!("NOT_FOUND")), "{body}");
    let text = body["error"]["message"].as_str().unwrap();
    assert!(text.starts_with("Cannot find metric(s) that match type = \"pubsub.googleapis.com/none\"."), "{text}");
    let (status, body) = get(&emulator, "/v3/projects/p/timeSeries", &[("filter", "metric.type=\"x\"")]).await;
    assert_eq!((status, &body["error"]["message"]), (400, &json!("Request was missing field interval.endTime.")));
}

#[tokio::test]
async fn a_queue_tells_its_stats_when_asked() {
    let emulator = emulator().await;
    paused_queue(&emulator, 2).await;
    let (_, plain) = get(&emulator, &format!("/v2beta3/{QUEUE}"), &[]).await;
    assert_eq!((&plain["name"], &plain["state"], plain.get("stats")), (&json!(QUEUE), &json!("PAUSED"), None));
    let (_, list) = get(&emulator, &format!("/v2beta3/{LOCATION}/queues"), &[("readMask", "name,stats")]).await;
    let queue = &list["queues"][0];
    assert_eq!((&queue["name"], queue.get("state"), &queue["stats"]["tasksCount"]), (&json!(QUEUE), None, &json!("2")), "{list}");
    assert!(queue["stats"]["oldestEstimatedArrivalTime"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
}

#[tokio::test]
async fn a_queue_of_the_beta_tells_where_its_tasks_go() {
    let emulator = emulator().await;
    let target = HttpTarget::new().set_uri_override(UriOverride::new().set_host("h.example")).set_http_method(HttpMethod::Put);
    let routing = AppEngineRouting::new().set_service("worker");
    let queue = Queue::new().set_name(QUEUE).set_app_engine_routing_override(routing).set_http_target(target);
    tasks_client(&emulator).await.create_queue().set_parent(LOCATION).set_queue(queue).send().await.unwrap();
    let (_, plain) = get(&emulator, &format!("/v2beta3/{QUEUE}"), &[]).await;
    let (_, of_v2) = get(&emulator, &format!("/v2/{QUEUE}"), &[]).await;
    let routing = json!({"service": "worker", "host": "worker.p.appspot.com"});
    assert_eq!(plain["appEngineHttpQueue"], json!({"appEngineRoutingOverride": routing}), "{plain}");
    assert_eq!((&plain["httpTarget"], &plain["httpTarget"]["httpMethod"]), (&of_v2["httpTarget"], &json!("PUT")), "{plain}");
    let (_, masked) = get(&emulator, &format!("/v2beta3/{QUEUE}"), &[("readMask", "httpTarget.httpMethod")]).await;
    assert_eq!((&masked["httpTarget"], masked.get("appEngineHttpQueue")), (&of_v2["httpTarget"], None), "{masked}");
}

#[tokio::test]
async fn points_are_put_together_as_asked_for() {
    let emulator = emulator().await;
    paused_queue(&emulator, 3).await;
    let other = Queue::new().set_name(format!("{LOCATION}/queues/other"));
    tasks_client(&emulator).await.create_queue().set_parent(LOCATION).set_queue(other).send().await.unwrap();
    let filter = r#"metric.type = "cloudtasks.googleapis.com/queue/depth""#;
    let period = ("aggregation.alignmentPeriod", "60s");
    let sum = [period, ("aggregation.perSeriesAligner", "ALIGN_NEXT_OLDER"), ("aggregation.crossSeriesReducer", "REDUCE_SUM")];
    let (status, body) = series_with(&emulator, filter, &sum).await;
    assert_eq!((status, body["timeSeries"].as_array().map(Vec::len)), (200, Some(1)), "{body}");
    assert_eq!(body["timeSeries"][0]["points"][0]["value"], json!({"int64Value": "3"}));
    let by_queue = [&sum[..], &[("aggregation.groupByFields", "resource.labels.queue_id")]].concat();
    let (_, body) = series_with(&emulator, filter, &by_queue).await;
    assert_eq!(body["timeSeries"][0]["resource"]["labels"], json!({"queue_id": "emails"}));
    let (_, mean) = series_with(&emulator, filter, &[period, ("aggregation.perSeriesAligner", "ALIGN_MEAN")]).await;
    assert_eq!(mean["timeSeries"][0]["valueType"], "DOUBLE", "{mean}");
    let (status, body) = series_with(&emulator, filter, &[period, ("aggregation.perSeriesAligner", "ALIGN_RATE")]).await;
    assert_eq!((status, &body["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
}

#[tokio::test]
async fn monitoring_can_be_as_late_as_googles() {
    let emulator = Emulator::builder().monitoring_delay(std::time::Duration::from_mins(3)).start().await.unwrap();
    paused_queue(&emulator, 2).await;
    let filter = r#"metric.type = "cloudtasks.googleapis.com/queue/depth""#;
    let depth = async |end: jiff::Timestamp| {
        let (start, end) = ((end - jiff::SignedDuration::from_mins(20)).to_string(), end.to_string());
        let query = [("filter", filter), ("interval.startTime", start.as_str()), ("interval.endTime", end.as_str())];
        get(&emulator, "/v3/projects/p/timeSeries", &query).await.1["timeSeries"][0]["points"][0]["value"]["int64Value"].clone()
    };
    assert_eq!(depth(emulator.now()).await, Value::Null, "three minutes ago there was nothing");
    emulator.advance(std::time::Duration::from_mins(4)).await.unwrap();
    assert_eq!(depth(emulator.now()).await, "2");
}
