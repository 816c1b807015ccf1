//! Figures over HTTP/JSON: Monitoring's time series, and the statistics of queues, which only the v2beta3 interface of Cloud Tasks tells.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::cloud::Cloud;
use crate::cloud::endpoint::{Api, Endpoint};
use crate::cloud::failure::Asked;
use crate::cloud::pages::read_all;
use crate::cloud::rest::Request;
use crate::error::Result;
use crate::names::{Location, QueueName, SubscriptionName};

/// Figures may take this long a page: they come beside the lists, never before them.
const FIGURES_TIMEOUT: Duration = Duration::from_secs(8);

/// Time series of one metric that are read: one or a few for each resource.
const SERIES_MAX: usize = 50_000;

/// Points asked for in one page of time series.
const PAGE_POINTS: &str = "20000";

/// Queues of a location whose statistics are read.
const QUEUES_MAX: usize = 10_000;

/// Queues asked for in one page.
const PAGE_QUEUES: &str = "1000";

/// The service whose resources a metric describes: Monitoring is asked where that service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    PubSub,
    Tasks,
}

/// The points of one metric of one resource with one set of labels, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TimeSeries {
    pub(crate) resource: HashMap<String, String>,
    pub(crate) labels: HashMap<String, String>,
    pub(crate) points: Vec<(Timestamp, f64)>,
}

