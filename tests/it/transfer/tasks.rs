//! Tasks: moved, redriven from a dead set, edited, run, discarded and put back.

use redrive::ops::transfer::{RUN_TASKS_MAX, TaskChange};
use serde_json::json;

use super::handler::Handler;
use super::*;
use crate::ops::{queue, task};

/// Paused queues, so that nothing is dispatched that nobody asked for.
fn seed(url: &str) -> String {
    let tasks = |queue: &str, count: usize| {
        let one = |n| {
            let headers = "{ X-Trace: abc, Authorization: secret }";
            format!("  - {{ queue: {queue}, name: t{n:02}, http: {{ url: '{url}/{n}', json: {{ n: {n} }}, headers: {headers} }} }}")
        };
        (0..count).map(one).collect::<Vec<_>>().join("\n")
    };
    format!(
        "queues:\n  - {{ name: emails, paused: true }}\n  - {{ name: slow, paused: true }}\n  - {{ name: emails-dead, paused: true }}\ntasks:\n{}\n{}",
        tasks("emails", 4),
        tasks("emails-dead", 2)
    )
}

fn of(kind: Kind, from: &str, delivery: Delivery) -> Request {
    Request { delivery, ..Request::new(kind, Source::Queue(queue(from))) }
}

fn chosen(from: &str, ids: &[&str]) -> Selection {
    Selection::Messages(ids.iter().map(|id| task(from, id).to_string()).collect())
}

async fn names(world: &World, from: &str) -> Vec<String> {
    let tasks = world.ops.tasks(&queue(from), false, 1000).await.unwrap();
    tasks.items.iter().map(|task| task.name.id().to_owned()).collect()
}

/// A whole second, as Cloud Tasks writes it.
fn tomorrow() -> jiff::Timestamp {
    jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + 24 * 60 * 60).unwrap()
}

async fn done(world: &World, request: Request) -> Summary {
    let id = start(&world.ops, request).await;
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!(done.state, State::Done, "{done:?}");
    done
}

#[tokio::test]
async fn tasks_move_to_another_queue_under_their_names_where_those_are_free() {
    let world = World::start(&seed("http://127.0.0.1:9")).await;
    let to_slow = || Delivery::Task(Box::new(TaskChange { queue: Some(queue("slow")), ..TaskChange::default() }));
    let first = done(&world, Request { selection: chosen("emails", &["t01"]), ..of(Kind::Redrive, "emails", to_slow()) }).await;
    assert_eq!((first.counts.moved, names(&world, "slow").await), (1, vec!["t01".to_owned()]));
    let moved = world.ops.task(&task("slow", "t01")).await.unwrap();
    assert_eq!((&moved.request.body[..], moved.request.url.as_str()), (&b"{\"n\":1}"[..], "http://127.0.0.1:9/1"));
    assert!(moved.request.headers.contains(&("X-Trace".to_owned(), "abc".to_owned())), "{:?}", moved.request.headers);
    // The same id from elsewhere: it is taken, so it gets a fresh one.
    let second = done(
        &world,
        Request {
            selection: chosen("emails-dead", &["t01"]),
            ..of(
                Kind::Redrive,
                "emails-dead",
                Delivery::Task(Box::new(TaskChange {
                    queue: Some(queue("slow")),
                    url: Some("http://127.0.0.1:9/other".into()),
                    ..TaskChange::default()
                })),
            )
        },
    )
    .await;
    assert_eq!(names(&world, "slow").await, ["t01".to_owned(), format!("t01-{}", second.id)]);
    let rest = done(&world, of(Kind::Redrive, "emails", to_slow())).await;
    assert_eq!((rest.counts.moved, rest.expected), (3, Some(3)));
    assert_eq!((names(&world, "emails").await.len(), names(&world, "slow").await.len()), (0, 5));
}

#[tokio::test]
async fn the_dead_set_goes_back_to_the_queue_where_it_failed() {
    let world = World::start(&seed("http://127.0.0.1:9")).await;
    let redrive = of(Kind::Redrive, "emails-dead", Delivery::Task(Box::default()));
    let plan = world.ops.plan_transfer(redrive).await.unwrap();
    assert!(plan.warnings.iter().any(|warning| warning.contains("created in queue `emails`")), "{:?}", plan.warnings);
    let id = world.ops.start_transfer(plan).await.unwrap();
    let summary = follow(&world.ops, &id, is_over).await;
    assert_eq!((summary.state, summary.counts.moved), (State::Done, 2), "{summary:?}");
    assert_eq!(names(&world, "emails-dead").await, [] as [String; 0]);
    let there = names(&world, "emails").await;
    assert_eq!(there.len(), 6, "{there:?}");
    // Its own `t00` was there already, with the same request under another URL path: the dead one got a name of its own, or is that very task.
    let back = world.ops.tasks(&queue("emails"), true, 100).await.unwrap();
    let generations = back
        .items
        .iter()
        .filter(|task| task.request.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("x-redrive-generation") && value == "1"));
    assert_eq!(generations.count(), 2);
}

