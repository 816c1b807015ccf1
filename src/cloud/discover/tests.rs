use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::cloud::{EMULATOR_PROJECT, Place};

/// An address at which nobody answers, at once: what would be the metadata server elsewhere.
const NO_METADATA: (&str, &str) = ("GCE_METADATA_HOST", "127.0.0.1:1");

fn environment(home: &Path, variables: &[(&'static str, &str)]) -> Environment {
    let mut all = vec![NO_METADATA];
    all.extend_from_slice(variables);
    Environment::new(Some(home), all)
}

/// Writes what gcloud would have written.
fn gcloud_project(home: &Path, project: &str) {
    let folder = home.join(".config/gcloud/configurations");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config_default"), format!("[core]\nproject = {project}\n")).unwrap();
}

fn adc(home: &Path, json: &Value) {
    let folder = home.join(".config/gcloud");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("application_default_credentials.json"), json.to_string()).unwrap();
}

fn user() -> Value {
    // Its tokens would come from a port where nobody answers: discovery must not wait for them.
    json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "token_uri": "http://127.0.0.1:1/token", "quota_project_id": "quota"})
}

async fn ready(settings: &Settings, environment: &Environment) -> Cloud {
    match discover(settings, environment).await {
        Found::Ready(cloud) => *cloud,
        Found::Nothing => panic!("nothing was found"),
        Found::Broken(error) => panic!("broken: {error}"),
    }
}

async fn broken(settings: &Settings, environment: &Environment) -> Error {
    match discover(settings, environment).await {
        Found::Broken(error) => error,
        Found::Nothing => panic!("nothing was found"),
        Found::Ready(cloud) => panic!("ready: {:?}", cloud.place()),
    }
}

#[tokio::test]
async fn a_newcomers_machine_has_nothing() {
    let home = tempfile::tempdir().unwrap();
    assert!(matches!(discover(&Settings::default(), &environment(home.path(), &[])).await, Found::Nothing));
}

#[tokio::test]
async fn one_without_the_other_is_broken() {
    let home = tempfile::tempdir().unwrap();
    let error = broken(&Settings::default(), &environment(home.path(), &[("GOOGLE_CLOUD_PROJECT", "shop")])).await;
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (Kind::Unauthenticated, "project `shop` is configured, but there are no credentials")
    );
    assert!(error.hint().unwrap().contains("gcloud auth application-default login"));
    adc(home.path(), &user());
    let error = broken(&Settings::default(), &environment(home.path(), &[])).await;
    assert_eq!(error.to_string(), "there are credentials, but no project is configured");
    assert!(error.hint().unwrap().contains("gcloud config set project"));
}

#[tokio::test]
async fn the_project_is_found_in_its_order() {
    let home = tempfile::tempdir().unwrap();
    let mut credentials = user();
    credentials["project_id"] = "of-file".into();
    adc(home.path(), &credentials);
    let none = Settings::default();
    assert_eq!(ready(&none, &environment(home.path(), &[])).await.project().id(), "of-file");
    gcloud_project(home.path(), "of-gcloud");
    assert_eq!(ready(&none, &environment(home.path(), &[])).await.project().id(), "of-gcloud");
    let variables = [("GOOGLE_CLOUD_PROJECT", "of-variable")];
    assert_eq!(ready(&none, &environment(home.path(), &variables)).await.project().id(), "of-variable");
    let flag = Settings { project: Some("of-flag".parse().unwrap()), ..Settings::default() };
    let cloud = ready(&flag, &environment(home.path(), &variables)).await;
    assert_eq!((cloud.project().id(), cloud.place()), ("of-flag", &Place::Google));
}

