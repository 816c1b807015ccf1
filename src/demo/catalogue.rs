//! What is ordered, mailed, uploaded and exported: the n-th is the same in every run. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

/// A message of the shop before it is published.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    pub(super) topic: &'static str,
    pub(super) payload: Value,
    pub(super) attributes: Vec<(&'static str, String)>,
    /// Empty is none.
    pub(super) ordering_key: String,
}

/// What is wrong with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A company's order without `customer.vat_id`: billing cannot write an invoice.
    VatIdMissing,
    /// The bank declined the card.
    CardDeclined,
    /// The old format, sent by an app that was not updated: audit cannot read it.
    OldFormat,
}

/// Orders that are there within seconds, and of which many are faulty.
pub(super) const ORDERS_AT_ONCE: u64 = 60;

const NAMES: &[&str] =
    &["Ada Moreau", "Björn Lindqvist", "Chiara Russo", "Dilek Yılmaz", "Emil Novák", "陳美玲", "Grace Okafor", "Hugo Marín"];
const COUNTRIES: &[(&str, &str)] = &[("FR", "FR40303265045"), ("DE", "DE136695976"), ("IT", "IT00743110157"), ("SE", "SE556188840401")];
const GOODS: &[(&str, &str, u64)] = &[
    ("CUP-01", "Stoneware cup", 1450),
    ("LMP-07", "Desk lamp, brass", 8900),
    ("NTB-12", "Notebook, dotted", 990),
    ("RUG-03", "Wool rug 140×200", 24_900),
    ("TEA-05", "Sencha, 100 g", 1280),
];

/// Mixes the bits of `n` (splitmix64): neighbours differ, runs do not.
fn mix(n: u64, salt: u64) -> u64 {
    let mut z = n.wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 30)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn pick<T>(list: &[T], n: u64, salt: u64) -> &T {
    let index = mix(n, salt) % list.len() as u64;
    &list[usize::try_from(index).unwrap_or_default()]
}

/// Tells what is wrong with the n-th order: of the first ones much, so that there is something to redrive; later one in eight.
pub(super) fn fault(n: u64) -> Option<Fault> {
    if n <= ORDERS_AT_ONCE {
        return match n % 12 {
            1 | 4 | 7 | 9 => Some(Fault::VatIdMissing),
            2 | 11 => Some(Fault::CardDeclined),
            6 => Some(Fault::OldFormat),
            _ => None,
        };
    }
    match n % 24 {
        0 => Some(Fault::VatIdMissing),
        8 => Some(Fault::CardDeclined),
        16 => Some(Fault::OldFormat),
        _ => None,
    }
}

/// Makes the n-th order. What the checkout noticed about it is in the attribute `error`, as far as it noticed.
pub(super) fn order(n: u64, now: Timestamp) -> Draft {
    let fault = fault(n);
    let customer = 8800 + mix(n, 1) % 40;
    let (country, vat_id) = *pick(COUNTRIES, customer, 2);
    let (sku, title, price) = *pick(GOODS, n, 3);
    let quantity = 1 + mix(n, 4) % 3;
    let id = format!("o-{}", 10_000 + n);
    let payload = if fault == Some(Fault::OldFormat) {
        json!({ "version": 1, "id": id, "cust": customer, "sum": format!("{}.{:02}", price * quantity / 100, price * quantity % 100) })
    } else {
        let mut buyer = json!({ "id": customer, "name": pick(NAMES, customer, 5), "country": country, "company": true, "vat_id": vat_id });
        if let (Some(Fault::VatIdMissing), Value::Object(buyer)) = (fault, &mut buyer) {
            buyer.remove("vat_id");
        }
        let status = if fault == Some(Fault::CardDeclined) { "declined" } else { "authorized" };
        json!({
            "version": 2,
            "order_id": id,
            "placed_at": now.to_string(),
            "customer": buyer,
            "items": [{ "sku": sku, "title": title, "quantity": quantity, "unit_price_cents": price }],
            "total_cents": price * quantity,
            "currency": "EUR",
            "payment": { "method": "card", "last4": format!("{:04}", mix(n, 6) % 10_000), "status": status },
        })
    };
    let mut attributes = vec![("kind", "order".to_owned()), ("channel", (*pick(&["web", "app", "phone"], n, 7)).to_owned())];
    match fault {
        Some(Fault::VatIdMissing) => attributes.push(("error", "missing field `customer.vat_id`".to_owned())),
        Some(Fault::CardDeclined) => attributes.push(("error", "card_declined".to_owned())),
        Some(Fault::OldFormat) | None => {}
    }
    Draft { topic: "orders", payload, attributes, ordering_key: format!("customer-{customer}") }
}

