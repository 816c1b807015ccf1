//! The checker on bad samples: a rule that no longer bites fails here.

use super::rules::Report;

fn breaches(path: &str, source: &str) -> Vec<String> {
    let mut report = Report::default();
    report.add(path, source);
    report.breaches.iter().map(ToString::to_string).collect()
}

/// Asserts that exactly one breach is found, on the line and with the words that `wanted` holds.
#[track_caller]
fn refused(path: &str, source: &str, wanted: &str) {
    let found = breaches(path, source);
    assert!(found.len() == 1 && found[0].contains(wanted), "wanted one breach with `{wanted}`, found {found:#?}");
}

#[track_caller]
fn fine(path: &str, source: &str) {
    assert_eq!(breaches(path, source), Vec::<String>::new());
}

#[test]
fn back_edges_are_found() {
    refused("src/cloud/rest.rs", "\nuse crate::ops::browse;", ":2: `cloud` must not use `ops`");
    refused("src/emulator/mod.rs", "use crate::cloud;", "`emulator` must not use `cloud`");
    refused("src/console/app.rs", "use crate::{error::Error,\n cloud::{Cloud}};", ":2: `console` must not use `cloud`");
    refused("src/model/task.rs", "pub(crate) fn f() -> u8 { crate::ops::now() }", "`model` must not use `ops`");
    refused("src/cloud/mod.rs", "fn f() { println!(\"{}\", crate::cli::x()) }", "`cloud` must not use `cli`");
    refused("src/names.rs", "macro_rules! m { () => { $crate::cli::x() } }", "`names` must not use `cli`");
    refused("src/error.rs", "use super::cloud;", "`error` must not use `cloud`");
    refused("src/cloud/a/b.rs", "use super::super::super::ops;", "`cloud` must not use `ops`");
    refused("src/cloud/a.rs", "mod tests { use super::super::super::ops::x; }", "`cloud` must not use `ops`");
    refused("src/main.rs", "use redrive::ops::browse;", "`main` must not use `ops`");
    refused("src/cloud/mod.rs", "use crate::Shortcut;", "`cloud` must not use `Shortcut`");
    refused("src/cloud/mod.rs", "use crate::*;", "no module's name");
    refused("src/cloud/mod.rs", "use crate::{*};", "no module's name");
}

#[test]
fn allowed_edges_pass() {
    fine(
        "src/ops/browse.rs",
        "use crate::cloud::Cloud; use crate::{names::TopicName, model::{Task, text}}; pub(crate) fn f() { crate::ops::g() }",
    );
    fine(
        "src/cloud/rest/mod.rs",
        "// use crate::ops;\n/// See `crate::ops`.\nconst S: &str = \"use crate::ops;\"; pub(in crate::cloud) fn f() {}",
    );
    fine("src/cloud/a/b.rs", "use super::super::c; mod tests { use super::*; use super::super::super::d; }");
    fine("src/main.rs", "use redrive::{cli, console, error::Error};");
    fine("src/lib.rs", "pub use crate::cloud::Cloud; pub use self::ops::x;");
    fine("tests/it/x.rs", "use crate::layout;");
}

#[test]
fn long_files_and_functions_are_found() {
    refused("src/names.rs", &"\n".repeat(601), ":601: 601 lines");
    fine("src/names.rs", &"\n".repeat(600));
    let function = |lines: usize| format!("impl X {{\n    fn long<T>(x: [u8; 3]) -> Y where T: Z {{{}    }}\n}}", "\n".repeat(lines - 1));
    refused("src/names.rs", &function(71), ":2: `long` has 71 lines");
    fine("src/names.rs", &function(70));
    refused("src/names.rs", &format!("macro_rules! m {{ () => {{ {} }} }}", function(71)), "`long` has 71 lines");
    fine("src/names.rs", &format!("trait T {{ fn short(); fn pointer(f: fn(u8) -> u8); }}\nmod x {{{}}}", "\n".repeat(90)));
}

#[test]
fn waiting_is_found_in_the_consoles_state_and_views() {
    let waits = "async fn f() {\n g() . await; }";
    refused("src/console/app.rs", waits, ":2: `.await`");
    refused("src/console/view/tasks.rs", waits, "`.await`");
    refused("src/console/app.rs", "fn f() { select! { x = g().await => {} } }", "`.await`");
    fine("src/console/effects.rs", waits);
    fine("src/console/run/mod.rs", waits);
    fine("src/cloud/mod.rs", waits);
    fine("src/console/app.rs", "// g().await\nconst S: &str = \"g().await\";");
}

#[test]
fn what_must_not_be_written_is_found() {
    refused("src/names.rs", "#[allow(dead_code)]\nfn f() {}", ":1: `allow` hides");
    refused("src/names.rs", "#![allow(dead_code)]", "`allow` hides");
    refused("src/names.rs", "fn f() { #[cfg_attr(test, allow(unused))] let x = 1; }", "`allow` hides");
    refused("src/names.rs", "fn f() { todo!() }", "`todo!`");
    refused("tests/it/x.rs", "fn f() { unimplemented!(\"later\") }", "`unimplemented!`");
    refused("tests/it/x.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", ":2: an ignored test");
    refused("src/names.rs", "fn f( {", "cannot be read as Rust");
    fine("src/names.rs", "#[expect(dead_code, reason = \"todo!() allow(x)\")] fn allow(todo: u8) { allow(todo) } // #[ignore]");
}
