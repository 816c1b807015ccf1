//! A shop on the runtime: two tasks, a publisher, two subscribers with a dead-letter topic, a periodic task. It brings its own emulator:
//!
//! ```sh
//! cargo run --example shop                                   # the shop; it prints the next line with its address
//! cargo run -- --emulator 127.0.0.1:PORT --project shop      # the console on it, in another terminal
//! ```
//!
//! On Google Cloud the last lines of `main` are `.from_env().await?` and `redrive::manage(app).await`.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::time::Duration;

use redrive::cloud::Cloud;
use redrive::emulator::Emulator;
use redrive::runtime::{
    App, Context, Host, Message, Outcome, Received, Subscriber, Subscription, Task, TaskOptions, discard, done, stop_signal,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// So many orders wait when the shop opens.
const ORDERS_AT_OPENING: u64 = 20;
/// Afterwards an order is placed this often.
const PAUSE: Duration = Duration::from_secs(2);

/// What handlers share.
struct Shop;

/// Published when somebody orders.
#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order: u64,
    customer: String,
    cents: u64,
}

impl Message for OrderPlaced {
    const TOPIC: &'static str = "orders";
}

/// A task: its payload is the struct, its work is `run`.
#[derive(Serialize, Deserialize)]
struct SendReceipt {
    order: u64,
    customer: String,
}

impl Task<Shop> for SendReceipt {
    const NAME: &'static str = "SendReceipt";

    async fn run(self, cx: Context<Shop>) -> Outcome {
        if self.customer.is_empty() {
            return discard("nobody to send it to");
        }
        if self.order.is_multiple_of(5) && cx.attempt().is_first() {
            return Err("the mail server does not answer".into());
        }
        done()
    }
}

/// A task that always fails, and is kept in `shop-exports-dead` after its third attempt instead of being deleted.
#[derive(Serialize, Deserialize)]
struct ExportOrder {
    order: u64,
}

impl Task<Shop> for ExportOrder {
    const NAME: &'static str = "ExportOrder";

    fn options() -> TaskOptions {
        TaskOptions::new().queue("shop-exports".parse().expect("a constant that is a name")).dead_set(3)
    }

    async fn run(self, _: Context<Shop>) -> Outcome {
        Err(format!("the warehouse refuses order {}", self.order).into())
    }
}

/// Takes the money; what it cannot take becomes a dead letter after five deliveries.
struct Billing;

impl Subscriber<Shop> for Billing {
    type Message = OrderPlaced;
    const NAME: &'static str = "Billing";

    fn subscription() -> Subscription {
        Subscription::to("orders").ack_deadline(Duration::from_secs(30)).retries(5).dead_letters("orders-dead")
    }

    async fn run(message: Received<OrderPlaced>, cx: Context<Shop>) -> Outcome {
        if message.order.is_multiple_of(7) {
            return Err("card_declined".into());
        }
        SendReceipt { order: message.order, customer: message.customer.clone() }.asap(cx.app()).await?;
        done()
    }
}

/// Writes down large orders: Pub/Sub's filter keeps the others away.
struct Audit;

impl Subscriber<Shop> for Audit {
    type Message = OrderPlaced;
    const NAME: &'static str = "Audit";

    fn subscription() -> Subscription {
        Subscription::to("orders").filter(r#"attributes.size = "large""#).retries(5).dead_letters("orders-dead")
    }

    async fn run(message: Received<OrderPlaced>, _: Context<Shop>) -> Outcome {
        println!("audit: order {} of {}.{:02}", message.order, message.cents / 100, message.cents % 100);
        done()
    }
}

/// Runs every minute.
#[derive(Serialize, Deserialize)]
struct CloseTheBooks;

impl Task<Shop> for CloseTheBooks {
    const NAME: &'static str = "CloseTheBooks";

    async fn run(self, _: Context<Shop>) -> Outcome {
        println!("the books are closed");
        done()
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    redrive::runtime::logging::init().await?;
    let emulator = Emulator::builder().project("shop".parse()?).start().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let host = Host {
        location: "europe-west1".parse()?,
        url: format!("http://{}", listener.local_addr()?),
        account: Some("shop@shop.iam.gserviceaccount.com".to_owned()),
    };
    let app = App::new(Shop)
        .named("shop")
        .task::<SendReceipt>()
        .task::<ExportOrder>()
        .task::<CloseTheBooks>()
        .publishes::<OrderPlaced>()
        .subscriber::<Billing>()
        .subscriber::<Audit>()
        .periodic::<CloseTheBooks>("* * * * *", "Europe/Paris")
        .on(Cloud::emulator(&emulator.address().to_string(), "shop".parse()?)?)
        .host(host)
        .build()?;
    let (plan, applied) = app.provision(false).await?;
    print!("{plan}");
    if let Some(error) = applied.failed.into_iter().next() {
        return Err(error.into());
    }
    println!("\nwatch it: cargo run -- --emulator {} --project shop", emulator.address());
    let orders = tokio::spawn(place_orders(app.clone()));
    app.serve_on(listener, stop_signal()?).await?;
    orders.abort();
    emulator.shutdown().await;
    println!("the shop is closed");
    Ok(())
}

/// Customers, for as long as the shop is open.
async fn place_orders(app: App<Shop>) -> redrive::Result<()> {
    for order in 1.. {
        let cents = order * 1999 % 50_000;
        let placed = OrderPlaced { order, customer: format!("customer {}", order % 40), cents };
        let size = if cents > 25_000 { "large" } else { "small" };
        app.publisher::<OrderPlaced>().publish(placed).attribute("size", size).await?;
        if order.is_multiple_of(10) {
            ExportOrder { order }.asap(&app).await?;
        }
        if order >= ORDERS_AT_OPENING {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}
