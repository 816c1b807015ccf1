//! Plans of hand-made scenes.

use std::time::Duration;

use super::*;
use crate::names::{Location, QueueName};
use crate::provision::desired::DeadLetterPolicy;
use crate::provision::found::FoundQueue;

fn topic(id: &str) -> TopicName {
    format!("projects/p/topics/{id}").parse().unwrap()
}

fn location() -> Location {
    "projects/p/locations/europe-west1".parse().unwrap()
}

fn subscription(id: &str, on: &str) -> Subscription {
    Subscription {
        name: format!("projects/p/subscriptions/{id}").parse().unwrap(),
        topic: Some(topic(on)),
        push: None,
        ack_deadline: Duration::from_secs(10),
        filter: String::new(),
        ordered: false,
        exactly_once: false,
        backoff: None,
        dead_letters: None,
        retention: None,
        expires: None,
        holds: false,
    }
}

fn job(id: &str, url: &str) -> Job {
    Job {
        name: JobName::new(location(), id.parse().unwrap()),
        description: String::new(),
        schedule: "0 3 * * *".to_owned(),
        time_zone: "Europe/Paris".to_owned(),
        url: url.to_owned(),
        headers: std::collections::BTreeMap::new(),
        body: bytes::Bytes::from_static(b"{}"),
        token: None,
        retries: 0,
        attempt_deadline: Duration::from_mins(30),
    }
}

fn queue(id: &str) -> QueueName {
    QueueName::new(location(), id.parse().unwrap())
}

fn desired() -> Desired {
    let dead_letters = Some(DeadLetterPolicy { topic: topic("shop--orders-dead"), attempts_max: 5 });
    Desired {
        prefix: "shop--".to_owned(),
        owner: "shop".to_owned(),
        url: "https://s".to_owned(),
        location: location(),
        project_number: None,
        topics: vec![topic("shop--orders"), topic("shop--orders-dead")],
        subscriptions: vec![
            subscription("shop--orders-dead-hold", "shop--orders-dead"),
            Subscription { ack_deadline: Duration::from_secs(30), dead_letters, ..subscription("shop--Billing", "shop--orders") },
        ],
        queues: Vec::new(),
        jobs: Vec::new(),
        warnings: Vec::new(),
    }
}

fn made_by(owner: Option<&str>) -> Labels {
    let labels = Labels([("team".to_owned(), "orders".to_owned())].into());
    owner.map_or(labels.clone(), |owner| labels.of(owner))
}

/// What is there once the plan for `desired` was carried out.
fn settled(desired: &Desired) -> Found {
    let ours = made_by(Some(&desired.owner));
    Found {
        topics: desired.topics.iter().map(|name| (name.clone(), ours.clone())).collect(),
        subscriptions: desired.subscriptions.iter().map(|it| (it.name.clone(), (it.clone(), ours.clone()))).collect(),
        queues: desired
            .queues
            .iter()
            .map(|it| (it.name.clone(), FoundQueue { attempts_max: None, duration_max: None, paused: it.paused }))
            .collect(),
        jobs: desired.jobs.iter().map(|it| (it.name.clone(), Some(it.clone()))).collect(),
        granted: rights::needed(desired).into_iter().map(|(name, _)| name).collect(),
        unread: Vec::new(),
        agent: Ok("serviceAccount:x".to_owned()),
    }
}

/// The picture of `runtime.md`, to the letter.
#[test]
fn a_plan_reads_like_a_difference() {
    let desired = desired();
    let mut found = settled(&desired);
    found.topics.remove(&topic("shop--orders-dead"));
    found.granted.clear();
    let hold = &desired.subscriptions[0].name;
    found.subscriptions.remove(hold);
    found
        .subscriptions
        .insert(desired.subscriptions[1].name.clone(), (subscription("shop--Billing", "shop--orders"), made_by(Some("shop"))));
    found.jobs.insert(job("shop--OldReport", "").name, Some(job("shop--OldReport", "https://s/tasks/OldReport")));
    let expected = "\
+ topic         shop--orders-dead
+ subscription  shop--orders-dead-hold   on shop--orders-dead
~ subscription  shop--Billing            ack deadline 10 s → 30 s; dead letters – → shop--orders-dead (5 attempts)
+ iam           pubsub service agent: publisher on shop--orders-dead, subscriber on shop--Billing
- job           shop--OldReport          (with --prune)
";
    let planned = plan(&desired, &found, false);
    assert_eq!(planned.to_string(), expected);
    assert_eq!(planned.due().count(), 4, "what is not pruned is only shown");
}

