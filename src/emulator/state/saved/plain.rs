//! Numbers, texts, times, collections and the values of `model` as bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Reader, Saved, Writer, damaged, saved};
use crate::emulator::pb::google::{iam, pubsub};
use crate::error::Result;
use crate::model::cron::{self, Schedule};
use crate::model::filter::Filter;
use crate::model::message::Draft;
use crate::model::queue::TaskRetry;
use crate::names::{JobName, Location, QueueName, TaskName, TopicName};

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Saved for $number {
            fn save(&self, to: &mut Writer) {
                to.bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn load(from: &mut Reader<'_>) -> Result<Self> {
                let bytes = from.take(size_of::<Self>())?;
                Ok(Self::from_le_bytes(bytes.try_into().expect("has as many bytes as were asked for")))
            }
        })*
    };
}

numbers!(u8, u16, u32, u64, i32, i64, f64);
saved!(text Filter, JobName, Location, QueueName, TaskName, TopicName);
saved!(struct Draft { data, attributes, ordering_key });
saved!(struct TaskRetry { attempts_max, duration_max, backoff_min, backoff_max, doublings_max });
saved!(message pubsub::v1::Topic, pubsub::v1::Subscription, pubsub::v1::Snapshot, iam::v1::Policy);

impl Saved for usize {
    fn save(&self, to: &mut Writer) {
        (*self as u64).save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        Self::try_from(u64::load(from)?).map_err(|_| damaged("a number is too large"))
    }
}

impl Saved for bool {
    fn save(&self, to: &mut Writer) {
        u8::from(*self).save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        Ok(u8::load(from)? != 0)
    }
}

impl Saved for Bytes {
    fn save(&self, to: &mut Writer) {
        self.len().save(to);
        to.bytes.extend_from_slice(self);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        let count = usize::load(from)?;
        Ok(Self::copy_from_slice(from.take(count)?))
    }
}

fn save_text(text: &str, to: &mut Writer) {
    text.len().save(to);
    to.bytes.extend_from_slice(text.as_bytes());
}

fn load_text<'a>(from: &mut Reader<'a>) -> Result<&'a str> {
    let count = usize::load(from)?;
    std::str::from_utf8(from.take(count)?).map_err(|_| damaged("a text is not UTF-8"))
}

impl Saved for String {
    fn save(&self, to: &mut Writer) {
        save_text(self, to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        load_text(from).map(str::to_owned)
    }
}

impl Saved for Arc<str> {
    fn save(&self, to: &mut Writer) {
        save_text(self, to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        load_text(from).map(Into::into)
    }
}

impl Saved for Timestamp {
    fn save(&self, to: &mut Writer) {
        (self.as_second(), self.subsec_nanosecond()).save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        let (seconds, nanoseconds) = Saved::load(from)?;
        Self::new(seconds, nanoseconds).map_err(|_| damaged("a time is out of range"))
    }
}

impl Saved for SignedDuration {
    fn save(&self, to: &mut Writer) {
        (self.as_secs(), self.subsec_nanos()).save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        let (seconds, nanoseconds): (i64, i32) = Saved::load(from)?;
        // What was saved has its parts in range and of one sign.
        Ok(Self::new(seconds, nanoseconds % 1_000_000_000))
    }
}

impl Saved for Duration {
    fn save(&self, to: &mut Writer) {
        (self.as_secs(), self.subsec_nanos()).save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        let (seconds, nanoseconds): (u64, u32) = Saved::load(from)?;
        Ok(Self::new(seconds, nanoseconds % 1_000_000_000))
    }
}

impl Saved for TimeZone {
    fn save(&self, to: &mut Writer) {
        save_text(self.iana_name().unwrap_or_default(), to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        cron::zone(load_text(from)?)
    }
}

impl Saved for Schedule {
    fn save(&self, to: &mut Writer) {
        save_text(self.as_str(), to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        load_text(from)?.parse()
    }
}

impl<T: Saved> Saved for Option<T> {
    fn save(&self, to: &mut Writer) {
        self.is_some().save(to);
        if let Some(value) = self {
            value.save(to);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        if bool::load(from)? { T::load(from).map(Some) } else { Ok(None) }
    }
}

impl<A: Saved, B: Saved> Saved for (A, B) {
    fn save(&self, to: &mut Writer) {
        self.0.save(to);
        self.1.save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        Ok((A::load(from)?, B::load(from)?))
    }
}

impl<T: Saved, const N: usize> Saved for [T; N] {
    fn save(&self, to: &mut Writer) {
        for item in self {
            item.save(to);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        let items = (0..N).map(|_| T::load(from)).collect::<Result<Vec<T>>>()?;
        Ok(items.try_into().unwrap_or_else(|_| unreachable!("as many were read")))
    }
}

macro_rules! collections {
    ($($name:ident<T> $(: $bound:path)*),*) => {
        $(impl<T: Saved $(+ $bound)*> Saved for $name<T> {
            fn save(&self, to: &mut Writer) {
                self.len().save(to);
                for item in self {
                    item.save(to);
                }
            }

            fn load(from: &mut Reader<'_>) -> Result<Self> {
                let count = usize::load(from)?;
                (0..count).map(|_| T::load(from)).collect()
            }
        })*
    };
}

collections!(Vec<T>, VecDeque<T>, BTreeSet<T>: Ord);

impl<K: Saved + Ord, V: Saved> Saved for BTreeMap<K, V> {
    fn save(&self, to: &mut Writer) {
        self.len().save(to);
        for (key, value) in self {
            key.save(to);
            value.save(to);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        let count = usize::load(from)?;
        (0..count).map(|_| Saved::load(from)).collect()
    }
}

/// In order of keys, so that equal states are equal bytes.
impl<K: Saved + Ord + Hash, V: Saved> Saved for HashMap<K, V> {
    fn save(&self, to: &mut Writer) {
        let mut entries: Vec<(&K, &V)> = self.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries.len().save(to);
        for (key, value) in entries {
            key.save(to);
            value.save(to);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        let count = usize::load(from)?;
        (0..count).map(|_| Saved::load(from)).collect()
    }
}
