//! One thing shown in full: facts above, panels of text below. Made once when the thing is had, scrolled afterwards.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::console::app::list::Table;
use crate::console::app::rows::{in_words, status_text, status_words, target_text, what};
use crate::console::app::value::{Value, grouped, moment, short};
use crate::console::theme::Role;
use crate::model::job::Job;
use crate::model::message::{DEAD_LETTER_PREFIX, Message};
use crate::model::task::{Attempt, Task};
use crate::model::text;
use crate::ops::transfer::Summary;
use crate::ops::{Finding, HandlerAnswer, Health};

/// A body is shown to this size; the rest is cut, and said to be.
const BODY_BYTES_SHOWN: usize = 256 * 1024;

/// Words for people are folded at this width.
const WORDS_WIDTH: usize = 74;

/// Bytes on one line of a hexadecimal dump.
const HEX_BYTES_PER_LINE: usize = 16;

/// A label with its value.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    /// What it is.
    pub(crate) label: String,
    /// What it is worth.
    pub(crate) value: Value<'static>,
    /// A role, where it should stand out.
    pub(crate) tone: Option<Role>,
}

/// A titled block of lines, escaped.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    /// Its title.
    pub(crate) title: String,
    /// Its lines, escaped.
    pub(crate) lines: Vec<String>,
    /// Whether it is coloured as JSON or YAML.
    pub(crate) code: bool,
}

/// One thing in full.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doc {
    /// Labels with values.
    pub(crate) facts: Vec<Fact>,
    /// Blocks of lines; the first is the one that scrolls.
    pub(crate) panels: Vec<Panel>,
    /// The first line shown.
    pub(crate) top: usize,
    /// Columns scrolled to the right.
    pub(crate) left: usize,
}

impl Doc {
    /// Replaces what is shown and stays where it was scrolled to.
    pub(crate) fn replace(&mut self, other: Doc) {
        let (top, left) = (self.top, self.left);
        *self = Doc { top, left, ..other };
        self.scroll(0, 1);
    }

    /// Scrolls by lines, of which `height` are on the screen.
    pub(crate) fn scroll(&mut self, by: isize, height: usize) {
        let lines = self.panels.iter().map(|panel| panel.lines.len()).max().unwrap_or(0);
        self.top = self.top.saturating_add_signed(by).min(lines.saturating_sub(height.max(1)));
    }

    /// Scrolls by columns.
    pub(crate) fn shift(&mut self, by: isize) {
        /// Lines are looked at up to this column.
        const COLUMN_MAX: usize = 2000;
        self.left = self.left.saturating_add_signed(by).min(COLUMN_MAX);
    }

    /// Returns all of it as text, for a file.
    pub(crate) fn text(&self, now: jiff::Timestamp) -> String {
        let mut out = String::new();
        for fact in &self.facts {
            let _ = writeln!(out, "{}: {}", fact.label, text::line(&fact.value.show(now)));
        }
        for panel in &self.panels {
            let _ = writeln!(out, "\n# {}\n{}", panel.title, panel.lines.join("\n"));
        }
        out
    }
}

fn fact(label: &str, value: Value<'static>) -> Fact {
    Fact { label: label.to_owned(), value, tone: None }
}

fn said(label: &str, text: impl Into<String>) -> Fact {
    fact(label, Value::text(text.into()))
}

/// Describes a row by its columns, with where its number comes from.
pub(crate) fn of_row(table: &dyn Table, index: usize, raw: Option<&Json>, now: jiff::Timestamp) -> Doc {
    let columns = table.columns().iter().enumerate().filter(|(_, column)| !column.title.is_empty() && column.id != "trend");
    let mut facts: Vec<Fact> = vec![said("name", table.key(index))];
    if let Some((source, as_of)) = table.measured(index) {
        let age = crate::console::app::value::distance(as_of, now);
        facts.push(said("numbers", format!("from {}, as of {age} ago", source_name(source))));
    }
    facts.extend(columns.map(|(at, column)| Fact {
        label: column.title.to_owned(),
        value: table.value(index, at).into_owned(),
        tone: table.tone(index, at),
    }));
    Doc { facts, panels: raw.map(|raw| yaml_panel("resource", raw)).into_iter().collect(), ..Doc::default() }
}

/// Names where a number comes from.
pub(crate) fn source_name(source: crate::model::numbers::Source) -> &'static str {
    match source {
        crate::model::numbers::Source::Monitoring => "Monitoring",
        crate::model::numbers::Source::Stats => "queue statistics",
        crate::model::numbers::Source::Counted => "counting",
    }
}

/// Shows a resource as YAML.
pub(crate) fn yaml_panel(title: &str, raw: &Json) -> Panel {
    let yaml = serde_saphyr::to_string(raw).unwrap_or_else(|error| format!("# {error}"));
    Panel { title: title.to_owned(), lines: lines_of(&yaml), code: true }
}

/// Shows a resource as JSON.
pub(crate) fn json_panel(title: &str, raw: &Json) -> Panel {
    let json = serde_json::to_string_pretty(raw).unwrap_or_else(|error| error.to_string());
    Panel { title: title.to_owned(), lines: lines_of(&json), code: true }
}