#[test]
fn what_is_settled_needs_nothing() {
    let mut desired = desired();
    desired.queues = vec![
        Queue { name: queue("shop"), endless: true, paused: false, attempts_min: None },
        Queue { name: queue("shop-dead"), endless: true, paused: true, attempts_min: None },
    ];
    desired.jobs = vec![job("shop--Nightly", "https://s/tasks/Nightly")];
    for prune in [false, true] {
        let planned = plan(&desired, &settled(&desired), prune);
        assert!(planned.is_empty() && planned.to_string().is_empty(), "{planned}");
    }
}

#[test]
fn only_what_is_our_own_is_pruned() {
    let desired = desired();
    let scene = |prefix: &str| {
        let mut found = settled(&desired);
        for (id, owner) in
            [("shop--old", Some("shop")), ("shop--eu--orders", Some("shop--eu")), ("shop--by-hand", None), ("other--old", Some("shop"))]
        {
            found.topics.insert(topic(id), made_by(owner));
            found
                .subscriptions
                .insert(format!("projects/p/subscriptions/{id}").parse().unwrap(), (subscription(id, "shop--orders"), made_by(owner)));
        }
        for (id, url) in [
            ("shop--Old", "https://s/tasks/Old"),
            ("shop--Other", "https://s.evil/tasks/x"),
            ("shop--Foreign", "https://elsewhere/tasks/x"),
            ("other--Old", "https://s/tasks/Old"),
        ] {
            found.jobs.insert(job(id, url).name, Some(job(id, url)));
        }
        found.jobs.insert(job("shop--PubSub", "").name, None);
        let desired = Desired { prefix: prefix.to_owned(), ..desired.clone() };
        plan(&desired, &found, true).to_string()
    };
    assert_eq!(scene("shop--"), "- subscription  shop--old\n- topic         shop--old\n- job           shop--Old\n");
    assert_eq!(scene(""), "", "without a prefix nothing is this app's own");
}

#[test]
fn what_cannot_be_changed_is_refused_with_what_to_do() {
    let mut desired = desired();
    desired.subscriptions[1].filter = r#"attributes.kind = "order""#.to_owned();
    desired.subscriptions[1].ordered = true;
    let mut found = settled(&desired);
    let present = &mut found.subscriptions.get_mut(&desired.subscriptions[1].name).unwrap().0;
    (present.filter, present.ordered, present.topic) = (String::new(), false, None);
    let planned = plan(&desired, &found, false);
    assert_eq!((planned.refused(), planned.due().count()), (1, 0));
    assert_eq!(
        planned.to_string(),
        "! subscription  shop--Billing   topic deleted → shop--orders, filter – → `attributes.kind = \"order\"`, ordered no → yes cannot be changed: give the subscription another name, or delete it with its backlog (`gcloud pubsub subscriptions delete shop--Billing`) and provision again\n"
    );
}

#[test]
fn a_topic_of_another_app_is_not_made_here() {
    let mut desired = desired();
    desired.subscriptions.push(subscription("shop--Mirror", "elsewhere--orders"));
    let planned = plan(&desired, &settled(&self::desired()), false);
    assert_eq!(planned.refused(), 1);
    assert!(planned.to_string().contains("provision that app first"), "{planned}");
    desired.subscriptions[2].topic = Some("projects/other/topics/orders".parse().unwrap());
    assert_eq!(plan(&desired, &settled(&self::desired()), false).refused(), 0, "another project is not ours to look into");
}

