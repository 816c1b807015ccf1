//! The shop's pulling side: subscribers on streaming pull.

use std::time::Duration;

use serde_json::Value;

use super::clients::Clients;
use super::handlers::{REDRIVEN, audit_can_read};

/// After a stream broke (the services close it now and then) a new one is opened after this time.
const REOPEN_AFTER: Duration = Duration::from_secs(2);

/// Runs all workers; ends when dropped.
pub(super) async fn run(clients: &Clients) {
    tokio::join!(pull(clients, "shipping", |_, _| true), pull(clients, "audit", audit_can_read),);
}

/// Receives from a subscription for ever; `handle` tells whether a message was understood.
async fn pull(clients: &Clients, subscription: &str, handle: impl Fn(&Value, bool) -> bool) {
    loop {
        let mut stream = clients.subscriber.subscribe(clients.subscription(subscription)).build();
        while let Some(received) = stream.next().await {
            match received {
                Ok((message, receipt)) => {
                    let payload = serde_json::from_slice(&message.data).unwrap_or(Value::Null);
                    if handle(&payload, message.attributes.contains_key(REDRIVEN)) {
                        receipt.ack();
                    } else {
                        tracing::debug!(subscription, "version 1 is not understood");
                        receipt.nack();
                    }
                }
                Err(error) => tracing::debug!(subscription, %error, "the stream broke"),
            }
        }
        tokio::time::sleep(REOPEN_AFTER).await;
    }
}
