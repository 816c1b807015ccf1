//! What is sent only once a transaction has committed.

use std::future::Future;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::error::Result;
use crate::runtime::publisher::send::ready;
use crate::runtime::{App, Enqueue, Message, Publish, Task};

/// Messages and tasks that wait for the caller's transaction: sent, in their order, when it has committed; dropped, as if they had never been, when it is rolled
/// back or the outbox is dropped. All is written and checked when it is added, so that records may change afterwards, and so that what could never be sent is
/// said while the transaction can still be rolled back.
///
/// It lives in memory: a process that dies between the commit and the sending loses what is in it. Where that must not be, write the messages to a table of the
/// same transaction, and have a periodic task publish them.
///
/// ```
/// # use redrive::runtime::{App, Host, Message, Mode};
/// # use redrive::cloud::Cloud;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced { order: u64 }
/// # impl Message for OrderPlaced { const TOPIC: &'static str = "orders"; }
/// # struct Transaction;
/// # impl Transaction { async fn commit(self) -> redrive::Result<()> { Ok(()) } }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> redrive::Result<()> {
/// # let cloud = Cloud::emulator("127.0.0.1:1", "demo".parse()?)?;
/// # let host = Host { location: "europe-west1".parse()?, url: "http://127.0.0.1:1".into(), account: None };
/// # let app = App::new(()).on(cloud).host(host).mode(Mode::Disabled).build()?;
/// # let transaction = Transaction;
/// let mut outbox = app.outbox();
/// // … within the transaction
/// outbox.publish(OrderPlaced { order: 7 })?;
/// let committed = outbox.after(transaction.commit()).await?; // sends when that succeeds; an error is the commit's own
/// if let Err(error) = committed.sent {
///     eprintln!("committed, but {error}");
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "what is in it is dropped with it"]
pub struct Outbox<S> {
    app: App<S>,
    waiting: Vec<BoxFuture<'static, Result<String>>>,
}

/// A transaction that was committed, and what became of what waited for it.
#[derive(Debug)]
#[must_use = "it says whether all was sent"]
pub struct Committed<T> {
    /// What the commit returned.
    pub value: T,
    /// The ids of what was sent; or why, after the commit, something was not.
    pub sent: Result<Vec<String>>,
}

impl<S: Send + Sync + 'static> Outbox<S> {
    pub(super) fn new(app: App<S>) -> Self {
        Self { app, waiting: Vec::new() }
    }

    /// Adds a message.
    ///
    /// # Errors
    ///
    /// Fails with an invalid-input error when content or attributes cannot be published; it is then not added.
    pub fn publish<M: Message>(&mut self, message: M) -> Result<()> {
        let publish = self.app.publisher::<M>().publish(message);
        self.add(publish)
    }

    /// Adds a message with all that is said of it.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn add(&mut self, publish: Publish<S>) -> Result<()> {
        let ready = ready(publish)?;
        let app = self.app.clone();
        self.wait(async move { app.send_message(ready).await });
        Ok(())
    }

    /// Adds a task. When it is due is reckoned from now.
    ///
    /// # Errors
    ///
    /// Fails with an invalid-input error when the task is too large, due too late or not registered in the app; it is then not added.
    pub fn enqueue<T: Task<S>>(&mut self, task: Enqueue<S, T>) -> Result<()> {
        let sending = task.written()?;
        self.wait(sending.map(|sent| sent.map(|enqueued| enqueued.id)));
        Ok(())
    }

    /// Adds anything else that is to be sent after the commit.
    fn wait(&mut self, sending: impl Future<Output = Result<String>> + Send + 'static) {
        // The work of a request carries its headers on, also when it is done later.
        let headers = crate::runtime::propagation::current();
        self.waiting.push(crate::runtime::propagation::under(headers, sending).boxed());
    }

    /// Returns how many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Tells whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Sends all, one after the other, and returns their ids.
    ///
    /// # Errors
    ///
    /// Fails when one could not be sent, with the first failure, after the others were tried: the transaction is over, and what can be sent should be.
    pub async fn commit(self) -> Result<Vec<String>> {
        let (mut ids, mut failed, all) = (Vec::new(), None, self.waiting.len());
        for sending in self.waiting {
            match sending.await {
                Ok(id) => ids.push(id),
                Err(error) => {
                    tracing::error!(target: "redrive::runtime", %error, "something that was to be sent after a commit was not");
                    failed.get_or_insert(error);
                }
            }
        }
        match failed {
            None => Ok(ids),
            Some(error) => Err(error.context(format!("{} of {all} were not sent after the commit", all - ids.len()))),
        }
    }

    /// Drops all.
    pub fn rollback(self) {
        drop(self);
    }

    /// Waits for the transaction's commit, and sends all when it has succeeded; else all are dropped.
    ///
    /// # Errors
    ///
    /// Fails as the commit does, and never otherwise: what became of the sending is in the answer.
    pub async fn after<T, E>(self, commit: impl Future<Output = Result<T, E>>) -> Result<Committed<T>, E> {
        let value = commit.await?;
        Ok(Committed { value, sent: self.commit().await })
    }
}
