//! From nothing to what an app needs, from that to what it needs next, and nothing of anybody else's touched.

use std::time::Duration;

use redrive::emulator::Fault;
use redrive::runtime::{
    App, Builder, Compat, Content, Context, Message, Outcome, Periodic, Received, Subscriber, Subscription, Task, TaskOptions, done,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{World, eventually};

const URL: &str = "http://127.0.0.1:9";

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order: u64,
}

impl Message for OrderPlaced {
    const TOPIC: &'static str = "orders";
}

macro_rules! subscriber {
    ($type:ident, $name:literal, $subscription:expr) => {
        struct $type;

        impl Subscriber<()> for $type {
            type Message = OrderPlaced;
            const NAME: &'static str = $name;

            fn subscription() -> Subscription {
                $subscription
            }

            async fn run(_: Received<OrderPlaced>, _: Context<()>) -> Outcome {
                Err("cannot".into())
            }
        }
    };
}

subscriber!(Plain, "Billing", Subscription::to("orders"));
subscriber!(
    Billing,
    "Billing",
    Subscription::to("orders").ack_deadline(Duration::from_secs(30)).retries(5).dead_letters("orders-dead").pulled()
);
subscriber!(Filtered, "Billing", Subscription::to("orders").filter("attributes:kind").ordered());
subscriber!(Addressed, "Mail", Subscription::to("orders").filter("attributes:kind").addressed().retention(Duration::from_hours(24)));

#[derive(Serialize, Deserialize)]
struct Send;

impl Task<()> for Send {
    const NAME: &'static str = "Send";

    fn options() -> TaskOptions {
        TaskOptions::new().dead_set(5).priority(9, "urgent".parse().unwrap())
    }

    async fn run(self, _: Context<()>) -> Outcome {
        done()
    }
}

/// In the same queue, without a dead set.
#[derive(Serialize, Deserialize)]
struct Undying;

impl Task<()> for Undying {
    const NAME: &'static str = "Undying";

    async fn run(self, _: Context<()>) -> Outcome {
        done()
    }
}

#[derive(Serialize, Deserialize)]
struct Report;

impl Task<()> for Report {
    const NAME: &'static str = "Report";

    fn options() -> TaskOptions {
        TaskOptions::new().queue("reports".parse().unwrap())
    }

    async fn run(self, _: Context<()>) -> Outcome {
        done()
    }
}

fn shop(world: &World) -> Builder<()> {
    world.app((), URL).named("shop")
}

/// Plans, carries out, and returns what was planned; afterwards nothing is left to do.
async fn settle(app: &App<()>, prune: bool) -> String {
    let (plan, applied) = app.provision(prune).await.unwrap();
    assert!(applied.failed.is_empty(), "{:?}", applied.failed);
    let left = app.plan(prune).await.unwrap();
    assert_eq!(left.refused(), plan.refused());
    if plan.refused() == 0 {
        assert!(left.is_empty(), "not settled:\n{left}");
    }
    plan.to_string()
}

