//! Pages of lists: how many, and from where.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::emulator::state::Refusal;

/// What a request asks for.
pub(super) struct Wanted {
    pub(super) limit: usize,
    /// The last item of the page before.
    pub(super) from: Option<String>,
}

/// Reads size and token; a size of none or more than `max` is `max`.
pub(super) fn wanted(size: i32, token: &str, max: usize) -> Result<Wanted, Refusal> {
    let limit = match usize::try_from(size) {
        Err(_) => return Err(Refusal::invalid("The page size must not be negative.")),
        Ok(0) => max,
        Ok(size) => size.min(max),
    };
    let from = if token.is_empty() { None } else { Some(read(token).ok_or_else(|| Refusal::invalid("The page token is invalid."))?) };
    Ok(Wanted { limit, from })
}

/// Writes the token of the next page; empty if there is none.
pub(super) fn token(next: Option<&str>) -> String {
    next.map(|last| URL_SAFE_NO_PAD.encode(last)).unwrap_or_default()
}

fn read(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}
