//! A claim to a key while its work is done: where that is cut off (a deadline, a caller that hung up), the claim is given up all the same.

use std::sync::Arc;

use crate::runtime::IdempotencyStore;

/// Dropped before it is kept or given up, it is given up beside.
pub(super) struct Claim<St: IdempotencyStore> {
    store: Arc<St>,
    key: String,
    token: String,
    held: bool,
}

impl<St: IdempotencyStore> Claim<St> {
    pub(super) fn new(store: &Arc<St>, key: &str) -> Self {
        Self { store: Arc::clone(store), key: key.to_owned(), token: uuid::Uuid::new_v4().to_string(), held: true }
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Ends it without giving the key up: it is another's, or its work is done. Returns the token.
    pub(super) fn keep(mut self) -> String {
        self.held = false;
        self.token.clone()
    }

    /// Gives the key up, so that the work may be begun at once.
    pub(super) async fn give_up(mut self) {
        abandon(&*self.store, &self.key, &self.token).await;
        self.held = false;
    }
}

impl<St: IdempotencyStore> Drop for Claim<St> {
    fn drop(&mut self) {
        // Where the runtime ends, so does the process, and the lease will be over.
        if let (true, Ok(runtime)) = (self.held, tokio::runtime::Handle::try_current()) {
            let (store, key, token) = (Arc::clone(&self.store), std::mem::take(&mut self.key), std::mem::take(&mut self.token));
            runtime.spawn(async move { abandon(&*store, &key, &token).await });
        }
    }
}

/// The work has failed already: that is what is told, not that its lease could not be given up.
async fn abandon<St: IdempotencyStore>(store: &St, key: &str, token: &str) {
    if let Err(error) = store.abandon(key, token).await {
        tracing::warn!(target: "redrive::runtime", %error, "work that failed is begun again only after its lease");
    }
}
