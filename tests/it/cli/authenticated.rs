//! The authenticated path to Google, on the wire: the real binary, Google's own library for credentials, and an emulator that refuses whoever
//! shows no valid token. All that differs from Google is the address, and that it is not TLS.

use std::path::PathBuf;

use axum::Router;
use axum::routing::get;
use redrive::emulator::{Emulator, Fault};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Run, SEED, binary, check_failed};

const ACCOUNT: &str = "worker@shop.iam.gserviceaccount.com";

/// An emulator with [`SEED`] that asks who calls, and a user's folder.
struct Guarded {
    emulator: Emulator,
    home: TempDir,
}

impl Guarded {
    async fn new() -> Self {
        let home = TempDir::new().unwrap();
        let file = home.path().join("seed.yaml");
        std::fs::write(&file, SEED).unwrap();
        let emulator = Emulator::builder().seed_file(file).require_auth().start().await.unwrap();
        Self { emulator, home }
    }

    fn url(&self) -> String {
        format!("http://{}", self.emulator.address())
    }

    /// Writes a credentials file of the emulator's.
    async fn credentials(&self, wanted: Value) -> PathBuf {
        let answer = reqwest::Client::new().post(self.url() + "/credentials").body(wanted.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let path = self.home.path().join("credentials.json");
        std::fs::write(&path, answer.text().await.unwrap()).unwrap();
        path
    }

    /// Runs a command as on Google Cloud, with every service at the emulator's address.
    async fn run(&self, variables: &[(&str, &str)], args: &[&str]) -> Run {
        let mut command = binary(self.home.path());
        for service in ["PUBSUB", "CLOUDTASKS", "CLOUDSCHEDULER", "MONITORING", "IAMCREDENTIALS"] {
            command.env(format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}"), self.url() + "/");
        }
        let output = command.envs(variables.iter().copied()).args(args).output();
        let output = tokio::time::timeout(std::time::Duration::from_mins(1), output).await.expect("ends within a minute").unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs a command as whoever the file says; it must be done.
    async fn json(&self, file: &std::path::Path, args: &[&str]) -> Value {
        let variables = [("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap()), ("GOOGLE_CLOUD_PROJECT", "shop")];
        let args: Vec<&str> = args.iter().copied().chain(["-o", "json"]).collect();
        let run = self.run(&variables, &args).await;
        assert_eq!(run.code, 0, "{args:?}: {run:?}");
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", run.out))
    }
}

#[tokio::test]
async fn a_service_accounts_key_opens_all_services() {
    let guarded = Guarded::new().await;
    let key = guarded.credentials(json!({"email": ACCOUNT})).await;
    // Official clients over gRPC, our own REST calls, and Monitoring: each sends the token by itself.
    assert_eq!(guarded.json(&key, &["queues", "list"]).await[0]["redriveNumbers"]["tasksCount"]["value"], 2);
    let number = &guarded.json(&key, &["subs", "list"]).await[2]["redriveNumbers"]["numUndeliveredMessages"];
    assert_eq!((&number["value"], &number["source"]), (&3.into(), &"monitoring".into()));
    assert_eq!(guarded.json(&key, &["jobs", "list"]).await[0]["timeZone"], "Europe/Paris");
    assert_eq!(guarded.json(&key, &["subs", "peek", "orders-hold"]).await.as_array().unwrap().len(), 3);
}

/// An emulator moves dead letters without asking; on Google, Pub/Sub's own agent needs the rights.
#[tokio::test]
async fn the_doctor_finds_the_rights_that_dead_letters_need() {
    let guarded = Guarded::new().await;
    let key = guarded.credentials(json!({"email": ACCOUNT})).await;
    // Who tells the number of a project, by which its agent is called, is no service of the emulator.
    let projects = Router::new().route("/v1/projects/shop", get(|| async { r#"{"projectId":"shop","projectNumber":"20261128"}"# }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let manager = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, projects).await.unwrap() });
    let variables = [
        ("GOOGLE_APPLICATION_CREDENTIALS", key.to_str().unwrap()),
        ("GOOGLE_CLOUD_PROJECT", "shop"),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER", &manager),
    ];
    let run = guarded.run(&variables, &["doctor", "-o", "json"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    let found: Vec<Value> = serde_json::from_str(&run.out).unwrap();
    let rights: Vec<&Value> = found.iter().filter(|finding| finding["about"] == "rights").collect();
    let steps: Vec<&str> = rights.iter().map(|finding| finding["advice"][0].as_str().unwrap()).collect();
    assert_eq!(rights.len(), 4, "two topics, two subscriptions: {found:#?}");
    for command in ["topics add-iam-policy-binding orders-dead", "subscriptions add-iam-policy-binding billing"] {
        assert!(steps.iter().any(|step| step.contains(command) && step.contains("service-20261128@gcp-sa-pubsub")), "{steps:?}");
    }
    assert!(rights.iter().all(|finding| finding["found"].as_str().unwrap().contains("nothing becomes a dead letter")));
}

/// gRPC does not go through HTTP proxies here: where one is named for Google's addresses, messages go over REST, with the same token.
#[tokio::test]
async fn behind_a_proxy_messages_go_over_rest() {
    let guarded = Guarded::new().await;
    let key = guarded.credentials(json!({"email": ACCOUNT})).await;
    let variables = [
        ("GOOGLE_APPLICATION_CREDENTIALS", key.to_str().unwrap()),
        ("GOOGLE_CLOUD_PROJECT", "shop"),
        // It is for `https`, and the emulator is not: a connection to it would fail.
        ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ];
    let run = guarded.run(&variables, &["dlq", "redrive", "orders-hold", "--max", "3", "--yes", "--fan-out", "audit", "-o", "json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["counts"]["moved"], 3, "{report}");
    let run = guarded.run(&variables, &["subs", "peek", "billing", "-o", "json"]).await;
    let peeked: Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{run:?}"));
    assert_eq!(peeked.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn who_shows_nothing_or_something_else_is_refused() {
    let guarded = Guarded::new().await;
    let address = guarded.emulator.address().to_string();
    let nobody = guarded.run(&[], &["--emulator", &address, "--project", "shop", "queues", "list"]).await;
    check_failed(&nobody, 1, "Request is missing required authentication credential", "");
    // The key of another emulator, which signs as well as any.
    let other = Emulator::builder().project("shop".parse().unwrap()).start().await.unwrap();
    let path = guarded.home.path().join("other.json");
    std::fs::write(&path, other.service_account_key(ACCOUNT).await.unwrap()).unwrap();
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap()), ("GOOGLE_CLOUD_PROJECT", "shop")];
    let stranger = guarded.run(&variables, &["topics", "list"]).await;
    check_failed(&stranger, 1, "cannot list the topics", "gcloud auth application-default login");
    let answer = reqwest::get(guarded.url() + "/v1/projects/shop/topics").await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("www-authenticate")), (401, true));
    let error: Value = answer.json().await.unwrap();
    assert_eq!(
        (&error["error"]["status"], &error["error"]["details"][0]["reason"]),
        (&"UNAUTHENTICATED".into(), &"CREDENTIALS_MISSING".into())
    );
    assert_eq!(error["error"]["details"][0]["metadata"]["method"], "google.pubsub.v1.Publisher.ListTopics");
    // The emulator's own pages are for tests, which need no token.
    assert!(reqwest::get(guarded.url() + "/healthz").await.unwrap().status().is_success());
}

#[tokio::test]
async fn a_machine_of_google_needs_nothing_but_its_metadata_server() {
    let guarded = Guarded::new().await;
    let address = guarded.emulator.address().to_string();
    let run = guarded.run(&[("GCE_METADATA_HOST", &address)], &["topics", "list", "-o", "json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let topics: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(topics[1]["name"], "projects/shop/topics/orders", "the project is the machine's");
}

#[tokio::test]
async fn users_sign_in_with_their_refresh_token() {
    let guarded = Guarded::new().await;
    let file = guarded.credentials(json!({"type": "authorized_user", "email": "ada@example.com"})).await;
    assert_eq!(guarded.json(&file, &["topics", "list"]).await.as_array().unwrap().len(), 3);
    let forged = std::fs::read_to_string(&file).unwrap().replace("1//0", "1//1");
    std::fs::write(&file, forged).unwrap();
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap()), ("GOOGLE_CLOUD_PROJECT", "shop")];
    let refused = guarded.run(&variables, &["topics", "list"]).await;
    check_failed(
        &refused,
        1,
        "cannot sign in to Google Cloud: the credentials give no access token",
        "gcloud auth application-default login",
    );
}

#[tokio::test]
async fn another_account_is_acted_as() {
    let guarded = Guarded::new().await;
    let key = guarded.credentials(json!({"email": ACCOUNT})).await;
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", key.to_str().unwrap()), ("GOOGLE_CLOUD_PROJECT", "shop")];
    let target = "operator@shop.iam.gserviceaccount.com";
    let args = ["--impersonate-service-account", target, "queues", "list", "-o", "json"];
    // Meant for this account only: who asked for another would not be struck.
    let fault = || Fault::status("GenerateAccessToken", "PERMISSION_DENIED").on(&format!("projects/-/serviceAccounts/{target}"));
    guarded.emulator.inject(fault().message("Permission 'iam.serviceAccounts.getAccessToken' denied on resource")).unwrap();
    let refused = guarded.run(&variables, &args).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("getAccessToken"), "{refused:?}");
    guarded.emulator.clear_faults();
    let run = guarded.run(&variables, &args).await;
    assert_eq!(run.code, 0, "{run:?}");
    let queues: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(queues[0]["name"], "projects/shop/locations/europe-west1/queues/emails");
    // The same, as gcloud writes it into a file.
    let file = guarded.credentials(json!({"type": "impersonated_service_account", "email": target})).await;
    assert_eq!(guarded.json(&file, &["queues", "list"]).await.as_array().unwrap().len(), 2);
}
