//! The editor of a message: payload with a live JSON check, attributes, ordering key.

use std::collections::BTreeMap;

use crossterm::event::{Event, KeyCode, KeyModifiers};
use ratatui_textarea::TextArea;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::{Choice, Reply};
use crate::console::key::Key;
use crate::console::message::Operation;
use crate::model::message::Draft;
use crate::names::TopicName;

/// Pub/Sub takes at most so many attributes.
const ATTRIBUTES_MAX: usize = 100;

/// Pub/Sub takes at most so many bytes of payload.
const PAYLOAD_BYTES_MAX: usize = 10_000_000;

/// What has the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Payload,
    Attributes,
    Key,
    Cancel,
    Send,
}

const FIELDS: [Field; 5] = [Field::Payload, Field::Attributes, Field::Key, Field::Cancel, Field::Send];

/// A message being written.
pub(crate) struct Publish {
    /// Where it goes.
    pub(crate) topic: TopicName,
    /// The payload.
    pub(crate) payload: TextArea<'static>,
    /// The attributes, one `key=value` a line.
    pub(crate) attributes: TextArea<'static>,
    /// The ordering key.
    pub(crate) key: Input,
    /// What has the focus.
    pub(crate) focus: Field,
    /// What is to be said of the payload: whether it is JSON, and where not.
    pub(crate) check: Result<String, String>,
    /// Why it cannot be, or was not, published.
    pub(crate) problem: Option<String>,
    /// Whether it is on its way.
    pub(crate) sending: bool,
}

impl Publish {
    /// Opens the editor.
    pub(crate) fn new(topic: TopicName) -> Self {
        let mut this = Self {
            topic,
            payload: TextArea::default(),
            attributes: TextArea::default(),
            key: Input::default(),
            focus: Field::Payload,
            check: Ok(String::new()),
            problem: None,
            sending: false,
        };
        this.recheck();
        this
    }

    /// Hands a key to the editor.
    pub(crate) fn key(&mut self, key: Key) -> Reply {
        match (key.code, self.focus) {
            (KeyCode::Esc, _) | (KeyCode::Enter, Field::Cancel) if key.modifiers.is_empty() => return Reply::Close,
            (KeyCode::Tab, _) | (KeyCode::Enter, Field::Key) => self.move_focus(1),
            (KeyCode::BackTab, _) => self.move_focus(FIELDS.len() - 1),
            (KeyCode::Enter, focus) if focus == Field::Send || key.modifiers.contains(KeyModifiers::ALT) => return self.send(),
            (KeyCode::Left, Field::Send) => self.focus = Field::Cancel,
            (KeyCode::Right, Field::Cancel) => self.focus = Field::Send,
            (_, Field::Payload) => {
                self.payload.input(key.event());
                self.recheck();
            }
            (_, Field::Attributes) => {
                self.attributes.input(key.event());
                self.problem = None;
            }
            (_, Field::Key) => {
                self.key.handle_event(&Event::Key(key.event()));
            }
            _ => {}
        }
        Reply::Stay
    }

    /// Puts pasted text where the cursor is.
    pub(crate) fn paste(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        match self.focus {
            Field::Payload => {
                self.payload.insert_str(&text);
                self.recheck();
            }
            Field::Attributes => {
                self.attributes.insert_str(&text);
            }
            Field::Key => {
                let joined = format!("{}{}", self.key.value(), text.replace('\n', ""));
                self.key = Input::new(joined);
            }
            Field::Cancel | Field::Send => {}
        }
    }

    /// Notes that it could not be published.
    pub(crate) fn failed(&mut self, why: String) {
        self.sending = false;
        self.problem = Some(why);
    }

    fn move_focus(&mut self, by: usize) {
        let at = FIELDS.iter().position(|field| *field == self.focus).unwrap_or(0);
        self.focus = FIELDS[(at + by) % FIELDS.len()];
    }

    fn send(&mut self) -> Reply {
        if self.sending {
            return Reply::Stay;
        }
        match self.draft() {
            Ok(draft) => {
                self.sending = true;
                self.problem = None;
                Reply::Start(Choice::Operate(Operation::Publish(self.topic.clone(), Box::new(draft))))
            }
            Err(problem) => {
                self.problem = Some(problem);
                Reply::Stay
            }
        }
    }

    fn draft(&self) -> Result<Draft, String> {
        let payload = self.payload.lines().join("\n");
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(format!("the payload has {} bytes, Pub/Sub takes {PAYLOAD_BYTES_MAX}", payload.len()));
        }
        let mut attributes = BTreeMap::new();
        for (index, line) in self.attributes.lines().iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let (key, value) = line.split_once('=').ok_or_else(|| format!("attributes, line {}: write `key=value`", index + 1))?;
            let key = key.trim();
            if key.is_empty() || key.len() > 256 || key.starts_with("goog") {
                return Err(format!("attributes, line {}: a key has 1 to 256 bytes and does not begin with `goog`", index + 1));
            }
            if value.trim().len() > 1024 {
                return Err(format!("attributes, line {}: a value has at most 1024 bytes", index + 1));
            }
            attributes.insert(key.to_owned(), value.trim().to_owned());
        }
        if attributes.len() > ATTRIBUTES_MAX {
            return Err(format!("{} attributes, Pub/Sub takes {ATTRIBUTES_MAX}", attributes.len()));
        }
        if payload.is_empty() && attributes.is_empty() {
            return Err("a message needs a payload or an attribute".to_owned());
        }
        Ok(Draft { data: payload.into(), attributes, ordering_key: self.key.value().trim().to_owned() })
    }

    fn recheck(&mut self) {
        let text = self.payload.lines().join("\n");
        self.problem = None;
        self.check = match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            _ if text.trim().is_empty() => Ok("empty".to_owned()),
            Ok(_) => Ok(format!("JSON, {} B", text.len())),
            Err(error) => Err(format!("no JSON: line {}, column {}", error.line(), error.column())),
        };
    }
}
