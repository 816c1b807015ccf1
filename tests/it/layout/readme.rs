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

/// Splits a line as a shell does, as far as the README goes: single quotes, comments, and only what comes before a pipe.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '\'' => quoted = !quoted,
            '#' | '|' if !quoted => break,
            ' ' if !quoted => words.push(String::new()),
            character => words.last_mut().expect("never empty").push(character),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn commands_that_are_shown_are_understood() {
    let lines: Vec<String> =
        ["The command line", "The emulator for your own tests"].iter().flat_map(|heading| code_lines(heading)).collect();
    let commands: Vec<Vec<String>> =
        lines.iter().map(|line| words(line)).filter(|words| words.first().is_some_and(|first| first == "redrive")).collect();
    assert!(commands.len() > 8, "{lines:?}");
    for command in commands {
        // With `--help` nothing is done, but an argument that is not known is refused all the same.
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_redrive"));
        let output = process.args(&command[1..]).arg("--help").output().expect("the binary was built for this test");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