/// Makes the n-th mail; a `broken` one names a template that was gone when it was first sent.
pub(super) fn mail(n: u64, broken: bool) -> Draft {
    let template = if broken { "welcome-1" } else { "receipt-3" };
    let mut attributes = vec![("kind", "mail".to_owned())];
    if broken {
        attributes.push(("error", "template `welcome-1` does not exist".to_owned()));
    }
    let payload = json!({ "to": format!("customer-{}@example.com", 8800 + mix(n, 1) % 40), "template": template, "order_id": format!("o-{}", 10_000 + n) });
    Draft { topic: "mail", payload, attributes, ordering_key: String::new() }
}

/// Makes the n-th upload; one in four is no image at all.
pub(super) fn upload(n: u64) -> Draft {
    let kind = if n.is_multiple_of(4) { "application/octet-stream" } else { "image/jpeg" };
    let payload = json!({ "bucket": "shop-uploads", "object": format!("products/{:08x}.jpg", mix(n, 8) >> 32), "content_type": kind });
    Draft { topic: "images", payload, attributes: vec![("kind", "upload".to_owned())], ordering_key: String::new() }
}

/// A task before it is created: the queue, the handler's name, the body.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Errand {
    pub(super) queue: &'static str,
    pub(super) handler: &'static str,
    pub(super) body: Value,
    /// A name, for tasks that must not be there twice.
    pub(super) name: Option<String>,
}

/// Makes the n-th receipt to be mailed.
pub(super) fn receipt(n: u64) -> Errand {
    Errand {
        queue: "emails",
        handler: "SendReceipt",
        body: json!({ "user_id": 8800 + mix(n, 1) % 40, "order_id": format!("o-{}", 10_000 + n) }),
        name: None,
    }
}

/// Makes the n-th thumbnail to be drawn.
pub(super) fn thumbnail(n: u64) -> Errand {
    let object = format!("products/{:08x}.jpg", mix(n, 8) >> 32);
    Errand { queue: "thumbnails", handler: "DrawThumbnail", body: json!({ "object": object, "width": 320 }), name: None }
}

/// Makes the n-th report to be built; some fail at their first attempt.
pub(super) fn report(n: u64) -> Errand {
    let kind = *pick(&["sales", "stock", "returns"], n, 9);
    Errand {
        queue: "reports",
        handler: "BuildReport",
        body: json!({ "report": kind, "flaky": n.is_multiple_of(3), "number": n }),
        name: None,
    }
}

/// Makes the n-th export to the warehouse, which is down: it answers 503, or not at all.
pub(super) fn export(n: u64) -> Errand {
    let body = json!({ "order_id": format!("o-{}", 10_000 + n), "warehouse": if n.is_multiple_of(3) { "lyon" } else { "turin" } });
    Errand { queue: "exports", handler: "ExportOrder", body, name: Some(format!("export-{n:04}")) }
}

/// Makes the n-th newsletter, which waits in a paused queue.
pub(super) fn newsletter(n: u64) -> Errand {
    let body = json!({ "user_id": 8800 + n, "template": "newsletter-spring" });
    Errand { queue: "newsletters", handler: "SendNewsletter", body, name: Some(format!("newsletter-{n:04}")) }
}
