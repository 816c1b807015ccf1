//! `django-tasks-cloud-tasks` 0.1 and a Rust service with [`Compat::DjangoTasksCloudTasks`]. The library checks tokens, and so does this crate.

use redrive::runtime::{Builder, Compat, Context, Origin, Outcome, Task, TaskOptions, done_with};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::scene::{Account, Scene, Shop, note};

#[derive(Serialize, Deserialize, Clone)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
struct Price {
    price: u32,
    quantity: u32,
    #[serde(default)]
    label: String,
}

impl Task<Shop> for Price {
    const NAME: &'static str = "tasks.price";

    async fn run(self, cx: Context<Shop>) -> Outcome {
        note(&cx, Self::NAME, json!(self));
        done_with(json!({"total": self.price * self.quantity}))
    }
}

/// In a queue of its own, and with a context at Django.
#[derive(Serialize, Deserialize)]
struct Reported {
    month: u32,
}

impl Task<Shop> for Reported {
    const NAME: &'static str = "tasks.reported";

    fn options() -> TaskOptions {
        TaskOptions::new().queue("slow".parse().unwrap()).takes_context()
    }

    async fn run(self, cx: Context<Shop>) -> Outcome {
        note(&cx, Self::NAME, json!(self));
        done_with(self.month)
    }
}

#[derive(Serialize, Deserialize)]
struct Fails {}

impl Task<Shop> for Fails {
    const NAME: &'static str = "tasks.fails";

    async fn run(self, _: Context<Shop>) -> Outcome {
        Err("broken")?
    }
}

fn configure(app: Builder<Shop>) -> Builder<Shop> {
    app.compat(Compat::DjangoTasksCloudTasks).task::<Price>().task::<Reported>().task::<Fails>()
}

#[tokio::test]
async fn tasks_go_both_ways() {
    let Some(mut scene) = Scene::start("django_c", Account::OfMachine, configure).await else { return };
    for queue in ["default", "slow"] {
        scene.queue(queue).await;
    }
    let found = scene.django.act("detected", json!({})).await;
    assert_eq!(
        (&found[0], &found[1], &found[2]),
        (&json!("demo"), &json!("europe-west1"), &json!(scene.rust_url)),
        "by the metadata server"
    );
    stored_tasks_are_the_same(&scene).await;
    django_is_served(&mut scene).await;
    rust_is_served(&scene).await;
    answers_are_the_same(&scene).await;
}

/// Takes what differs by itself out of a body: the sender's own id, which is returned, and the time.
fn without_id(task: &Value) -> (Value, String) {
    let mut task = task.clone();
    let body: Value = serde_json::from_str(task["body"].as_str().unwrap()).unwrap();
    let (id, at) = (body["task_id"].as_str().unwrap().to_owned(), body["enqueued_at"].as_str().unwrap());
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    let form = |text: &str| text.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte }).collect::<Vec<_>>();
    assert_eq!(String::from_utf8(form(at)).unwrap(), "0000-00-00T00:00:00.000000+00:00", "{at}");
    task["body"] = task["body"].as_str().unwrap().replace(&id, "ID").replace(at, "TIME").into();
    (task, id)
}

