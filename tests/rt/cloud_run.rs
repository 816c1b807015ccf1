//! Where a service finds out that it is on Cloud Run, and where.

use redrive::Error;
use redrive::cloud::Environment;
use redrive::error::Kind;
use redrive::runtime::{App, CloudRun, NotOnCloudRun};

use crate::support::World;

async fn detect(variables: &[(&str, &str)]) -> Result<CloudRun, NotOnCloudRun> {
    CloudRun::detect_in(&Environment::new(None, variables.iter().copied())).await
}

#[tokio::test]
async fn on_cloud_run_everything_is_found() {
    let world = World::start("").await;
    let metadata = world.emulator.address().to_string();
    let here = [("GCE_METADATA_HOST", metadata.as_str()), ("K_SERVICE", "orders"), ("K_REVISION", "orders-00007")];
    let found = detect(&here).await.unwrap();
    assert_eq!((found.project.as_str(), found.region.as_str(), found.service.as_str()), ("shop", "europe-west1", "orders"));
    assert_eq!(found.revision.as_deref(), Some("orders-00007"));
    assert_eq!(found.url, format!("https://orders-{}.europe-west1.run.app", found.project_number));
    assert_eq!(found.account, format!("{}-compute@developer.gserviceaccount.com", found.project_number));
    assert!(!found.instance_id.is_empty());
    let token = found.id_token("https://other.example").await.unwrap();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, token.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((claims["aud"].as_str(), claims["email"].as_str()), (Some("https://other.example"), Some(found.account.as_str())));
    let named =
        [here[0], here[1], ("SERVICE_URL", "https://shop.example/"), ("CLOUD_RUN_REGION", "us-east1"), ("GOOGLE_CLOUD_PROJECT", "other")];
    let found = detect(&named).await.unwrap();
    assert_eq!((found.url.as_str(), found.region.as_str(), found.project.as_str()), ("https://shop.example", "us-east1", "other"));
    let found = detect(&[here[0], ("GAE_SERVICE", "default"), ("GAE_VERSION", "v1")]).await.unwrap();
    assert_eq!((found.url.as_str(), found.revision.as_deref()), ("https://shop.appspot.com", Some("v1")));
}

#[tokio::test]
async fn elsewhere_it_is_an_error_of_its_own() {
    let error = detect(&[]).await.unwrap_err();
    assert_eq!(error.to_string(), "not on Cloud Run: neither `K_SERVICE` nor `GAE_SERVICE` is set");
    assert_eq!(Error::from(error).kind(), Kind::FailedPrecondition);
    // A variable alone is not Cloud Run: nobody answers there.
    let error = detect(&[("K_SERVICE", "orders"), ("GCE_METADATA_HOST", "127.0.0.1:9")]).await.unwrap_err();
    assert_eq!(error.to_string(), "not on Cloud Run: the metadata server does not answer");
    let error = detect(&[("K_SERVICE", "orders"), ("GCE_METADATA_HOST", "no port:")]).await.unwrap_err();
    assert!(error.to_string().contains("GCE_METADATA_HOST"), "{error}");
}

#[tokio::test]
async fn an_app_is_built_of_the_environment() {
    let world = World::start("").await;
    let address = world.emulator.address().to_string();
    let build = async |variables: &[(&str, &str)]| {
        let environment = Environment::new(None, variables.iter().copied());
        App::new(()).from_environment(&environment).await
    };
    let emulator = [("PUBSUB_EMULATOR_HOST", address.as_str()), ("CLOUD_TASKS_EMULATOR_HOST", address.as_str())];
    let app = build(&emulator).await.unwrap();
    assert_eq!((app.host().url.as_str(), app.host().location.as_str()), ("http://localhost:8080", "europe-west1"));
    assert_eq!(app.host().account, None);
    let more = [("PORT", "9000"), ("CLOUD_TASKS_LOCATION", "us-east1"), ("SERVICE_ACCOUNT_EMAIL", "a@x")];
    let app = build(&[&emulator[..], &more[..]].concat()).await.unwrap();
    assert_eq!((app.host().url.as_str(), app.host().location.as_str()), ("http://localhost:9000", "us-east1"));
    assert_eq!(app.host().account.as_deref(), Some("a@x"));

    let run = [("GCE_METADATA_HOST", address.as_str()), ("K_SERVICE", "orders")];
    let app = build(&run).await.unwrap();
    assert!(app.host().url.starts_with("https://orders-") && app.host().account.as_deref().unwrap().contains("-compute@"));
    assert_eq!((app.cloud().project().id(), app.host().location.as_str()), ("shop", "europe-west1"));
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_to_set() {
    let world = World::start("").await;
    let address = world.emulator.address().to_string();
    let fails = async |variables: &[(&str, &str)]| {
        let environment = Environment::new(None, variables.iter().copied());
        let error = App::new(()).from_environment(&environment).await.err().unwrap();
        (error.to_string(), error.hint().unwrap_or_default().to_owned())
    };
    let (error, hint) = fails(&[("GCE_METADATA_HOST", "127.0.0.1:9")]).await;
    assert!(error.contains("neither a project nor credentials nor an emulator") && hint.contains("PUBSUB_EMULATOR_HOST"), "{error} {hint}");
    // On Google, but not on Cloud Run: credentials come from the metadata server here.
    let google = [("GCE_METADATA_HOST", address.as_str()), ("GOOGLE_CLOUD_PROJECT", "shop")];
    let (error, hint) = fails(&google).await;
    assert!(error.contains("location") && hint.contains("CLOUD_TASKS_LOCATION"), "{error} {hint}");
    let (error, hint) = fails(&[&google[..], &[("CLOUD_TASKS_LOCATION", "us-east1")][..]].concat()).await;
    assert!(error.contains("URL of this service") && hint.contains("SERVICE_URL"), "{error} {hint}");
    let named = [("CLOUD_TASKS_LOCATION", "us-east1"), ("SERVICE_URL", "http://shop.example")];
    let (error, _) = fails(&[&google[..], &named[..]].concat()).await;
    assert!(error.contains("`https://`"), "{error}");
}
