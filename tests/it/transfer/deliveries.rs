//! Deliveries other than a topic: endpoints, addressed copies, a local handler, files.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use redrive::ops::transfer::Plan;
use serde_json::{Value, json};

use super::handler::Handler;
use super::*;

/// A world in which `stamps`, which gave up what lies in `strict`, pushes to `url`.
async fn pushing_world(url: &str) -> World {
    let world =
        World::start(&SHOP.replace("{ name: stamps, topic: orders,", &format!("{{ name: stamps, topic: orders, push_endpoint: '{url}',")))
            .await;
    let config = json!({ "pushConfig": { "pushEndpoint": url, "oidcToken": { "serviceAccountEmail": "push@shop.iam.gserviceaccount.com", "audience": "https://shop.example/stamps" } } });
    let address = format!("http://{}/v1/{}:modifyPushConfig", world.emulator.address(), subscription("stamps"));
    let answer = reqwest::Client::new().post(address).json(&config).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    world
}

fn direct(count: u64) -> Request {
    Request { delivery: Delivery::Direct { private: false }, max: Some(count), ..request(Kind::Redrive, "strict") }
}

async fn plan_of(world: &World, request: Request) -> Plan {
    world.ops.plan_transfer(request).await.unwrap()
}

/// Tells how many messages lie in a subscription, leased ones too.
async fn backlog(world: &World, name: &str) -> u64 {
    let numbers = world.ops.numbers().await.unwrap();
    numbers.subscriptions[&subscription(name)].backlog.unwrap().value
}

#[tokio::test]
async fn direct_reaches_the_one_that_failed_with_its_token_and_nobody_else() {
    let handler = Handler::start(|asked| if asked.json()["message"]["attributes"]["n"] == "1" { 500 } else { 204 }).await;
    let world = pushing_world(&handler.url("/stamps")).await;
    give_up(&world, 3).await;
    let plan = plan_of(&world, direct(3)).await;
    assert_eq!(plan.refusals, [] as [String; 0]);
    assert!(
        plan.warnings.iter().any(|warning| warning.contains("with a token of `push@shop.iam.gserviceaccount.com`")),
        "{:?}",
        plan.warnings
    );
    assert!(handler.asked().is_empty(), "a look sends nothing");
    let id = world.ops.start_transfer(plan).await.unwrap();
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved, done.counts.failed), (State::DoneInPart, 2, 1), "{done:?}");
    assert!(done.errors.iter().any(|error| error.contains("answered 500")), "{:?}", done.errors);

    let asked = handler.asked();
    let numbers: BTreeSet<String> = asked.iter().map(|one| one.json()["message"]["attributes"]["n"].as_str().unwrap().to_owned()).collect();
    assert_eq!((asked.len(), numbers), (3, ["0", "1", "2"].map(str::to_owned).into()));
    let one = asked.iter().find(|one| one.json()["message"]["attributes"]["n"] == "2").unwrap();
    let body = one.json();
    assert_eq!((one.path.as_str(), &body["subscription"]), ("/stamps", &json!("projects/shop/subscriptions/stamps")));
    assert_eq!(STANDARD.decode(body["message"]["data"].as_str().unwrap()).unwrap(), [0, 0xff, b'\n', 2]);
    assert_eq!(body["message"]["orderingKey"], "key 2");
    let attributes = body["message"]["attributes"].as_object().unwrap();
    assert!(attributes.keys().all(|key| key == "n" || key.starts_with("redrive-")), "{attributes:?}");
    let token = one.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!((&claims["aud"], &claims["email"]), (&json!("https://shop.example/stamps"), &json!("push@shop.iam.gserviceaccount.com")));

    assert_eq!((backlog(&world, "billing").await, backlog(&world, "audit").await), (0, 0), "nobody else received it");
    let left = drain(&world, "strict", 1).await;
    assert_eq!(left[0].attributes["n"], "1", "what was not taken stays");
}

#[tokio::test]
async fn ten_failures_in_a_row_stop_it_and_a_redirect_is_one() {
    let handler = Handler::start(|_| 302).await;
    let world = pushing_world(&handler.url("/stamps")).await;
    give_up(&world, 15).await;
    let id = start(&world.ops, direct(15)).await;
    let stopped = follow(&world.ops, &id, is_over).await;
    assert_eq!((stopped.state, stopped.counts.moved, stopped.counts.failed), (State::Stopped, 0, 10), "{stopped:?}");
    assert!(stopped.errors.iter().any(|error| error.contains("10 failures in a row")), "{:?}", stopped.errors);
    assert!(handler.asked().len() == 10 && handler.asked().iter().all(|asked| asked.path == "/stamps"), "redirects are not followed");
    assert_eq!(drain(&world, "strict", 15).await.len(), 15, "all were released");
}

#[tokio::test]
async fn endpoints_that_may_not_be_reached_are_refused_before() {
    for (url, words) in [
        ("http://10.9.8.7/x", "has a private address"),
        ("http://169.254.169.254/x", "metadata"),
        ("http://192.0.2.1/x", "not reached by https"),
        ("http://127.0.0.1:9/x", "no connection to"),
    ] {
        let world = pushing_world(url).await;
        give_up(&world, 1).await;
        let plan = plan_of(&world, direct(1)).await;
        assert!(plan.refusals.iter().any(|refusal| refusal.contains(words)), "{url}: {:?}", plan.refusals);
    }
    let world = World::start(SHOP).await;
    give_up(&world, 1).await;
    let plan = plan_of(&world, direct(1)).await;
    assert!(plan.refusals.iter().any(|refusal| refusal.contains("does not push")), "{:?}", plan.refusals);
}

