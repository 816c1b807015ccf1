//! The lines that `redrive emulator` prints for gcloud; those for Python and Node are run by the suites of these clients.

use std::io::Write as _;
use std::process::Stdio;

use tokio::process::Command;

use super::Bench;

#[tokio::test]
async fn gcloud_reaches_all_three_services_by_the_printed_lines() {
    let found = Command::new("gcloud").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    if !found.is_ok_and(|status| status.success()) {
        // Not part of what CI installs: the test says so and is over.
        let _ = writeln!(std::io::stderr(), "SKIPPED: gcloud is not on this machine");
        return;
    }
    let bench = Bench::new().await;
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/snippets/gcloud.txt");
    let printed = std::fs::read_to_string(file).unwrap().replace("{address}", &bench.address().to_string()).replace("{project}", "shop");
    let more = "gcloud tasks queues list --location=europe-west1\ngcloud scheduler jobs list --location=europe-west1\n";
    let mut gcloud = Command::new("bash");
    gcloud.args(["-ec", &format!("{printed}{more}")]).env("CLOUDSDK_CONFIG", bench.home.path()).env("CLOUDSDK_CORE_DISABLE_PROMPTS", "1");
    let output = gcloud.stdin(Stdio::null()).output().await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    for expected in ["projects/shop/topics/orders", "emails", "nightly"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
