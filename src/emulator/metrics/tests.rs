use jiff::{SignedDuration, Timestamp};

use super::aggregate::Value;
use super::catalog::{Key, METRICS, Reading, Resource, read};
use super::filter::Filter;
use super::history::{History, Series, Window};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::{Code, Command, Effects, Moment, Reset, State, Touched};

const DEPTH: usize = 9;
const ATTEMPTS: usize = 10;
const AGE: usize = 1;
const QUEUE: &str = "projects/p/locations/l/queues/q";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

fn key(metric: usize, label: &str) -> Key {
    let resource = if metric == AGE { "projects/p/subscriptions/sub" } else { QUEUE };
    Key { metric, resource: resource.into(), label: label.into() }
}

/// A sample of all there is.
fn record(history: &mut History, series: Vec<(Key, Reading)>, now: Timestamp) {
    history.record_all(vec![(Resource::Queue, QUEUE.into(), series)], now);
}

fn series(history: &History, metric: usize, from: i64, to: i64, now: i64) -> Vec<Series> {
    history.series(metric, &METRICS[metric], "projects/p/", Window { start: Some(at(from)), end: at(to) }, at(now))
}

fn int(value: Value) -> i64 {
    let Value::Int(value) = value else { panic!("{value:?} is not whole") };
    value
}

/// (seconds, value) of the one series, newest first.
fn points(history: &History, metric: usize, from: i64, to: i64, now: i64) -> Vec<(i64, i64)> {
    let series = series(history, metric, from, to, now);
    assert!(series.len() <= 1, "{series:?}");
    let points = series.into_iter().flat_map(|series| series.points);
    points.map(|point| (point.end.duration_since(at(0)).as_secs(), int(point.value))).collect()
}

#[test]
fn gauges_are_read_at_sampling_times_and_now() {
    let mut history = History::default();
    for (second, depth) in [(0, 1), (10, 5), (20, 5), (30, 0)] {
        record(&mut history, vec![(key(DEPTH, ""), Reading::Value(depth))], at(second));
    }
    record(&mut history, vec![(key(DEPTH, ""), Reading::Value(7))], at(34));
    assert_eq!(points(&history, DEPTH, -100, 34, 34), [(34, 7), (30, 0), (20, 5), (10, 5), (0, 1)]);
    assert_eq!(points(&history, DEPTH, 10, 20, 34), [(20, 5)], "after the start, up to the end");
    assert_eq!(points(&history, DEPTH, 10, 33, 34), [(33, 7), (30, 0), (20, 5)], "a clock a little behind still sees now");
    let newest = history.series(DEPTH, &METRICS[DEPTH], "projects/p/", Window { start: None, end: at(99) }, at(34));
    assert_eq!((newest[0].points.len(), newest[0].points[0].value, newest[0].points[0].end), (1, Value::Int(7), at(34)));
    let late = history.series(DEPTH, &METRICS[DEPTH], "projects/p/", Window { start: Some(at(-100)), end: at(34) }, at(14));
    let late: Vec<_> = late[0].points.iter().map(|point| (point.end, point.value)).collect();
    assert_eq!(late, [(at(14), Value::Int(5)), (at(10), Value::Int(5)), (at(0), Value::Int(1))], "seen with a delay");
    assert!(history.series(DEPTH, &METRICS[DEPTH], "projects/other/", Window { start: None, end: at(99) }, at(34)).is_empty());
}

#[test]
fn deltas_are_what_was_added_in_between() {
    let mut history = History::default();
    for (second, count) in [(0, 0), (10, 3), (20, 3), (30, 10), (34, 11)] {
        record(&mut history, vec![(key(ATTEMPTS, "ok"), Reading::Value(count))], at(second));
    }
    assert_eq!(points(&history, ATTEMPTS, 0, 34, 34), [(34, 1), (30, 7), (20, 0), (10, 3)]);
    let all = series(&history, ATTEMPTS, 0, 34, 34);
    assert_eq!((all[0].points[0].start, all[0].points[1].start), (at(30), at(20)));
    assert_eq!(all[0].labels["response_code"], "ok");
    assert_eq!(all[0].resource_labels["queue_id"], "q");
    // A queue deleted and made anew between two samples.
    record(&mut history, vec![(key(ATTEMPTS, "ok"), Reading::Value(2))], at(40));
    assert_eq!(points(&history, ATTEMPTS, 34, 40, 40), [(40, 2)]);
}

