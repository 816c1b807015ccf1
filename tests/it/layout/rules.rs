//! The checker: tokens of a source file in, breaches out. It reads tokens, so comments and strings say nothing and macros hide nothing.

use std::fmt;

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// A file that is longer cannot be held in one's head.
const FILE_LINES_MAX: usize = 600;
/// From `fn` to the closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// What everyone may use: values, rules and the log.
const BASE: &[&str] = &["names", "model", "error", "wal"];
/// Each module of the crate's root, and whom it may use besides itself and [`BASE`]. `*`: everyone.
pub(super) const LAYERS: &[(&str, &[&str])] = &[
    ("names", &[]),
    ("model", &[]),
    ("error", &[]),
    ("wal", &[]),
    ("cloud", &[]),
    ("provision", &["cloud"]),
    ("ops", &["cloud", "provision"]),
    ("runtime", &["cloud", "provision"]),
    ("emulator", &[]),
    ("demo", &["cloud", "runtime"]),
    ("testing", &["cloud", "runtime", "emulator"]),
    ("cli", &["ops", "emulator", "demo"]),
    ("console", &["ops"]),
    ("lib", &["*"]),
    ("main", &["cli", "console", "emulator", "demo"]),
];

/// The parts of the console that may wait; its state and its views may not.
const CONSOLE_MAY_AWAIT: &[&str] = &["src/console/run", "src/console/effects"];

/// One line of one file that breaks a rule.
#[derive(Debug)]
pub(super) struct Breach {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// What was found, and how much was read.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) breaches: Vec<Breach>,
    pub(super) files: usize,
    pub(super) functions: usize,
    pub(super) uses: usize,
}

impl Report {
    pub(super) fn add(&mut self, path: &str, source: &str) {
        self.files += 1;
        let mut reader = Reader { path, modules: module_path(path), report: self };
        let lines = source.lines().count();
        if lines > FILE_LINES_MAX {
            reader.breach(lines, format!("{lines} lines; a file has {FILE_LINES_MAX} at most"));
        }
        match source.parse::<TokenStream>() {
            Ok(tokens) => reader.read(tokens),
            Err(error) => reader.breach(1, format!("cannot be read as Rust: {error}")),
        }
    }
}

/// The first segment of a source file's module: `src/cloud/rest.rs` → `cloud`.
pub(super) fn top_module(path: &str) -> String {
    module_path(path).into_iter().next().unwrap_or_else(|| path.trim_start_matches("src/").trim_end_matches(".rs").to_owned())
}

/// `src/a/b.rs` and `src/a/b/mod.rs` → `[a, b]`; the crate's roots → `[]`.
fn module_path(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    if inner == "lib" || inner == "main" { Vec::new() } else { inner.split('/').map(str::to_owned).collect() }
}

struct Reader<'a> {
    path: &'a str,
    /// The module at the place that is read, inline modules included.
    modules: Vec<String>,
    report: &'a mut Report,
}

