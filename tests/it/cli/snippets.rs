//! The lines that `redrive emulator` prints for gcloud; those for Python and Node are run by the suites of these clients.

use std::io::Write as _;
use std::process::Stdio;

use tokio::process::Command;

use super::Bench;

/// Runs a script after the printed lines; `None` where there is no gcloud.
async fn gcloud(bench: &Bench, script: &str) -> Option<String> {
    let found = Command::new("gcloud").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    if !found.is_ok_and(|status| status.success()) {
        // Not part of what CI installs: the test says so and is over.
        let _ = writeln!(std::io::stderr(), "SKIPPED: gcloud is not on this machine");
        return None;
    }
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/snippets/gcloud.txt");
    let printed = std::fs::read_to_string(file).unwrap().replace("{address}", &bench.address().to_string()).replace("{project}", "shop");
    let mut gcloud = Command::new("bash");
    gcloud.args(["-ec", &format!("{printed}{script}")]).env("CLOUDSDK_CONFIG", bench.home.path()).env("CLOUDSDK_CORE_DISABLE_PROMPTS", "1");
    let output = gcloud.stdin(Stdio::null()).output().await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    Some(text)
}

fn check(text: &str, expected: &[&str]) {
    for expected in expected {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[tokio::test]
async fn gcloud_reaches_all_three_services_by_the_printed_lines() {
    let bench = Bench::new().await;
    let more = "gcloud tasks queues list --location=europe-west1\ngcloud scheduler jobs list --location=europe-west1\n";
    let Some(text) = gcloud(&bench, more).await else { return };
    check(&text, &["projects/shop/topics/orders", "emails", "nightly"]);
}

/// What generated clients never send: masks that name a field of a target, an id that is empty in the path.
#[tokio::test]
async fn gcloud_changes_parts_of_queues_and_jobs() {
    let bench = Bench::new().await;
    let script = "\
        L=--location=europe-west1\n\
        gcloud tasks queues update reports $L --http-uri-override=host:localhost,port:9,scheme:http,path:/work\n\
        gcloud tasks queues update reports $L --http-method-override=PUT\n\
        gcloud tasks buffer --queue=reports $L\n\
        gcloud tasks list --queue=reports $L --format='value(httpRequest.url)'\n\
        gcloud tasks queues describe reports $L\n\
        gcloud scheduler jobs create http hourly $L --schedule='0 * * * *' --uri=http://localhost:9/run --headers=X-Shop=1 --message-body=x\n\
        gcloud scheduler jobs update http hourly $L --schedule='5 * * * *' --clear-headers\n";
    let Some(text) = gcloud(&bench, script).await else { return };
    check(&text, &["http://localhost:9/work", "httpMethod: PUT", "path: /work", "schedule: 5 * * * *"]);
    let updated = text.rsplit("attemptDeadline").next().unwrap();
    assert!(updated.contains("uri: http://localhost:9/run") && !updated.contains("X-Shop"), "{updated}");
}
