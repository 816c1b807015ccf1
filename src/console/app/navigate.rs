//! Moving between screens and within them, and when what is shown is asked for again.

use std::mem::discriminant;

use jiff::{SignedDuration, Timestamp};

use super::{App, Effect, Level, Link, Overlay, Screen};
use crate::console::action::Kind;
use crate::console::app::load::Load;
use crate::console::app::rows::Target;
use crate::console::geometry;
use crate::console::message::{Fetch, Mouse};
use crate::model::subscription::{Delivery, Subscription};
use crate::names::SubscriptionName;
use crate::ops::PeekMode;

/// The history keeps so many screens; the oldest are dropped.
const HISTORY_MAX: usize = 30;

/// What is shown is asked for again this often.
const REFRESH: SignedDuration = SignedDuration::from_secs(4);

/// Listings of many tasks, and Google's numbers (that lag by minutes anyway), are asked for again less often.
const REFRESH_SLOW: SignedDuration = SignedDuration::from_secs(30);

/// While a transfer runs its progress is asked for this often; ticks come once a second.
const REFRESH_TRANSFERS: SignedDuration = SignedDuration::from_millis(900);

/// More tasks than this are a long listing.
const LONG_LISTING: usize = 1000;

/// A call not answered by then is asked again (operations have shorter limits of their own).
const GIVEN_UP: SignedDuration = SignedDuration::from_secs(120);

/// A flash stays this long, unless a key comes first.
const FLASH: SignedDuration = SignedDuration::from_secs(12);

impl App {
    /// Opens a screen: what was ahead in the history is dropped.
    pub(super) fn open(&mut self, screen: Screen) -> Vec<Effect> {
        self.history.truncate(self.at + 1);
        self.history.push(screen);
        if self.history.len() > HISTORY_MAX {
            self.history.remove(0);
        }
        self.at = self.history.len() - 1;
        self.arrive()
    }

    /// Opens a favourite screen; the one on top already is left alone.
    pub(super) fn go(&mut self, kind: Kind) -> Vec<Effect> {
        if self.screen().kind() == kind && self.screen().is_top() {
            return vec![];
        }
        Screen::top(kind).map(|screen| self.open(screen)).unwrap_or_default()
    }

    /// Goes through the history.
    pub(super) fn history_step(&mut self, by: isize) -> Vec<Effect> {
        let to = self.at.saturating_add_signed(by).min(self.history.len() - 1);
        if to == self.at {
            return vec![];
        }
        self.at = to;
        self.arrive()
    }

    fn arrive(&mut self) -> Vec<Effect> {
        self.overlay = Overlay::None;
        self.flash = None;
        let (now, at) = (self.now, self.at);
        self.history[at].sync(&self.data, now);
        self.move_cursor(0);
        let wanted = match self.screen() {
            // A look may cost a delivery attempt: what was had is kept.
            Screen::Messages(messages) if messages.load.value().is_some() => vec![],
            screen => screen.needs(),
        };
        self.begin(&wanted);
        self.fetch(wanted)
    }

    /// Asks for everything that is shown again.
    pub(super) fn refresh(&mut self) -> Vec<Effect> {
        let wanted = self.screen().needs();
        self.begin(&wanted);
        self.fetch(wanted)
    }

    fn begin(&mut self, wanted: &[Fetch]) {
        if !matches!(self.link, Link::Up(_)) {
            return;
        }
        self.screen_mut().begin();
        for fetch in wanted {
            match fetch {
                Fetch::Queues => self.data.queues.begin(),
                Fetch::Topics => self.data.topics.begin(),
                Fetch::Subscriptions => self.data.subscriptions.begin(),
                Fetch::DeadLetters => self.data.dead_letters.begin(),
                Fetch::Jobs => self.data.jobs.begin(),
                Fetch::Transfers => self.data.transfers.begin(),
                Fetch::Activity => self.data.activity.begin(),
                Fetch::Doctor => self.data.doctor.begin(),
                Fetch::Numbers => self.data.numbers.begin(),
                Fetch::Tasks(_) | Fetch::Task(_) | Fetch::Messages(..) | Fetch::Plan(_) => {}
            }
        }
    }