#[test]
fn ages_grow_while_nothing_changes() {
    let mut history = History::default();
    for second in [0, 10, 20] {
        record(&mut history, vec![(key(AGE, ""), Reading::Since(Some(at(-5))))], at(second));
    }
    assert_eq!(points(&history, AGE, -1, 20, 20), [(20, 25), (10, 15), (0, 5)]);
    record(&mut history, vec![(key(AGE, ""), Reading::Since(None))], at(30));
    assert_eq!(points(&history, AGE, 20, 30, 30), [(30, 0)]);
}

#[test]
fn an_hour_is_kept_and_what_is_deleted_is_forgotten() {
    let mut history = History::default();
    for second in (0..20_000).step_by(10) {
        record(&mut history, vec![(key(DEPTH, ""), Reading::Value(second))], at(second));
    }
    let kept = points(&history, DEPTH, 0, 19_990, 19_990);
    assert_eq!((kept.len(), kept[0], kept[359]), (360, (19_990, 19_990), (16_400, 16_400)));
    record(&mut history, Vec::new(), at(20_000));
    assert!(points(&history, DEPTH, 0, 20_000, 20_000).is_empty());
}

#[test]
fn filters_choose_series() {
    let series = Series {
        key: (QUEUE.into(), "ok".into()),
        resource_labels: METRICS[ATTEMPTS].resource.labels(QUEUE),
        labels: [("response_code", "ok".to_owned())].into(),
        points: Vec::new(),
    };
    let check = |rest: &str, expected: bool| {
        let filter = Filter::parse(&format!("metric.type=\"cloudtasks.googleapis.com/queue/task_attempt_count\"{rest}")).unwrap();
        let (index, metric) = filter.metric().unwrap();
        assert_eq!((index, filter.matches(metric, &series)), (ATTEMPTS, expected), "{rest}");
    };
    check("", true);
    check(" AND resource.type = \"cloud_tasks_queue\"", true);
    check(" AND resource.type = pubsub_topic", false);
    check(" AND resource.labels.queue_id=\"q\" AND resource.label.location = 'l'", true);
    check(" AND resource.labels.queue_id != \"q\"", false);
    check(" AND resource.labels.queue_id = starts_with(\"x\")", false);
    check(" AND resource.labels.queue_id = one_of(\"x\", \"q\")", true);
    check(" AND (metric.labels.response_code = has_substring(\"o\"))", true);
    check(" AND project = \"p\" AND metric.labels.none = \"x\"", false);
}

#[test]
fn filters_that_google_refuses() {
    for (text, code, says) in [
        ("", Code::InvalidArgument, "missing field filter"),
        ("resource.type = \"pubsub_topic\"", Code::InvalidArgument, "must specify a restriction on \"metric.type\""),
        ("metric.type = starts_with(\"pubsub\")", Code::InvalidArgument, "single metric type"),
        ("metric.type = \"a\" AND colour = \"blue\"", Code::InvalidArgument, "must be prefixed with one of"),
        ("metric.type = \"a", Code::InvalidArgument, "Could not parse"),
        ("metric.type ! \"a\"", Code::InvalidArgument, "Could not parse"),
        ("metric.type = \"a\" OR metric.type = \"b\"", Code::InvalidArgument, "Could not parse"),
        (
            "metric.type = \"pubsub.googleapis.com/none\"",
            Code::NotFound,
            "Cannot find metric(s) that match type = \"pubsub.googleapis.com/none\"",
        ),
    ] {
        let refusal = Filter::parse(text).and_then(|filter| filter.metric().map(drop)).unwrap_err();
        assert!(refusal.code == code && refusal.message.contains(says), "{text}: {refusal:?}");
    }
}

#[test]
fn queries_do_not_push_out_history() {
    let mut history = History::default();
    for second in 0..3600 {
        for nanos in [0, 1, 2] {
            let now = at(second) + SignedDuration::from_nanos(nanos);
            record(&mut history, vec![(key(DEPTH, ""), Reading::Value(second * 3 + nanos))], now);
        }
    }
    assert!(history.changes() <= 362, "one a sampling time: {}", history.changes());
    let kept = points(&history, DEPTH, 0, 3600, 3600);
    assert_eq!((kept.len(), kept[0], kept[359]), (360, (3600, 10_799), (10, 30)));
}