/// What the library stores, and what this crate does: the same request, to the byte, but for the sender's id and the time.
async fn stored_tasks_are_the_same(scene: &Scene) {
    let price = Price { price: 3, quantity: 4, label: "é".to_owned() };
    let id = scene.django.act("enqueue", json!({"task": "price", "kwargs": price})).await;
    let task = price.asap(&scene.worker).await.unwrap();
    let stored = scene.stored("default").await;
    let (ours, our_id) = without_id(&stored[&task.id]);
    let theirs = stored.iter().find(|(name, _)| **name != task.id).unwrap().1;
    assert_eq!(without_id(theirs), (ours.clone(), id.as_str().unwrap().to_owned()));
    assert_ne!(our_id, id);
    assert_eq!(ours["token"]["audience"], scene.rust_url, "of the host, not of the URL");
    let kwargs = r#""args": [], "kwargs": {"price": 3, "quantity": 4, "label": "\u00e9"}, "queue_name": "default", "backend": "default""#;
    let rest = r#""priority": 0, "takes_context": false, "enqueued_at": "TIME""#;
    assert_eq!(ours["body"], format!(r#"{{"task_id": "ID", "task_path": "tasks.price", {kwargs}, {rest}}}"#));

    // In another queue, and with a context.
    scene.django.act("enqueue", json!({"task": "reported", "kwargs": {"month": 7}})).await;
    Reported { month: 7 }.asap(&scene.worker).await.unwrap();
    let stored: Vec<Value> = scene.stored("slow").await.values().map(|task| without_id(task).0).collect();
    assert_eq!((stored.len(), &stored[0]), (2, &stored[1]));
    assert!(stored[0]["body"].as_str().unwrap().contains(r#""takes_context": true"#));
}

/// What Django enqueued is worked off by the Rust service: arguments by name, by position, and mixed.
async fn django_is_served(scene: &mut Scene) {
    scene.pause("default", false).await;
    scene.pause("slow", false).await;
    let mut seen = vec![scene.next().await, scene.next().await, scene.next().await, scene.next().await];
    seen.sort_by_key(|seen| seen.what);
    assert!(
        seen[..2].iter().all(|seen| seen.what == "tasks.price" && seen.said == json!({"price": 3, "quantity": 4, "label": "é"})),
        "{seen:?}"
    );
    assert!(seen[2..].iter().all(|seen| seen.what == "tasks.reported" && seen.said == json!({"month": 7})), "{seen:?}");
    for (args, kwargs) in [(json!([3, 4, "x"]), json!({})), (json!([3]), json!({"label": "x", "quantity": 4}))] {
        scene.django.act("enqueue", json!({"task": "price", "args": args, "kwargs": kwargs})).await;
        let seen = scene.next().await;
        assert_eq!(seen.said, json!({"price": 3, "quantity": 4, "label": "x"}), "{args} {kwargs}");
        let Origin::Task(task) = &seen.origin else { panic!("{seen:?}") };
        assert_eq!(task.queue.as_ref().map(|queue| queue.id().to_owned()), Some("default".to_owned()));
    }
    // A time to come: Cloud Tasks has it, not the library.
    scene.django.act("enqueue", json!({"task": "price", "args": [5, 1], "seconds": 3600})).await;
    assert_eq!(scene.stored("default").await.len(), 1);
    scene.emulator.advance(std::time::Duration::from_secs(3601)).await.unwrap();
    assert_eq!(scene.next().await.said, json!({"price": 5, "quantity": 1, "label": ""}));
}

/// What Rust enqueues is worked off by Django, which verifies the token; its function is given a context where it wants one.
async fn rust_is_served(scene: &Scene) {
    Price { price: 7, quantity: 2, label: "ü".to_owned() }.asap(&scene.sender).await.unwrap();
    assert_eq!(scene.django.received("price", 1).await[0]["said"], json!({"price": 7, "quantity": 2, "label": "ü"}));
    Reported { month: 8 }.asap(&scene.sender).await.unwrap();
    let call = &scene.django.received("reported", 1).await[0];
    assert_eq!((&call["said"]["month"], call["id"].as_str().map(str::len)), (&json!(8), Some(32)));
}

/// The same request to both gets the same answer; why something failed is not told by ours.
async fn answers_are_the_same(scene: &Scene) {
    let path = "/cloudtasks/execute/";
    let body = |task: &str, kwargs: Value| {
        json!({"task_id": "u".repeat(32), "task_path": task, "args": [], "kwargs": kwargs, "queue_name": "default", "backend": "default"})
            .to_string()
    };
    let price = body("tasks.price", json!({"price": 3, "quantity": 4}));
    let [theirs, ours] = scene.both(path, &price, false).await;
    assert_eq!((theirs.0, &theirs), (200, &ours));
    let [theirs, ours] = scene.both(path, &body("tasks.fails", json!({})), false).await;
    let failed: Value = serde_json::from_str(&theirs.1).unwrap();
    assert_eq!((theirs.0, ours.0, &failed["errors"][0]["exception"]), (500, 500, &json!("builtins.ValueError")));
    assert_eq!(ours.1, format!(r#"{{"status": "failed", "task_id": "{}", "errors": []}}"#, "u".repeat(32)));
    // A token for another service.
    let [theirs, ours] = scene.both(path, &price, true).await;
    assert_eq!((theirs.0, ours.0), (401, 401));
}
