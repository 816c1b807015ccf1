//! Many stored tasks are discarded: several at once, what cannot be deleted is said, and what is looked at does not stay in memory.

use std::time::{Duration, Instant};

use redrive::emulator::Fault;
use redrive::error::Kind;
use redrive::runtime::{App, Compat, Context, Outcome, Task, done};
use serde::{Deserialize, Serialize};

use crate::support::World;

const QUEUE: &str = "queues: [{ name: shop, paused: true }]";

macro_rules! task {
    ($name:ident) => {
        #[derive(Serialize, Deserialize)]
        struct $name {
            text: String,
        }

        impl Task<()> for $name {
            const NAME: &'static str = stringify!($name);

            async fn run(self, _: Context<()>) -> Outcome {
                done()
            }
        }
    };
}

task!(Mail);
task!(Archive);

fn shop(world: &World, compat: Compat) -> App<()> {
    let app = world.app((), "http://127.0.0.1:9").named("shop").queue(&"shop".parse().unwrap()).compat(compat);
    app.task::<Mail>().task::<Archive>().build().unwrap()
}

#[tokio::test]
async fn several_are_deleted_at_once_and_failures_are_told_apart() {
    let world = World::start(QUEUE).await;
    let app = shop(&world, Compat::Native);
    for number in 0..60 {
        Mail { text: number.to_string() }.asap(&app).await.unwrap();
    }
    // Each takes a while: one after the other they would take twelve seconds, and no more than twenty are under way.
    let each = Duration::from_millis(200);
    world.emulator.inject(Fault::delay("DeleteTask", each).times(60)).unwrap();
    world.emulator.inject(Fault::status("DeleteTask", "PERMISSION_DENIED").times(3)).unwrap();
    let begun = Instant::now();
    let report = app.discard_tasks::<Mail>(0).await.unwrap();
    let took = begun.elapsed();
    assert!(took >= each * 2 && took < each * 30, "{took:?}");
    assert_eq!((report.deleted.len(), report.gone, report.failed.len(), report.cut), (57, 0, 3, false));
    assert!(report.failed.iter().all(|(_, error)| error.kind() == Kind::PermissionDenied), "{:?}", report.failed);
    let mut left: Vec<_> = world.tasks("shop").await.into_iter().map(|task| task.name).collect();
    let mut failed: Vec<_> = report.failed.into_iter().map(|(name, _)| name).collect();
    left.sort();
    failed.sort();
    assert_eq!(left, failed, "what could not be deleted is there, and nothing else");

    // What somebody else deletes meanwhile is gone, and no failure.
    world.emulator.inject(Fault::drop_after_commit("DeleteTask").code("NOT_FOUND").times(1)).unwrap();
    let report = app.discard_tasks::<Mail>(0).await.unwrap();
    assert_eq!((report.deleted.len(), report.gone, report.failed.len()), (2, 1, 0));
    assert!(world.tasks("shop").await.is_empty());
}

/// Those that were tried often enough, and no others.
#[tokio::test]
async fn only_those_with_so_many_attempts() {
    #[derive(Serialize, Deserialize)]
    struct Fail;

    impl Task<()> for Fail {
        const NAME: &'static str = "Fail";

        async fn run(self, _: Context<()>) -> Outcome {
            Err("broken".into())
        }
    }

    let app = redrive::testing::app(()).named("shop").task::<Fail>().task::<Mail>().start().await.unwrap();
    let old = Fail.asap(&app).await.unwrap().id;
    app.advance(Duration::from_mins(1)).await.unwrap();
    let new = Fail.asap(&app).await.unwrap().id;
    Mail { text: String::new() }.later(&app, Duration::from_hours(1)).await.unwrap();
    assert!(app.discard_tasks::<Fail>(1000).await.unwrap().deleted.is_empty());
    let report = app.discard_tasks::<Fail>(2).await.unwrap();
    assert_eq!(report.deleted.iter().map(redrive::names::TaskName::id).collect::<Vec<_>>(), [old.as_str()]);
    assert_eq!(app.enqueued::<Fail>().await.unwrap().iter().map(|item| item.id.clone()).collect::<Vec<_>>(), [new]);
    app.enqueued::<Mail>().await.unwrap().expect(1);
}

/// Where the name is in the payload tasks are read in full. Those of others are dropped page by page.
#[test]
fn tasks_that_are_read_in_full_do_not_pile_up() {
    const BYTES: usize = 50_000;
    const TASKS: usize = 400;
    // The emulator has threads of its own: what is measured is what this thread allocates.
    let emulator = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = emulator.block_on(World::start(QUEUE));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let app = shop(&world, Compat::DjangoTasksCloudTasks);
    runtime.block_on(async {
        for _ in 0..TASKS {
            Archive { text: "x".repeat(BYTES) }.asap(&app).await.unwrap();
        }
        Mail { text: "last".to_owned() }.asap(&app).await.unwrap();
    });
    let mut deleted = 0;
    let used = allocation_counter::measure(|| {
        deleted = runtime.block_on(app.discard_tasks::<Mail>(0)).unwrap().deleted.len();
    });
    assert_eq!(deleted, 1);
    let all = (TASKS * BYTES) as u64;
    assert!(used.bytes_max < all, "{} bytes at once of {all} looked at", used.bytes_max);
    drop(runtime);
}
