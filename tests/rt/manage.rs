//! The commands of a service's own binary.

use std::io::{BufRead as _, BufReader};

use redrive::runtime::{App, Builder, Context, Exit, Message, Outcome, Task, discard, done_with, manage_from};
use serde::{Deserialize, Serialize};

use crate::support::World;

const SEED: &str = "queues: [{ name: shop, paused: true }]";

#[derive(Serialize, Deserialize)]
struct OrderPlaced;

impl Message for OrderPlaced {
    const TOPIC: &'static str = "orders";
}

#[derive(Serialize, Deserialize)]
struct Send {
    to: String,
}

impl Task<()> for Send {
    const NAME: &'static str = "Send";

    async fn run(self, cx: Context<()>) -> Outcome {
        match self.to.as_str() {
            "evil" => Err("no \u{1b}[31mserver".into()),
            "nobody" => discard("left"),
            to => done_with(format!("{to} {}", cx.attempt().number)),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Other;

impl Task<()> for Other {
    const NAME: &'static str = "Other";

    async fn run(self, _: Context<()>) -> Outcome {
        done_with(1)
    }
}

fn shop(world: &World) -> Builder<()> {
    world.app((), "http://127.0.0.1:9").named("shop").task::<Send>().task::<Other>().publishes::<OrderPlaced>()
}

/// Runs a command line; returns how it ended, and what it wrote.
async fn run(app: &App<()>, line: &str) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = ["shop"].into_iter().chain(line.split_whitespace()).map(Into::into);
    let exit = manage_from(app, args, &mut out, &mut err).await;
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[tokio::test]
async fn provision_shows_does_and_settles() {
    let world = World::start(SEED).await;
    let app = shop(&world).build().unwrap();
    let planned = "+ topic         shop--orders\n".to_owned();
    for _ in 0..2 {
        assert_eq!(run(&app, "provision --dry-run").await, (Exit::Done, planned.clone(), String::new()));
    }
    assert_eq!(run(&app, "provision").await, (Exit::Done, planned, String::new()));
    assert_eq!(run(&app, "provision --prune").await, (Exit::Done, String::new(), String::new()));

    let smaller = world.app((), "http://127.0.0.1:9").named("shop").build().unwrap();
    assert_eq!(run(&smaller, "provision").await, (Exit::Done, "- topic         shop--orders   (with --prune)\n".into(), String::new()));
    assert_eq!(run(&smaller, "provision --prune").await, (Exit::Done, "- topic         shop--orders\n".into(), String::new()));

    let app = shop(&world).build().unwrap();
    world.emulator.inject(redrive::emulator::Fault::status("CreateTopic", "PERMISSION_DENIED")).unwrap();
    let (exit, _, err) = run(&app, "provision").await;
    assert_eq!(exit, Exit::Failed);
    assert!(err.starts_with("error: topic shop--orders: cannot create the topic"), "{err}");
}

#[tokio::test]
async fn a_stored_task_is_run_here() {
    let world = World::start(SEED).await;
    let app = shop(&world).build().unwrap();
    let send = async |to: &str| Send { to: to.to_owned() }.asap(&app).await.unwrap().id;
    let id = send("ada").await;
    let (exit, out, err) = run(&app, &format!("tasks debug {id}")).await;
    assert_eq!((exit, out.as_str()), (Exit::Done, "\"ada 1\"\n"));
    assert!(err.starts_with("`Send` done after "), "{err}");
    let full = format!("projects/shop/locations/europe-west1/queues/shop/tasks/{}", send("nobody").await);
    let (exit, _, err) = run(&app, &format!("tasks debug {full}")).await;
    assert!(exit == Exit::Done && err.contains("discarded: left"), "{err}");
    let (exit, out, err) = run(&app, &format!("tasks debug {} --queue shop", send("evil").await)).await;
    assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
    assert!(err.contains("no \\u{1b}[31mserver"), "{err}");
    let (exit, _, err) = run(&app, "tasks debug missing").await;
    assert_eq!(exit, Exit::Failed);
    assert!(err.starts_with("error: ") && err.contains("tasks/missing"), "{err}");
    assert_eq!(world.tasks("shop").await.len(), 3, "they are as they were");
}

#[tokio::test]
async fn tasks_are_discarded_only_when_it_is_meant() {
    let world = World::start(SEED).await;
    let app = shop(&world).build().unwrap();
    for to in ["a", "b", "c"] {
        Send { to: to.to_owned() }.asap(&app).await.unwrap();
    }
    let other = Other.asap(&app).await.unwrap().id;
    let (exit, out, err) = run(&app, "tasks discard").await;
    assert_eq!((exit, out.as_str()), (Exit::Refused, ""));
    assert!(err.contains("hint: say `--yes`"), "{err}");
    assert_eq!(run(&app, "tasks discard --yes --min-attempts 1").await, (Exit::Done, String::new(), "0 discarded\n".to_owned()));
    let (exit, out, err) = run(&app, "tasks discard Send --yes").await;
    assert_eq!((exit, out.lines().count(), err.as_str()), (Exit::Done, 3, "3 discarded\n"));
    assert_eq!(run(&app, &format!("tasks discard --id {other} --yes")).await, (Exit::Done, format!("{other}\n"), String::new()));
    assert!(world.tasks("shop").await.is_empty());
    let (exit, _, err) = run(&app, "tasks discard Nothing --yes").await;
    assert_eq!(exit, Exit::Usage);
    assert!(err.contains("`Nothing` is not registered"), "{err}");
}

#[tokio::test]
async fn mistakes_and_help_are_as_those_of_the_tool() {
    let world = World::start(SEED).await;
    let app = shop(&world).build().unwrap();
    let (exit, out, _) = run(&app, "--help").await;
    assert_eq!(exit, Exit::Done);
    for command in ["serve", "provision", "tasks"] {
        assert!(out.contains(command), "{out}");
    }
    let (exit, _, err) = run(&app, "provision --\u{1b}[2J").await;
    assert_eq!(exit, Exit::Usage);
    assert!(!err.contains('\u{1b}'), "{err}");
}

/// Set for the process that serves.
const SERVES: &str = "REDRIVE_TEST_SERVES";

/// Without a command a service serves at `$PORT` until SIGTERM: this test is run once more as such a service.
#[test]
fn it_serves_until_it_is_told_to_stop() {
    if std::env::var_os(SERVES).is_some() {
        serve();
        return;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "manage::it_serves_until_it_is_told_to_stop", "--nocapture", "--test-threads=2"]).env_remove("RUST_LOG");
    command.envs([(SERVES, "1"), ("PORT", "0"), ("K_SERVICE", "shop"), ("GOOGLE_CLOUD_PROJECT", "shop")]);
    let mut process = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let record = |line: String| serde_json::from_str::<serde_json::Value>(&line).ok().filter(|record| record["message"] == "serving");
    let serving = lines.by_ref().find_map(record).expect("it says where it serves");
    let port = serving["address"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.post(format!("http://127.0.0.1:{port}/tasks/Other")).body("null").send().await.unwrap();
        answer.json::<serde_json::Value>().await.unwrap()
    });
    assert_eq!(answer, serde_json::json!({ "result": 1, "status": "executed" }));
    let told = std::process::Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
    assert!(told.success());
    let rest: Vec<String> = lines.collect();
    assert!(process.wait().unwrap().success(), "{rest:?}");
}

fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        redrive::runtime::logging::init().await.unwrap();
        let app = crate::support::alone((), "http://127.0.0.1:9", None).task::<Other>().build().unwrap();
        assert_eq!(run(&app, "").await, (Exit::Done, String::new(), String::new()));
    });
}
