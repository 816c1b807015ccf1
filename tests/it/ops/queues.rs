use std::sync::Mutex;
use std::time::Duration;

use redrive::error::Kind;
use redrive::model::job::JobState;
use redrive::model::queue::QueueState;
use redrive::names::JobName;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{World, eventually, queue, task};

/// A paused queue with tasks for a handler that is not there.
fn seed(tasks: usize) -> String {
    let tasks: Vec<_> = (0..tasks)
        .map(|n| {
            let http = format!("url: 'http://127.0.0.1:9/email?n={n}', json: {{ n: {n} }}, headers: {{ X-Trace: abc }}");
            format!("  - {{ queue: emails, name: t{n:03}, http: {{ {http} }} }}")
        })
        .collect();
    let tasks = tasks.join("\n");
    format!("queues:\n  - {{ name: emails, paused: true, retry: {{ max_attempts: -1, min_backoff: 1h }} }}\ntasks:\n{tasks}")
}

#[tokio::test]
async fn tasks_basic_and_full() {
    let world = World::start(&seed(3)).await;
    let basic = world.ops.tasks(&queue("emails"), false, 10).await.unwrap();
    assert_eq!((basic.items.len(), basic.truncated, basic.failed.len()), (3, false, 0));
    let first = &basic.items[0];
    assert_eq!((&first.name, first.full, first.request.body.len()), (&task("emails", "t000"), false, 0));
    assert_eq!((first.dispatch_count, first.response_count), (0, 0));
    assert!(first.create_time.is_some() && first.schedule_time.is_some());
    let full = world.ops.tasks(&queue("emails"), true, 2).await.unwrap();
    assert_eq!((full.items.len(), full.truncated), (2, true));
    let request = &full.items[1].request;
    assert_eq!((request.method.as_str(), request.url.as_str(), request.app_engine), ("POST", "http://127.0.0.1:9/email?n=1", false));
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), serde_json::json!({"n": 1}));
    assert!(request.headers.contains(&("X-Trace".to_owned(), "abc".to_owned())), "{:?}", request.headers);
    assert_eq!(full.items[1].raw["httpRequest"]["httpMethod"], "POST");
    assert_eq!(world.ops.task(&task("emails", "t002")).await.unwrap().request.url, "http://127.0.0.1:9/email?n=2");
    let missing = world.ops.task(&task("emails", "gone")).await.unwrap_err();
    assert_eq!(missing.to_string(), format!("cannot get the task: `{}` does not exist", task("emails", "gone")));
}

#[tokio::test]
async fn more_than_a_page_is_read_to_the_end_or_to_the_limit() {
    let world = World::start(&seed(1003)).await;
    let all = world.ops.tasks(&queue("emails"), false, 5000).await.unwrap();
    assert_eq!((all.items.len(), all.truncated), (1003, false));
    assert_eq!((&all.items[0].name, &all.items[1002].name), (&task("emails", "t000"), &task("emails", "t999")));
    let cut = world.ops.tasks(&queue("emails"), false, 1001).await.unwrap();
    assert_eq!((cut.items.len(), cut.truncated), (1001, true));
}

#[tokio::test]
async fn pause_resume_and_purge() {
    let world = World::start(&seed(2)).await;
    assert_eq!(world.ops.resume_queue(&queue("emails")).await.unwrap().state, QueueState::Running);
    assert_eq!(world.ops.pause_queue(&queue("emails")).await.unwrap().state, QueueState::Paused);
    let purged = world.ops.purge_queue(&queue("emails")).await.unwrap();
    assert!(purged.purge_time.is_some());
    eventually("the queue is empty", || async {
        world.ops.tasks(&queue("emails"), false, 10).await.unwrap().items.is_empty().then_some(())
    })
    .await;
    let log = world.ops.activity(10).unwrap();
    let told: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.target.as_str(), entry.result.as_str())).collect();
    let name = queue("emails").to_string();
    assert_eq!(told, [("queue.purge", name.as_str(), "ok"), ("queue.pause", name.as_str(), "ok"), ("queue.resume", name.as_str(), "ok")]);
    assert!(log.iter().all(|entry| entry.project == "shop"));
}

#[tokio::test]
async fn a_run_task_is_dispatched_from_a_paused_queue() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/work", listener.local_addr().unwrap());
    let handler = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"END") {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the request ended early");
            asked.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await.unwrap();
        String::from_utf8(asked).unwrap()
    });
    let seed = format!(
        "queues: [{{ name: emails, paused: true }}]\ntasks: [{{ queue: emails, name: one, http: {{ url: '{url}', body: 'bodyEND' }} }}]"
    );
    let world = World::start(&seed).await;
    let after = world.ops.run_task(&task("emails", "one")).await.unwrap();
    assert_eq!(after.name, task("emails", "one"));
    let asked = tokio::time::timeout(super::PATIENCE, handler).await.expect("the handler is called").unwrap();
    assert!(
        asked.starts_with("POST /work HTTP/1.1\r\n") && asked.to_ascii_lowercase().contains("x-cloudtasks-taskname: one\r\n"),
        "{asked}"
    );
    eventually("the task is gone", || async { world.ops.task(&task("emails", "one")).await.err().filter(redrive::Error::is_not_found) })
        .await;
    assert!(world.ops.run_task(&task("emails", "one")).await.unwrap_err().is_not_found());
    let log = world.ops.activity(10).unwrap();
    assert_eq!(log[1].result, "ok");
    assert!(log[0].result.contains("does not exist"), "{:?}", log[0]);
}