fn lines_of(text: &str) -> Vec<String> {
    text::lines(text).lines().map(str::to_owned).collect()
}

/// Shows a payload: JSON set out, other text as it is, bytes as hexadecimal.
pub(crate) fn body_panel(title: &str, data: &[u8]) -> Panel {
    let cut = data.len() > BODY_BYTES_SHOWN;
    let parsed = if cut { None } else { serde_json::from_slice::<Json>(data).ok() };
    let (kind, mut lines, code) = match (parsed, std::str::from_utf8(data)) {
        _ if data.is_empty() => ("empty", Vec::new(), false),
        (Some(json), _) => ("JSON", json_panel("", &json).lines, true),
        (None, Ok(text)) => {
            let mut end = BODY_BYTES_SHOWN.min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            ("text", lines_of(&text[..end]), false)
        }
        (None, Err(_)) => ("binary", hex_lines(&data[..data.len().min(BODY_BYTES_SHOWN)]), false),
    };
    if cut {
        lines.push(format!("… cut here: {} bytes in all", grouped(data.len() as u64)));
    }
    Panel { title: format!("{title}  {kind}  {} B", grouped(data.len() as u64)), lines, code }
}

fn hex_lines(data: &[u8]) -> Vec<String> {
    let line = |(index, chunk): (usize, &[u8])| {
        let hex = chunk.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x} ");
            hex
        });
        let text: String =
            chunk.iter().map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' }).collect();
        format!("{:08x}  {hex:<48} {text}", index * HEX_BYTES_PER_LINE)
    };
    data.chunks(HEX_BYTES_PER_LINE).enumerate().map(line).collect()
}

fn pairs_panel<'a>(title: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Panel {
    let pairs: Vec<_> = pairs.map(|(key, value)| (text::line(key), text::line(value))).collect();
    let width = pairs.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0).min(32);
    Panel { title: title.to_owned(), lines: pairs.iter().map(|(key, value)| format!("{key:<width$}  {value}")).collect(), code: false }
}

/// Shows a task: request, headers, body, attempts.
pub(crate) fn of_task(task: &Task) -> Doc {
    let request = &task.request;
    let mut facts = vec![
        said("request", format!("{} {}", request.method, request.url)),
        said("attempts", format!("{} begun, {} answered", task.dispatch_count, task.response_count)),
        fact("due", Value::time(task.schedule_time)),
        fact("age", Value::time(task.create_time)),
    ];
    if let Some(deadline) = task.dispatch_deadline {
        facts.push(said("deadline", short(deadline)));
    }
    if let Some(account) = &request.token_account {
        facts.push(said("token of", account.clone()));
    }
    facts.extend(
        task.first_attempt
            .as_ref()
            .filter(|_| task.first_attempt != task.last_attempt)
            .map(|attempt| attempt_fact("first attempt", attempt)),
    );
    facts.extend(task.last_attempt.as_ref().map(|attempt| attempt_fact("last attempt", attempt)));
    let mut panels = Vec::new();
    if task.full {
        panels.push(body_panel("body", &request.body));
        panels.push(pairs_panel("headers", request.headers.iter().map(|(k, v)| (k.as_str(), v.as_str()))));
    } else {
        panels.push(Panel {
            title: "body".to_owned(),
            lines: vec!["not shown: reading it needs the permission cloudtasks.tasks.fullView".to_owned()],
            code: false,
        });
    }
    Doc { facts, panels, ..Doc::default() }
}

fn attempt_fact(label: &str, attempt: &Attempt) -> Fact {
    let when = attempt.dispatch_time.or(attempt.schedule_time).map(moment).unwrap_or_default();
    let failed = attempt.status.as_ref().is_some_and(|(code, _)| *code != 0) && attempt.response_time.is_some();
    let answer = status_text(attempt).unwrap_or_else(|| "not answered".to_owned());
    Fact { label: label.to_owned(), value: Value::text(format!("{when}  {answer}")), tone: failed.then_some(Role::StateError) }
}

/// Shows a message: payload, attributes, where it came from.
pub(crate) fn of_message(message: &Message) -> Doc {
    let mut facts = vec![said("id", message.id.clone()), fact("published", Value::time(message.publish_time))];
    if let Some(time) = message.publish_time {
        facts.push(said("at", moment(time)));
    }
    if !message.ordering_key.is_empty() {
        facts.push(said("ordering key", message.ordering_key.clone()));
    }
    if let Some(attempt) = message.delivery_attempt {
        facts.push(fact("attempt here", Value::Count(attempt.into())));
    }
    if let Some(from) = message.provenance() {
        let name = from.subscription.map_or_else(|| "?".to_owned(), |name| name.id().to_owned());
        let count = from.delivery_count.map(|n| format!(" after {n} deliveries")).unwrap_or_default();
        facts.push(Fact { label: "given up by".to_owned(), value: Value::text(format!("{name}{count}")), tone: Some(Role::StateWarn) });
        facts.extend(from.publish_time.map(|time| said("first published", moment(time))));
    }
    let own = message.attributes.iter().filter(|(key, _)| !key.starts_with(DEAD_LETTER_PREFIX));
    let panels = vec![body_panel("payload", &message.data), pairs_panel("attributes", own.map(|(k, v)| (k.as_str(), v.as_str())))];
    Doc { facts, panels, ..Doc::default() }
}

