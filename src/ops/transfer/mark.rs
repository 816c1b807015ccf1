//! A mark on the subscription that a transfer takes from, so that an operator on another machine notices it: a label with the transfer's id, whose it is,
//! and when it was last known to run. Where labels may not be changed, that is said, and the transfer goes on without.
//!
//! A label is no lock: who looks and who writes at the same moment may miss each other, and then see each other at the next beat.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::TransferId;
use super::engine::Event;
use crate::cloud::Cloud;
use crate::error::{Error, Kind, Result};
use crate::model::subscription::Subscription;
use crate::names::SubscriptionName;
use crate::ops::home;

/// The label's key.
const LABEL: &str = "redrive-transfer";
/// A mark that is older is what a crash left behind.
const LIFE: SignedDuration = SignedDuration::from_mins(5);
/// The mark is written anew this often while the transfer runs.
const BEAT: Duration = Duration::from_mins(1);
/// Taking the mark off is not waited for longer than this: it grows old by itself.
const CLEAR_WAIT: Duration = Duration::from_secs(5);
/// The file that tells this data folder from others.
const OPERATOR: &str = "operator";
/// Characters of an operator's name: 32 bits.
const OPERATOR_CHARS: usize = 8;

/// Whose transfer takes from a subscription, as its label says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) transfer: TransferId,
    operator: String,
    at: Timestamp,
}

impl Mark {
    /// Reads the mark off a subscription.
    fn of(subscription: &Subscription) -> Option<Self> {
        let text = subscription.raw.get("labels")?.get(LABEL)?.as_str()?;
        let mut parts = text.splitn(3, '-');
        let (transfer, operator, at) = (parts.next()?, parts.next()?, parts.next()?);
        let at = Timestamp::from_second(at.parse().ok()?).ok()?;
        Some(Self { transfer: TransferId(transfer.to_owned()), operator: operator.to_owned(), at })
    }

    fn label(&self) -> String {
        format!("{}-{}-{}", self.transfer, self.operator, self.at.as_second())
    }
}

/// Finds the living mark of another operator; `now` is the server's clock.
pub(super) fn foreign(subscription: &Subscription, home: &Path, now: Timestamp) -> Option<String> {
    let mark = Mark::of(subscription)?;
    let age = now.duration_since(mark.at);
    if age > LIFE || operator(home).is_ok_and(|own| own.as_deref() == Some(&mark.operator)) {
        return None;
    }
    Some(format!(
        "transfer `{}` of another operator takes from subscription `{}` (its mark is {} s old)",
        crate::model::text::line(&mark.transfer.0),
        subscription.name.id(),
        age.as_secs().max(0)
    ))
}

/// Returns the name of this data folder among operators; `None` before its first transfer.
fn operator(home: &Path) -> std::io::Result<Option<String>> {
    let mut text = String::new();
    match std::fs::File::open(home.join(OPERATOR)) {
        Ok(file) => file.take(OPERATOR_CHARS as u64).read_to_string(&mut text)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok((text.len() == OPERATOR_CHARS).then_some(text))
}

/// Returns the name of this data folder, or gives it one.
fn make_operator(home: &Path) -> Result<String> {
    let path = home.join(OPERATOR);
    if let Some(name) = operator(home).map_err(|error| home::unusable(&path, error))? {
        return Ok(name);
    }
    let mut hash = Sha256::new();
    hash.update(path.as_os_str().as_encoded_bytes());
    hash.update(std::process::id().to_be_bytes());
    hash.update(Timestamp::now().as_nanosecond().to_be_bytes());
    let mut name = String::with_capacity(OPERATOR_CHARS);
    for byte in hash.finalize().iter().take(OPERATOR_CHARS / 2) {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    match home::create_new(&path) {
        Ok(mut file) => file.write_all(name.as_bytes()).map_err(|error| home::unusable(&path, error))?,
        // Another process was faster.
        Err(error) => return operator(home).ok().flatten().ok_or(error),
    }
    Ok(name)
}

/// The mark of a transfer that runs here.
pub(super) struct Marker {
    cloud: Cloud,
    subscription: SubscriptionName,
    mark: Mark,
    since: Instant,
}

impl Marker {
    /// Marks the subscription; `now` is the server's clock.
    ///
    /// # Errors
    ///
    /// Fails with a refusal where another operator began at the same moment; any other error means that there is no mark.
    pub(super) async fn set(
        cloud: &Cloud,
        subscription: &SubscriptionName,
        transfer: &TransferId,
        home: &Path,
        now: Timestamp,
        force: bool,
    ) -> Result<Self> {
        let mark = Mark { transfer: transfer.clone(), operator: make_operator(home)?, at: now };
        let marker = Self { cloud: cloud.clone(), subscription: subscription.clone(), mark, since: Instant::now() };
        marker.write().await?;
        let there = Mark::of(&cloud.get_subscription(subscription).await?);
        match there {
            Some(other) if other.operator != marker.mark.operator && !force => Err(Error::new(
                Kind::Refused,
                format!(
                    "transfer `{}` of another operator began on `{}` at the same moment",
                    crate::model::text::line(&other.transfer.0),
                    subscription.id()
                ),
            )
            .with_hint("wait for its end, or go on all the same with `--force`")),
            _ => Ok(marker),
        }
    }

    async fn write(&self) -> Result<()> {
        let now = Mark { at: self.mark.at + self.since.elapsed(), ..self.mark.clone() };
        self.cloud.set_label(&self.subscription, LABEL, Some(&now.label())).await
    }

    /// Keeps the mark young until it is dropped; tells of other operators' marks.
    pub(super) async fn beat(&self, tell: mpsc::Sender<Event>) {
        loop {
            tokio::time::sleep(BEAT).await;
            let there = self.cloud.get_subscription(&self.subscription).await.ok().as_ref().and_then(Mark::of);
            if let Some(other) = there.filter(|other| other.operator != self.mark.operator) {
                let words = format!("transfer `{}` of another operator takes from the same subscription", other.transfer);
                // Nobody hears it once the transfer has ended.
                let _ = tell.send(Event::Noticed(words)).await;
                continue;
            }
            if let Err(error) = self.write().await {
                tracing::warn!(%error, "the mark for other operators is not kept young");
            }
        }
    }

    /// Takes the mark off, where it is still ours.
    pub(super) async fn clear(&self) {
        let clear = async {
            let there = Mark::of(&self.cloud.get_subscription(&self.subscription).await?);
            match there {
                Some(mark) if mark.transfer == self.mark.transfer && mark.operator == self.mark.operator => {
                    self.cloud.set_label(&self.subscription, LABEL, None).await
                }
                _ => Ok(()),
            }
        };
        match tokio::time::timeout(CLEAR_WAIT, clear).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the mark for other operators stays until it is old"),
            Err(_) => tracing::warn!("the mark for other operators stays until it is old"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_keeps_its_name_and_has_it_alone() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(operator(a.path()).unwrap(), None);
        let name = make_operator(a.path()).unwrap();
        assert_eq!((make_operator(a.path()).unwrap(), operator(a.path()).unwrap()), (name.clone(), Some(name.clone())));
        assert_ne!(make_operator(b.path()).unwrap(), name);
    }

    #[test]
    fn a_label_is_one_to_google_and_reads_back() {
        let at = Timestamp::from_second(1_795_251_600).unwrap();
        let mark = Mark { transfer: TransferId("0mi8x1c2k".into()), operator: "00ff00ff".into(), at };
        let label = mark.label();
        assert!(
            label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
            "{label}"
        );
        assert_eq!(label, "0mi8x1c2k-00ff00ff-1795251600");
    }
}
