//! The rules of the house, read from the sources: who may use whom, how long a file or a function may be, and what must not be written at all.

mod readme;
mod rules;
mod samples;

use std::path::{Path, PathBuf};

use rules::{Breach, LAYERS, Report};

/// Where the package is.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("`{path}`: {error}"))
}

/// Every Rust file below `folder`, as paths relative to the package.
fn rust_files(folder: &str) -> Vec<String> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("`{}`: {error}", folder.display())) {
            let path = entry.expect("a folder of the package can be listed").path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    if root().join(folder).is_dir() {
        collect(&root().join(folder), &mut found);
    }
    found.sort();
    found
        .iter()
        .map(|path| path.strip_prefix(root()).expect("found below the root").to_str().expect("names are ASCII").to_owned())
        .collect()
}

fn read_all(folders: &[&str]) -> Report {
    let mut report = Report::default();
    for path in folders.iter().flat_map(|folder| rust_files(folder)) {
        report.add(&path, &read(&path));
    }
    report
}

fn assert_clean(breaches: &[Breach]) {
    let lines: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} breach(es) of the layout rules:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn sources_keep_the_rules() {
    let report = read_all(&["src", "tests", "benches", "examples", "proto"]);
    assert_clean(&report.breaches);
    // A checker that reads nothing finds nothing: what it saw must be of the size of the package.
    assert!(report.files > 30, "only {} files read", report.files);
    assert!(report.functions > 300, "only {} functions read", report.functions);
    assert!(report.uses > 100, "only {} paths into the crate read", report.uses);
}

#[test]
fn every_module_has_its_place_in_the_layers() {
    let known: Vec<&str> = LAYERS.iter().map(|(module, _)| *module).collect();
    for path in rust_files("src") {
        let top = rules::top_module(&path);
        assert!(known.contains(&top.as_str()), "`{path}`: module `{top}` has no line in `LAYERS`: say whom it may use");
    }
}
