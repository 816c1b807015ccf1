//! Pages of a listing in order of names; a page token is the name the page before ended with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::emulator::state::Refusal;

/// What a page has when the request leaves it open.
const PAGE_SIZE_DEFAULT: usize = 100;
/// The most a page has, whatever is asked for.
const PAGE_SIZE_MAX: usize = 1000;

/// Where a page begins and how long it may be.
#[derive(Debug)]
pub(super) struct Page {
    /// The last name of the page before; empty on the first.
    after: String,
    size: usize,
}

impl Page {
    pub(super) fn new(page_size: i32, page_token: &str) -> Result<Self, Refusal> {
        let size = match usize::try_from(page_size) {
            Ok(0) => PAGE_SIZE_DEFAULT,
            Ok(size) => size.min(PAGE_SIZE_MAX),
            Err(_) => return Err(Refusal::invalid(format!("Invalid page size given (page_size={page_size})."))),
        };
        let after = URL_SAFE_NO_PAD.decode(page_token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let after = after.ok_or_else(|| Refusal::invalid(format!("Invalid page token given (page_token={page_token}).")))?;
        Ok(Self { after, size })
    }

    /// Where to begin looking among names that begin with `prefix`: exclusive when a page went before.
    pub(super) fn start<'a>(&'a self, prefix: &'a str) -> std::ops::Bound<&'a str> {
        if self.after.is_empty() { std::ops::Bound::Included(prefix) } else { std::ops::Bound::Excluded(&self.after) }
    }

    /// What the page before ended with.
    pub(super) fn after(&self) -> Option<&str> {
        Some(self.after.as_str()).filter(|after| !after.is_empty())
    }

    /// Takes a page of what follows, and the token of the next one (empty at the end).
    pub(super) fn take<'a, T>(&self, items: impl Iterator<Item = (&'a str, T)>) -> (Vec<T>, String) {
        let mut items = items.peekable();
        let mut page = Vec::new();
        while page.len() < self.size {
            let Some((name, item)) = items.next() else { break };
            page.push(item);
            if page.len() == self.size && items.peek().is_some() {
                return (page, URL_SAFE_NO_PAD.encode(name));
            }
        }
        (page, String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let names: Vec<String> = (0..7).map(|n| format!("p/{n}")).collect();
        let (mut seen, mut token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = Page::new(3, &token).unwrap();
            let start = page.start("p/");
            let rest = names.iter().map(String::as_str).filter(|name| match start {
                std::ops::Bound::Excluded(after) => *name > after,
                _ => true,
            });
            let (items, next) = page.take(rest.map(|name| (name, name)));
            seen.extend(items.into_iter().map(str::to_owned));
            pages += 1;
            token = next;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!((seen, pages), (names, 3));
    }

    #[test]
    fn refuses_what_it_did_not_give() {
        assert!(Page::new(-1, "").is_err());
        assert!(Page::new(1, "!").is_err());
        assert_eq!(Page::new(5000, "").unwrap().size, PAGE_SIZE_MAX);
        assert_eq!(Page::new(0, "").unwrap().size, PAGE_SIZE_DEFAULT);
    }
}
