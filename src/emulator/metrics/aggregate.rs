//! Alignment and reduction of points, as Monitoring documents them for whole numbers.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::catalog::{Kind, Metric};
use super::history::{Point, Series, Window};
use crate::emulator::state::Refusal;

/// No query makes more points of one series.
const POINTS_MAX: usize = 100_000;

/// The value of a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    Double(f64),
}

/// What is asked for of the points.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Aggregation {
    pub(crate) period: SignedDuration,
    pub(crate) aligner: Aligner,
    pub(crate) reducer: Option<Statistic>,
    /// Labels such as `resource.labels.subscription_id`.
    pub(crate) group_by: Vec<String>,
}

/// How the points of one series in one period become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aligner {
    None,
    Delta,
    Rate,
    NextOlder,
    Statistic(Statistic),
}

/// How several values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistic {
    Min,
    Max,
    Mean,
    Count,
    Sum,
    Deviation,
    Percentile(u8),
}

impl Value {
    #[expect(clippy::cast_precision_loss, reason = "backlogs and counts are far below 2^53")]
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

/// Applies an aggregation; the kind is that of the points that come out.
pub(super) fn apply(
    (kind, mut series): (Kind, Vec<Series>),
    metric: &Metric,
    window: Window,
    wanted: &Aggregation,
) -> Result<(Kind, Vec<Series>), Refusal> {
    if wanted.aligner == Aligner::None {
        return match wanted.reducer {
            None => Ok((kind, series)),
            Some(_) => Err(Refusal::invalid("Field aggregation.perSeriesAligner must be set when a crossSeriesReducer is specified.")),
        };
    }
    let suits = match wanted.aligner {
        Aligner::Delta | Aligner::Rate => kind == Kind::Delta,
        Aligner::NextOlder => kind == Kind::Gauge,
        Aligner::None | Aligner::Statistic(_) => true,
    };
    if !suits {
        return Err(Refusal::invalid("Field aggregation.perSeriesAligner cannot be applied to metrics of this kind."));
    }
    let aligned = match wanted.aligner {
        Aligner::Delta | Aligner::Statistic(Statistic::Sum) => kind,
        _ => Kind::Gauge,
    };
    for one in &mut series {
        one.points = align(&one.points, aligned, window, wanted);
    }
    series.retain(|one| !one.points.is_empty());
    match wanted.reducer {
        None => Ok((aligned, series)),
        Some(reducer) => Ok((aligned, reduce(series, metric, reducer, &wanted.group_by)?)),
    }
}

/// One point for each period that has any, the newest first; periods end with the window.
fn align(points: &[Point], kind: Kind, window: Window, wanted: &Aggregation) -> Vec<Point> {
    let mut aligned = Vec::new();
    let mut left = points;
    let mut end = window.end;
    while !left.is_empty() && aligned.len() < POINTS_MAX {
        let Ok(start) = end.checked_sub(wanted.period) else { break };
        let inside = left.iter().take_while(|point| point.end > start).count();
        let values: Vec<Value> = left[..inside].iter().map(|point| point.value).collect();
        if let Some(value) = value(&values, wanted) {
            aligned.push(Point { start: if kind == Kind::Gauge { end } else { start }, end, value });
        }
        left = &left[inside..];
        end = start;
    }
    aligned
}

fn value(newest_first: &[Value], wanted: &Aggregation) -> Option<Value> {
    let newest = *newest_first.first()?;
    Some(match wanted.aligner {
        Aligner::None | Aligner::NextOlder => newest,
        Aligner::Delta => Statistic::Sum.of(newest_first),
        Aligner::Rate => Value::Double(Statistic::Sum.of(newest_first).as_f64() / wanted.period.as_secs_f64()),
        Aligner::Statistic(statistic) => statistic.of(newest_first),
    })
}

impl Statistic {
    /// Of one value at least.
    fn of(self, values: &[Value]) -> Value {
        let ints: Option<Vec<i64>> = values.iter().map(|value| if let Value::Int(value) = value { Some(*value) } else { None }).collect();
        let floats = || values.iter().map(|value| value.as_f64());
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^53")]
        let count = values.len() as f64;
        match (self, ints) {
            (Self::Count, _) => Value::Int(i64::try_from(values.len()).unwrap_or(i64::MAX)),
            (Self::Min, Some(ints)) => Value::Int(ints.into_iter().min().unwrap_or_default()),
            (Self::Max, Some(ints)) => Value::Int(ints.into_iter().max().unwrap_or_default()),
            (Self::Sum, Some(ints)) => Value::Int(ints.into_iter().fold(0, i64::saturating_add)),
            (Self::Min, None) => Value::Double(floats().fold(f64::INFINITY, f64::min)),
            (Self::Max, None) => Value::Double(floats().fold(f64::NEG_INFINITY, f64::max)),
            (Self::Sum, None) => Value::Double(floats().sum()),
            (Self::Mean, _) => Value::Double(floats().sum::<f64>() / count),
            (Self::Deviation, _) => {
                let mean = floats().sum::<f64>() / count;
                Value::Double((floats().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt())
            }
            (Self::Percentile(percent), _) => Value::Double(percentile(floats().collect(), percent)),
        }
    }
}

/// Between two values in proportion.
fn percentile(mut values: Vec<f64>, percent: u8) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let (whole, part) = (last * usize::from(percent) / 100, last * usize::from(percent) % 100);
    let at = |index: usize| values.get(index.min(last)).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "it is below 100")]
    let part = part as f64 / 100.0;
    at(whole) + (at(whole + 1) - at(whole)) * part
}