/// The statistics of a queue, as estimated when they were asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct QueueStats {
    pub(crate) tasks: u64,
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) executed_last_minute: u64,
    pub(crate) concurrent: u64,
    pub(crate) effective_rate: f64,
    pub(crate) as_of: Timestamp,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct SeriesPage {
    time_series: Vec<WireSeries>,
    next_page_token: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireSeries {
    metric: Labelled,
    resource: Labelled,
    points: Vec<WirePoint>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Labelled {
    labels: HashMap<String, String>,
}

#[derive(Deserialize)]
struct WirePoint {
    interval: WireInterval,
    #[serde(default)]
    value: HashMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireInterval {
    end_time: Timestamp,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct QueuesPage {
    queues: Vec<WireQueue>,
    next_page_token: String,
}

#[derive(Deserialize)]
struct WireQueue {
    name: String,
    stats: Option<WireStats>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct WireStats {
    #[serde(deserialize_with = "count")]
    tasks_count: u64,
    oldest_estimated_arrival_time: Option<Timestamp>,
    #[serde(deserialize_with = "count")]
    executed_last_minute_count: u64,
    #[serde(deserialize_with = "count")]
    concurrent_dispatches_count: u64,
    effective_execution_rate: f64,
}

impl Cloud {
    /// Reads a metric of all resources between two times.
    pub(crate) async fn time_series(&self, of: Of, metric: &str, from: Timestamp, to: Timestamp) -> Result<Vec<TimeSeries>> {
        self.filtered_series(of, &format!("metric.type = \"{metric}\""), from, to).await
    }

    /// Reads the newest of the numbers of undelivered messages of a subscription within a span before the server's now, with its age.
    pub(crate) async fn backlog(&self, subscription: &SubscriptionName, span: Duration) -> Result<Option<(u64, Duration)>> {
        let metric = "pubsub.googleapis.com/subscription/num_undelivered_messages";
        let filter = format!("metric.type = \"{metric}\" AND resource.labels.subscription_id = \"{}\"", subscription.id());
        // What the server tells of its time is cut to the second: the newest point is later.
        let now = self.server_time(subscription).await?;
        let now = now.checked_add(Duration::from_secs(1)).unwrap_or(now);
        let series = self.filtered_series(Of::PubSub, &filter, now.checked_sub(span).unwrap_or(now), now).await?;
        let newest = series.into_iter().flat_map(|series| series.points).max_by_key(|(time, _)| *time);
        Ok(newest.map(|(time, value)| (whole(value), Duration::try_from(now.duration_since(time)).unwrap_or(Duration::ZERO))))
    }

    async fn filtered_series(&self, of: Of, filter: &str, from: Timestamp, to: Timestamp) -> Result<Vec<TimeSeries>> {
        let endpoint = match of {
            Of::PubSub => &self.0.endpoints.pubsub,
            Of::Tasks => &self.0.endpoints.tasks,
        };
        if let Endpoint::NotConfigured = endpoint {
            endpoint.url(if of == Of::Tasks { Api::Tasks } else { Api::PubSub })?;
        }
        let asked = Asked {
            api: Api::Monitoring,
            endpoint: endpoint.clone(),
            verb: "read the figures",
            resource: self.project().to_string(),
            permission: "monitoring.timeSeries.list",
        };
        let (series, _) = read_all(SERIES_MAX, async |token| {
            let request = Request::get(format!("/v3/{}/timeSeries", self.project()), FIGURES_TIMEOUT)
                .query("filter", filter)
                .query("interval.startTime", from.to_string())
                .query("interval.endTime", to.to_string())
                .query("pageSize", PAGE_POINTS);
            let request = if token.is_empty() { request } else { request.query("pageToken", token) };
            let page: SeriesPage = self.rest(&asked, request).await?.body;
            Ok((page.time_series, page.next_page_token))
        })
        .await?;
        Ok(series.into_iter().map(time_series).collect())
    }

    /// Reads the statistics of a location's queues; queues without any are left out.
    pub(crate) async fn queue_stats(&self, location: &Location) -> Result<Vec<(QueueName, QueueStats)>> {
        let asked = self.asked(Api::Tasks, "read the statistics of the queues", location, "cloudtasks.queues.list");
        let (queues, _) = read_all(QUEUES_MAX, async |token| {
            let request = Request::get(format!("/v2beta3/{location}/queues"), FIGURES_TIMEOUT)
                .query("readMask", "name,stats")
                .query("pageSize", PAGE_QUEUES);
            let request = if token.is_empty() { request } else { request.query("pageToken", token) };
            let page = self.rest::<QueuesPage>(&asked, request).await?;
            let as_of = page.server_time.unwrap_or_else(Timestamp::now);
            let queues = page.body.queues.into_iter().filter_map(|queue| stats(queue, as_of)).collect();
            Ok((queues, page.body.next_page_token))
        })
        .await?;
        Ok(queues)
    }
}

fn stats(queue: WireQueue, as_of: Timestamp) -> Option<(QueueName, QueueStats)> {
    let stats = queue.stats?;
    let stats = QueueStats {
        tasks: stats.tasks_count,
        oldest: stats.oldest_estimated_arrival_time,
        executed_last_minute: stats.executed_last_minute_count,
        concurrent: stats.concurrent_dispatches_count,
        effective_rate: stats.effective_execution_rate,
        as_of,
    };
    Some((queue.name.parse().ok()?, stats))
}

fn time_series(wire: WireSeries) -> TimeSeries {
    let mut points: Vec<_> = wire.points.iter().filter_map(|point| Some((point.interval.end_time, number(&point.value)?))).collect();
    points.sort_by_key(|(time, _)| *time);
    TimeSeries { resource: wire.resource.labels, labels: wire.metric.labels, points }
}

/// A count, which Monitoring may give as a fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "negative and immense counts are cut")]
fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

/// Reads `int64Value` (a string in JSON) or `doubleValue` (a string where it is not finite: then it is no number for us).
fn number(value: &HashMap<String, Value>) -> Option<f64> {
    let value = value.get("int64Value").or_else(|| value.get("doubleValue"))?;
    let number = match value {
        Value::String(text) => text.parse().ok()?,
        value => value.as_f64()?,
    };
    f64::is_finite(number).then_some(number)
}

/// Reads an int64, which is a string in Google's JSON and a number in that of others.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = match &value {
        Value::String(text) => text.parse().ok(),
        value => value.as_i64(),
    };
    number.map(|number: i64| u64::try_from(number).unwrap_or(0)).ok_or_else(|| serde::de::Error::custom("not a count"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_series_as_monitoring_writes_them() {
        let page: SeriesPage = serde_json::from_value(json!({"timeSeries": [{
            "metric": {"type": "m", "labels": {"response_code": "200"}},
            "resource": {"type": "pubsub_subscription", "labels": {"project_id": "p", "subscription_id": "s"}},
            "metricKind": "GAUGE", "valueType": "INT64",
            "points": [
                {"interval": {"startTime": "2026-11-21T06:01:00Z", "endTime": "2026-11-21T06:01:00Z"}, "value": {"int64Value": "12"}},
                {"interval": {"startTime": "2026-11-21T06:00:00Z", "endTime": "2026-11-21T06:00:00Z"}, "value": {"doubleValue": 2.5}},
                {"interval": {"endTime": "2026-11-21T05:59:00Z"}, "value": {"doubleValue": "NaN"}},
                {"interval": {"endTime": "2026-11-21T05:58:00Z"}, "value": {"distributionValue": {}}},
            ],
        }], "nextPageToken": "t", "unit": "1"}))
        .unwrap();
        assert_eq!(page.next_page_token, "t");
        let series = time_series(page.time_series.into_iter().next().unwrap());
        assert_eq!(series.resource["subscription_id"], "s");
        assert_eq!(series.labels["response_code"], "200");
        let minute = |text: &str| format!("2026-11-21T{text}:00Z").parse().unwrap();
        assert_eq!(series.points, [(minute("06:00"), 2.5), (minute("06:01"), 12.0)]);
        assert!(serde_json::from_value::<SeriesPage>(json!({})).unwrap().time_series.is_empty());
    }

    #[test]
    fn reads_statistics_as_cloud_tasks_writes_them() {
        let page: QueuesPage = serde_json::from_value(json!({"queues": [
            {"name": "projects/p/locations/l/queues/a", "stats": {
                "tasksCount": "312", "oldestEstimatedArrivalTime": "2026-11-21T05:20:00Z", "executedLastMinuteCount": "7",
                "concurrentDispatchesCount": 2, "effectiveExecutionRate": 0.5}},
            {"name": "projects/p/locations/l/queues/b", "stats": {}},
            {"name": "projects/p/locations/l/queues/c"},
            {"name": "nonsense", "stats": {}},
        ]}))
        .unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let read: Vec<_> = page.queues.into_iter().filter_map(|queue| stats(queue, now)).collect();
        let first = QueueStats {
            tasks: 312,
            oldest: Some("2026-11-21T05:20:00Z".parse().unwrap()),
            executed_last_minute: 7,
            concurrent: 2,
            effective_rate: 0.5,
            as_of: now,
        };
        let name = |id: &str| format!("projects/p/locations/l/queues/{id}").parse().unwrap();
        assert_eq!(read, [(name("a"), first), (name("b"), QueueStats { as_of: now, ..QueueStats::default() })]);
    }
}
