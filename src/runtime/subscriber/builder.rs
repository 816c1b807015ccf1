//! Adds subscribers to an app.

use crate::runtime::{Builder, Subscriber};

impl<S: Send + Sync + 'static> Builder<S> {
    /// Adds a subscriber.
    pub fn subscriber<T: Subscriber<S>>(mut self) -> Self {
        let added = self.registry_mut().subscribers_mut().add::<T>();
        self.note(added)
    }
}
