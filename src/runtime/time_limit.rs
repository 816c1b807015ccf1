//! A limit of time that costs a timer only where it is needed.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;

/// Waits for work so long. It is looked at `looks` times before a timer is set, each after the first once the task had its turn again: most of it is done by then.
pub(crate) async fn within<F: Future>(limit: Duration, looks: u8, work: F) -> Result<F::Output, Elapsed> {
    let mut work = pin!(work);
    let mut left = looks;
    let early = poll_fn(|cx| {
        left = left.saturating_sub(1);
        match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    });
    match early.await {
        Some(done) => Ok(done),
        None => tokio::time::timeout(limit, work).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Done when it is looked at for the nth time, by whomever.
    async fn done_at_look(nth: u8) -> u8 {
        for _ in 1..nth {
            tokio::task::yield_now().await;
        }
        nth
    }

    #[test]
    fn what_is_done_soon_costs_no_timer() {
        // A runtime without timers: setting one panics.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(within(LIMIT, 1, done_at_look(1))), Ok(1));
        assert_eq!(runtime.block_on(within(LIMIT, 2, done_at_look(2))), Ok(2));
        let late = std::panic::catch_unwind(|| runtime.block_on(within(LIMIT, 2, done_at_look(3))));
        late.unwrap_err();
    }

    #[tokio::test]
    async fn what_takes_longer_has_its_limit() {
        assert_eq!(within(LIMIT, 2, done_at_look(3)).await, Ok(3));
        let (begin, limit) = (std::time::Instant::now(), Duration::from_millis(20));
        within(limit, 2, std::future::pending::<()>()).await.unwrap_err();
        assert!(begin.elapsed() >= limit);
    }
}
