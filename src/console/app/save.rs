//! What leaves the screen: rows as a file, addresses in the web console.

use super::{App, Effect, Level, Screen};
use crate::model::text;

/// A file gets at most so many rows; more are cut, and said to be.
const ROWS_SAVED_MAX: usize = 200_000;

impl App {
    /// Saves what is shown: a list as comma-separated values, anything else as text.
    pub(super) fn save(&mut self) -> Vec<Effect> {
        let name = format!("redrive-{}", self.screen().crumbs().join("-").replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-"));
        let (extension, content) = if let Some(table) = self.screen().table() {
            let columns = table.columns();
            let mut out = columns.iter().map(|column| quoted(column.id)).collect::<Vec<_>>().join(",");
            out.push('\n');
            for index in 0..table.len().min(ROWS_SAVED_MAX) {
                let cells: Vec<String> = (0..columns.len()).map(|column| quoted(&plain(&table.value(index, column)))).collect();
                out.push_str(&cells.join(","));
                out.push('\n');
            }
            if table.len() > ROWS_SAVED_MAX {
                self.flash(Level::Warn, format!("only the first {ROWS_SAVED_MAX} rows are saved"));
            }
            ("csv", out)
        } else if let Some(doc) = self.screen().doc() {
            ("txt", doc.text(self.now))
        } else {
            return vec![];
        };
        vec![Effect::Save { name, extension, content }]
    }
}

/// Writes a cell for other programs: plain numbers, moments in full.
fn plain(value: &super::Value<'_>) -> String {
    use super::Value;
    match value {
        Value::None | Value::Unknown => String::new(),
        Value::Text(text) | Value::State(_, text) => text::line(text).into_owned(),
        Value::Count(count) => count.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Time(time) => time.to_string(),
        Value::Span(span) => span.as_secs_f64().to_string(),
        Value::Series(points) => points.last().map(ToString::to_string).unwrap_or_default(),
        Value::Progress(done, all) => format!("{done}/{all}"),
    }
}

/// Quotes a cell; what a spreadsheet would run as a formula is made text.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '@']) || (cell.starts_with('-') && cell.parse::<f64>().is_err());
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

/// Returns the address of what is under the cursor, or shown, in Google's web console.
pub(super) fn web_address(screen: &Screen, project: &str) -> Option<String> {
    let base = "https://console.cloud.google.com";
    let path = match screen {
        Screen::Queues(list) => list.selected().map(|row| queue_path(&row.queue.name))?,
        Screen::Tasks(tasks) => queue_path(&tasks.queue),
        Screen::Task { name, .. } => queue_path(name.queue()),
        Screen::Topics(list) => format!("cloudpubsub/topic/detail/{}", list.selected()?.topic.name.id()),
        Screen::Subscriptions { list, .. } => format!("cloudpubsub/subscription/detail/{}", list.selected()?.subscription.name.id()),
        Screen::DeadLetters(list) => format!("cloudpubsub/subscription/detail/{}", list.selected()?.relation.source.id()),
        Screen::Messages(messages) => format!("cloudpubsub/subscription/detail/{}", messages.subscription.id()),
        Screen::Message { subscription, .. } | Screen::Causes { subscription, .. } => {
            format!("cloudpubsub/subscription/detail/{}", subscription.id())
        }
        Screen::Jobs(_) | Screen::Job { .. } => "cloudscheduler".to_owned(),
        Screen::Overview(_) => "home/dashboard".to_owned(),
        Screen::Transfers(_) | Screen::Transfer { .. } | Screen::Activity(_) | Screen::Doctor(_) | Screen::Text { .. } => return None,
    };
    Some(format!("{base}/{path}?project={project}"))
}

fn queue_path(queue: &crate::names::QueueName) -> String {
    format!("cloudtasks/queue/{}/{}/tasks", queue.location().id(), queue.id())
}
