use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::catalogue::{self, Fault, ORDERS_AT_ONCE, fault};
use super::topology::{JOBS, QUEUES, SUBSCRIPTIONS, TOPICS};

#[test]
fn the_tables_name_only_what_there_is() {
    let topics: BTreeSet<_> = TOPICS.iter().collect();
    for subscription in SUBSCRIPTIONS {
        assert!(topics.contains(&subscription.topic), "{}", subscription.id);
        if let Some((topic, attempts)) = subscription.dead_letters {
            assert!(topics.contains(&topic) && (5..=100).contains(&attempts), "{}", subscription.id);
        }
    }
    let held: BTreeSet<_> = SUBSCRIPTIONS.iter().map(|subscription| subscription.topic).collect();
    let unheld: Vec<_> = TOPICS.iter().filter(|topic| topic.ends_with("-dead") && !held.contains(*topic)).collect();
    assert_eq!(unheld, [&"images-dead"], "one relation is broken, to show the warning");
    assert_eq!(QUEUES.iter().filter(|queue| queue.paused).count(), 1);
    assert!(JOBS.iter().any(|job| job.schedule == "* * * * *") && JOBS.iter().any(|job| job.id == "nightly-report"));
}

#[test]
fn every_cause_is_among_the_first_orders_and_later_ones() {
    for range in [1..=ORDERS_AT_ONCE, ORDERS_AT_ONCE + 1..=ORDERS_AT_ONCE + 48] {
        for cause in [Fault::VatIdMissing, Fault::CardDeclined, Fault::OldFormat] {
            assert!(range.clone().any(|n| fault(n) == Some(cause)), "{cause:?} in {range:?}");
        }
        assert!(range.clone().any(|n| fault(n).is_none()));
    }
}

#[test]
fn a_run_is_like_the_next_and_payloads_fit_their_fault() {
    for n in 1..=200 {
        let order = catalogue::order(n, Timestamp::UNIX_EPOCH);
        assert_eq!(order, catalogue::order(n, Timestamp::UNIX_EPOCH));
        let error = order.attributes.iter().find(|(key, _)| *key == "error").map(|(_, value)| value.as_str());
        match fault(n) {
            Some(Fault::VatIdMissing) => {
                assert_eq!((error, &order.payload["customer"]["vat_id"]), (Some("missing field `customer.vat_id`"), &Value::Null));
            }
            Some(Fault::CardDeclined) => {
                assert_eq!((error, &order.payload["payment"]["status"]), (Some("card_declined"), &"declined".into()));
            }
            Some(Fault::OldFormat) => assert_eq!((error, &order.payload["version"]), (None, &1.into())),
            None => assert_eq!((error, &order.payload["version"]), (None, &2.into())),
        }
    }
}

#[test]
fn of_the_declined_cards_some_come_back_after_a_redrive_and_some_do_not() {
    let declined = (1..=ORDERS_AT_ONCE).filter(|n| fault(*n) == Some(Fault::CardDeclined));
    let customers: Vec<u64> =
        declined.map(|n| catalogue::order(n, Timestamp::UNIX_EPOCH).payload["customer"]["id"].as_u64().unwrap()).collect();
    assert!(customers.iter().any(|id| id.is_multiple_of(2)) && customers.iter().any(|id| !id.is_multiple_of(2)), "{customers:?}");
}