async fn get(world: &World, path: &str) -> Value {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(format!("http://{}{path}", world.emulator.address())).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

async fn subscription(world: &World, id: &str) -> Value {
    get(world, &format!("/v1/projects/shop/subscriptions/{id}")).await
}

#[tokio::test]
async fn from_nothing_to_all_that_is_needed_and_again_to_something_else() {
    let world = World::start("topics: [{ name: shop--by-hand }, { name: other--orders, labels: { redrive-app: other } }]").await;
    assert_eq!(
        settle(&shop(&world).subscriber::<Plain>().build().unwrap(), false).await,
        "+ topic         shop--orders\n+ subscription  shop--Billing   on shop--orders\n"
    );
    let made = subscription(&world, "shop--Billing").await;
    assert_eq!(made["pushConfig"], json!({ "pushEndpoint": "http://127.0.0.1:9/subscriptions/Billing" }));
    assert_eq!((&made["expirationPolicy"], &made["labels"]), (&json!({}), &json!({ "redrive-app": "shop" })), "it never expires");

    let app = shop(&world).subscriber::<Billing>().task::<Send>().periodic::<Report>("0 3 * * *", "Europe/Paris").build().unwrap();
    let expected = "\
+ topic         shop--orders-dead
+ subscription  shop--orders-dead-hold   on shop--orders-dead
~ subscription  shop--Billing            push http://127.0.0.1:9/subscriptions/Billing (no token) → pull; ack deadline 10 s → 30 s; dead letters – → shop--orders-dead (5 attempts)
+ iam           pubsub service agent: publisher on shop--orders-dead, subscriber on shop--Billing
+ queue         reports
+ queue         shop                     endless attempts: the runtime counts them
+ queue         shop-dead                a dead set: paused, endless attempts
+ queue         urgent                   endless attempts: the runtime counts them
+ queue         urgent-dead              a dead set: paused, endless attempts
+ job           shop--Report             `0 3 * * *` Europe/Paris
";
    assert_eq!(app.plan(false).await.unwrap().to_string(), expected);
    assert_eq!(settle(&app, false).await, expected);
    let made = subscription(&world, "shop--Billing").await;
    assert_eq!(made["ackDeadlineSeconds"], 30);
    assert_eq!(made["deadLetterPolicy"], json!({ "deadLetterTopic": "projects/shop/topics/shop--orders-dead", "maxDeliveryAttempts": 5 }));
    let queue = async |id: &str| get(&world, &format!("/v2/projects/shop/locations/europe-west1/queues/{id}")).await;
    let (usual, dead) = (queue("shop").await, queue("shop-dead").await);
    assert_eq!((&usual["retryConfig"]["maxAttempts"], &usual["state"]), (&json!(-1), &json!("RUNNING")));
    assert_eq!((&dead["retryConfig"]["maxAttempts"], &dead["state"]), (&json!(-1), &json!("PAUSED")));

    let smaller = shop(&world).subscriber::<Plain>().build().unwrap();
    let shown = smaller.plan(false).await.unwrap().to_string();
    let expected = "\
~ subscription  shop--Billing   pull → http://127.0.0.1:9/subscriptions/Billing (no token); ack deadline 30 s → 10 s; dead letters shop--orders-dead (5 attempts) → –
- job           shop--Report    (with --prune)
";
    assert_eq!(shown.replace("push pull", "pull"), expected);
    settle(&smaller, false).await;
    // What may hold dead letters people look at, and delete by hand.
    assert_eq!(
        settle(&smaller, true).await,
        "- job           shop--Report\n! subscription  shop--orders-dead-hold   may hold dead letters: look (`redrive dlq shop--orders-dead-hold`), and delete it by hand (`gcloud pubsub subscriptions delete shop--orders-dead-hold`)\n! topic         shop--orders-dead        is not needed here any more, but by the subscription `shop--orders-dead-hold`\n"
    );
    let topics = get(&world, "/v1/projects/shop/topics").await;
    let mut names: Vec<_> = topics["topics"].as_array().unwrap().iter().map(|topic| topic["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(
        names,
        ["other--orders", "shop--by-hand", "shop--orders", "shop--orders-dead"].map(|id| format!("projects/shop/topics/{id}"))
    );
}

#[tokio::test]
async fn what_cannot_be_changed_is_said_and_the_rest_is_done() {
    let world = World::start("").await;
    settle(&shop(&world).subscriber::<Plain>().build().unwrap(), false).await;
    let app = shop(&world).subscriber::<Filtered>().publishes_to("more").build().unwrap();
    let shown = settle(&app, false).await;
    assert!(shown.contains("+ topic         shop--more\n"), "{shown}");
    assert!(shown.contains("! subscription  shop--Billing   filter – → `attributes:kind`, ordered no → yes cannot be changed"), "{shown}");
    assert_eq!(subscription(&world, "shop--Billing").await["filter"], Value::Null);
}

#[tokio::test]
async fn an_addressed_subscription_has_the_filter_of_the_contract() {
    let world = World::start("").await;
    settle(&shop(&world).subscriber::<Addressed>().build().unwrap(), false).await;
    let made = subscription(&world, "shop--Mail").await;
    assert_eq!(made["filter"], r#"(attributes:kind) AND (NOT attributes:redrive-to OR attributes.redrive-to = "shop--Mail")"#);
    assert_eq!(made["messageRetentionDuration"], "86400s");
}

/// Where Google asks for it, nothing becomes a dead letter before the service agent may move it: provisioning gives the rights, and keeps others.
#[tokio::test]
async fn dead_letters_move_once_it_is_provisioned() {
    let world = World::start("").await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let switch = http.put(format!("http://{}/dead-letter-grants", world.emulator.address())).json(&json!({ "required": true }));
    assert!(switch.send().await.unwrap().status().is_success());
    let app = shop(&world).subscriber::<Billing>().project_number(42).build().unwrap();
    settle(&app, false).await;
    let policy = get(&world, "/v1/projects/shop/topics/shop--orders-dead:getIamPolicy").await;
    let agent = "serviceAccount:service-42@gcp-sa-pubsub.iam.gserviceaccount.com";
    assert_eq!(policy["bindings"], json!([{ "role": "roles/pubsub.publisher", "members": [agent] }]));

    app.publisher::<OrderPlaced>().publish(OrderPlaced { order: 7 }).await.unwrap();
    let pulling = app.pull().start().unwrap();
    let held = "projects/shop/subscriptions/shop--orders-dead-hold".parse().unwrap();
    let letter = eventually("the dead letter", async || world.cloud().pull(&held, 1, Duration::ZERO).await.unwrap().messages.pop()).await;
    assert_eq!(OrderPlaced::decode(&letter.message.data).unwrap().order, 7);
    pulling.stop().await;
}

/// Formats that write an id and a time into each task write the same for each plan.
#[tokio::test]
async fn every_format_settles() {
    for compat in [Compat::DjangoGoogleCloudTasks, Compat::DjangoGcp, Compat::DjangoTasksCloudTasks, Compat::SingleEndpoint] {
        let world = World::start("").await;
        let app = shop(&world).environment("prod").compat(compat).subscriber::<Billing>().task::<Report>();
        let app = if compat == Compat::SingleEndpoint { app } else { app.periodic::<Report>("0 3 * * *", "") };
        let app = app.build().unwrap();
        let shown = settle(&app, false).await;
        assert!(!shown.is_empty());
        assert_eq!(settle(&app, true).await, "", "{compat:?}");
        if compat == Compat::SingleEndpoint {
            let made = subscription(&world, "prod-shop-tasks-report-sub").await;
            assert_eq!((&made["topic"], &made["ackDeadlineSeconds"]), (&json!("projects/shop/topics/prod-shop-tasks-report"), &json!(300)));
            assert_eq!(made["pushConfig"]["pushEndpoint"], "http://127.0.0.1:9/tasks/pubsub/");
            assert_eq!(made["retryPolicy"], json!({ "minimumBackoff": "10s", "maximumBackoff": "600s" }));
        }
    }
}

/// Everything that a subscription may declare is what is made, under names of this app's making.
#[tokio::test]
async fn a_subscription_is_made_as_declared() {
    subscriber!(
        Full,
        "Full",
        Subscription::to("orders")
            .named("billing-by-name".parse().unwrap())
            .backoff(Duration::from_secs(20), Duration::from_mins(5))
            .retries(7)
            .dead_letters("lost")
            .dead_letter_subscription("lost-and-found")
            .without_token()
    );
    subscriber!(Pulled, "Pulled", Subscription::to_foreign("other--orders").pulled().ordered().exactly_once());
    let world = World::start("topics: [{ name: other--orders }]").await;
    let host = redrive::runtime::Host { location: "europe-west1".parse().unwrap(), url: URL.to_owned(), account: Some("a@x".to_owned()) };
    let app = shop(&world)
        .environment("staging")
        .delimiter("__")
        .host(host)
        .subscriber::<Full>()
        .subscriber::<Pulled>()
        .subscriber::<Addressed>();
    let app = app.periodic::<Report>("0 3 * * *", "").scheduled::<Report>(Periodic::new("0 4 * * *", "").named("Open").without_token());
    settle(&app.build().unwrap(), false).await;
    let job = async |id: &str| {
        get(&world, &format!("/v1/projects/shop/locations/europe-west1/jobs/{id}")).await["httpTarget"]["oidcToken"].clone()
    };
    let token = json!({ "serviceAccountEmail": "a@x", "audience": URL });
    assert_eq!((job("staging__shop__Report").await, job("staging__shop__Open").await), (token.clone(), Value::Null));
    let made = subscription(&world, "billing-by-name").await;
    assert_eq!(made["topic"], "projects/shop/topics/staging__shop__orders");
    assert_eq!(made["retryPolicy"], json!({ "minimumBackoff": "20s", "maximumBackoff": "300s" }));
    let policy = json!({ "deadLetterTopic": "projects/shop/topics/staging__shop__lost", "maxDeliveryAttempts": 7 });
    assert_eq!(made["deadLetterPolicy"], policy);
    assert_eq!(made["pushConfig"], json!({ "pushEndpoint": "http://127.0.0.1:9/subscriptions/Full" }), "without a token");
    let held = subscription(&world, "staging__shop__lost-and-found").await;
    assert_eq!((&held["topic"], &held["messageRetentionDuration"]), (&policy["deadLetterTopic"], &json!("2678400s")));
    let made = subscription(&world, "staging__shop__Pulled").await;
    assert_eq!((&made["topic"], &made["pushConfig"]), (&json!("projects/shop/topics/other--orders"), &json!({})));
    assert_eq!((&made["enableMessageOrdering"], &made["enableExactlyOnceDelivery"]), (&json!(true), &json!(true)));
    let made = subscription(&world, "staging__shop__Mail").await;
    assert_eq!(made["pushConfig"]["oidcToken"], token);
}

#[tokio::test]
async fn two_subscribers_of_one_subscription_are_refused() {
    subscriber!(Twin, "Twin", Subscription::to("orders").named("shop--Billing".parse().unwrap()));
    let world = World::start("").await;
    let error = shop(&world).subscriber::<Billing>().subscriber::<Twin>().build().unwrap().plan(false).await.unwrap_err();
    assert!(error.is_invalid_input() && error.to_string().contains("shop--Billing"), "{error}");
}

/// A queue with a dead set never gives up: a task in it that has none would be tried for ever.
#[tokio::test]
async fn a_task_that_would_be_tried_for_ever_is_said() {
    #[derive(Serialize, Deserialize)]
    struct Careless;

    impl Task<()> for Careless {
        const NAME: &'static str = "Careless";

        async fn run(self, _: Context<()>) -> Outcome {
            done()
        }
    }

    let world = World::start("").await;
    let plan = shop(&world).task::<Send>().task::<Careless>().build().unwrap().plan(false).await.unwrap();
    assert_eq!(plan.refused(), 1);
    assert!(plan.to_string().contains("`Careless` has none and would be tried for ever"), "{plan}");
}

/// The same for messages that go through such a queue: handed over without dead letters, or published by tasks.
#[tokio::test]
async fn messages_that_would_be_tried_for_ever_are_said() {
    subscriber!(Endless, "Endless", Subscription::to("orders").via_tasks());
    subscriber!(Ended, "Endless", Subscription::to("orders").via_tasks().retries(5).dead_letters("dead"));
    subscriber!(Elsewhere, "Endless", Subscription::to("orders").via_queue("others".parse().unwrap()));
    let world = World::start("").await;
    let plan = async |change: fn(Builder<()>) -> Builder<()>| change(shop(&world)).build().unwrap().plan(false).await.unwrap();
    let warned = plan(|app| app.task::<Send>().subscriber::<Endless>()).await;
    assert_eq!(warned.refused(), 1, "{warned}");
    assert!(warned.to_string().contains("! queue         shop "), "{warned}");
    assert!(warned.to_string().contains("messages that `Endless` hands to it have no limit"), "{warned}");
    let warned = plan(|app| app.task::<Send>().publishes::<OrderPlaced>().publishes_by_tasks()).await;
    assert!(warned.refused() == 1 && warned.to_string().contains("messages published by tasks"), "{warned}");
    for fine in [
        plan(|app| app.task::<Send>().subscriber::<Ended>()).await,
        plan(|app| app.task::<Send>().subscriber::<Elsewhere>()).await,
        plan(redrive::runtime::Builder::subscriber::<Endless>).await,
    ] {
        assert_eq!(fine.refused(), 0, "{fine}");
    }
}

/// A dead set that is given up, rights that nobody may read, a body without envelope: each is said or made, and the rest goes on.
#[tokio::test]
async fn what_is_out_of_reach_is_a_line_and_no_end() {
    let world = World::start("").await;
    settle(&shop(&world).task::<Send>().subscriber::<Billing>().build().unwrap(), false).await;
    world.emulator.inject(Fault::status("GetIamPolicy", "PERMISSION_DENIED").times(2)).unwrap();
    let plan = shop(&world).subscriber::<Billing>().publishes_to("more").build().unwrap().plan(false).await.unwrap();
    assert!(plan.refused() >= 1 && plan.to_string().contains("rights could not be read"), "{plan}");
    assert!(plan.to_string().contains("+ topic         shop--more\n"), "{plan}");

    let plan = shop(&world).task::<Undying>().subscriber::<Billing>().build().unwrap().plan(false).await.unwrap();
    assert!(plan.to_string().contains("! queue         shop"), "{plan}");
    assert!(plan.to_string().contains("no task in it has a dead set"), "{plan}");
}

#[tokio::test]
async fn an_unwrapped_push_is_made_so_and_stays_so() {
    let world = World::start("").await;
    settle(&shop(&world).subscriber::<Plain>().unwrapped("Billing").build().unwrap(), false).await;
    assert_eq!(subscription(&world, "shop--Billing").await["pushConfig"]["noWrapper"], json!({ "writeMetadata": true }));
    // Another address, by an app that does not say so: what can be read stays.
    let moved = world.app((), "http://127.0.0.1:8").named("shop").subscriber::<Plain>().build().unwrap();
    settle(&moved, false).await;
    let config = subscription(&world, "shop--Billing").await["pushConfig"].clone();
    assert_eq!(
        (&config["noWrapper"], &config["pushEndpoint"]),
        (&json!({ "writeMetadata": true }), &json!("http://127.0.0.1:8/subscriptions/Billing"))
    );
}

/// Instances start at once, and each provisions.
#[tokio::test]
async fn two_at_once_make_one_and_the_same() {
    let world = World::start("").await;
    let make = || shop(&world).task::<Send>().subscriber::<Billing>().periodic::<Report>("0 3 * * *", "").build().unwrap();
    let apps = [make(), make(), make()];
    let plans = [apps[0].plan(false).await.unwrap(), apps[1].plan(false).await.unwrap(), apps[2].plan(false).await.unwrap()];
    let cloud = world.cloud();
    let (a, b, c) = tokio::join!(plans[0].apply(&cloud), plans[1].apply(&cloud), plans[2].apply(&cloud));
    for applied in [a, b, c] {
        assert!(applied.failed.is_empty(), "{:?}", applied.failed);
    }
    let left = apps[0].plan(true).await.unwrap();
    assert!(left.is_empty(), "{left}");
}

/// Only who says so has the endpoint that publishes, and the queue for it.
#[tokio::test]
async fn publishing_by_tasks_is_asked_for() {
    let world = World::start("").await;
    let plan = shop(&world).publishes::<OrderPlaced>().build().unwrap().plan(false).await.unwrap();
    assert_eq!(plan.to_string(), "+ topic         shop--orders\n");
    let app = shop(&world).publishes::<OrderPlaced>().publishes_by_tasks().build().unwrap();
    assert_eq!(settle(&app, false).await, "+ topic         shop--orders\n+ queue         shop\n");
}