/// Returns a message as JSON; bytes that are no text are told by their length.
pub(crate) fn message_json(message: &Message) -> Json {
    let data = serde_json::from_slice::<Json>(&message.data).unwrap_or_else(|_| match std::str::from_utf8(&message.data) {
        Ok(text) => json!(text),
        Err(_) => json!(text::preview(&message.data, 80)),
    });
    json!({
        "messageId": message.id, "publishTime": message.publish_time.map(|t| t.to_string()), "orderingKey": message.ordering_key,
        "attributes": message.attributes, "deliveryAttempt": message.delivery_attempt, "data (decoded)": data,
    })
}

/// Shows a job.
pub(crate) fn of_job(job: &Job) -> Doc {
    let status = job.status.as_ref().map(|(code, text)| (*code != 0, status_words(*code, text)));
    let mut facts = vec![
        said("schedule", format!("{}  ({})", in_words(&job.schedule), job.schedule)),
        said("time zone", if job.time_zone.is_empty() { "UTC" } else { &job.time_zone }),
        said("target", target_text(&job.target)),
        said("state", format!("{:?}", job.state).to_lowercase()),
        fact("next run", Value::time(job.next_run)),
        fact("last run", Value::time(job.last_attempt)),
    ];
    if let Some((failed, text)) = status {
        facts.push(Fact { label: "last result".to_owned(), value: Value::text(text), tone: failed.then_some(Role::StateError) });
    }
    if !job.description.is_empty() {
        facts.push(said("description", job.description.clone()));
    }
    Doc { facts, panels: vec![yaml_panel("resource", &job.raw)], ..Doc::default() }
}

/// Shows a transfer.
pub(crate) fn of_transfer(summary: &Summary) -> Doc {
    let counts = summary.counts;
    let n = |count: u64| Value::Count(count);
    let mut facts = vec![
        said("what", what(&summary.request)),
        said("state", crate::console::app::rows::state_word(summary.state)),
        fact("seen", n(counts.seen)),
        fact("moved", n(counts.moved)),
        fact("discarded", n(counts.discarded)),
        fact("skipped", n(counts.skipped)),
        fact("failed", n(counts.failed)),
        fact("remaining", n(counts.remaining)),
        said("began", moment(summary.started)),
    ];
    if summary.duplicates_max > 0 {
        facts.push(Fact {
            label: "published twice".to_owned(),
            value: Value::text(format!("at most {}", grouped(summary.duplicates_max))),
            tone: Some(Role::StateWarn),
        });
    }
    facts.extend(summary.ended.map(|time| said("ended", moment(time))));
    facts.extend(summary.copy.as_ref().map(|path| said("kept copy", path.display().to_string())));
    let lines: Vec<String> = summary.errors.iter().rev().map(|error| text::line(error).into_owned()).collect();
    let panels = if lines.is_empty() { vec![] } else { vec![Panel { title: "errors, newest first".to_owned(), lines, code: false }] };
    Doc { facts, panels, ..Doc::default() }
}

/// Shows what the doctor found, and what to do about it.
pub(crate) fn of_finding(finding: &Finding) -> Doc {
    let (word, tone) = match finding.health {
        Health::Bad => ("bad", Some(Role::StateError)),
        Health::Warn => ("may become bad", Some(Role::StateWarn)),
        Health::Good => ("good", Some(Role::StateOk)),
    };
    let health = Fact { label: "health".to_owned(), value: Value::text(word), tone };
    let facts = vec![said("what", finding.about.clone()), health];
    let panel = |title: &str, lines: Vec<String>| Panel { title: title.to_owned(), lines, code: false };
    let mut panels = vec![panel("found", folded(&finding.found))];
    if !finding.advice.is_empty() {
        panels.push(panel("what to do", finding.advice.iter().flat_map(|step| folded(step)).collect()));
    }
    Doc { facts, panels, ..Doc::default() }
}

/// Breaks words for people into lines that fit the narrowest terminal; what is in backticks stays whole, to be copied.
fn folded(words: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut literal = false;
    let pieces = words.split(|c: char| {
        literal ^= c == '`';
        c == ' ' && !literal
    });
    for word in pieces {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < WORDS_WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Shows what a local handler answered.
pub(crate) fn answer_lines(answer: &HandlerAnswer) -> Vec<String> {
    let mut lines = vec![format!("HTTP {}  in {}", answer.status, short(answer.took))];
    lines.extend(answer.headers.iter().map(|(key, value)| format!("{}: {}", text::line(key), text::line(value))));
    lines.push(String::new());
    lines.extend(body_panel("", &answer.body).lines);
    lines
}
