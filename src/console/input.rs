//! From the terminal's events to messages. Takes out the terminal's late answer to our question for its background, which would look like keys.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};

use crate::console::key::Key;
use crate::console::message::{Message, Mouse};

/// The question: what is your background? (OSC 11)
pub(crate) const ASK_BACKGROUND: &str = "\x1b]11;?\x1b\\";

/// An answer is at most this long; what goes on longer was typed.
const ANSWER_CHARS_MAX: usize = 64;

/// What an event comes to.
#[derive(Debug)]
pub(crate) enum Input {
    /// Something for the console.
    Message(Message),
    /// The terminal's background: whether it is light.
    Background(bool),
    /// Nothing.
    Nothing,
}

/// Reads events one after the other.
///
/// Not `terminal-colorsaurus`: it must be waited for, and what is typed while it reads is lost. The answer comes through the same stream as the keys, and is
/// told from them by its first character, `ESC ]`, which no key sends.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    answer: Option<String>,
}

impl Reader {
    /// Reads an event.
    pub(crate) fn read(&mut self, event: Event) -> Input {
        match event {
            Event::Key(key) if key.kind == KeyEventKind::Release => Input::Nothing,
            Event::Key(key) => self.key(key),
            Event::Paste(text) => Input::Message(Message::Paste(text)),
            Event::Resize(width, height) => Input::Message(Message::Resize(width, height)),
            Event::Mouse(mouse) => {
                let kind = match mouse.kind {
                    MouseEventKind::Down(MouseButton::Left) => Mouse::Click,
                    MouseEventKind::ScrollUp => Mouse::ScrollUp,
                    MouseEventKind::ScrollDown => Mouse::ScrollDown,
                    _ => return Input::Nothing,
                };
                Input::Message(Message::Mouse(kind, mouse.column, mouse.row))
            }
            Event::FocusGained | Event::FocusLost => Input::Nothing,
        }
    }

    fn key(&mut self, key: KeyEvent) -> Input {
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let Some(answer) = &mut self.answer else {
            if alt && key.code == KeyCode::Char(']') {
                self.answer = Some(String::new());
                return Input::Nothing;
            }
            return Input::Message(Message::Key(key.into()));
        };
        match key.code {
            KeyCode::Char('\\') if alt => self.end(),
            KeyCode::Char('g') if key.modifiers.contains(KeyModifiers::CONTROL) => self.end(),
            KeyCode::Char(c) if key.modifiers.difference(KeyModifiers::SHIFT).is_empty() && answer.len() < ANSWER_CHARS_MAX => {
                answer.push(c);
                Input::Nothing
            }
            // Not the terminal after all, or cut off: what comes from here on are keys again.
            _ => {
                self.answer = None;
                Input::Message(Message::Key(Key::from(key)))
            }
        }
    }

    fn end(&mut self) -> Input {
        self.answer.take().and_then(|answer| is_light(&answer)).map_or(Input::Nothing, Input::Background)
    }
}

/// Tells from `11;rgb:fafa/fafa/fafa` whether the background is light.
fn is_light(answer: &str) -> Option<bool> {
    let color = answer.strip_prefix("11;")?;
    let channels = color.strip_prefix("rgb:").or_else(|| color.strip_prefix("rgba:"))?;
    let mut parts = channels.split('/').take(3).map(|part| {
        let value = u32::from_str_radix(part, 16).ok()?;
        let max = 16_u32.checked_pow(u32::try_from(part.len()).ok()?)?.checked_sub(1).filter(|max| *max > 0)?;
        Some(f64::from(value) / f64::from(max))
    });
    let (r, g, b) = (parts.next()??, parts.next()??, parts.next()??);
    Some(0.2126 * r + 0.7152 * g + 0.0722 * b > 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(reader: &mut Reader, text: &str) -> Vec<Input> {
        text.chars().map(|c| reader.read(Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)))).collect()
    }

    fn alt(c: char) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::ALT))
    }

    #[test]
    fn a_late_answer_presses_no_key() {
        let mut reader = Reader::default();
        assert!(matches!(reader.read(alt(']')), Input::Nothing));
        assert!(feed(&mut reader, "11;rgb:fafa/fafa/fafa").iter().all(|input| matches!(input, Input::Nothing)));
        assert!(matches!(reader.read(alt('\\')), Input::Background(true)));
        assert!(matches!(feed(&mut reader, "r")[..], [Input::Message(Message::Key(_))]), "keys are keys again");
        reader.read(alt(']'));
        feed(&mut reader, "11;rgb:12/12/16");
        let bell = Event::Key(KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL));
        assert!(matches!(reader.read(bell), Input::Background(false)));
    }

    #[test]
    fn an_answer_without_end_does_not_swallow_keys_for_ever() {
        let mut reader = Reader::default();
        reader.read(alt(']'));
        feed(&mut reader, "11;");
        assert!(matches!(reader.read(Event::Key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE))), Input::Message(_)));
        reader.read(alt(']'));
        let many = "x".repeat(200);
        assert!(feed(&mut reader, &many).iter().filter(|input| matches!(input, Input::Message(_))).count() > 100);
        assert_eq!(is_light("11;rgb:zz/00/00"), None);
    }
}
