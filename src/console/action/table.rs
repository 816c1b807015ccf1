//! The rows of the table of actions.

use super::{Act, Action, Danger, Group, Kind, On};
use Danger::{Asks, Changes, Reads};
use Group::{Actions, Moving, View};

const QUEUES: On = On::only(&[Kind::Queues]);
const TASKS: On = On::only(&[Kind::Tasks, Kind::Task]);
const TASK: On = On::only(&[Kind::Task]);
const JOBS: On = On::only(&[Kind::Jobs, Kind::Job]);
const HELD: On = On::only(&[Kind::DeadLetters, Kind::Messages, Kind::Message, Kind::Causes]);
const EDITED: On = On::only(&[Kind::Messages, Kind::Message, Kind::Causes]);
const UNDOES: On = On::only(&[Kind::Transfers, Kind::Subscriptions]);
const SUBSCRIPTIONS: On = On::only(&[Kind::Subscriptions]);
const MESSAGES: On = On::only(&[Kind::Messages]);
const TRANSFERS: On = On::only(&[Kind::Transfers]);
const MOVING: On = On::only(&[Kind::Transfers, Kind::Transfer]);
const PUBLISHES: On = On::only(&[Kind::Topics, Kind::Subscriptions, Kind::Messages]);
const SCROLLS: On = On::DETAILS;

