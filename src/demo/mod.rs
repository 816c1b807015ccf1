//! A small shop that lives: orders, mail, thumbnails and reports, with handlers that work, that are slow, that fail for a reason.
//!
//! A service like a user's own: it knows an address and a project, talks through Google's clients and answers real HTTP requests on a loopback
//! port. It must not know the emulator's inside. Started twice against the same address, it goes on with what is there.
//!
//! What there is to see (`redrive dlq list`):
//!
//! - `billing` gives up orders without `customer.vat_id` and orders with a declined card, `audit` gives up orders of an old format: three
//!   causes, all held by `orders-hold`. Redriven, most work; of the declined cards some come back.
//! - `mailer` gave up some mail once; redriven it all works, and `mail-hold` stays empty.
//! - `thumbnailer` gives up to a topic without a subscription: what lands there is lost.
//! - the queue `exports` is stuck, `newsletters` is paused, the job `inventory-sync` fails.

mod catalogue;
mod clients;
mod handlers;
mod producer;
mod setup;
mod topology;
mod workers;

use std::net::Ipv4Addr;

use tokio::net::TcpListener;

use crate::error::Result;
use crate::names::ProjectId;
use clients::Clients;

/// Runs the shop in `project` of the services at `address` (`host:port`) until `shutdown` is ready.
///
/// # Errors
///
/// Fails when nobody answers at `address`, or refuses to make a topic, subscription, queue or job. Later failures are logged and survived.
pub async fn run(address: &str, project: &ProjectId, shutdown: impl Future<Output = ()>) -> Result<()> {
    // On the heap: the future of a whole shop is too large for its callers' own.
    let shop = Box::pin(async {
        let clients = Clients::connect(address, project).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        let work = async {
            setup::messaging(&clients, &base).await?;
            tokio::try_join!(produce(&clients, &base), async {
                workers::run(&clients).await;
                Ok(())
            })
        };
        tokio::try_join!(handlers::serve(listener), work)?;
        Ok(())
    });
    tokio::select! {
        result = shop => result,
        () = shutdown => Ok(()),
    }
}

async fn produce(clients: &Clients, base: &str) -> Result<()> {
    let queues = async {
        setup::tasks_and_jobs(clients, base).await?;
        producer::fill_queues(clients, base).await
    };
    tokio::try_join!(producer::burst(clients), queues)?;
    producer::trickle(clients, base).await;
    Ok(())
}

#[cfg(test)]
mod tests;