    /// Asks again for what is due.
    pub(super) fn on_tick(&mut self) -> Vec<Effect> {
        if self.flash.as_ref().is_some_and(|flash| self.now.duration_since(flash.since) > FLASH) {
            self.flash = None;
            self.dirty = true;
        }
        let messages = matches!(self.screen(), Screen::Messages(_));
        if messages || matches!(self.overlay, Overlay::Dialog(super::Dialog::Publish(_))) {
            return vec![];
        }
        let due: Vec<Fetch> = self.screen().needs().into_iter().filter(|fetch| self.is_due(fetch)).collect();
        self.fetch(due)
    }

    fn is_due(&self, fetch: &Fetch) -> bool {
        if let Some((_, since)) = self.fetching.get(&discriminant(fetch)) {
            return self.now.duration_since(*since) > GIVEN_UP;
        }
        // Many calls, and what it finds changes slowly: it is asked again by hand.
        if *fetch == Fetch::Doctor {
            return !self.fetched.contains_key(&discriminant(fetch));
        }
        let every = match (fetch, self.screen()) {
            (Fetch::Numbers, _) if !self.is_local() => REFRESH_SLOW,
            (Fetch::Tasks(_), Screen::Tasks(tasks)) if tasks.list.all().len() > LONG_LISTING => REFRESH_SLOW,
            (Fetch::Transfers, _) if self.data.transfer_runs() => REFRESH_TRANSFERS,
            _ => REFRESH,
        };
        self.fetched.get(&discriminant(fetch)).is_none_or(|at| self.now.duration_since(*at) >= every)
    }

    /// Opens what the cursor is on.
    pub(super) fn drill(&mut self) -> Vec<Effect> {
        let next = match self.screen() {
            Screen::Overview(list) => list.selected().map(|row| match &row.target {
                Target::Queue(queue) => Screen::tasks(queue.clone()),
                Target::Subscription(name) => self.messages_of(name.clone()),
                Target::Job(name) => Screen::Job { name: name.clone(), doc: super::Doc::default() },
                Target::DeadLetters => Screen::DeadLetters(super::list::List::sorted("held", true)),
            }),
            Screen::Queues(list) => list.selected().map(|row| Screen::tasks(row.queue.name.clone())),
            Screen::Tasks(tasks) => {
                tasks.list.selected().map(|row| Screen::Task { name: row.task.name.clone(), task: Load::Idle, doc: super::Doc::default() })
            }
            Screen::Topics(list) => {
                list.selected().map(|row| Screen::Subscriptions { topic: Some(row.topic.name.clone()), list: super::list::List::new() })
            }
            Screen::Subscriptions { list, .. } => list.selected().map(|row| self.messages_of(row.subscription.name.clone())),
            Screen::DeadLetters(list) => {
                let holders = list.selected().map(|row| row.relation.holders.clone());
                return self.open_held(holders.as_deref());
            }
            Screen::Messages(messages) => {
                messages.list.selected().map(|row| Screen::message(messages.subscription.clone(), row.message.clone()))
            }
            Screen::Causes { .. } => self.cause_messages(),
            Screen::Jobs(list) => list.selected().map(|row| Screen::Job { name: row.job.name.clone(), doc: super::Doc::default() }),
            Screen::Transfers(list) => {
                list.selected().map(|row| Screen::Transfer { id: row.summary.id.clone(), doc: super::Doc::default() })
            }
            Screen::Activity(_) => return self.describe(),
            Screen::Doctor(list) => list.selected().map(|row| Screen::Text {
                title: "doctor".to_owned(),
                raw: None,
                json: false,
                doc: super::doc::of_finding(&row.finding),
            }),
            _ => None,
        };
        next.map(|screen| self.open(screen)).unwrap_or_default()
    }

    /// Makes the screen of a subscription's messages, looked at in the way that costs least.
    pub(super) fn messages_of(&self, name: SubscriptionName) -> Screen {
        let found = super::data::items(&self.data.subscriptions).iter().find(|one| one.name == name);
        Screen::messages(name, mode_for(found))
    }

    fn open_held(&mut self, holders: Option<&[SubscriptionName]>) -> Vec<Effect> {
        match holders {
            None => vec![],
            Some([]) => {
                self.flash(Level::Warn, "no subscription holds these: what lands on the dead-letter topic is lost");
                vec![]
            }
            Some([one]) => {
                let screen = self.messages_of(one.clone());
                self.open(screen)
            }
            Some(several) => {
                self.pick_subscription("messages of which subscription", several, super::dialog::Choice::OpenMessages);
                vec![]
            }
        }
    }