#[test]
fn an_hour_of_many_resources_is_small() {
    let mut history = History::default();
    for second in (0..3600).step_by(10) {
        let resting = (0..1000).map(|index| {
            (Key { metric: DEPTH, resource: format!("projects/p/locations/l/queues/{index}"), label: String::new() }, Reading::Value(1))
        });
        record(&mut history, resting.collect(), at(second));
    }
    let window = Window { start: Some(at(3600) - SignedDuration::from_secs(30)), end: at(3600) };
    assert_eq!(history.series(DEPTH, &METRICS[DEPTH], "projects/p/", window, at(3599)).len(), 1000);
    assert!(history.changes() <= 1000, "what rests is kept once");
}

fn topic(id: u32) -> String {
    format!("projects/p/topics/topic-{id:04}")
}

fn subscription(id: u32) -> String {
    format!("projects/p/subscriptions/sub-{id:04}")
}

fn run<C: Command>(state: &mut State, command: C) -> C::Reply {
    command.apply(state, Moment { now: at(0), seed: 1 }, &mut Effects::default()).unwrap()
}

fn publish(state: &mut State, id: u32) {
    let message = pb::PubsubMessage { data: "x".into(), ..Default::default() };
    run(state, pb::PublishRequest { topic: topic(id), messages: vec![message] });
}

/// The resources that a sample reads, and whether anything is there of each.
fn sampled(state: &mut State) -> Vec<(String, bool)> {
    let touched = state.take_touched();
    assert!(matches!(touched, Touched::These(_)), "all is read again");
    read(state, &touched).into_iter().map(|(_, name, series)| (name, !series.is_empty())).collect()
}

#[test]
fn a_sample_reads_what_has_changed_however_much_is_there() {
    let mut state = State::default();
    for id in 0..1000 {
        run(&mut state, pb::Topic { name: topic(id), ..Default::default() });
        run(&mut state, pb::Subscription { name: subscription(id), topic: topic(id), ..Default::default() });
    }
    let first = state.take_touched();
    assert!(matches!(first, Touched::Everything), "at first all is read");
    assert_eq!(read(&state, &first).len(), 2000);
    assert!(sampled(&mut state).is_empty(), "what rests is not read again");

    publish(&mut state, 7);
    run(&mut state, pb::PullRequest { subscription: subscription(8), max_messages: 1, ..Default::default() });
    run(&mut state, pb::DeleteSubscriptionRequest { subscription: subscription(9) });
    let there = |name: String| (name, true);
    assert_eq!(sampled(&mut state), [there(subscription(7)), there(subscription(8)), (subscription(9), false), there(topic(7))]);
    run(&mut state, pb::DeleteTopicRequest { topic: topic(7) });
    assert_eq!(sampled(&mut state), [there(subscription(7)), (topic(7), false)]);
    run(&mut state, Reset);
    assert!(matches!(state.take_touched(), Touched::Everything));
}

#[test]
fn a_sample_of_some_leaves_the_others_and_forgets_what_is_gone() {
    let mut history = History::default();
    let queue = |name: &str, label: &str, count| {
        let key = Key { metric: ATTEMPTS, resource: format!("projects/p/locations/l/queues/{name}"), label: label.into() };
        (Resource::Queue, key.resource.clone(), vec![(key, Reading::Value(count))])
    };
    history.record_all(vec![queue("q", "ok", 1), queue("q2", "ok", 2)], at(0));
    let shown = |history: &History, now| -> Vec<(String, String)> {
        series(history, ATTEMPTS, -100, now, now).into_iter().map(|series| series.key).collect()
    };
    let [q, q2] = ["q", "q2"].map(|name| format!("projects/p/locations/l/queues/{name}"));
    assert_eq!(shown(&history, 0), [(q.clone(), "ok".into()), (q2.clone(), "ok".into())]);
    // Made anew, it has another series.
    history.record(vec![queue("q", "internal", 1)], at(10));
    assert_eq!(shown(&history, 10), [(q.clone(), "internal".into()), (q2.clone(), "ok".into())]);
    history.record(vec![(Resource::Queue, q, Vec::new())], at(20));
    assert_eq!(shown(&history, 20), [(q2, "ok".into())]);
}
