//! What is told to Pub/Sub of a message that was worked on.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use google_cloud_pubsub::subscriber::handler::Handler;

use crate::runtime::delivery::Ended;
use crate::runtime::pull::figures::Counters;

/// Where a subscription has no back-off a failed message would come back at once, and again: it is held for so long before it is given back.
pub(super) const NACK_PAUSE: Duration = Duration::from_secs(1);

/// Acknowledges what is settled and gives back what is not; tells which.
pub(super) async fn settle(handler: Handler, ended: &Ended, has_backoff: bool, counters: &Counters) -> bool {
    if !ended.is_settled() {
        if !has_backoff {
            tokio::time::sleep(NACK_PAUSE).await;
        }
        handler.nack();
        Counters::count(&counters.nacked);
        return false;
    }
    match handler {
        Handler::ExactlyOnce(handler) => match handler.confirmed_ack().await {
            Ok(()) => {
                counters.acked.fetch_add(1, Relaxed);
                true
            }
            Err(error) => {
                Counters::count(&counters.unconfirmed);
                tracing::warn!(target: "redrive::runtime", %error, "the message was processed, but that was not confirmed: it comes again");
                false
            }
        },
        handler => {
            handler.ack();
            Counters::count(&counters.acked);
            true
        }
    }
}
