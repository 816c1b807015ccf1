//! Lists what a project has: resources of all locations together, and what could not be had beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;

use crate::cloud::{Cloud, Rows};
use crate::error::{Error, Result};
use crate::model::dead_letter::{Broken, DeadLetterRelation, relations};
use crate::model::job::Job;
use crate::model::listing::Listing;
use crate::model::queue::Queue;
use crate::model::subscription::Subscription;
use crate::model::topic::Topic;
use crate::names::{Location, LocationId, TopicName};
use crate::ops::Ops;

/// Calls of one listing under way at once: Google has some forty regions, and each answers by itself.
const CALLS_AT_ONCE: usize = 12;

impl Ops {
    /// Lists the locations that may hold queues or jobs (narrowed by `--location`).
    ///
    /// # Errors
    ///
    /// Fails where neither service tells its locations; one that does is enough.
    pub async fn locations(&self) -> Result<Vec<LocationId>> {
        let cloud = self.cloud();
        let found = match futures_util::join!(cloud.queue_locations(), cloud.job_locations()) {
            (Ok(queues), Ok(jobs)) => queues.into_iter().chain(jobs).collect::<BTreeSet<_>>(),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => one.into_iter().collect(),
            (Err(error), Err(_)) => return Err(error),
        };
        Ok(found.into_iter().collect())
    }

    /// Lists the queues of all locations.
    pub async fn queues(&self) -> Result<Listing<Queue>> {
        let locations = self.cloud().queue_locations().await?;
        let list = |cloud: Cloud, location: Location| async move { cloud.list_queues(&location).await };
        self.over(locations, list, |queue| queue.name.to_string()).await
    }

    /// Lists the scheduled jobs of all locations.
    pub async fn jobs(&self) -> Result<Listing<Job>> {
        let locations = self.cloud().job_locations().await?;
        let list = |cloud: Cloud, location: Location| async move { cloud.list_jobs(&location).await };
        self.over(locations, list, |job| job.name.to_string()).await
    }

    /// Lists the topics.
    pub async fn topics(&self) -> Result<Listing<Topic>> {
        let mut listing = Listing::empty(Timestamp::now());
        add(&mut listing, self.cloud().list_topics().await?);
        listing.items.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listing)
    }

    /// Lists the subscriptions.
    pub async fn subscriptions(&self) -> Result<Listing<Subscription>> {
        let mut listing = Listing::empty(Timestamp::now());
        add(&mut listing, self.cloud().list_subscriptions().await?);
        listing.items.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listing)
    }

    /// Lists the dead-letter relations.
    ///
    /// Dead-letter topics of other projects, and those that nobody of this project holds, are asked for their subscriptions: a relation is
    /// called broken only where that is known.
    pub async fn dead_letters(&self) -> Result<Listing<DeadLetterRelation>> {
        let mut listing = Listing::empty(Timestamp::now());
        let (subscriptions, topics) = futures_util::join!(self.cloud().list_subscriptions(), self.cloud().list_topics());
        let mut subscriptions = subscriptions?;
        subscriptions.items.retain(|subscription| !super::peek::is_ours(&subscription.name));
        listing.truncated = subscriptions.truncated;
        listing.failed = std::mem::take(&mut subscriptions.unreadable);
        let known = match topics {
            Ok(topics) if !topics.truncated => Some(self.known_topics(&topics.items, &subscriptions.items)),
            Ok(_) => None,
            Err(error) => {
                listing.failed.push(("topics".to_owned(), error));
                None
            }
        };
        listing.items = relations(&subscriptions.items, known.as_ref());
        self.ask_for_holders(&mut listing).await;
        Ok(listing)
    }

    /// The topics that exist, and those of other projects, of which that is not known.
    fn known_topics(&self, topics: &[Topic], subscriptions: &[Subscription]) -> BTreeSet<TopicName> {
        let policies = subscriptions.iter().filter_map(|subscription| subscription.dead_letters.as_ref()?.topic.clone());
        let elsewhere = policies.filter(|topic| topic.project() != self.cloud().project());
        topics.iter().map(|topic| topic.name.clone()).chain(elsewhere).collect()
    }

    async fn ask_for_holders(&self, listing: &mut Listing<DeadLetterRelation>) {
        let unheld = listing.items.iter().filter(|relation| relation.broken == Some(Broken::NoHolder));
        let topics: BTreeSet<TopicName> = unheld.filter_map(|relation| relation.dead_letter_topic.clone()).collect();
        let answers = stream::iter(topics)
            .map(|topic| async move { (self.cloud().list_topic_subscriptions(&topic).await, topic) })
            .buffer_unordered(CALLS_AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        let mut holders = BTreeMap::new();
        for (answer, topic) in answers {
            let answer = match answer {
                Ok(subscriptions) => Ok(subscriptions),
                Err(error) if error.is_not_found() => Err(Some(Broken::TopicMissing)),
                Err(error) => {
                    listing.failed.push((topic.to_string(), error));
                    Err(None)
                }
            };
            holders.insert(topic, answer);
        }
        for relation in &mut listing.items {
            let Some(answer) = relation.dead_letter_topic.as_ref().and_then(|topic| holders.get(topic)) else { continue };
            match answer {
                Ok(found) => {
                    relation.holders = found.iter().filter(|name| !super::peek::is_ours(name)).cloned().collect();
                    let source_missing = relation.topic.is_none().then_some(Broken::SourceTopicMissing);
                    relation.broken = if relation.holders.is_empty() { Some(Broken::NoHolder) } else { source_missing };
                }
                Err(broken) => relation.broken = *broken,
            }
        }
    }

    /// Lists something of several locations at once; fails only where every location does.
    async fn over<T, F>(
        &self,
        locations: Vec<LocationId>,
        list: impl Fn(Cloud, Location) -> F,
        name: impl Fn(&T) -> String,
    ) -> Result<Listing<T>>
    where
        F: Future<Output = Result<Rows<T>>>,
    {
        let mut listing = Listing::empty(Timestamp::now());
        let asked = locations.len();
        let answers = stream::iter(locations)
            .map(|id| {
                let answer = list(self.cloud().clone(), Location::new(self.cloud().project().clone(), id.clone()));
                async move { (id, answer.await) }
            })
            .buffer_unordered(CALLS_AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        let mut failed: Vec<(String, Error)> = Vec::new();
        for (id, answer) in answers {
            match answer {
                Ok(rows) => add(&mut listing, rows),
                Err(error) => failed.push((id.to_string(), error)),
            }
        }
        failed.sort_by(|(a, _), (b, _)| a.cmp(b));
        if asked > 0 && failed.len() == asked {
            let (_, error) = failed.swap_remove(0);
            return Err(error);
        }
        listing.failed.splice(0..0, failed);
        listing.items.sort_by_cached_key(name);
        Ok(listing)
    }
}

pub(super) fn add<T>(listing: &mut Listing<T>, rows: Rows<T>) {
    listing.items.extend(rows.items);
    listing.failed.extend(rows.unreadable);
    listing.truncated |= rows.truncated;
}