#[tokio::test]
async fn discarded_tasks_leave_a_copy() {
    let world = World::start(&seed(150)).await;
    let mut tasks: Vec<_> = (0..149).map(|n| task("emails", &format!("t{n:03}"))).collect();
    tasks.push(task("emails", "never-was"));
    tasks.push(tasks[0].clone());
    let seen = Mutex::new(Vec::new());
    let report = world.ops.discard_tasks(tasks, |through| seen.lock().unwrap().push(through)).await.unwrap();
    assert_eq!((report.done, report.gone, report.failed.len()), (149, 1, 0));
    let seen = seen.into_inner().unwrap();
    assert!(seen.is_sorted() && seen.last() == Some(&150), "{seen:?}");
    let left = world.ops.tasks(&queue("emails"), false, 1000).await.unwrap();
    assert_eq!(left.items.iter().map(|task| task.name.id()).collect::<Vec<_>>(), ["t149"]);
    let copy = report.copy.unwrap();
    assert!(copy.starts_with(world.home.join("transfers")));
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&copy).unwrap().permissions()) & 0o777, 0o600);
    let lines: Vec<Value> = std::fs::read_to_string(copy).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 149);
    assert_eq!(lines[7]["task"]["name"], task("emails", "t007").to_string());
    assert_eq!(lines[7]["task"]["httpRequest"]["body"], "eyJuIjo3fQ==");
    let again = world.ops.discard_tasks(vec![task("emails", "t000")], |_| {}).await.unwrap();
    assert_eq!((again.done, again.gone, again.copy), (0, 1, None));
    let log = world.ops.activity(10).unwrap();
    let ended = log.iter().rfind(|entry| entry.action == "tasks.discard.end").unwrap();
    assert!(ended.target == queue("emails").to_string() && ended.result.contains("149 discarded"), "{ended:?}");
}

#[tokio::test]
async fn jobs_run_pause_and_resume() {
    let world = World::start("topics: [{ name: orders }]\nsubscriptions: [{ name: all, topic: orders }]\njobs: [{ name: nightly, schedule: 0 3 * * *, publish: { topic: orders, json: { kind: report } } }]").await;
    let job: JobName = "projects/shop/locations/europe-west1/jobs/nightly".parse().unwrap();
    assert_eq!(world.ops.pause_job(&job).await.unwrap().state, JobState::Paused);
    assert_eq!(world.ops.resume_job(&job).await.unwrap().state, JobState::Enabled);
    assert_eq!(world.ops.run_job(&job).await.unwrap().name, job);
    let ran = eventually("the job has run", || async {
        world.ops.jobs().await.unwrap().items.into_iter().find(|job| job.last_attempt.is_some() && job.status.is_some())
    })
    .await;
    assert_eq!(ran.status, Some((0, String::new())));
    let peek = world.ops.peek(&super::subscription("all"), redrive::ops::PeekMode::Leased, 5).await.unwrap();
    assert_eq!(peek.messages.iter().map(|message| &message.data[..]).collect::<Vec<_>>(), [br#"{"kind":"report"}"#]);
    let missing = world.ops.run_job(&"projects/shop/locations/europe-west1/jobs/none".parse().unwrap()).await.unwrap_err();
    assert!(missing.is_not_found(), "{missing}");
}

#[tokio::test]
async fn a_task_is_debugged_on_a_local_handler() {
    let world = World::start(&seed(1)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let handler = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"}") {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the request ended early");
            asked.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhy\n\n").await.unwrap();
        String::from_utf8(asked).unwrap()
    });
    let answer = world.ops.debug_task(&task("emails", "t000"), &base).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (500, &b"why\n\n"[..]));
    assert!(answer.took < Duration::from_secs(10));
    let asked = handler.await.unwrap();
    assert!(asked.starts_with("POST /email?n=0 HTTP/1.1\r\n") && asked.ends_with("\r\n\r\n{\"n\":0}"), "{asked}");
    assert_eq!(world.ops.task(&task("emails", "t000")).await.unwrap().dispatch_count, 0);
    let refused = world.ops.debug_task(&task("emails", "t000"), "http://192.0.2.1").await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused);
    let curl = redrive::ops::curl(&world.ops.task(&task("emails", "t000")).await.unwrap());
    assert!(curl.contains("--url 'http://127.0.0.1:9/email?n=0'") && curl.ends_with("--data-raw '{\"n\":0}'"), "{curl}");
}
