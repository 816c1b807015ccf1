//! The terminal: taken over at the start, given back at the end, after a panic and after a signal.

use std::io::{IsTerminal, Stdout, Write, stdin, stdout};

use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::Notify;

use crate::error::{Error, Kind, Result};

/// A terminal that is taken over; dropping it gives it back.
pub(crate) struct Screen {
    /// What is drawn on.
    pub(crate) terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal over: raw mode, alternate screen, bracketed paste.
    pub(crate) fn take(mouse: bool) -> Result<Self> {
        if !stdin().is_terminal() || !stdout().is_terminal() {
            return Err(Error::new(Kind::FailedPrecondition, "the console needs a terminal, and input or output is none")
                .with_hint("use the command line instead, such as `redrive dlq list -o json`; all commands: `redrive --help`"));
        }
        // Without this crossterm answers NO_COLOR with bare resets that erase reverse video; our themes leave colours out themselves.
        crossterm::style::force_color_output(true);
        restore_on_panic();
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide).inspect_err(|_| restore())?;
        if mouse {
            execute!(stdout(), EnableMouseCapture).inspect_err(|_| restore())?;
        }
        let terminal = Terminal::new(CrosstermBackend::new(stdout())).inspect_err(|_| restore())?;
        Ok(Self { terminal })
    }

    /// Gives the terminal to another program for a while.
    pub(crate) fn lend() {
        restore();
    }

    /// Takes the terminal over again.
    pub(crate) fn take_back(&mut self, mouse: bool) -> Result<()> {
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide, Clear(ClearType::All))?;
        self.mouse(mouse)?;
        // What was drawn before counts no more: the next frame is drawn in full. `Terminal::clear` would ask the terminal where its cursor is, and end
        // with an error where no answer comes.
        self.terminal.swap_buffers();
        Ok(())
    }

    /// Switches the reporting of the mouse.
    pub(crate) fn mouse(&mut self, on: bool) -> Result<()> {
        let out = self.terminal.backend_mut();
        if on {
            execute!(out, EnableMouseCapture)?;
        } else {
            execute!(out, DisableMouseCapture)?;
        }
        Ok(())
    }

    /// Writes a control sequence as it is.
    pub(crate) fn write(&mut self, sequence: &str) -> Result<()> {
        let out = self.terminal.backend_mut();
        out.write_all(sequence.as_bytes())?;
        Write::flush(out)?;
        Ok(())
    }

    /// Puts text into the clipboard of the terminal (OSC 52), which works over ssh.
    pub(crate) fn copy(&mut self, text: &str) -> Result<()> {
        execute!(self.terminal.backend_mut(), crossterm::clipboard::CopyToClipboard::to_clipboard_from(text))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back; may be called more than once.
fn restore() {
    // Nothing can be done about a terminal that is gone.
    let _ = execute!(stdout(), DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// Told by the panic hook, whichever thread it ran on.
static PANICKED: Notify = Notify::const_new();

/// Waits for a panic anywhere in the process: the terminal has been given back then, and must not be drawn on any more.
pub(crate) fn panicked() -> impl Future<Output = ()> {
    PANICKED.notified()
}

fn restore_on_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
            PANICKED.notify_one();
        }));
    });
}
