//! Panics as records. What the standard hook writes is text of several lines, which no reader of records understands.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::future::Future;
use std::panic::PanicHookInfo;

use tracing::Level;

use crate::model::text;

tokio::task_local! {
    /// Set within a handler, whose panics are caught.
    static CAUGHT: ();
}

thread_local! {
    /// Where the last caught panic of this thread was.
    static PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Has panics written as records from now on; without a subscriber that takes errors they are written as before.
pub(super) fn install() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let is_caught = CAUGHT.try_with(|()| ()).is_ok();
        if is_caught {
            PLACE.set(place(info));
        }
        if !tracing::enabled!(target: "redrive::runtime", Level::ERROR) {
            before(info);
        } else if is_caught {
            // How the work ended is one record, and that is an error; this is for panics that the handler caught itself.
            tracing::debug!(target: "redrive::runtime", place = place(info), "a panic within a handler");
        } else {
            write(info);
        }
    }));
}

fn write(info: &PanicHookInfo<'_>) {
    let error = text::line(&words(info.payload())).into_owned();
    let thread = std::thread::current();
    // Only where `RUST_BACKTRACE` asks for it: it costs.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(target: "redrive::runtime", error, place = place(info), thread = thread.name(), backtrace, "a panic outside of handlers");
}

fn place(info: &PanicHookInfo<'_>) -> Option<String> {
    info.location().map(ToString::to_string)
}

/// Does work whose panics are caught by who calls this.
pub(crate) async fn caught<F: Future>(work: F) -> F::Output {
    CAUGHT.scope((), work).await
}

/// What a caught panic said, and where it was, where the hook is there to know that.
pub(crate) fn told(panic: &(dyn Any + Send)) -> String {
    let words = words(panic);
    match PLACE.take() {
        Some(place) => format!("{words} (at {place})"),
        None => words,
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}
