//! Tasks that run by a schedule, and what is made when the service starts.

use std::sync::Mutex;
use std::time::Duration;

use redrive::emulator::Fault;
use redrive::model::job::JobTarget;
use redrive::names::JobName;
use redrive::runtime::{Builder, Context, Message, Outcome, Periodic, Task, done};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::{Served, World, alone, eventually};

type Log = Mutex<Vec<String>>;
type Make = fn(Builder<Log>) -> Builder<Log>;

#[derive(Serialize, Deserialize)]
struct Report {
    #[serde(default)]
    days: u32,
}

impl Task<Log> for Report {
    const NAME: &'static str = "Report";

    async fn run(self, cx: Context<Log>) -> Outcome {
        let job = cx.task().and_then(|task| task.job.clone()).and_then(|job| job.name).unwrap_or_default();
        cx.state().lock().unwrap().push(format!("{} {job} {}", self.days, cx.header("x-tenant").unwrap_or("-")));
        done()
    }
}

#[derive(Serialize, Deserialize)]
struct Strict {
    days: u32,
}

impl Task<Log> for Strict {
    const NAME: &'static str = "Strict";

    async fn run(self, _: Context<Log>) -> Outcome {
        done()
    }
}

#[derive(Serialize, Deserialize)]
struct OrderPlaced;

impl Message for OrderPlaced {
    const TOPIC: &'static str = "orders";
}

fn shop(world: &World, url: &str) -> Builder<Log> {
    let weekly = Periodic::new("0 6 * * MON", "Europe/Paris")
        .named("WeeklyReport")
        .description("what was sold")
        .payload(json!({ "days": 7 }))
        .header("X-Tenant", "t1")
        .retries(3)
        .attempt_deadline(Duration::from_mins(5));
    let app = world.app(Log::default(), url).named("shop").propagates("x-tenant").unauthenticated();
    app.periodic::<Report>("0 3 * * *", "").scheduled::<Report>(weekly)
}

#[tokio::test]
async fn jobs_are_made_and_their_runs_reach_the_task() {
    let world = World::start("").await;
    let (app, served) = Served::start(|url| shop(&world, url)).await;
    let (_, applied) = app.provision(false).await.unwrap();
    assert!(applied.failed.is_empty(), "{:?}", applied.failed);
    let jobs = world.ops.jobs().await.unwrap().items;
    let weekly = jobs.iter().find(|job| job.name.id() == "shop--WeeklyReport").unwrap();
    assert_eq!(
        (weekly.schedule.as_str(), weekly.time_zone.as_str(), weekly.description.as_str()),
        ("0 6 * * MON", "Europe/Paris", "what was sold")
    );
    assert_eq!(weekly.target, JobTarget::Http { method: "POST".to_owned(), url: format!("{}/tasks/Report", served.url) });
    assert_eq!((&weekly.raw["retryConfig"]["retryCount"], &weekly.raw["attemptDeadline"]), (&json!(3), &json!("300s")));
    let nightly = jobs.iter().find(|job| job.name.id() == "shop--Report").unwrap();
    assert_eq!((nightly.time_zone.as_str(), &nightly.raw["attemptDeadline"]), ("Etc/UTC", &json!("1800s")));

    for id in ["shop--WeeklyReport", "shop--Report"] {
        let name: JobName = format!("projects/shop/locations/europe-west1/jobs/{id}").parse().unwrap();
        world.ops.run_job(&name).await.unwrap();
    }
    let seen = eventually("two runs", async || Some(app.state().lock().unwrap().clone()).filter(|log| log.len() == 2)).await;
    assert!(seen.contains(&"7 shop--WeeklyReport t1".to_owned()) && seen.contains(&"0 shop--Report -".to_owned()), "{seen:?}");
    served.stop().await;
}

#[tokio::test]
async fn mistakes_are_said_when_the_app_is_built() {
    let build = |make: Make| {
        let built = make(alone(Log::default(), "http://127.0.0.1:9", None)).build();
        built.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(build(|app| app.periodic::<Report>("0 3 * * *", "").task::<Report>()), Ok(()), "in any order");
    assert_eq!(build(|app| app.task::<Report>().periodic::<Report>("every 5 minutes", "Europe/Paris")), Ok(()));
    let wrong: [(Make, &str); 7] = [
        (|app| app.periodic::<Report>("0 25 * * *", ""), "periodic task `Report`"),
        (|app| app.periodic::<Report>("0 3 * * *", "Mars/Olympus"), "`Mars/Olympus` is not a time zone"),
        (|app| app.periodic::<Strict>("0 3 * * *", ""), "its payload is not what `Strict` takes"),
        (|app| app.periodic::<Report>("0 3 * * *", "").periodic::<Report>("0 4 * * *", ""), "registered twice"),
        (|app| app.scheduled::<Report>(Periodic::new("0 3 * * *", "").retries(6)), "6 retries"),
        (|app| app.scheduled::<Report>(Periodic::new("0 3 * * *", "").attempt_deadline(Duration::from_secs(9))), "9 s is not between"),
        (|app| app.scheduled::<Report>(Periodic::new("0 3 * * *", "").header("x", "a\r\nb: c")), "is no header"),
    ];
    for (make, words) in wrong {
        let error = build(make).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_service_makes_what_it_needs_when_it_starts_and_goes_on_when_it_cannot() {
    let world = World::start("").await;
    world.emulator.inject(Fault::status("CreateTopic", "PERMISSION_DENIED")).unwrap();
    let start = |url: &str| shop(&world, url).publishes::<OrderPlaced>().provisions_at_start();
    let (app, served) = Served::start(start).await;
    eventually("the jobs, which can be made", async || (world.ops.jobs().await.unwrap().items.len() == 2).then_some(())).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.post(format!("{}/tasks/Report", served.url)).body("{}").send().await.unwrap();
    assert_eq!(answer.status(), 200, "the service goes on");
    assert_eq!(app.state().lock().unwrap().len(), 1);
    served.stop().await;

    world.emulator.clear_faults();
    let (_, served) = Served::start(start).await;
    eventually("the topic", async || (world.ops.topics().await.unwrap().items.len() == 1).then_some(())).await;
    served.stop().await;
}