#[test]
fn a_dead_set_is_paused_and_its_queue_endless() {
    let mut desired = desired();
    desired.queues = vec![
        Queue { name: queue("shop"), endless: true, paused: false, attempts_min: None },
        Queue { name: queue("shop-dead"), endless: true, paused: true, attempts_min: None },
    ];
    let mut found = settled(&desired);
    let usual = FoundQueue { attempts_max: Some(100), duration_max: Some(Duration::from_hours(1)), paused: false };
    found.queues.insert(queue("shop"), usual);
    found.queues.insert(queue("shop-dead"), FoundQueue { attempts_max: None, duration_max: None, paused: false });
    assert_eq!(
        plan(&desired, &found, false).to_string(),
        "~ queue         shop        attempts 100 → endless; retried for 60 min → unlimited\n~ queue         shop-dead   running → paused\n"
    );
}

#[test]
fn what_others_made_is_taken_over_only_by_saying_so() {
    let desired = desired();
    let mut found = settled(&desired);
    found.topics.insert(topic("shop--orders"), made_by(None));
    let planned = plan(&desired, &found, true);
    assert_eq!(planned.to_string(), "~ topic         shop--orders   made by – → shop\n");
    assert_eq!(planned.steps, [Step::AdoptTopic(topic("shop--orders"), made_by(None).adopted_by("shop"))], "labels of others stay");
    found.topics.insert(topic("shop--orders"), made_by(Some("sister")));
    assert!(plan(&desired, &found, true).is_empty(), "what another app of ours made stays its own");
}

#[test]
fn without_the_agent_dead_letters_are_said_not_to_work() {
    let desired = desired();
    let mut found = settled(&desired);
    found.granted.clear();
    found.agent = Err("the number of the project is not known".to_owned());
    let planned = plan(&desired, &found, false);
    assert_eq!((planned.refused(), planned.due().count()), (1, 0));
    assert!(planned.to_string().starts_with("! iam           pubsub service agent   nothing becomes a dead letter"), "{planned}");
}

/// It was there before, whoever's it is now.
#[test]
fn what_was_taken_over_is_never_pruned() {
    let desired = desired();
    let mut found = settled(&desired);
    let adopted = made_by(None).adopted_by("shop");
    found.topics.insert(topic("shop--by-hand"), adopted.clone());
    let of = subscription("shop--by-hand", "shop--orders");
    found.subscriptions.insert(of.name.clone(), (of, adopted));
    assert!(plan(&desired, &found, true).is_empty());
}

/// Whoever listens there would hear nothing more, and whoever gives up to it would lose what he gives up.
#[test]
fn a_topic_that_others_use_is_not_pruned() {
    let desired = desired();
    let ours = made_by(Some("shop"));
    let dead_letters = Some(DeadLetterPolicy { topic: topic("shop--old"), attempts_max: 5 });
    let users =
        [subscription("other--Mirror", "shop--old"), Subscription { dead_letters, ..subscription("other--Billing", "other--orders") }];
    for user in users {
        let mut found = settled(&desired);
        found.topics.insert(topic("shop--old"), ours.clone());
        let own = subscription("shop--Old", "shop--old");
        let (user_id, name) = (user.name.id().to_owned(), user.name.clone());
        // As long as it is on this app's own topic as well, it is no holder of dead letters.
        found.subscriptions.insert(name.clone(), (user, made_by(Some("other"))));
        if found.subscriptions[&name].0.dead_letters.is_none() {
            found.subscriptions.insert(own.name.clone(), (own, ours.clone()));
        }
        let planned = plan(&desired, &found, true);
        assert_eq!(planned.refused(), 1);
        assert!(!planned.steps.contains(&Step::DeleteTopic(topic("shop--old"))), "{planned}");
        assert!(planned.to_string().contains(&format!("by the subscription `{user_id}`")), "{planned}");
        assert_eq!(plan(&desired, &found, false).refused(), 0, "who does not prune is not told");
        found.subscriptions.remove(&name);
        assert!(plan(&desired, &found, true).steps.contains(&Step::DeleteTopic(topic("shop--old"))));
    }
}

