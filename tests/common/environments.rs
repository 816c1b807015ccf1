//! Programs and packages of other languages for tests: found on this machine, or made from the package registries under `target/`, once for each set of
//! pinned versions. Used by both test binaries.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Making an environment, downloads included.
pub(crate) const SETUP_SECONDS_MAX: u64 = 300;

/// Returns the folder of a suite in the repository.
pub(crate) fn suite(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Returns the folder of an environment; `make` fills it unless it was made from the same `pins` before.
pub(crate) fn environment(name: &str, pins: &[&Path], make: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients").join(name);
    let wanted: String = pins.iter().map(|path| std::fs::read_to_string(path).expect("the pins are in the repository")).collect();
    let mark = folder.join("made-from");
    if std::fs::read_to_string(&mark).is_ok_and(|made| made == wanted) {
        return folder;
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("an old environment can be removed");
    }
    std::fs::create_dir_all(&folder).expect("`target` can be written");
    make(&folder);
    std::fs::write(&mark, wanted).expect("`target` can be written");
    folder
}

/// Returns the interpreter of a virtual environment with what the `requirements.txt` of a suite pins.
pub(crate) fn python_environment(name: &str, python: &Path) -> PathBuf {
    let pins = suite(name).join("requirements.txt");
    let environment = environment(name, &[&pins], |folder| {
        run(Command::new(python).arg("-m").arg("venv").arg(folder), SETUP_SECONDS_MAX);
        let pip = folder.join("bin/python");
        run(Command::new(pip).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&pins), SETUP_SECONDS_MAX);
    });
    environment.join("bin/python")
}

/// Returns the program if it is there and its check passes.
pub(crate) fn find(program: impl AsRef<Path>, check: &[&str]) -> Option<PathBuf> {
    let program = program.as_ref();
    let found = Command::new(program).args(check).stdin(Stdio::null()).output().is_ok_and(|output| output.status.success());
    found.then(|| program.to_owned())
}

/// Says that a suite did not run. In CI that is a failure: there everything must run.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "skipped in CI: {why}");
    say(&format!("SKIPPED: {why}"));
}

/// Writes past the capture of the test harness, so that a skip is seen.
pub(crate) fn say(line: &str) {
    let test = std::thread::current().name().unwrap_or("clients").to_owned();
    // Nobody reads: nothing to be done about it.
    let _ = writeln!(std::io::stderr(), "{test}: {line}");
}

/// Runs a program that must succeed.
pub(crate) fn run(command: &mut Command, seconds_max: u64) {
    let output = run_to_end(command, seconds_max);
    assert!(output.status.success(), "{command:?}\n{}", text(&output));
}

/// Runs a program, and ends it when its time is over.
pub(crate) fn run_to_end(command: &mut Command, seconds_max: u64) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let id = child.id().to_string();
    let (sender, ended) = std::sync::mpsc::channel();
    let waits = std::thread::spawn(move || {
        let output = child.wait_with_output();
        // The receiver is gone only when the test has failed already.
        let _ = sender.send(());
        output
    });
    let late = ended.recv_timeout(Duration::from_secs(seconds_max)).is_err();
    if late {
        Command::new("kill").args(["-KILL", &id]).status().expect("`kill` is there");
    }
    let output = waits.join().expect("waiting does not panic").expect("a child can be waited for");
    assert!(!late, "{command:?}: not done within {seconds_max} s\n{}", text(&output));
    output
}

/// Returns all that a program wrote.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
