//! Google's own clients of other languages against the emulator: each suite is a script that is given the address and ends with its counts.
//!
//! Their environments are made from the package registries under `target/`, once for each set of pinned versions.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A suite that takes longer hangs.
const SUITE_SECONDS_MAX: u64 = 420;
/// Making an environment, downloads included.
const SETUP_SECONDS_MAX: u64 = 300;

#[test]
fn python() {
    let Some(python) = find("python3", &["-c", "import sys, venv; sys.exit(sys.version_info < (3, 10))"]) else {
        return skipped("python3 (3.10 or newer, with venv) is not on this machine");
    };
    let suite = suite("python");
    let environment = environment("python", &[&suite.join("requirements.txt")], |folder| {
        run(Command::new(&python).arg("-m").arg("venv").arg(folder), SETUP_SECONDS_MAX);
        let pip = folder.join("bin/python");
        run(Command::new(pip).args(["-m", "pip", "install", "--quiet", "-r"]).arg(suite.join("requirements.txt")), SETUP_SECONDS_MAX);
    });
    let mut command = Command::new(environment.join("bin/python"));
    command.args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]).arg(&suite);
    drive(command, "python", 259);
}

#[test]
fn node() {
    let (Some(node), Some(npm)) =
        (find("node", &["-e", "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)"]), find("npm", &["--version"]))
    else {
        return skipped("node (18 or newer) with npm is not on this machine");
    };
    let suite = suite("node");
    let (manifest, lock) = (suite.join("package.json"), suite.join("package-lock.json"));
    let environment = environment("node", &[&manifest, &lock], |folder| {
        for file in [&manifest, &lock] {
            std::fs::copy(file, folder.join(file.file_name().expect("a file"))).expect("the folder was just made");
        }
        run(
            Command::new(&npm).args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]).current_dir(folder),
            SETUP_SECONDS_MAX,
        );
    });
    let mut command = Command::new(node);
    command.arg(suite.join("suite.cjs")).env("NODE_PATH", environment.join("node_modules"));
    drive(command, "node", 17);
}

/// Go and Google's clients for it come as Debian's packages, unpacked without being installed; the suite is compiled around the printed lines.
#[test]
fn go() {
    let packages = ["apt-get", "dpkg-deb"].map(|program| find(program, &["--version"]));
    let [Some(apt), Some(dpkg)] = packages else {
        return skipped("Go's clients come from Debian's packages, and apt-get and dpkg-deb are not on this machine");
    };
    let suite = suite("go");
    let list = suite.join("packages.txt");
    let names = std::fs::read_to_string(&list).expect("the list is in the repository");
    let environment = environment("go", &[&list], |folder| {
        let download =
            |command: &mut Command| run_to_end(command.arg("download").args(names.lines()).current_dir(folder), SETUP_SECONDS_MAX);
        if !download(&mut Command::new(&apt)).status.success() {
            // A fresh machine has no lists yet.
            run(Command::new(&apt).args(["--quiet", "update"]), SETUP_SECONDS_MAX);
            let output = download(&mut Command::new(&apt));
            assert!(output.status.success(), "{}", text(&output));
        }
        for entry in std::fs::read_dir(folder).expect("it was just made") {
            let file = entry.expect("it can be read").path();
            run(Command::new(&dpkg).arg("-x").arg(&file).arg(folder), SETUP_SECONDS_MAX);
            std::fs::remove_file(&file).expect("it was just made");
        }
    });
    let emulator = Emulator::start("go");
    let printed = std::fs::read_to_string(&emulator.printed).expect("the emulator wrote it");
    let lines = printed.split("── Go\n").nth(1).and_then(|rest| rest.split("\n── ").next()).expect("lines for Go are printed");
    let program = environment.join("gopath/src/suite");
    std::fs::create_dir_all(&program).expect("`target` can be written");
    let source = std::fs::read_to_string(suite.join("suite.go")).expect("the suite is in the repository");
    assert!(source.contains("// PRINTED"), "the suite has no place for the lines");
    std::fs::write(program.join("suite.go"), source.replace("// PRINTED", lines)).expect("`target` can be written");
    let root = environment.join("usr/lib/go-1.19");
    let mut command = Command::new(root.join("bin/go"));
    command.args(["run", "suite"]).env("GOROOT", &root).env("GOCACHE", environment.join("cache")).env("CGO_ENABLED", "0");
    command.env(
        "GOPATH",
        std::env::join_paths([environment.join("gopath"), environment.join("usr/share/gocode")]).expect("no separator in it"),
    );
    command.env("GO111MODULE", "off").env("HOME", &environment);
    drive_on(&emulator, command, 4);
}