impl Reader<'_> {
    fn breach(&mut self, line: usize, what: impl Into<String>) {
        self.report.breaches.push(Breach { file: self.path.to_owned(), line, what: what.into() });
    }

    fn read(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        for at in 0..trees.len() {
            self.look(&trees[..=at], &trees[at + 1..]);
            if let TokenTree::Group(group) = &trees[at] {
                let inline = inline_module(&trees[..at]).filter(|_| group.delimiter() == Delimiter::Brace);
                let depth = self.modules.len();
                self.modules.extend(inline);
                self.read(group.stream());
                self.modules.truncate(depth);
            }
        }
    }

    /// Looks at the last of `seen`, with what comes after it on the same level.
    fn look(&mut self, seen: &[TokenTree], rest: &[TokenTree]) {
        let tree = &seen[seen.len() - 1];
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) if is_attribute(&seen[..seen.len() - 1], group) => self.attribute(group, line),
            TokenTree::Ident(ident) => match ident.to_string().as_str() {
                "crate" => self.path_from_root(rest, line),
                "redrive" if self.path == "src/main.rs" => self.path_from_root(rest, line),
                "super" => self.path_from_parent(seen, rest, line),
                "fn" => self.function(rest, line),
                "await" if punct(seen, 1) == Some('.') => self.awaits(line),
                name @ ("todo" | "unimplemented") if is_punct(rest.first(), '!') => self.breach(line, format!("`{name}!` is no code")),
                _ => {}
            },
            _ => {}
        }
    }

    /// What follows `crate` or as many `super` as lead to the root.
    fn path_from_root(&mut self, rest: &[TokenTree], line: usize) {
        let is_path = is_punct(rest.first(), ':') && is_punct(rest.get(1), ':');
        if !is_path || !self.path.starts_with("src/") {
            return;
        }
        match rest.get(2) {
            Some(TokenTree::Ident(name)) => self.uses(&name.to_string(), line),
            Some(TokenTree::Group(group)) => {
                let mut starts = true;
                for tree in group.stream() {
                    match &tree {
                        TokenTree::Ident(name) if starts => self.uses(&name.to_string(), tree.span().start().line),
                        _ if starts => self.breach(line, "takes from the root what has no module's name"),
                        _ => {}
                    }
                    starts = is_punct(Some(&tree), ',');
                }
            }
            _ => self.breach(line, "takes from the root what has no module's name"),
        }
    }

    fn path_from_parent(&mut self, seen: &[TokenTree], rest: &[TokenTree], line: usize) {
        // Only the first of `super::super::…` is the start of the path.
        let continues = seen.len() > 3 && punct(seen, 1) == Some(':') && is_ident(seen.get(seen.len() - 4), "super");
        if continues {
            return;
        }
        let mut steps = 1;
        let mut rest = rest;
        while is_punct(rest.first(), ':') && is_ident(rest.get(2), "super") {
            steps += 1;
            rest = &rest[3..];
        }
        if steps >= self.modules.len() {
            self.path_from_root(rest, line);
        }
    }

    fn uses(&mut self, module: &str, line: usize) {
        self.report.uses += 1;
        let own = top_module(self.path);
        let may = LAYERS.iter().find(|(name, _)| *name == own).map_or(&[][..], |(_, may)| *may);
        let allowed = module == own || BASE.contains(&module) || may.contains(&"*") || may.contains(&module);
        if !allowed {
            self.breach(line, format!("`{own}` must not use `{module}`"));
        }
    }

    fn function(&mut self, rest: &[TokenTree], line: usize) {
        // `fn(u8) -> u8` is a type.
        let Some(TokenTree::Ident(name)) = rest.first() else { return };
        let body = rest.iter().take_while(|tree| !is_punct(Some(tree), ';')).find_map(|tree| match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
            _ => None,
        });
        let Some(body) = body else { return };
        self.report.functions += 1;
        let lines = body.span_close().end().line + 1 - line;
        if lines > FUNCTION_LINES_MAX {
            self.breach(line, format!("`{name}` has {lines} lines; a function has {FUNCTION_LINES_MAX} at most"));
        }
    }

    fn attribute(&mut self, group: &Group, line: usize) {
        if is_ident(group.stream().into_iter().next().as_ref(), "ignore") {
            self.breach(line, "an ignored test is no test");
        }
        if allows(group.stream()) {
            self.breach(line, "`allow` hides: use `#[expect(lint, reason = \"…\")]`");
        }
    }

    fn awaits(&mut self, line: usize) {
        if self.path.starts_with("src/console/") && !CONSOLE_MAY_AWAIT.iter().any(|part| self.path.starts_with(part)) {
            self.breach(line, "`.await` in the console's state or views");
        }
    }
}

/// `allow(…)`, also within `cfg_attr(…)`.
fn allows(tokens: TokenStream) -> bool {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    trees.iter().enumerate().any(|(at, tree)| match tree {
        TokenTree::Ident(ident) if *ident == "allow" => matches!(trees.get(at + 1), Some(TokenTree::Group(_))),
        TokenTree::Group(group) => allows(group.stream()),
        _ => false,
    })
}

fn is_attribute(before: &[TokenTree], group: &Group) -> bool {
    let hash = if is_punct(before.last(), '!') { before.len().checked_sub(2).and_then(|at| before.get(at)) } else { before.last() };
    group.delimiter() == Delimiter::Bracket && is_punct(hash, '#')
}

/// The name, where `mod name` comes right before a group.
fn inline_module(before: &[TokenTree]) -> Option<String> {
    match before {
        [.., keyword, TokenTree::Ident(name)] if is_ident(Some(keyword), "mod") => Some(name.to_string()),
        _ => None,
    }
}

fn is_punct(tree: Option<&TokenTree>, wanted: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_ident(tree: Option<&TokenTree>, wanted: &str) -> bool {
    matches!(tree, Some(TokenTree::Ident(ident)) if *ident == wanted)
}

/// The punctuation `back` tokens before the last one; of `..` there is none, so that a range is no method call.
fn punct(seen: &[TokenTree], back: usize) -> Option<char> {
    match seen.len().checked_sub(1 + back).map(|at| &seen[at]) {
        Some(TokenTree::Punct(punct)) if punct.spacing() == Spacing::Alone || punct.as_char() == ':' => Some(punct.as_char()),
        _ => None,
    }
}
