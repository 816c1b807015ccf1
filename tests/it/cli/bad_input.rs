//! Bad input: a clear error, what to do about it, and the right exit code.

use std::fmt::Write as _;

use super::{Bench, check_failed, run};

#[tokio::test]
async fn without_a_project_and_an_emulator_nothing_is_read() {
    let home = tempfile::TempDir::new().unwrap();
    for args in [&["queues", "list"][..], &["dlq", "list"], &["topics", "publish", "orders", "--data", "x"], &["tasks", "show", "q/t"]] {
        check_failed(&run(home.path(), args, b"").await, 2, "no project and no emulator is named", "--emulator HOST:PORT");
    }
}

#[tokio::test]
async fn a_project_without_credentials_is_said_to_be_so() {
    let home = tempfile::TempDir::new().unwrap();
    let run = run(home.path(), &["--project", "shop-prod", "queues", "list"], b"").await;
    check_failed(&run, 1, "credentials", "gcloud auth application-default login");
}

#[tokio::test]
async fn the_console_needs_a_terminal() {
    let home = tempfile::TempDir::new().unwrap();
    for args in [&[][..], &["demo"], &["--emulator", "127.0.0.1:1"]] {
        check_failed(&run(home.path(), args, b"").await, 2, "the console needs a terminal", "redrive queues list");
    }
}

#[tokio::test]
async fn malformed_names_are_usage_errors() {
    let bench = Bench::new().await;
    let cases: &[(&[&str], &str, &str)] = &[
        (&["topics", "publish", "1x", "--data", "x"], "`1x` is not a valid topic name", "begins with a letter"),
        (&["topics", "publish", "a/b", "--data", "x"], "`a/b` is not the full name of a topic", "projects/PROJECT/topics/TOPIC"),
        (&["subs", "peek", "\u{1b}[31mred"], "`\\u{1b}[31mred` is not a valid subscription name", "3 to 255"),
        (&["queues", "pause", "no_underscores"], "`no_underscores` is not a valid queue name", "letters, digits"),
        (&["tasks", "show", "only-a-task"], "`only-a-task` is not the name of a task", "QUEUE/TASK"),
        (&["jobs", "run", "a b"], "`a b` is not a valid job name", "letters, digits"),
        (&["topics", "publish", "orders", "--data", "x", "-a", "k=1", "-a", "k=2"], "attribute `k` is given twice", ""),
    ];
    for (args, error, hint) in cases {
        check_failed(&bench.run(args).await, 2, error, hint);
    }
    check_failed(&bench.run(&["demo", "--headless", "--address", "nowhere"]).await, 2, "an address is written `HOST:PORT`", "");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let run = bench.run(&["demo", "--headless", "--address", &closed]).await;
    check_failed(&run, 1, "nobody answers at", "redrive emulator --listen");
    // What clap itself refuses is escaped, too.
    let run = bench.run(&["topics", "publish", "orders", "--attribute", "\u{202e}x"]).await;
    check_failed(&run, 2, "KEY=VALUE", "");
    check_failed(&bench.run(&["dlq", "redrive", "orders-hold", "--window", "0"]).await, 2, "invalid value '0'", "");
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let bench = Bench::new().await;
    check_failed(&bench.run(&["queues", "pause", "mails"]).await, 1, "queue `mails` does not exist", "redrive queues list");
    check_failed(&bench.run(&["jobs", "run", "hourly"]).await, 1, "job `hourly` does not exist", "redrive jobs list");
    check_failed(&bench.run(&["topics", "publish", "mail", "--data", "x"]).await, 1, "mail", "redrive topics list");
    check_failed(&bench.run(&["subs", "peek", "nobody"]).await, 1, "nobody", "redrive subs list");
    check_failed(&bench.run(&["tasks", "show", "emails/nothing"]).await, 1, "nothing", "");
    check_failed(&bench.run(&["dlq", "redrive", "nobody", "--yes"]).await, 1, "nobody", "redrive dlq list");
}

#[tokio::test]
async fn an_unknown_project_is_an_empty_one_on_the_emulator() {
    let bench = Bench::new().await;
    // The later one counts, as everywhere on command lines.
    let run = bench.run(&["topics", "list", "--project", "elsewhere"]).await;
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, "", "nothing found\n"));
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_is_said_to_be_so_soon() {
    let home = tempfile::TempDir::new().unwrap();
    // A port that was free a moment ago, and that nobody listens on.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let begun = std::time::Instant::now();
    check_failed(&run(home.path(), &["--emulator", &address, "topics", "list"], b"").await, 1, &address, "");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    check_failed(&run(home.path(), &["--emulator", "nonsense", "topics", "list"], b"").await, 2, "nonsense", "");
}

#[tokio::test]
async fn a_message_of_12_mb_is_refused() {
    let bench = Bench::new().await;
    let large = vec![b'x'; 12_000_000];
    let run = bench.run_with(&["topics", "publish", "orders", "--data-file", "-"], &large).await;
    check_failed(&run, 2, "larger than 10 MB", "Cloud Storage");
    let file = bench.home.path().join("large");
    std::fs::write(&file, &large).unwrap();
    let run = bench.run(&["topics", "publish", "orders", "--data-file", file.to_str().unwrap()]).await;
    check_failed(&run, 2, "larger than 10 MB", "Cloud Storage");
    let run = bench.run(&["topics", "publish", "orders", "--data-file", "/not/there"]).await;
    check_failed(&run, 1, "cannot read `/not/there`", "");
}

#[tokio::test]
async fn attributes_are_100_at_most() {
    let bench = Bench::new().await;
    let attributes: Vec<String> = (0..101).map(|n| format!("k{n}=v")).collect();
    let publish = |count: usize| {
        let options = attributes[..count].iter().flat_map(|attribute| ["--attribute", attribute.as_str()]);
        ["topics", "publish", "orders", "--data", "x"].into_iter().chain(options).collect::<Vec<_>>()
    };
    let run = bench.run(&publish(101)).await;
    check_failed(&run, 2, "100", "");
    assert_eq!(bench.run(&publish(100)).await.code, 0);
}

#[tokio::test]
async fn a_wrong_field_in_a_seed_file_is_named_with_its_line() {
    let home = tempfile::TempDir::new().unwrap();
    let file = home.path().join("seed.yaml");
    std::fs::write(&file, "topics:\n  - name: orders\n    retension: 1d\n").unwrap();
    let run = run(home.path(), &["emulator", "--listen", "127.0.0.1:0", "--seed", file.to_str().unwrap()], b"").await;
    check_failed(&run, 2, "line 3", "");
    assert!(run.err.contains("retension"), "{run:?}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let bench = Bench::new().await;
    let address = bench.address().to_string();
    let run = run(bench.home.path(), &["emulator", "--listen", &address], b"").await;
    check_failed(&run, 1, &format!("address `{address}` is in use"), "--listen 127.0.0.1:0");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_panic() {
    let mut seed = "project: shop\ntopics:\n".to_owned();
    for n in 0..900 {
        let _ = writeln!(seed, "  - name: topic-with-a-name-long-enough-that-all-of-them-do-not-fit-into-one-pipe-{n:04}");
    }
    let bench = Bench::seeded(&seed).await;
    let mut child = super::binary(bench.home.path());
    let address = bench.address().to_string();
    let mut child = child.args(["--emulator", &address, "--project", "shop", "topics", "list", "-o", "json"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}