#[rustfmt::skip]
#[expect(clippy::too_many_arguments, reason = "one row of a table, written as one line")]
const fn row(act: Act, id: &'static str, keys: &'static [&'static str], on: On, hint: &'static str, doc: &'static str, danger: Danger, group: Group) -> Action {
    Action { act, id, keys, on, hint, doc, danger, group }
}

/// All actions. Where a key has two meanings, the row of fewer screens wins there.
#[rustfmt::skip]
pub(crate) const ACTIONS: &[Action] = &[
    row(Act::Redrive,         "dlq.redrive",        &["R"],              HELD,      "redrive…",  "Sends dead letters (all, or the marked ones) back to where they failed", Asks, Actions),
    row(Act::DiscardMessages, "dlq.discard",        &["ctrl-d"],         HELD,      "discard…",  "Takes messages off the subscription (all, or the marked ones) after a copy is kept on disk", Asks, Actions),
    row(Act::ReplayMessages,  "dlq.replay",         &["x"],              HELD,      "",          "Sends messages (all, or the marked ones) to a handler on this machine, without credentials; they stay where they are", Asks, Actions),
    row(Act::ExportMessages,  "dlq.export",         &["E"],              HELD,      "",          "Writes messages (all, or the marked ones) to a file that can be imported again; they stay where they are", Asks, Actions),
    row(Act::EditMessage,     "dlq.edit",           &["e"],              EDITED,    "edit…",     "Opens the message in your editor; redrives it, the marked ones or those of its cause with what was changed", Asks, Actions),
    row(Act::Undo,            "undo",               &["z"],              UNDOES,    "",          "Puts back what a discard took away, or how a held subscription pushed", Changes, Actions),
    row(Act::Hold,            "subscription.hold",  &["H"],              SUBSCRIPTIONS, "",      "Turns a push subscription to pull, so that its messages wait; `z` puts its configuration back", Asks, Actions),
    row(Act::MoveTasks,       "task.move",          &["m"],              TASKS,     "",          "Moves the task (or the marked ones) to another queue: created there, then deleted here", Asks, Actions),
    row(Act::EditTask,        "task.edit",          &["e"],              TASK,      "edit…",     "Opens the task in your editor: when it is due, URL, method, headers, body; created anew with what was changed, then deleted", Asks, Actions),
    row(Act::Group,           "messages.group",     &["g"],              MESSAGES,  "by cause",  "Groups messages by why they failed", Reads, Actions),
    row(Act::Lease,           "messages.lease",     &["L"],              MESSAGES,  "",          "Looks by leasing instead of a snapshot, or back; leasing may count as a delivery attempt", Changes, Actions),
    row(Act::ToggleQueue,     "queue.pause",        &["P"],              QUEUES,    "pause/resume", "Pauses a running queue, resumes a paused one", Changes, Actions),
    row(Act::PurgeQueue,      "queue.purge",        &["X"],              QUEUES,    "purge…",    "Deletes every task of a queue; cannot be undone", Asks, Actions),
    row(Act::RunTask,         "task.run",           &["r"],              TASKS,     "run now",   "Dispatches the task (or the marked ones) now, also in a paused queue", Changes, Actions),
    row(Act::DebugTask,       "task.debug",         &["x"],              TASKS,     "debug",     "Shows the task as curl, and sends it to a handler on this machine", Reads, Actions),
    row(Act::DiscardTasks,    "task.discard",       &["ctrl-d"],         TASKS,     "discard…",  "Deletes tasks (this one, the marked or the filtered ones) after a copy is kept on disk", Asks, Actions),
    row(Act::Publish,         "topic.publish",      &["p"],              PUBLISHES, "publish",   "Opens an editor for a message to publish to the topic", Changes, Actions),
    row(Act::RunJob,          "job.run",            &["r"],              JOBS,      "run now",   "Runs a scheduled job now", Changes, Actions),
    row(Act::ToggleJob,       "job.pause",          &["P"],              JOBS,      "pause/resume", "Pauses an enabled job, resumes a paused one", Changes, Actions),
    row(Act::ResumeTransfer,  "transfer.resume",    &["r"],              MOVING,    "resume",    "Goes on with a transfer that was cancelled or stopped", Changes, Actions),
    row(Act::CancelTransfer,  "transfer.cancel",    &["ctrl-c"],         MOVING,    "cancel",    "Stops a running transfer; what is leased is released, and it can be resumed", Changes, Actions),
    row(Act::PruneTransfers,  "transfer.prune",     &["X"],              TRANSFERS, "",          "Deletes the kept copies of discards that are done (this one, or the marked ones); they cannot be undone then", Asks, Actions),

    row(Act::Open,            "nav.open",           &["enter"],          On::LISTS, "open",      "Opens what the cursor is on", Reads, Moving),
    row(Act::Back,            "nav.back",           &["esc"],            On::ALL,   "",          "Clears the filter first, then goes back", Reads, Moving),
    row(Act::Up,              "nav.up",             &["up", "k"],        On::ALL,   "",          "Moves up", Reads, Moving),
    row(Act::Down,            "nav.down",           &["down", "j"],      On::ALL,   "",          "Moves down", Reads, Moving),
    row(Act::PageUp,          "nav.page-up",        &["pageup", "ctrl-b"], On::ALL, "",          "Moves up a page", Reads, Moving),
    row(Act::PageDown,        "nav.page-down",      &["pagedown", "ctrl-f"], On::ALL, "",        "Moves down a page", Reads, Moving),
    row(Act::Top,             "nav.top",            &["home"],           On::ALL,   "",          "Moves to the first row", Reads, Moving),
    row(Act::Bottom,          "nav.bottom",         &["end", "G"],       On::ALL,   "",          "Moves to the last row", Reads, Moving),
    row(Act::Left,            "nav.left",           &["left", "h"],      SCROLLS,   "",          "Scrolls left", Reads, Moving),
    row(Act::Right,           "nav.right",          &["right", "l"],     SCROLLS,   "",          "Scrolls right", Reads, Moving),
    row(Act::HistoryBack,     "nav.history-back",   &["["],              On::ALL,   "",          "Goes to the screen before, in the order visited", Reads, Moving),
    row(Act::HistoryForward,  "nav.history-forward", &["]"],             On::ALL,   "",          "Goes forward again", Reads, Moving),
    row(Act::Favourite(Kind::Overview),      "go.overview",      &["1"], On::ALL,   "",          "Opens the overview", Reads, Moving),
    row(Act::Favourite(Kind::Queues),        "go.queues",        &["2"], On::ALL,   "",          "Opens the queues", Reads, Moving),
    row(Act::Favourite(Kind::Topics),        "go.topics",        &["3"], On::ALL,   "",          "Opens the topics", Reads, Moving),
    row(Act::Favourite(Kind::Subscriptions), "go.subscriptions", &["4"], On::ALL,   "",          "Opens the subscriptions", Reads, Moving),
    row(Act::Favourite(Kind::DeadLetters),   "go.dead-letters",  &["5"], On::ALL,   "",          "Opens the dead letters", Reads, Moving),
    row(Act::Favourite(Kind::Jobs),          "go.jobs",          &["6"], On::ALL,   "",          "Opens the scheduled jobs", Reads, Moving),
    row(Act::Favourite(Kind::Transfers),     "go.transfers",     &["w", "7"], On::ALL, "",       "Opens the transfers", Reads, Moving),
    row(Act::Favourite(Kind::Activity),      "go.activity",      &["@", "8"], On::ALL, "",       "Opens what was asked for and how it ended", Reads, Moving),
    row(Act::Favourite(Kind::Doctor),        "go.doctor",        &["D"], On::ALL,   "doctor",    "Looks at connection, rights, clock, data folder, transfers and dead letters, and says what to do", Reads, Moving),

    row(Act::Command,         "app.command",        &[":"],              On::ALL,   "command",   "Opens the command line, with completion", Reads, View),
    row(Act::Filter,          "app.filter",         &["/"],              On::LISTS, "filter",    "Filters the rows: text, `!text`, `~fuzzy`, or terms such as `state=paused attempts>5 age>2h`", Reads, View),
    row(Act::Help,            "app.help",           &["?"],              On::ALL,   "help",      "Shows the keys of this very screen", Reads, View),
    row(Act::Mark,            "mark.toggle",        &["space"],          On::LISTS, "mark",      "Marks the row, or takes the mark off", Reads, View),
    row(Act::MarkRange,       "mark.range",         &["v", "ctrl-space"], On::LISTS, "",         "Marks from the last marked row to this one", Reads, View),
    row(Act::MarkClear,       "mark.clear",         &["ctrl-\\"],        On::LISTS, "",          "Takes all marks off", Reads, View),
    row(Act::Describe,        "row.describe",       &["d"],              On::ALL,   "describe",  "Describes the resource: every number with its source and age", Reads, View),
    row(Act::Raw,             "row.raw",            &["y"],              On::ALL,   "raw",       "Shows the resource as Google's own YAML; again: JSON", Reads, View),
    row(Act::Copy,            "row.copy",           &["c"],              On::ALL,   "",          "Copies the name (a task: its curl command) through the terminal", Reads, View),
    row(Act::WebConsole,      "row.console",        &["b"],              On::ALL,   "",          "Copies and shows the address in Google's web console", Reads, View),
    row(Act::SortPick,        "table.sort",         &["s"],              On::LISTS, "sort",      "Picks the column to sort by", Reads, View),
    row(Act::SortInvert,      "table.invert",       &["I"],              On::LISTS, "",          "Turns the order round", Reads, View),
    row(Act::ColumnLeft,      "table.column-left",  &["shift-left"],     On::LISTS, "",          "Sorts by the column to the left", Reads, View),
    row(Act::ColumnRight,     "table.column-right", &["shift-right"],    On::LISTS, "",          "Sorts by the column to the right", Reads, View),
    row(Act::Wide,            "table.wide",         &["ctrl-w"],         On::LISTS, "",          "Shows more columns, or fewer", Reads, View),
    row(Act::Save,            "table.save",         &["ctrl-s"],         On::ALL,   "",          "Saves what is shown to a file only you can read", Reads, View),
    row(Act::Refresh,         "app.refresh",        &["ctrl-r"],         On::ALL,   "",          "Asks again now", Reads, View),
    row(Act::Mouse,           "app.mouse",          &["M"],              On::ALL,   "",          "Switches the mouse off, so that the terminal selects text, or on", Reads, View),
    row(Act::Quit,            "app.quit",           &["q", "ctrl-c"],    On::ALL,   "quit",      "Goes back; quits from the top screen (`:q` quits from anywhere)", Reads, View),
];