/// One series for each group of labels.
fn reduce(series: Vec<Series>, metric: &Metric, reducer: Statistic, group_by: &[String]) -> Result<Vec<Series>, Refusal> {
    let mut groups: BTreeMap<(String, String), Vec<Series>> = BTreeMap::new();
    for mut one in series {
        let mut name = Vec::new();
        let (mut resource, mut labels) = (BTreeMap::new(), BTreeMap::new());
        for field in group_by {
            let unknown =
                || Refusal::invalid(format!("Field aggregation.groupByFields had an invalid value of \"{}\".", field.escape_debug()));
            let (of, label) = match field.split('.').collect::<Vec<_>>()[..] {
                ["resource", "type"] => (None, metric.resource.kind()),
                ["metric", "type"] => (None, metric.name),
                ["resource", "label" | "labels", label] => (Some((&one.resource_labels, &mut resource)), label),
                ["metric", "label" | "labels", label] => (Some((&one.labels, &mut labels)), label),
                _ => return Err(unknown()),
            };
            // A label that a series does not have puts it into the group without.
            if let Some((found, kept)) = of
                && let Some((label, value)) = found.get_key_value(label)
            {
                kept.insert(*label, value.clone());
                name.push(value.clone());
            } else {
                name.push(String::new());
            }
        }
        (one.resource_labels, one.labels) = (resource, labels);
        groups.entry((name.join("\u{1}"), String::new())).or_default().push(one);
    }
    Ok(groups.into_iter().filter_map(|(key, members)| merge(key, members, reducer)).collect())
}