#[tokio::test]
async fn addressed_copies_say_for_whom_they_are_and_the_plan_who_would_not_know() {
    let protected =
        "{ name: careful, topic: orders, filter: 'NOT attributes:redrive-to OR attributes.redrive-to = \"careful\"' }\n  - { name: strict,";
    let world = World::start(&SHOP.replace("{ name: strict,", protected)).await;
    let served = json!({ "topic": topic("orders").to_string(), "labels": { "redrive-app": "shop" } });
    let address = format!("http://{}/v1/{}", world.emulator.address(), subscription("served"));
    assert_eq!(reqwest::Client::new().put(address).json(&served).send().await.unwrap().status(), 200);
    give_up(&world, 2).await;
    let plan = plan_of(&world, Request { delivery: Delivery::Addressed, max: Some(2), ..request(Kind::Redrive, "strict") }).await;
    let warning = plan.warnings.iter().find(|warning| warning.contains("do not filter `redrive-to`")).unwrap();
    assert!(warning.contains("`billing`") && warning.contains("`audit`") && !warning.contains("careful"), "{warning}");
    let receivers: Vec<&str> = plan.routes[0].receivers.iter().map(|receiver| receiver.subscription.id()).collect();
    assert!(!receivers.contains(&"careful") && !receivers.contains(&"served"), "{receivers:?}");
    assert!(!warning.contains("served") && plan.warnings.iter().any(|words| words.starts_with("`served` receive them as well, and skip")));
    let error = world.ops.start_transfer(plan.clone()).await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("were not confirmed by name"), "{error}");
    let id = world.ops.start_transfer(plan.confirmed()).await.unwrap();
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved), (State::Done, 2), "{done:?}");
    for message in drain(&world, "stamps", 2).await {
        assert_eq!(message.attributes["redrive-to"], "stamps");
    }
    assert_eq!(backlog(&world, "careful").await, 0, "the filter kept them away");
}

#[tokio::test]
async fn a_replay_sends_to_this_machine_and_leaves_everything() {
    let handler = Handler::start(|_| 200).await;
    let world = World::start(SHOP).await;
    give_up(&world, 3).await;
    let to = |url: &str, anywhere| Delivery::Handler { url: url.to_owned(), anywhere };
    let replay = |delivery| Request { delivery, max: Some(3), ..request(Kind::Replay, "strict") };
    let refused = plan_of(&world, replay(to("http://192.0.2.1/x", false))).await;
    assert!(refused.refusals.iter().any(|refusal| refusal.contains("is not this machine")), "{:?}", refused.refusals);
    let refused = plan_of(&world, replay(to("http://169.254.169.254/x", true))).await;
    assert!(refused.refusals.iter().any(|refusal| refusal.contains("metadata")), "{:?}", refused.refusals);

    let id = start(&world.ops, replay(to(&handler.url("/try"), false))).await;
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved), (State::Done, 3), "{done:?}");
    let asked = handler.asked();
    assert_eq!(asked.len(), 3);
    for one in &asked {
        let body = one.json();
        assert_eq!((&body["subscription"], one.headers.get("authorization")), (&json!("projects/shop/subscriptions/stamps"), None));
        assert!(body["message"]["attributes"].as_object().unwrap().keys().eq(["n"]), "{body}");
    }
    let id = start(&world.ops, Request { leave: false, max: Some(3), ..replay(to(&handler.url("/take"), false)) }).await;
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved), (State::Done, 3), "what was left is there to be taken: {done:?}");
    assert_eq!(backlog(&world, "strict").await, 0);
}

#[tokio::test]
async fn an_export_can_be_imported_byte_for_byte() {
    let world = World::start(SHOP).await;
    give_up(&world, 4).await;
    let file = world.home.join("export.jsonl");
    let export = || Request { delivery: Delivery::File(file.clone()), max: Some(4), ..request(Kind::Export, "strict") };
    let id = start(&world.ops, export()).await;
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved, done.counts.discarded), (State::Done, 4, 0), "{done:?}");
    assert_eq!((done.copy.as_ref(), world.ops.transfers().unwrap()[0].counts.moved), (Some(&file), 4));
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);
    let again = world.ops.plan_transfer(export()).await.unwrap();
    let error = world.ops.start_transfer(again).await.unwrap_err();
    assert!(error.to_string().contains("never writes over a file"), "{error}");
    let left = drain(&world, "strict", 4).await;

    let import = Request { delivery: Delivery::Topic(topic("dead-strict")), ..Request::new(Kind::Redrive, Source::File(file.clone())) };
    let plan = plan_of(&world, import).await;
    assert_eq!((plan.refusals.len(), plan.expected.unwrap().value), (0, 4));
    let id = world.ops.start_transfer(plan).await.unwrap();
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved), (State::Done, 4), "{done:?}");
    let content = |messages: Vec<Message>| -> BTreeMap<String, (Vec<u8>, String)> {
        messages.into_iter().map(|message| (message.attributes["n"].clone(), (message.data.to_vec(), message.ordering_key))).collect()
    };
    assert_eq!(content(drain(&world, "strict", 4).await), content(left));

    std::fs::write(&file, "{\"data\":\"e30=\"}\nnonsense\n").unwrap();
    let torn = Request { delivery: Delivery::Topic(topic("orders")), ..Request::new(Kind::Redrive, Source::File(file)) };
    let error = world.ops.plan_transfer(torn).await.unwrap_err();
    assert!(error.to_string().contains("line 2 holds no message or task"), "{error}");
}
