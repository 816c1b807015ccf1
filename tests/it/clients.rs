//! Google's own clients of other languages against the emulator: each suite is a script that is given the address and ends with its counts.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::environments::{SETUP_SECONDS_MAX, environment, find, python_environment, run, run_to_end, say, skipped, suite, text};

/// A suite that takes longer hangs.
const SUITE_SECONDS_MAX: u64 = 420;

#[test]
fn python() {
    let Some(python) = find("python3", &["-c", "import sys, venv; sys.exit(sys.version_info < (3, 10))"]) else {
        return skipped("python3 (3.10 or newer, with venv) is not on this machine");
    };
    let mut command = Command::new(python_environment("python", &python));
    command.args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]).arg(suite("python"));
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
