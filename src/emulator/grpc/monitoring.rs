//! Of Cloud Monitoring v3, `ListTimeSeries`, for the metrics that show backlogs.
//!
//! Must not know how points are kept or put together.

use std::cmp::Ordering;

use jiff::SignedDuration;
use tonic::{Request, Response, Status};

use super::{Engine, aggregation, page, wkt};
use crate::emulator::metrics::{Found, Kind, Metric, Metrics, Point, Query, Series, Value, Window};
use crate::emulator::pb::google::api::metric_descriptor::{MetricKind, ValueType};
use crate::emulator::pb::google::api::{Metric as PbMetric, MonitoredResource};
use crate::emulator::pb::google::monitoring::v3 as pb;
use crate::emulator::pb::google::monitoring::v3::metric_service_server::{MetricService, MetricServiceServer};
use crate::emulator::state::Refusal;
use crate::names::Project;

/// Points in one page; series when only headers are wanted.
const PAGE_MAX: usize = 100_000;

/// The newest point shown is `delay` old.
pub(crate) fn service(engine: Engine, delay: SignedDuration) -> MetricServiceServer<Service> {
    let metrics = Metrics::start(&engine, delay);
    MetricServiceServer::new(Service { engine, metrics })
}

/// The service on its engine.
#[derive(Debug)]
pub(crate) struct Service {
    engine: Engine,
    metrics: Metrics,
}

#[tonic::async_trait]
impl MetricService for Service {
    async fn list_time_series(&self, request: Request<pb::ListTimeSeriesRequest>) -> Result<Response<pb::ListTimeSeriesResponse>, Status> {
        let headers_only = request.get_ref().view() == pb::list_time_series_request::TimeSeriesView::Headers;
        let request = request.into_inner();
        let project: Project = request
            .name
            .parse()
            .map_err(|_| Refusal::invalid(format!("Name must begin with 'projects/[PROJECT_ID]', got: {}", request.name.escape_debug())))?;
        let wanted = page::wanted(request.page_size, &request.page_token, PAGE_MAX)?;
        let window = window(request.interval.unwrap_or_default())?;
        let aggregations = request.aggregation.into_iter().chain(request.secondary_aggregation);
        let aggregations = aggregations.map(aggregation::from_proto).collect::<Result<_, _>>()?;
        let query = Query { project: project.id(), filter: &request.filter, window, aggregations };
        let Found { metric, kind, series } = self.metrics.query(&self.engine, &query)?;
        let (series, next) = cut(series, wanted.from.as_deref(), wanted.limit, headers_only)?;
        let time_series = series.into_iter().map(|series| to_proto(metric, kind, series, headers_only)).collect();
        let next_page_token = page::token(next.as_deref());
        Ok(Response::new(pb::ListTimeSeriesResponse {
            time_series,
            next_page_token,
            execution_errors: Vec::new(),
            unit: metric.unit.to_owned(),
        }))
    }
}

fn window(interval: pb::TimeInterval) -> Result<Window, Refusal> {
    let end = interval.end_time.ok_or_else(|| Refusal::invalid("Request was missing field interval.endTime."))?;
    let end = wkt::from_timestamp(end, "interval.endTime")?;
    let start = interval.start_time.map(|start| wkt::from_timestamp(start, "interval.startTime")).transpose()?;
    if start.is_some_and(|start| start > end) {
        return Err(Refusal::invalid("Field interval had an invalid value: The start time must be before the end time."));
    }
    Ok(Window { start, end })
}

/// Where a page ends: a series, and the time of its last point that was given.
fn place(series: &Series) -> String {
    let last = series.points.last().map_or(0, |point| point.end.as_microsecond());
    format!("{}\n{}\n{last}", series.key.0, series.key.1)
}

/// Takes one page of the points, from after `from` on.
fn cut(mut series: Vec<Series>, from: Option<&str>, limit: usize, headers_only: bool) -> Result<(Vec<Series>, Option<String>), Refusal> {
    if let Some(from) = from {
        skip(&mut series, from, headers_only).ok_or_else(|| Refusal::invalid("The page token is invalid."))?;
    }
    let mut left = limit;
    let mut taken: Vec<Series> = Vec::new();
    for mut one in series {
        if left == 0 {
            let next = taken.last().map(place);
            return Ok((taken, next));
        }
        if headers_only {
            left -= 1;
            taken.push(one);
        } else if one.points.len() > left {
            one.points.truncate(left);
            let next = place(&one);
            taken.push(one);
            return Ok((taken, Some(next)));
        } else {
            left -= one.points.len();
            taken.push(one);
        }
    }
    Ok((taken, None))
}

/// Drops what earlier pages gave.
fn skip(series: &mut Vec<Series>, from: &str, headers_only: bool) -> Option<()> {
    let mut parts = from.split('\n');
    let key = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let last: i64 = parts.next()?.parse().ok()?;
    series.retain_mut(|one| match one.key.cmp(&key) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => {
            one.points.retain(|point| point.end.as_microsecond() < last);
            !headers_only && !one.points.is_empty()
        }
    });
    Some(())
}

fn to_proto(metric: &Metric, kind: Kind, series: Series, headers_only: bool) -> pb::TimeSeries {
    let own = |labels: std::collections::BTreeMap<&'static str, String>| {
        labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let whole = !matches!(series.points.first(), Some(Point { value: Value::Double(_), .. }));
    let kind = if kind == Kind::Gauge { MetricKind::Gauge } else { MetricKind::Delta };
    pb::TimeSeries {
        metric: Some(PbMetric { r#type: metric.name.to_owned(), labels: own(series.labels) }),
        resource: Some(MonitoredResource { r#type: metric.resource.kind().to_owned(), labels: own(series.resource_labels) }),
        metadata: None,
        metric_kind: kind.into(),
        value_type: if whole { ValueType::Int64 } else { ValueType::Double }.into(),
        points: if headers_only { Vec::new() } else { series.points.into_iter().map(point).collect() },
        unit: String::new(),
        description: String::new(),
    }
}

fn point(point: Point) -> pb::Point {
    let value = match point.value {
        Value::Int(value) => pb::typed_value::Value::Int64Value(value),
        Value::Double(value) => pb::typed_value::Value::DoubleValue(value),
    };
    pb::Point {
        interval: Some(pb::TimeInterval { start_time: Some(wkt::timestamp(point.start)), end_time: Some(wkt::timestamp(point.end)) }),
        value: Some(pb::TypedValue { value: Some(value) }),
    }
}