    fn cause_messages(&self) -> Option<Screen> {
        let Screen::Causes { subscription, mode, rows, as_of, list } = self.screen() else { return None };
        let cause = list.selected()?.cause.clone();
        let rows: Vec<_> = rows.iter().filter(|row| cause.matches(&row.message)).cloned().collect();
        let mut messages = super::screen::Messages {
            subscription: subscription.clone(),
            mode: *mode,
            cause: Some(cause),
            load: Load::Ready(super::load::Meta { as_of: *as_of, ..Default::default() }),
            list: super::list::List::new(),
        };
        messages.list.set_rows(rows, self.now);
        Some(Screen::Messages(messages))
    }

    /// Clears the filter first, then the marks stay and it goes back.
    pub(super) fn back(&mut self) -> Vec<Effect> {
        let now = self.now;
        if let Some(table) = self.screen_mut().table_mut().filter(|table| !table.filter().text().is_empty()) {
            table.set_filter("", now);
            self.move_cursor(0);
            return vec![];
        }
        self.history_step(-1)
    }

    /// Moves the cursor of a list, or scrolls what is shown in full.
    pub(super) fn move_cursor(&mut self, by: isize) {
        let height = self.rows_visible();
        if let Some(table) = self.screen_mut().table_mut() {
            let to = table.cursor().saturating_add_signed(by);
            table.set_cursor(to, height);
        } else if let Some(doc) = self.screen_mut().doc_mut() {
            doc.scroll(by, height);
        }
    }

    /// Returns how many rows of the screen's list, or lines of its text, are visible.
    pub(super) fn rows_visible(&self) -> usize {
        usize::from(geometry::rows_area(self).height).max(1)
    }

    /// Takes in what the mouse does.
    pub(super) fn on_mouse(&mut self, mouse: Mouse, column: u16, row: u16) -> Vec<Effect> {
        /// Rows a turn of the wheel moves.
        const WHEEL_ROWS: isize = 3;
        if !matches!(self.overlay, Overlay::None) {
            return vec![];
        }
        let area = geometry::rows_area(self);
        let height = self.rows_visible();
        match mouse {
            Mouse::ScrollUp | Mouse::ScrollDown => {
                let by = if mouse == Mouse::ScrollUp { -WHEEL_ROWS } else { WHEEL_ROWS };
                if let Some(table) = self.screen_mut().table_mut() {
                    table.scroll(by, height);
                } else if let Some(doc) = self.screen_mut().doc_mut() {
                    doc.scroll(by, height);
                }
            }
            Mouse::Click if row + 1 == area.y => self.sort_by_click(column),
            Mouse::Click if row >= area.y && row < area.bottom() => {
                if let Some(table) = self.screen_mut().table_mut() {
                    let index = table.top() + usize::from(row - area.y);
                    if index < table.len() {
                        table.set_cursor(index, height);
                    }
                }
            }
            Mouse::Click => {}
        }
        vec![]
    }

    fn sort_by_click(&mut self, column: u16) {
        let found = self.screen().table().and_then(|table| crate::console::widget::table::column_at(self, table, column));
        if let Some(index) = found {
            self.sort_by(index);
        }
    }

    /// Sorts by a column; by the same again: the other way round.
    pub(super) fn sort_by(&mut self, column: usize) {
        let now = self.now;
        if let Some(table) = self.screen_mut().table_mut() {
            let descending = match table.sort() {
                Some(sort) if sort.column == column => !sort.descending,
                _ => false,
            };
            table.set_sort(Some(super::Sort { column, descending }), now);
        }
        self.move_cursor(0);
    }

    /// Notes when something was answered.
    pub(super) fn note_fetched(&mut self, slot: std::mem::Discriminant<Fetch>, at: Timestamp) {
        self.fetched.insert(slot, at);
    }
}

/// Looks by lease where that costs nothing; by snapshot where a release would count as a delivery attempt or nothing can be pulled.
fn mode_for(subscription: Option<&Subscription>) -> PeekMode {
    match subscription {
        Some(one) if one.dead_letters.is_some() || one.delivery != Delivery::Pull || one.exactly_once => PeekMode::Snapshot,
        _ => PeekMode::Leased,
    }
}
