//! What the README says must be what is run.

use super::read;

/// Returns the lines of the code blocks of the README's section `heading`.
fn code_lines(heading: &str) -> Vec<String> {
    let readme = read("README.md");
    let section = readme.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("the README has no section `{heading}`")).1;
    let section = section.split("\n## ").next().expect("a split has a first part");
    section.split("```").skip(1).step_by(2).flat_map(|block| block.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn two_commands_do_everything() {
    let commands: Vec<String> =
        code_lines("Two commands").iter().map(|line| line.split('#').next().expect("a split has a first part").trim().to_owned()).collect();
    assert_eq!(commands, ["cargo run -- demo", "cargo test"]);
}

#[test]
fn ci_runs_the_readmes_test_command_first() {
    let script = read(".ci/run");
    let checks: Vec<&str> = script.lines().filter(|line| line.starts_with("check ")).collect();
    assert_eq!(checks[0], "check tests cargo test");
    assert!(checks.len() > 8, "the lints come after it: {checks:?}");
}
