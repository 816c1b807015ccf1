//! What a handler is told of the task it works on, as Cloud Tasks and Cloud Scheduler say it.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use redrive::runtime::{Attempt, Context, Outcome, Periodic, Task, TaskInfo, TaskOptions, done};
use serde::{Deserialize, Serialize};

type Told = Mutex<Vec<(TaskInfo, Attempt, Option<String>)>>;

/// Fails twice.
#[derive(Serialize, Deserialize)]
struct Report;

impl Task<Told> for Report {
    const NAME: &'static str = "Report";

    fn options() -> TaskOptions {
        TaskOptions::new().attempts(3)
    }

    async fn run(self, cx: Context<Told>) -> Outcome {
        let told = (cx.task().unwrap().clone(), cx.attempt(), cx.header("x-tenant").map(str::to_owned));
        let mut all = cx.state().lock().unwrap();
        all.push(told);
        if all.len() < 3 { Err("not yet".into()) } else { done() }
    }
}

#[tokio::test]
async fn a_handler_is_told_all_of_its_task() {
    let app = redrive::testing::app(Told::default()).named("shop").propagates("x-tenant").task::<Report>().start().await.unwrap();
    let due = Timestamp::now() + Duration::from_hours(1);
    let task = Report.enqueue(&app).at(due).header("X-Tenant", "t1").dispatch_deadline(Duration::from_secs(90)).send().await.unwrap();
    app.advance(Duration::from_mins(59)).await.unwrap();
    assert!(app.state().lock().unwrap().is_empty(), "it is not due yet");
    app.advance(Duration::from_hours(1)).await.unwrap();
    let told = app.state().lock().unwrap().clone();
    assert_eq!(told.len(), 3);
    for (number, (info, attempt, tenant)) in (0..).zip(&told) {
        assert_eq!(
            (info.queue.as_ref().unwrap().to_string().as_str(), info.name.as_ref().unwrap().id()),
            ("projects/demo/locations/europe-west1/queues/shop", task.id.as_str())
        );
        assert_eq!((info.retry_count, attempt.number, attempt.max), (number, number + 1, Some(3)));
        assert_eq!((attempt.is_first(), attempt.is_last()), (number == 0, number == 2));
        assert_eq!((info.previous_response, info.dispatch_deadline), ((number > 0).then_some(500), Some(Duration::from_secs(90))));
        assert!(info.eta.unwrap().duration_since(due).abs() < jiff::SignedDuration::from_mins(10), "{:?}", info.eta);
        assert_eq!((tenant.as_deref(), &info.job), (Some("t1"), &None));
        // Attempts that were answered 5xx do not count as executions.
        assert_eq!(info.execution_count, 0);
    }
    assert_eq!(told[0].0.eta.unwrap().as_second(), due.as_second());
}

#[tokio::test]
async fn a_run_of_a_job_says_so() {
    let nightly = Periodic::new("0 3 * * *", "Europe/Paris").named("Nightly").retries(5);
    let app = redrive::testing::app(Told::default()).named("shop").scheduled::<Report>(nightly).start().await.unwrap();
    app.advance(Duration::from_hours(24)).await.unwrap();
    let told = app.state().lock().unwrap().clone();
    assert_eq!(told.len(), 3, "two retries");
    for (info, ..) in &told {
        let job = info.job.as_ref().unwrap();
        assert_eq!(job.name.as_deref(), Some("shop--Nightly"));
        let zoned = job.schedule_time.unwrap().to_zoned(jiff::tz::TimeZone::get("Europe/Paris").unwrap());
        assert_eq!((zoned.hour(), zoned.minute()), (3, 0));
        assert_eq!((&info.queue, &info.name), (&None, &None));
    }
}