fn merge(key: (String, String), members: Vec<Series>, reducer: Statistic) -> Option<Series> {
    let mut at: BTreeMap<Timestamp, (Timestamp, Vec<Value>)> = BTreeMap::new();
    for point in members.iter().flat_map(|one| &one.points) {
        at.entry(point.end).or_insert((point.start, Vec::new())).1.push(point.value);
    }
    let points = at.into_iter().rev().map(|(end, (start, values))| Point { start, end, value: reducer.of(&values) }).collect();
    let first = members.into_iter().next()?;
    Some(Series { key, points, ..first })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Points every ten seconds, the last at 120, with these values.
    fn series(name: &str, values: &[i64]) -> Series {
        let points = values.iter().rev().zip(0..).map(|(value, nth)| {
            let end = at(120 - 10 * nth);
            Point { start: end, end, value: Value::Int(*value) }
        });
        Series {
            key: (name.to_owned(), String::new()),
            resource_labels: [("subscription_id", name.to_owned()), ("project_id", "p".to_owned())].into(),
            labels: BTreeMap::new(),
            points: points.collect(),
        }
    }

    fn run(
        kind: Kind,
        series: Vec<Series>,
        aligner: Aligner,
        reducer: Option<Statistic>,
        by: &[&str],
    ) -> Result<(Kind, Vec<Series>), Refusal> {
        let metric = Metric { name: "m", kind, unit: "1", resource: super::super::catalog::Resource::Subscription };
        let group_by = by.iter().map(ToString::to_string).collect();
        let wanted = Aggregation { period: SignedDuration::from_secs(60), aligner, reducer, group_by };
        apply((kind, series), &metric, Window { start: Some(at(0)), end: at(120) }, &wanted)
    }

    fn values(series: &Series) -> Vec<(i64, f64)> {
        series.points.iter().map(|point| (point.end.as_second(), point.value.as_f64())).collect()
    }

    #[test]
    fn each_period_becomes_one_point() {
        let counts: Vec<i64> = (1..=12).collect();
        let aligned = |kind, aligner| {
            let (kind, series) = run(kind, vec![series("a", &counts)], aligner, None, &[]).unwrap();
            (kind, values(&series[0]))
        };
        let statistic = Aligner::Statistic;
        assert_eq!(aligned(Kind::Gauge, Aligner::NextOlder), (Kind::Gauge, vec![(120, 12.0), (60, 6.0)]));
        assert_eq!(aligned(Kind::Gauge, statistic(Statistic::Mean)), (Kind::Gauge, vec![(120, 9.5), (60, 3.5)]));
        assert_eq!(aligned(Kind::Gauge, statistic(Statistic::Max)), (Kind::Gauge, vec![(120, 12.0), (60, 6.0)]));
        assert_eq!(aligned(Kind::Gauge, statistic(Statistic::Count)), (Kind::Gauge, vec![(120, 6.0), (60, 6.0)]));
        assert_eq!(aligned(Kind::Gauge, statistic(Statistic::Percentile(50))), (Kind::Gauge, vec![(120, 9.5), (60, 3.5)]));
        assert_eq!(aligned(Kind::Delta, Aligner::Delta), (Kind::Delta, vec![(120, 57.0), (60, 21.0)]));
        assert_eq!(aligned(Kind::Delta, Aligner::Rate), (Kind::Gauge, vec![(120, 0.95), (60, 0.35)]));
    }

    #[test]
    fn series_are_put_together_by_their_labels() {
        let all = || vec![series("a", &[1, 2]), series("b", &[3, 4, 5])];
        let (_, sums) = run(Kind::Gauge, all(), Aligner::NextOlder, Some(Statistic::Sum), &[]).unwrap();
        assert_eq!((sums.len(), values(&sums[0]), sums[0].resource_labels.len()), (1, vec![(120, 7.0)], 0));
        let (_, split) = run(Kind::Gauge, all(), Aligner::NextOlder, Some(Statistic::Sum), &["resource.labels.subscription_id"]).unwrap();
        assert_eq!(split.iter().map(|one| one.resource_labels["subscription_id"].as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(values(&split[1]), [(120, 5.0)]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |kind, aligner, reducer, by: &[&str]| run(kind, vec![series("a", &[1])], aligner, reducer, by).unwrap_err().message;
        assert!(refused(Kind::Gauge, Aligner::Rate, None, &[]).contains("perSeriesAligner"));
        assert!(refused(Kind::Delta, Aligner::NextOlder, None, &[]).contains("perSeriesAligner"));
        assert!(refused(Kind::Gauge, Aligner::None, Some(Statistic::Sum), &[]).contains("perSeriesAligner must be set"));
        assert!(refused(Kind::Gauge, Aligner::NextOlder, Some(Statistic::Sum), &["colour"]).contains("groupByFields"));
    }
}