/// Its backlog is all that is left of those messages.
#[test]
fn what_may_hold_dead_letters_is_not_pruned() {
    let desired = desired();
    let ours = made_by(Some("shop"));
    let dead_letters = Some(DeadLetterPolicy { topic: topic("shop--old-dead"), attempts_max: 5 });
    let marked = Subscription { holds: true, ..subscription("shop--kept", "shop--old-dead") };
    let source = Subscription { dead_letters, ..subscription("other--Billing", "other--orders") };
    for (holder, other) in [
        (marked, None),
        (subscription("shop--old-dead-hold", "shop--old-dead"), None),
        (subscription("shop--any", "shop--old-dead"), Some(source)),
    ] {
        let mut found = settled(&desired);
        found.topics.insert(topic("shop--old-dead"), ours.clone());
        let id = holder.name.id().to_owned();
        found.subscriptions.insert(holder.name.clone(), (holder, ours.clone()));
        found.subscriptions.extend(other.map(|other| (other.name.clone(), (other, made_by(None)))));
        let planned = plan(&desired, &found, true);
        assert_eq!((planned.due().count(), planned.refused()), (0, 2), "{planned}");
        assert!(planned.to_string().contains(&format!("`redrive dlq {id}`")), "{planned}");
    }
}

/// A dead set that is given up leaves its queue without end.
#[test]
fn attempts_that_do_not_fit_are_said() {
    let mut desired = desired();
    desired.queues = vec![Queue { name: queue("shop"), endless: false, paused: false, attempts_min: Some(20) }];
    let shown = |attempts_max, duration_max| {
        let mut found = settled(&desired);
        found.queues.insert(queue("shop"), FoundQueue { attempts_max, duration_max, paused: false });
        plan(&desired, &found, false).to_string()
    };
    assert!(shown(None, None).contains("its attempts are endless, and no task in it has a dead set"));
    assert!(shown(Some(5), None).contains("gives a task up after 5 attempts") && shown(Some(5), None).contains("--max-attempts=20"));
    assert_eq!(shown(None, Some(Duration::from_hours(1))) + &shown(Some(20), None), "");
}

/// Rights may be nobody's business: the rest is done all the same.
#[test]
fn rights_that_cannot_be_read_are_said() {
    let desired = desired();
    let mut found = settled(&desired);
    found.granted.clear();
    found.unread = vec![("projects/p/topics/shop--orders-dead".to_owned(), "not permitted".to_owned())];
    let planned = plan(&desired, &found, false);
    assert_eq!((planned.due().count(), planned.refused()), (1, 1), "{planned}");
    assert!(planned.to_string().contains("rights could not be read: not permitted"), "{planned}");
}

#[test]
fn how_pushes_are_packed_is_kept_where_it_can_be_told() {
    use crate::provision::desired::Wrapping::{self, Bare, WithMetadata, Wrapped};
    let push = |wrapping: Wrapping, endpoint: &str| Some(Push { endpoint: endpoint.to_owned(), token: None, wrapping });
    for (present, wanted, expected) in [
        (WithMetadata, Wrapped, WithMetadata),
        (Bare, Wrapped, Wrapped),
        (Wrapped, WithMetadata, WithMetadata),
        (Bare, WithMetadata, WithMetadata),
    ] {
        let mut desired = desired();
        desired.subscriptions[1].push = push(wanted, "https://s/new");
        let mut found = settled(&desired);
        found.subscriptions.get_mut(&desired.subscriptions[1].name).unwrap().0.push = push(present, "https://s/old");
        let planned = plan(&desired, &found, false);
        let [Step::UpdateSubscription(updated, ..)] = &planned.steps[..] else { panic!("{planned}") };
        assert_eq!(updated.push, push(expected, "https://s/new"));
    }
}

/// Names and descriptions of others may be anything.
#[test]
fn hostile_text_is_escaped() {
    let mut desired = desired();
    desired.jobs = vec![job("shop--Nightly", "https://s/tasks/Nightly")];
    let mut found = settled(&desired);
    found
        .jobs
        .insert(desired.jobs[0].name.clone(), Some(Job { description: "\u{1b}[2J\n+ topic  x".to_owned(), ..desired.jobs[0].clone() }));
    let shown = plan(&desired, &found, false).to_string();
    assert_eq!(shown.lines().count(), 1, "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}