#[tokio::test]
async fn an_edited_task_is_a_new_one_with_the_change() {
    let world = World::start(&seed("http://127.0.0.1:9")).await;
    let at = tomorrow();
    let change = TaskChange {
        queue: Some(queue("emails")),
        at: Some(at),
        headers: BTreeMap::from([("x-trace".to_owned(), String::new()), ("X-New".to_owned(), "1".to_owned())]),
        body: Some(b"{}".to_vec()),
        ..TaskChange::default()
    };
    let edit = Request { selection: chosen("emails", &["t02"]), ..of(Kind::Redrive, "emails", Delivery::Task(Box::new(change))) };
    let summary = done(&world, edit).await;
    let name = format!("t02-{}", summary.id);
    assert_eq!(names(&world, "emails").await, ["t00", "t01", name.as_str(), "t03"]);
    let edited = world.ops.task(&task("emails", &name)).await.unwrap();
    assert_eq!((&edited.request.body[..], edited.schedule_time, edited.dispatch_count), (&b"{}"[..], Some(at), 0));
    let headers: BTreeMap<_, _> = edited.request.headers.iter().cloned().collect();
    assert_eq!((headers.get("X-New").map(String::as_str), headers.get("X-Trace")), (Some("1"), None), "{headers:?}");
}

#[tokio::test]
async fn tasks_run_now_in_bulk_within_the_quota() {
    let handler = Handler::start(|_| 200).await;
    let world = World::start(&seed(&handler.url(""))).await;
    let run = |selection| Request { selection, ..of(Kind::Run, "emails", Delivery::Run) };
    let summary = done(&world, run(Selection::Matching("body.n >= 2".parse().unwrap()))).await;
    assert_eq!(summary.counts.moved, 2);
    eventually("the two are gone", async || (names(&world, "emails").await == ["t00", "t01"]).then_some(())).await;
    assert_eq!(handler.asked().len(), 2);

    let many: Vec<String> = (0..=RUN_TASKS_MAX).map(|n| format!("x{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let paced = world.ops.plan_transfer(run(chosen("emails", &many))).await.unwrap();
    assert_eq!((paced.request.rate_max, &paced.request.delivery), (Some(1), &Delivery::Run), "a paused queue has no other way");
    world.ops.resume_queue(&queue("slow")).await.unwrap();
    let again = Request { selection: chosen("slow", &many), ..of(Kind::Run, "slow", Delivery::Run) };
    let again = world.ops.plan_transfer(again).await.unwrap();
    assert!(matches!(again.request.delivery, Delivery::Task(_)), "{:?}", again.request);
}

#[tokio::test]
async fn discarded_tasks_are_put_back_when_they_are_wanted() {
    let world = World::start(&seed("http://127.0.0.1:9")).await;
    let gone =
        done(&world, Request { selection: chosen("emails", &["t00", "t03"]), ..of(Kind::Discard, "emails", Delivery::SourceTopic) }).await;
    assert_eq!((gone.counts.discarded, names(&world, "emails").await), (2, vec!["t01".to_owned(), "t02".to_owned()]));
    let at = tomorrow();
    let change = TaskChange { at: Some(at), ..TaskChange::default() };
    let undo = Request { delivery: Delivery::Task(Box::new(change)), ..Request::new(Kind::Undo, Source::Kept(gone.id.clone())) };
    let back = done(&world, undo.clone()).await;
    assert_eq!(back.counts.moved, 2);
    let expected = [format!("t00-{}", back.id), "t01".to_owned(), "t02".to_owned(), format!("t03-{}", back.id)];
    assert_eq!(names(&world, "emails").await, expected);
    let task = world.ops.task(&task("emails", &expected[3])).await.unwrap();
    assert_eq!((task.schedule_time, &task.request.body[..]), (Some(at), &b"{\"n\":3}"[..]));
    done(&world, undo).await;
    assert_eq!(names(&world, "emails").await, expected, "once is enough");
}

#[tokio::test]
async fn tasks_are_replayed_without_credentials_and_exported() {
    let handler = Handler::start(|_| 204).await;
    let world = World::start(&seed("http://shop.invalid/work")).await;
    let to = Delivery::Handler { url: format!("http://{}", handler.address), anywhere: false };
    let replayed = done(&world, of(Kind::Replay, "emails", to)).await;
    assert_eq!((replayed.counts.moved, names(&world, "emails").await.len()), (4, 4));
    let asked = handler.asked();
    assert!(asked.iter().all(|one| one.path.starts_with("/work/") && one.headers.get("authorization").is_none()), "{asked:?}");
    let file = world.home.join("tasks.jsonl");
    done(&world, of(Kind::Export, "emails", Delivery::File(file.clone()))).await;
    let lines: Vec<serde_json::Value> =
        std::fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[3]["task"]["httpRequest"]["body"]), (4, &json!("eyJuIjozfQ==")));
    let to_slow = Delivery::Task(Box::new(TaskChange { queue: Some(queue("slow")), ..TaskChange::default() }));
    let imported = done(&world, Request { delivery: to_slow, ..Request::new(Kind::Redrive, Source::File(file)) }).await;
    assert_eq!((imported.counts.moved, names(&world, "slow").await), (4, ["t00", "t01", "t02", "t03"].map(str::to_owned).to_vec()));
}
