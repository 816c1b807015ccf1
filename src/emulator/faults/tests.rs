use serde_json::json;

use super::*;

fn refused(json: Json) -> String {
    Faults::default().inject_json(json).unwrap_err()
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    let table = [
        (json!({"kind": "status", "code": "UNAVAILABLE"}), "`method` is missing"),
        (json!({"method": 7, "kind": "status"}), "`method` must be a string"),
        (json!({"method": "Publsh", "kind": "drop-after-commit"}), "`method`: the emulator has no method `Publsh`"),
        (json!({"method": "Publish"}), "`kind` is missing"),
        (json!({"method": "Publish", "kind": "meteor"}), "`kind` must be"),
        (json!({"method": "Publish", "kind": "status"}), "`code` is missing"),
        (json!({"method": "Publish", "kind": "status", "code": "OK"}), "`code`: `OK`"),
        (json!({"method": "Publish", "kind": "delay", "delay": "soon"}), "`delay` must be"),
        (json!({"method": "Publish", "kind": "delay", "delay": "-1s"}), "`delay` must be"),
        (json!({"method": "Publish", "kind": "delay", "delay": "1h"}), "`delay` must be"),
        (json!({"method": "Publish", "kind": "close-stream", "code": "ABORTED"}), "`method` of a fault that closes"),
        (json!({"method": "Publish", "kind": "drop-after-commit", "times": -1}), "`times` must be"),
        (json!({"method": "Publish", "kind": "drop-after-commit", "probability": 1.5}), "`probability` must be"),
        (json!({"method": "Publish", "kind": "drop-after-commit", "tmes": 1}), "`tmes` is no field"),
        (json!({"method": "Publish", "kind": "drop-connection", "code": "ABORTED"}), "`code` is no field"),
        (json!("Publish"), "a fault is an object"),
    ];
    for (json, why) in table {
        let said = refused(json.clone());
        assert!(said.starts_with(why), "{json}: {said}");
    }
    assert!(refused(json!([{"method": "Publish", "kind": "drop-after-commit"}, 1])).starts_with("fault 1: "));
}

#[test]
fn a_list_with_one_wrong_fault_adds_none_and_they_are_bounded() {
    let faults = Faults::default();
    let good = json!({"method": "Publish", "kind": "drop-after-commit"});
    faults.inject_json(json!([good, {"method": "Publish"}])).unwrap_err();
    assert_eq!(faults.list(), json!([]));
    faults.inject_json(Json::Array(vec![good.clone(); FAULTS_MAX])).unwrap();
    assert!(faults.inject_json(good).unwrap_err().contains("DELETE /faults"));
}

#[test]
fn methods_are_named_shortly_or_in_full() {
    let publish = "/google.pubsub.v1.Publisher/Publish";
    let strikes = |method: &str, path: &str| {
        let faults = Faults::default();
        faults.inject(Fault::drop_after_commit(method)).unwrap();
        faults.strike(path, &[]).1.is_some()
    };
    for method in ["Publish", "google.pubsub.v1.Publisher/Publish", publish, "*"] {
        assert!(strikes(method, publish), "{method}");
    }
    assert!(!strikes("Publish", "/google.pubsub.v1.Publisher/GetTopic"));
    assert!(strikes("CreateTask", "/google.cloud.tasks.v2.CloudTasks/CreateTask"), "of every version");
}

#[test]
fn times_resources_and_order_are_kept() {
    let faults = Faults::default();
    let second = Duration::from_secs(1);
    faults.inject(Fault::delay("Pull", second)).unwrap();
    faults.inject(Fault::status("Pull", "ABORTED").on("projects/p/subscriptions/a").times(1)).unwrap();
    let path = "/google.pubsub.v1.Subscriber/Pull";
    let (a, b) = (["projects/p/subscriptions/a".to_owned()], ["projects/p/subscriptions/b".to_owned()]);
    assert!(matches!(faults.strike(path, &b), (delay, None) if delay == second));
    assert!(matches!(faults.strike(path, &a), (delay, Some(Act::Refuse(_))) if delay == second));
    assert!(matches!(faults.strike(path, &a), (_, None)), "once only");
    let hits: Vec<u64> = faults.list().as_array().unwrap().iter().map(|fault| fault["hits"].as_u64().unwrap()).collect();
    assert_eq!(hits, [3, 1]);
    faults.clear();
    assert!(matches!(faults.strike(path, &a), (Duration::ZERO, None)));
}

#[test]
fn a_seed_says_which_requests_are_struck() {
    let run = |seed| (0..1000).map(|nth| draw(seed, nth, 0.25)).collect::<Vec<_>>();
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    let hits = run(7).iter().filter(|hit| **hit).count();
    assert!((200..300).contains(&hits), "{hits}");
    assert!((0..1000).all(|nth| draw(7, nth, 1.0) && !draw(7, nth, 0.0)));
}
