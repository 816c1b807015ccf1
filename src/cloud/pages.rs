//! Listings come in pages: all of them are read, up to a named number of rows.

use std::future::Future;

use crate::error::{Error, Result};

/// The rows of a listing of one place.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    pub(crate) items: Vec<T>,
    /// Rows that this version cannot read, each with the reason.
    pub(crate) unreadable: Vec<(String, Error)>,
    /// Whether there are more than were asked for.
    pub(crate) truncated: bool,
}

/// One page, and the token of the next; empty after the last.
pub(crate) type Page<R> = (Vec<R>, String);

/// Reads pages until the last, or until there are `max` rows. `fetch` gets a page's token.
pub(crate) async fn read_all<R, F>(max: usize, fetch: impl FnMut(String) -> F) -> Result<(Vec<R>, bool)>
where
    F: Future<Output = Result<Page<R>>>,
{
    read_kept(max, fetch, Some).await
}

/// Reads pages until the last, or until `max` rows were looked at, and keeps what `keep` makes of them.
pub(crate) async fn read_kept<R, T, F>(
    max: usize,
    mut fetch: impl FnMut(String) -> F,
    mut keep: impl FnMut(R) -> Option<T>,
) -> Result<(Vec<T>, bool)>
where
    F: Future<Output = Result<Page<R>>>,
{
    let (mut kept, mut left) = (Vec::new(), max);
    let mut token = String::new();
    loop {
        let (page, next) = fetch(token.clone()).await?;
        let (rows, more) = (page.len(), !next.is_empty());
        kept.extend(page.into_iter().take(left).filter_map(&mut keep));
        if rows > left || (more && rows == left) {
            return Ok((kept, true));
        }
        left -= rows;
        // A server that repeats its token would be asked forever.
        if !more || next == token {
            return Ok((kept, false));
        }
        token = next;
    }
}

impl<T> Rows<T> {
    /// Turns a service's rows into ours; `name` tells what a row that cannot be read is called.
    pub(crate) fn convert<R>((rows, truncated): (Vec<R>, bool), name: fn(&R) -> &str, convert: fn(&R) -> Result<T>) -> Self {
        let (mut items, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in &rows {
            match convert(row) {
                Ok(item) => items.push(item),
                Err(error) => unreadable.push((name(row).to_owned(), error)),
            }
        }
        Self { items, unreadable, truncated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(max: usize, pages: &[(&[u32], &str)]) -> (Vec<u32>, bool, usize) {
        let mut asked = 0;
        let (rows, truncated) = read_all(max, |_| {
            let (rows, next) = pages[asked.min(pages.len() - 1)];
            asked += 1;
            async move { Ok((rows.to_vec(), next.to_owned())) }
        })
        .await
        .unwrap();
        (rows, truncated, asked)
    }

    #[tokio::test]
    async fn reads_to_the_end_or_to_the_limit() {
        let pages: &[(&[u32], &str)] = &[(&[1, 2], "a"), (&[], "b"), (&[3], "")];
        assert_eq!(read(10, pages).await, (vec![1, 2, 3], false, 3));
        assert_eq!(read(3, pages).await, (vec![1, 2, 3], false, 3));
        assert_eq!(read(2, pages).await, (vec![1, 2], true, 1));
        assert_eq!(read(1, pages).await, (vec![1], true, 1));
        assert_eq!(read(10, &[(&[1], "same")]).await, (vec![1, 1], false, 2));
    }
}
