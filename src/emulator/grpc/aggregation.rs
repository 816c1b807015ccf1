//! Monitoring's aggregations from the wire.

use jiff::SignedDuration;

use super::wkt;
use crate::emulator::metrics::{Aggregation, Aligner, Statistic};
use crate::emulator::pb::google::monitoring::v3 as pb;
use crate::emulator::pb::google::monitoring::v3::aggregation::{Aligner as PbAligner, Reducer};
use crate::emulator::state::Refusal;

/// Points are not aligned to shorter periods …
const PERIOD_SECONDS_MIN: i64 = 60;
/// … nor to longer ones: two years.
const PERIOD_SECONDS_MAX: i64 = 104 * 7 * 24 * 3600;

pub(super) fn from_proto(proto: pb::Aggregation) -> Result<Aggregation, Refusal> {
    let refused = |what: &str| Refusal::invalid(format!("Field aggregation.{what} cannot be applied to metrics with value type INT64."));
    let (aligner, reducer) = (proto.per_series_aligner(), proto.cross_series_reducer());
    let aligner = match aligner {
        PbAligner::AlignNone => Aligner::None,
        PbAligner::AlignDelta => Aligner::Delta,
        PbAligner::AlignRate => Aligner::Rate,
        PbAligner::AlignNextOlder | PbAligner::AlignInterpolate => Aligner::NextOlder,
        PbAligner::AlignMin => Aligner::Statistic(Statistic::Min),
        PbAligner::AlignMax => Aligner::Statistic(Statistic::Max),
        PbAligner::AlignMean => Aligner::Statistic(Statistic::Mean),
        PbAligner::AlignCount => Aligner::Statistic(Statistic::Count),
        PbAligner::AlignSum => Aligner::Statistic(Statistic::Sum),
        PbAligner::AlignStddev => Aligner::Statistic(Statistic::Deviation),
        PbAligner::AlignPercentile99 => Aligner::Statistic(Statistic::Percentile(99)),
        PbAligner::AlignPercentile95 => Aligner::Statistic(Statistic::Percentile(95)),
        PbAligner::AlignPercentile50 => Aligner::Statistic(Statistic::Percentile(50)),
        PbAligner::AlignPercentile05 => Aligner::Statistic(Statistic::Percentile(5)),
        PbAligner::AlignCountTrue | PbAligner::AlignCountFalse | PbAligner::AlignFractionTrue | PbAligner::AlignPercentChange => {
            return Err(refused("perSeriesAligner"));
        }
    };
    let reducer = match reducer {
        Reducer::ReduceNone => None,
        Reducer::ReduceMean => Some(Statistic::Mean),
        Reducer::ReduceMin => Some(Statistic::Min),
        Reducer::ReduceMax => Some(Statistic::Max),
        Reducer::ReduceSum => Some(Statistic::Sum),
        Reducer::ReduceStddev => Some(Statistic::Deviation),
        Reducer::ReduceCount => Some(Statistic::Count),
        Reducer::ReducePercentile99 => Some(Statistic::Percentile(99)),
        Reducer::ReducePercentile95 => Some(Statistic::Percentile(95)),
        Reducer::ReducePercentile50 => Some(Statistic::Percentile(50)),
        Reducer::ReducePercentile05 => Some(Statistic::Percentile(5)),
        Reducer::ReduceCountTrue | Reducer::ReduceCountFalse | Reducer::ReduceFractionTrue => return Err(refused("crossSeriesReducer")),
    };
    let period = proto.alignment_period.map_or(SignedDuration::ZERO, wkt::from_duration);
    if aligner != Aligner::None && !(PERIOD_SECONDS_MIN..=PERIOD_SECONDS_MAX).contains(&period.as_secs()) {
        return Err(Refusal::invalid("Field aggregation.alignmentPeriod must be at least 60 seconds and at most 104 weeks."));
    }
    Ok(Aggregation { period, aligner, reducer, group_by: proto.group_by_fields })
}