/// Starts `redrive emulator`, runs the suite against it, and asserts that it passed and that it was no smaller than `tests_min`.
fn drive(command: Command, language: &str, tests_min: u32) {
    drive_on(&Emulator::start(language), command, tests_min);
}

fn drive_on(emulator: &Emulator, mut command: Command, tests_min: u32) {
    // Nothing of the machine's own set-up may lead a client elsewhere.
    for variable in
        ["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"]
    {
        command.env_remove(variable);
    }
    command.env("EMULATOR", &emulator.address).env("PRINTED", &emulator.printed).env("NO_PROXY", "127.0.0.1");
    let output = run_to_end(&mut command, SUITE_SECONDS_MAX);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    let (passed, failed) = counts(&text).unwrap_or_else(|| panic!("the suite gave no counts:\n{text}"));
    assert_eq!(failed, 0, "{text}");
    assert!(passed >= tests_min, "only {passed} tests ran:\n{text}");
    say(&format!("{passed} passed, {failed} failed"));
}

/// The binary as a user starts it: `redrive emulator`, on a free port.
struct Emulator {
    process: Child,
    address: String,
    /// The file of what it printed for people: lines for each language.
    printed: PathBuf,
}

impl Emulator {
    fn start(language: &str) -> Self {
        let printed = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("printed-for-{language}.txt"));
        let mut process = Command::new(env!("CARGO_BIN_EXE_redrive"))
            .args(["emulator", "--listen", "127.0.0.1:0", "--project", "demo", "--wait-ready"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&printed).expect("`target` can be written"))
            .spawn()
            .expect("the binary was built for this test");
        let mut line = String::new();
        let said = BufReader::new(process.stdout.take().expect("stdout is piped")).read_line(&mut line);
        let address = line.trim().strip_prefix("ready ").map(str::to_owned);
        let address = address
            .unwrap_or_else(|| panic!("the emulator said {said:?} {line:?}: {}", std::fs::read_to_string(&printed).unwrap_or_default()));
        Self { process, address, printed }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Either fails only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The last line `N passed, N failed` of a suite.
fn counts(text: &str) -> Option<(u32, u32)> {
    text.lines().rev().find_map(|line| {
        let (passed, failed) = line.trim().split_once(" passed, ")?;
        Some((passed.parse().ok()?, failed.strip_suffix(" failed")?.parse().ok()?))
    })
}

fn suite(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(language)
}

/// Returns the folder of an environment; `make` fills it unless it was made from the same `pins` before.
fn environment(language: &str, pins: &[&Path], make: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients").join(language);
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

/// Returns the program if it is there and its check passes.
fn find(program: &str, check: &[&str]) -> Option<PathBuf> {
    let found = Command::new(program).args(check).stdin(Stdio::null()).output().is_ok_and(|output| output.status.success());
    found.then(|| PathBuf::from(program))
}

/// Says that a suite did not run. In CI that is a failure: there everything must run.
fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "skipped in CI: {why}");
    say(&format!("SKIPPED: {why}"));
}

/// Writes past the capture of the test harness, so that a skip is seen.
fn say(line: &str) {
    let test = std::thread::current().name().unwrap_or("clients").to_owned();
    // Nobody reads: nothing to be done about it.
    let _ = writeln!(std::io::stderr(), "{test}: {line}");
}

fn run(command: &mut Command, seconds_max: u64) {
    let output = run_to_end(command, seconds_max);
    assert!(output.status.success(), "{command:?}\n{}", text(&output));
}

/// Runs a program, and ends it when its time is over.
fn run_to_end(command: &mut Command, seconds_max: u64) -> Output {
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

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
