//! What readings were when: changes by series, and points read back at regular times.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::SAMPLE_SECONDS;
use super::aggregate::Value;
use super::catalog::{self, Key, Kind, METRICS, Metric, Reading, Readings, Resource};

/// How far back the history goes.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

#[derive(Debug, Default)]
pub(super) struct History {
    rings: BTreeMap<Key, Ring>,
    /// Samples so far.
    samples: u64,
}

/// The changes of one series, oldest first.
#[derive(Debug)]
struct Ring {
    born: Timestamp,
    changes: VecDeque<(Timestamp, Reading)>,
    /// The number of the sample that it was last in.
    seen: u64,
}

/// The span of time that a query wants: after `start`, up to and with `end`. Without a start only the newest point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Timestamp,
}

/// One series as Monitoring shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    /// Full name of the resource, and the label that tells it from other series of it.
    pub(crate) key: (String, String),
    pub(crate) resource_labels: BTreeMap<&'static str, String>,
    pub(crate) labels: BTreeMap<&'static str, String>,
    /// Newest first.
    pub(crate) points: Vec<Point>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// Same as `end` for gauges.
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) value: Value,
}

impl History {
    /// Takes in what was read of some resources at a moment; others are as they were. Series that a resource has no more are forgotten.
    pub(super) fn record(&mut self, readings: Vec<Readings>, now: Timestamp) {
        self.samples += 1;
        for (resource, name, series) in readings {
            for (key, reading) in series {
                let ring = self.rings.entry(key).or_insert_with(|| Ring { born: now, changes: VecDeque::new(), seen: 0 });
                ring.seen = self.samples;
                ring.record(reading, now);
            }
            self.forget(resource, &name);
        }
    }

    /// Takes in what was read of all resources there are; the others are forgotten.
    pub(super) fn record_all(&mut self, readings: Vec<Readings>, now: Timestamp) {
        self.record(readings, now);
        self.rings.retain(|_, ring| ring.seen == self.samples);
    }

    /// Forgets the series of a resource that are not in the latest sample.
    fn forget(&mut self, resource: Resource, name: &str) {
        for (metric, _) in METRICS.iter().enumerate().filter(|(_, metric)| metric.resource == resource) {
            let first = Key { metric, resource: name.to_owned(), label: String::new() };
            let own = self.rings.range(first..).take_while(|(key, _)| key.metric == metric && key.resource == name);
            let gone: Vec<Key> = own.filter(|(_, ring)| ring.seen != self.samples).map(|(key, _)| key.clone()).collect();
            for key in &gone {
                self.rings.remove(key);
            }
        }
    }

    /// Counts what is kept.
    #[cfg(test)]
    pub(super) fn changes(&self) -> usize {
        self.rings.values().map(|ring| ring.changes.len()).sum()
    }

    /// Returns the series of a metric whose resources' names begin with `prefix`; those without a point in the window are left out.
    pub(super) fn series(&self, index: usize, metric: &Metric, prefix: &str, window: Window, now: Timestamp) -> Vec<Series> {
        let first = Key { metric: index, resource: prefix.to_owned(), label: String::new() };
        let rings = self.rings.range(first..).take_while(|(key, _)| key.metric == index && key.resource.starts_with(prefix));
        let series = rings.map(|(key, ring)| Series {
            key: (key.resource.clone(), key.label.clone()),
            resource_labels: metric.resource.labels(&key.resource),
            labels: catalog::labels(index, &key.label),
            points: ring.points(metric.kind, window, now),
        });
        series.filter(|series| !series.points.is_empty()).collect()
    }
}

impl Ring {
    fn record(&mut self, reading: Reading, now: Timestamp) {
        match self.changes.back_mut() {
            Some((_, last)) if *last == reading => {}
            // Queries sample too: of those between two sampling times only the last is ever read again.
            Some((at, last)) if slot(*at) == slot(now) => (*at, *last) = (now, reading),
            _ => self.changes.push_back((now, reading)),
        }
        let horizon = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        // The last change before the horizon still says what was true there.
        while self.changes.get(1).is_some_and(|(at, _)| *at <= horizon) {
            self.changes.pop_front();
        }
    }

    /// The value at a moment; 0 before the series was.
    fn at(&self, moment: Timestamp) -> i64 {
        let after = self.changes.partition_point(|(at, _)| *at <= moment);
        match after.checked_sub(1).and_then(|index| self.changes.get(index)) {
            None if moment < self.born => 0,
            // Forgotten changes: the oldest that is known comes closest.
            None => self.changes.front().map_or(0, |(_, reading)| reading.at(moment)),
            Some((_, reading)) => reading.at(moment),
        }
    }

    /// The points in the window, newest first: one of this moment, then one at each sampling time.
    fn points(&self, kind: Kind, window: Window, now: Timestamp) -> Vec<Point> {
        let step = SignedDuration::from_secs(SAMPLE_SECONDS.cast_signed());
        // A client's clock, and the way here, may be a little behind: what is true now answers for a window that ends just before.
        let newest = if window.end >= now || now.duration_since(window.end) < step { now.min(window.end) } else { grid(window.end) };
        let horizon = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN).max(self.born.checked_sub(step).unwrap_or(Timestamp::MIN));
        let start = window.start.filter(|start| *start < window.end);
        let mut times = vec![newest];
        let mut time = grid(newest);
        while time > horizon && start.is_some_and(|start| time > start) {
            if time < newest {
                times.push(time);
            }
            let Ok(earlier) = time.checked_sub(step) else { break };
            time = earlier;
        }
        times.retain(|&time| time > horizon && start.is_none_or(|start| time > start));
        times.iter().map(|&end| self.point(kind, end, now)).collect()
    }

    fn point(&self, kind: Kind, end: Timestamp, now: Timestamp) -> Point {
        // What was read a moment after `end` stands for it, see `points`.
        let read =
            if now.duration_since(end) < SignedDuration::from_secs(SAMPLE_SECONDS.cast_signed()) && end != grid(end) { now } else { end };
        if kind == Kind::Gauge {
            return Point { start: end, end, value: Value::Int(self.at(read)) };
        }
        let start = slot(end);
        let (before, after) = (self.at(start), self.at(read));
        // A counter that fell was begun anew.
        let value = if after >= before { after - before } else { after };
        Point { start, end, value: Value::Int(value) }
    }
}

impl Reading {
    fn at(self, moment: Timestamp) -> i64 {
        match self {
            Self::Value(value) => value,
            Self::Since(None) => 0,
            Self::Since(Some(since)) => moment.duration_since(since).as_secs().max(0),
        }
    }
}

/// The last sampling time before `at`.
fn slot(at: Timestamp) -> Timestamp {
    grid(at.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(at))
}

/// The last sampling time up to `at`.
fn grid(at: Timestamp) -> Timestamp {
    let step = SAMPLE_SECONDS.cast_signed();
    Timestamp::from_second(at.as_second().div_euclid(step) * step).unwrap_or(at)
}
