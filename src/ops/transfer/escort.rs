//! What accompanies a transfer while it runs: the mark that other operators notice, and the subscription by which returns are seen at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::engine::{Event, HELD_MAX};
use super::mark::{Marker, foreign};
use super::record::Began;
use super::{Kind, Source};
use crate::cloud::{self, Cloud};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::subscription::Subscription;
use crate::names::{SubscriptionName, TopicName};
use crate::ops::Ops;
use crate::ops::peek::{Passing, ours};

/// Taking away what was made for a transfer is not waited for longer than this: it expires by itself.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// The shortest lease that Pub/Sub has: twice that is waited for at the end.
pub(super) const COPY_ACK_DEADLINE: Duration = Duration::from_secs(10);

/// What accompanies a transfer.
#[derive(Default)]
pub(super) struct Escort {
    marker: Option<Arc<Marker>>,
    watcher: Option<(Cloud, SubscriptionName)>,
    /// The copy of the backlog that is read in place of the subscription.
    passing: Option<Passing>,
    /// What the operator should know of it.
    notes: Vec<String>,
}

impl Escort {
    /// Returns the subscription that receives what comes back.
    pub(super) fn watcher(&self) -> Option<SubscriptionName> {
        self.watcher.as_ref().map(|(_, name)| name.clone())
    }

    /// Returns the subscription to read in place of the source.
    pub(super) fn reader(&self) -> Option<SubscriptionName> {
        self.passing.as_ref().map(|passing| passing.subscription().clone())
    }

    /// Takes what is to be told at the start.
    pub(super) fn notes(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.notes).into_iter().map(Event::Noticed).collect()
    }

    /// Keeps the mark young for as long as it is polled.
    pub(super) fn beat(&self, tell: mpsc::Sender<Event>) -> impl Future<Output = ()> + Send + 'static {
        let marker = self.marker.clone();
        async move {
            if let Some(marker) = marker {
                marker.beat(tell).await;
            }
        }
    }

    /// Takes away what was made.
    pub(super) async fn close(self) {
        let mark = async {
            if let Some(marker) = self.marker {
                marker.clear().await;
            }
        };
        let watcher = async {
            if let Some((cloud, name)) = self.watcher
                && let Err(error) = cloud.delete_subscription(&name).await
                && !error.is_not_found()
            {
                tracing::warn!(%error, "the subscription that watched for returns stays until it expires");
            }
        };
        let passing = async {
            if let Some(passing) = self.passing
                && let Some(error) = passing.remove().await
            {
                tracing::warn!(%error, "the snapshot that was read, or its subscription, stays until it expires");
            }
        };
        if tokio::time::timeout(CLOSE_WAIT, Box::pin(async { tokio::join!(mark, watcher, passing) })).await.is_err() {
            tracing::warn!("what was made for the transfer stays until it expires");
        }
    }
}

impl Ops {
    /// Marks the subscription and begins to watch for returns, as far as that is asked for and allowed.
    ///
    /// # Errors
    ///
    /// Fails with a refusal where another operator is at work, and with any error where a canary could not be looked after.
    pub(super) async fn escort(&self, began: &Began) -> Result<Escort> {
        let Source::Subscription(name) = &began.request.source else { return Ok(Escort::default()) };
        let options = &began.request.options;
        let about = self.cloud().get_subscription(name).await?;
        let mut escort = Escort::default();
        if began.request.reads_snapshot() {
            escort.passing = Some(Box::pin(self.passing(&about, began)).await?);
        }
        if began.request.takes() {
            let now = self.cloud().server_time(name).await?;
            if let Some(other) = foreign(&about, &self.0.home, now).filter(|_| !options.force) {
                return Err(Error::new(ErrorKind::Refused, other).with_hint("wait for its end, or go on all the same with `--force`"));
            }
            match Box::pin(Marker::set(self.cloud(), name, &began.id, &self.0.home, now, options.force)).await {
                Ok(marker) => escort.marker = Some(Arc::new(marker)),
                Err(error) if error.is_refused() => return Err(error),
                Err(error) => escort.notes.push(format!("operators on other machines cannot see this transfer: {error}")),
            }
        }
        if began.request.kind == Kind::Redrive && options.looks_after() {
            match Box::pin(self.watcher(&about, began)).await {
                Ok(watcher) => escort.watcher = Some((self.cloud().clone(), watcher)),
                Err(error) if options.canary.is_some() => {
                    escort.close().await;
                    return Err(error.context("nothing would tell whether the canary comes back"));
                }
                Err(error) => escort.notes.push(format!("what comes back is seen late: {error}")),
            }
        }
        Ok(escort)
    }

    /// Makes a copy of the backlog, to be read in place of the subscription.
    async fn passing(&self, about: &Subscription, began: &Began) -> Result<Passing> {
        let passing = Passing::named(self.cloud().clone(), about, &format!("read-{}", began.id))?;
        let terms = cloud::Passing { filter: &about.filter, ordered: about.ordered, ack_deadline: COPY_ACK_DEADLINE };
        let instead = format!("lease the messages meanwhile, {HELD_MAX} at most (`--lease`)");
        let opened = match passing.open(about, terms, &instead).await {
            // A run that was cut off left it behind; what that one read is known.
            Err(error) if error.is_already_exists() => {
                passing.clear().await?;
                passing.open(about, terms, &instead).await
            }
            opened => opened,
        };
        match opened {
            Ok(()) => Ok(passing),
            Err(error) => {
                // Told is why it could not be made; what was made expires by itself.
                passing.remove().await;
                Err(if error.hint().is_some() { error } else { error.with_hint(instead) })
            }
        }
    }

    /// Makes a subscription on the dead-letter topic for what comes back of this transfer alone.
    async fn watcher(&self, about: &Subscription, began: &Began) -> Result<SubscriptionName> {
        let gone = || Error::new(ErrorKind::FailedPrecondition, format!("`{}` has no topic any more", about.name.id()));
        let topic: &TopicName = about.topic.as_ref().ok_or_else(gone)?;
        let name = ours(about.name.project(), &format!("watch-{}", began.id))?;
        let filter = format!("attributes.redrive-transfer = \"{}\"", began.id);
        match Box::pin(self.cloud().create_passing_subscription(&name, topic, cloud::Passing::filtered(&filter))).await {
            Err(error) if !error.is_already_exists() => Err(error),
            _ => Ok(name),
        }
    }
}