#[tokio::test]
async fn malformed_credentials_are_told() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("key.json");
    let named = path.to_str().unwrap().to_owned();
    let variables = [("GOOGLE_CLOUD_PROJECT", "shop"), ("GOOGLE_APPLICATION_CREDENTIALS", named.as_str())];
    let missing = broken(&Settings::default(), &environment(home.path(), &variables)).await;
    assert_eq!(missing.to_string(), format!("`GOOGLE_APPLICATION_CREDENTIALS` names `{named}`, which does not exist"));
    let cases = [
        ("{", "is not JSON"),
        ("{}", "has no field `type`"),
        (r#"{"type": "martian"}"#, "is of the type `martian`, which is not supported"),
        (r#"{"type": "authorized_user"}"#, "cannot be used"),
        (r#"{"type": "service_account"}"#, "cannot be used"),
        (
            r#"{"type": "service_account", "client_email": "a@b", "private_key_id": "1", "private_key": "no key", "project_id": "p"}"#,
            "private key PEM: no items found",
        ),
    ];
    for (text, says) in cases {
        std::fs::write(&path, text).unwrap();
        let error = broken(&Settings::default(), &environment(home.path(), &variables)).await;
        assert_eq!(error.kind(), Kind::Unauthenticated, "{text}");
        assert!(error.to_string().contains(says), "{text}: {error}");
        assert!(error.hint().is_some(), "{text}");
    }
}

#[tokio::test]
async fn emulators_need_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    gcloud_project(home.path(), "prod");
    let all = Settings { emulator: Some("localhost:8085".to_owned()), ..Settings::default() };
    let cloud = ready(&all, &environment(home.path(), &[])).await;
    assert_eq!((cloud.project().id(), cloud.place()), (EMULATOR_PROJECT, &Place::Emulator("localhost:8085".to_owned())));
    let cloud =
        ready(&all, &environment(home.path(), &[("PUBSUB_PROJECT_ID", "local"), ("CLOUD_TASKS_EMULATOR_HOST", "elsewhere:1")])).await;
    assert_eq!(cloud.project().id(), "local");
    assert_eq!(cloud.0.endpoints.tasks.name(Api::Tasks), "localhost:8085");
}

#[tokio::test]
async fn a_service_without_emulator_never_goes_to_google_by_itself() {
    let home = tempfile::tempdir().unwrap();
    gcloud_project(home.path(), "prod");
    adc(home.path(), &user());
    let variables = [("PUBSUB_EMULATOR_HOST", "localhost:8085"), ("GOOGLE_CLOUD_PROJECT", "shop")];
    let cloud = ready(&Settings::default(), &environment(home.path(), &variables)).await;
    assert_eq!(cloud.place(), &Place::Emulator("localhost:8085".to_owned()));
    assert_eq!((&cloud.0.endpoints.tasks, &cloud.0.endpoints.scheduler), (&Endpoint::NotConfigured, &Endpoint::NotConfigured));
    let error = cloud.queue_locations().await.unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert!(error.hint().unwrap().contains("CLOUD_TASKS_EMULATOR_HOST=HOST:PORT"), "{error:?}");
}

#[tokio::test]
async fn a_service_without_emulator_goes_to_google_where_that_is_named_outright() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("key.json");
    std::fs::write(&path, user().to_string()).unwrap();
    let key = ("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap());
    let pubsub = ("PUBSUB_EMULATOR_HOST", "localhost:8085");
    let both = [pubsub, key, ("GOOGLE_CLOUD_PROJECT", "shop")];
    let cloud = ready(&Settings::default(), &environment(home.path(), &both)).await;
    assert_eq!((cloud.place(), &cloud.0.endpoints.tasks), (&Place::Google, &Endpoint::Google(Overrides::default())));
    let without_project = ready(&Settings::default(), &environment(home.path(), &[pubsub, key])).await;
    assert_eq!(without_project.0.endpoints.tasks, Endpoint::NotConfigured);
    let all = Settings { emulator: Some("localhost:1".to_owned()), ..Settings::default() };
    assert!(!ready(&all, &environment(home.path(), &both)).await.0.endpoints.any_google());
}

#[tokio::test]
async fn malformed_input_names_its_origin() {
    let home = tempfile::tempdir().unwrap();
    let cases: [(&'static str, &str); 9] = [
        ("PUBSUB_EMULATOR_HOST", "localhost"),
        ("CLOUD_TASKS_EMULATOR_HOST", "http://localhost:1"),
        ("CLOUD_SCHEDULER_EMULATOR_HOST", "localhost:port"),
        ("GOOGLE_CLOUD_PROJECT", "no project"),
        ("CLOUDSDK_CORE_PROJECT", "no/project"),
        ("GCE_METADATA_HOST", "a b"),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB", "pubsub.example.com"),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS", "http://tasks.example.com/"),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING", "https://monitoring.example.com/v3/"),
    ];
    for (name, value) in cases {
        let error = broken(&Settings::default(), &environment(home.path(), &[(name, value)])).await;
        assert!(error.is_invalid_input() && error.to_string().contains(name), "{name}: {error}");
    }
    let flag = Settings { emulator: Some("8085".to_owned()), ..Settings::default() };
    assert!(broken(&flag, &environment(home.path(), &[])).await.to_string().starts_with("--emulator: "));
}

/// Answers every request the same way.
async fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = vec![0; 8192];
            let read = stream.read(&mut asked).await.unwrap_or_default();
            let token = r#"{"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}"#;
            let body = if String::from_utf8_lossy(&asked[..read]).contains("/token") { token } else { "shop-of-machine" };
            let _ = stream.write_all(format!("{answer}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_machine_of_google_knows_its_project() {
    let home = tempfile::tempdir().unwrap();
    let google = answering("HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n").await;
    let variables = Environment::new(Some(home.path()), [("GCE_METADATA_HOST", google.as_str())]);
    let cloud = ready(&Settings::default(), &variables).await;
    assert_eq!((cloud.project().id(), cloud.place()), ("shop-of-machine", &Place::Google));
    let impostor = answering("HTTP/1.1 200 OK\r\n").await;
    let variables = Environment::new(Some(home.path()), [("GCE_METADATA_HOST", impostor.as_str())]);
    assert!(matches!(discover(&Settings::default(), &variables).await, Found::Nothing));
}

#[tokio::test]
async fn a_silent_metadata_server_is_waited_for_half_a_second() {
    let home = tempfile::tempdir().unwrap();
    // Accepts by the kernel's queue, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let begun = Instant::now();
    let variables = Environment::new(Some(home.path()), [("GCE_METADATA_HOST", address.as_str())]);
    assert!(matches!(discover(&Settings::default(), &variables).await, Found::Nothing));
    assert!(begun.elapsed() >= NETWORK_TIMEOUT && begun.elapsed() < NETWORK_TIMEOUT * 4, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn expired_credentials_are_broken_and_an_unreachable_token_server_is_not() {
    let home = tempfile::tempdir().unwrap();
    let variables = environment(home.path(), &[("GOOGLE_CLOUD_PROJECT", "shop")]);
    adc(home.path(), &user());
    let begun = Instant::now();
    ready(&Settings::default(), &variables).await;
    assert!(begun.elapsed() < NETWORK_TIMEOUT * 4, "{:?}", begun.elapsed());
    let refusing = answering("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n").await;
    let mut expired = user();
    expired["token_uri"] = format!("http://{refusing}/token").into();
    adc(home.path(), &expired);
    let error = broken(&Settings::default(), &variables).await;
    assert_eq!(error.kind(), Kind::Unauthenticated, "{error}");
    assert!(error.to_string().starts_with("cannot sign in to Google Cloud: "), "{error}");
    assert!(error.hint().unwrap().contains("gcloud auth application-default login"));
}

#[tokio::test]
async fn calls_are_counted_on_the_quota_project() {
    let home = tempfile::tempdir().unwrap();
    let tokens = answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n").await;
    let mut credentials = user();
    credentials["token_uri"] = format!("http://{tokens}/token").into();
    adc(home.path(), &credentials);
    let sent = async |settings: Settings, variables: &[(&'static str, &str)]| {
        let cloud = ready(&settings, &environment(home.path(), variables)).await;
        match cloud.credentials().unwrap().headers(Extensions::new()).await.unwrap() {
            google_cloud_auth::credentials::CacheableResource::New { data, .. } => data,
            google_cloud_auth::credentials::CacheableResource::NotModified => panic!("headers were not asked for before"),
        }
    };
    let project = ("GOOGLE_CLOUD_PROJECT", "shop");
    let headers = sent(Settings::default(), &[project]).await;
    assert_eq!((&headers["authorization"], &headers["x-goog-user-project"]), (&"Bearer t".parse().unwrap(), &"quota".parse().unwrap()));
    let variable = ("GOOGLE_CLOUD_QUOTA_PROJECT", "of-variable");
    assert_eq!(sent(Settings::default(), &[project, variable]).await["x-goog-user-project"], "of-variable");
    let flag = Settings { quota_project: Some("of-flag".to_owned()), ..Settings::default() };
    assert_eq!(sent(flag, &[project, variable]).await["x-goog-user-project"], "of-flag");
}
