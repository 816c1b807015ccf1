//! Who is who: the keys and tokens that Google's identity services would hold. Tokens are signed, handed out and checked for real.
//!
//! Must not know the services, nor what may be done by whom: whoever shows a valid token may do everything. It has the machine's time, not the
//! emulator's, for whoever checks a token elsewhere has no other.

mod access;
mod assertion;
mod credentials;
mod der;
mod guard;
mod keys;
mod metadata;
mod mint;
mod pages;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aws_lc_rs::hmac;
use jiff::Timestamp;

pub(super) use credentials::Wanted;
pub(super) use pages::answer;

use crate::names::ProjectId;
use keys::{PublicKey, SigningKey};
use mint::Kept;

/// Whom tokens are from, as Google's are.
pub(super) const ISSUER_DEFAULT: &str = "https://accounts.google.com";
/// The issuer that means the emulator's own address.
pub(super) const ISSUER_SELF: &str = "self";
/// Public keys of service accounts that are remembered: far more than tests make.
const ACCOUNT_KEYS_MAX: usize = 10_000;
/// After this many turns of the signing key the oldest is no longer shown.
const SIGNING_KEYS_MAX: usize = 2;

/// What is asked of the identity services when the emulator starts.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// `None` is [`ISSUER_DEFAULT`].
    pub(super) issuer: Option<String>,
    /// Whether calls without a valid token are refused.
    pub(super) required: bool,
}

/// The identity services of one emulator. Clones are handles to the same ones.
#[derive(Debug, Clone)]
pub(super) struct Identity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    project: ProjectId,
    /// `http://HOST:PORT` where the emulator listens.
    own_url: String,
    issuer: String,
    required: bool,
    /// Signs access tokens and refresh tokens, so that none has to be remembered.
    secret: LazyLock<hmac::Key>,
    /// The keys that sign ID tokens, the newest last; the first is made when it is needed.
    signing: Mutex<Vec<Arc<SigningKey>>>,
    /// The public keys of service accounts by their ids.
    accounts: Mutex<BTreeMap<String, AccountKey>>,
    kept: Mutex<Kept>,
}

/// A key that a service account signs with.
#[derive(Debug, Clone)]
struct AccountKey {
    email: String,
    key: PublicKey,
}

/// Makes a secret. The first random number of a process takes the crypto library 30 ms, which most emulators never need.
fn secret() -> hmac::Key {
    hmac::Key::generate(hmac::HMAC_SHA256, &aws_lc_rs::rand::SystemRandom::new()).expect("this machine gives random numbers")
}

impl Identity {
    /// `own_url` is where the emulator listens, `http://HOST:PORT`.
    pub(super) fn new(project: ProjectId, own_url: String, settings: Settings) -> Self {
        let issuer = match settings.issuer {
            Some(own) if own == ISSUER_SELF => own_url.clone(),
            Some(issuer) => issuer,
            None => ISSUER_DEFAULT.to_owned(),
        };
        Self(Arc::new(Inner {
            project,
            own_url,
            issuer,
            required: settings.required,
            secret: LazyLock::new(secret),
            signing: Mutex::default(),
            accounts: Mutex::default(),
            kept: Mutex::default(),
        }))
    }

    /// The service account that stands for this machine, as Compute Engine's default one.
    pub(super) fn account(&self) -> String {
        format!("{}-compute@developer.gserviceaccount.com", self.project_number())
    }

    /// The number of the project: twelve digits, always the same for an id.
    fn project_number(&self) -> u64 {
        const DIGITS: u64 = 900_000_000_000;
        100_000_000_000 + mint::number(self.0.project.as_str()) % DIGITS
    }

    /// The key that signs ID tokens. The first call takes a good part of a second.
    fn signing_key(&self) -> Result<Arc<SigningKey>, String> {
        let mut keys = self.0.signing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = keys.last() {
            return Ok(Arc::clone(newest));
        }
        let key = Arc::new(SigningKey::generate()?);
        keys.push(Arc::clone(&key));
        Ok(key)
    }

    /// The keys with which ID tokens can be checked.
    fn signing_keys(&self) -> Result<Vec<Arc<SigningKey>>, String> {
        self.signing_key()?;
        Ok(self.0.signing.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Signs with a new key from now on; the one before is still shown.
    fn rotate(&self) -> Result<(), String> {
        self.signing_key()?;
        let key = Arc::new(SigningKey::generate()?);
        let mut keys = self.0.signing.lock().unwrap_or_else(PoisonError::into_inner);
        keys.push(key);
        let old = keys.len().saturating_sub(SIGNING_KEYS_MAX);
        keys.drain(..old);
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// Notes a service account's public key; returns its id.
    fn register(&self, email: &str, key: PublicKey) -> Result<String, String> {
        let id = key.id();
        let mut accounts = self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= ACCOUNT_KEYS_MAX {
            return Err(format!("there are {ACCOUNT_KEYS_MAX} keys of service accounts already, which is the most"));
        }
        accounts.insert(id.clone(), AccountKey { email: email.to_owned(), key });
        Ok(id)
    }

    /// The keys that may have signed an assertion: the one of this id, or all of the account where it names none.
    fn account_keys(&self, id: Option<&str>, email: &str) -> Vec<PublicKey> {
        let accounts = self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_account = accounts.iter().filter(|(found, account)| account.email == email && id.is_none_or(|id| id == *found));
        of_account.map(|(_, account)| account.key.clone()).collect()
    }
}

/// The machine's time.
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests;
