//! The look at deliveries other than a topic: endpoints, handlers, and copies that are addressed to one subscription. Changes nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::draft::TO;
use super::port::Endpoint;
use super::{Delivery, Plan};
use crate::error::{Error, Result};
use crate::model::filter::Filter;
use crate::names::SubscriptionName;
use crate::ops::Ops;

impl Ops {
    /// Sees whether the handler that messages are replayed to is one that may be, and is there.
    pub(super) async fn check_handler(&self, plan: &mut Plan) -> Result<()> {
        let Delivery::Handler { url, anywhere } = plan.request.delivery.clone() else { return Ok(()) };
        let probed = async {
            let endpoint = Endpoint::handler(&url, anywhere).await?;
            endpoint.probe(self).await?;
            Ok::<_, Error>(endpoint.shown())
        };
        match probed.await {
            Ok(shown) => plan.warnings.push(format!("sent to {shown}, without credentials")),
            Err(error) if error.is_invalid_input() => return Err(error),
            Err(error) => plan.refusals.push(words(&error)),
        }
        Ok(())
    }

    /// Sees whether the endpoints of the subscriptions that gave messages up can be posted to: a token minted, an address that may be reached, a connection.
    pub(super) async fn check_direct(&self, sources: &BTreeSet<SubscriptionName>, plan: &mut Plan) -> Result<()> {
        let Delivery::Direct { private } = plan.request.delivery else { return Ok(()) };
        let mut unusable = Vec::new();
        let mut usable = 0;
        for name in sources {
            match self.probe_endpoint(name, private).await {
                Ok(line) => {
                    usable += 1;
                    plan.warnings.push(line);
                }
                Err(error) => unusable.push(format!("`{}`: {}", name.id(), words(&error))),
            }
        }
        match usable {
            0 if unusable.is_empty() => plan
                .refusals
                .push("nothing tells which subscription gave these messages up: no endpoint is known to deliver them to".to_owned()),
            0 => plan.refusals.extend(unusable),
            _ => plan.warnings.extend(unusable.into_iter().map(|why| format!("some messages will stay: {why}"))),
        }
        Ok(())
    }

    async fn probe_endpoint(&self, name: &SubscriptionName, private: bool) -> Result<String> {
        let subscription = self.cloud().get_subscription(name).await?;
        let endpoint = Endpoint::of(&subscription, private).await?;
        let account = endpoint.probe(self).await?;
        let token = account.map_or_else(|| "without a token".to_owned(), |account| format!("with a token of `{account}`"));
        Ok(format!("posted to {} of `{}` {token}, past its topic: nobody else receives it", endpoint.shown(), name.id()))
    }
}

/// Names those that would process what is addressed to another, because no filter keeps it away from them.
pub(super) fn check_addressed(plan: &mut Plan) {
    if plan.request.delivery != Delivery::Addressed {
        return;
    }
    let mut open: BTreeSet<String> = BTreeSet::new();
    let mut deaf: BTreeSet<String> = BTreeSet::new();
    let mut skipping: BTreeSet<String> = BTreeSet::new();
    for route in &plan.routes {
        let Some(source) = &route.source else { continue };
        for receiver in &route.receivers {
            let heard = hears(&receiver.filter, source);
            if receiver.failed && heard == Some(false) {
                deaf.insert(format!("`{}`", receiver.subscription.id()));
            }
            if !receiver.failed && heard != Some(false) {
                let names = if receiver.skips { &mut skipping } else { &mut open };
                names.insert(format!("`{}`", receiver.subscription.id()));
            }
        }
    }
    for route in &mut plan.routes {
        let Some(source) = &route.source else { continue };
        // What the filter keeps away is not received; what is skipped is not processed.
        route.receivers.retain(|receiver| receiver.failed || (!receiver.skips && hears(&receiver.filter, source) != Some(false)));
    }
    if !open.is_empty() {
        let names = open.into_iter().collect::<Vec<_>>().join(", ");
        plan.warnings.push(format!(
            "{names} do not filter `{TO}`: unless their receivers are known to skip what is addressed to another, they process it, too"
        ));
    }
    if !skipping.is_empty() {
        let names = skipping.into_iter().collect::<Vec<_>>().join(", ");
        plan.warnings.push(format!("{names} receive them as well, and skip them: apps of this runtime know what is addressed to another"));
    }
    if !deaf.is_empty() {
        let names = deaf.into_iter().collect::<Vec<_>>().join(", ");
        plan.refusals.push(format!("the filter of {names} keeps away even what is addressed to it"));
    }
}

/// Tells whether a filter lets through what is addressed to a subscription; `None` where it does not ask for whom a message is.
fn hears(filter: &str, addressee: &SubscriptionName) -> Option<bool> {
    if !filter.contains(TO) {
        return None;
    }
    let filter: Filter = filter.parse().ok()?;
    Some(filter.matches(&BTreeMap::from([(TO.to_owned(), addressee.id().to_owned())])))
}

fn words(error: &Error) -> String {
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error} ({hint})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_hears_what_is_addressed_to_it_and_only_that() {
        let billing: SubscriptionName = "projects/shop/subscriptions/billing".parse().unwrap();
        let provisioned = |name: &str| format!(r#"NOT attributes:redrive-to OR attributes.redrive-to = "{name}""#);
        assert_eq!(hears(&provisioned("billing"), &billing), Some(true));
        assert_eq!(hears(&provisioned("audit"), &billing), Some(false));
        assert_eq!(hears(r#"attributes.kind = "order""#, &billing), None);
        assert_eq!(hears("", &billing), None);
    }
}
