//! What a message is made of: typed content, how it is written as bytes, and the topic it belongs to.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::runtime::Failure;

/// What a message can carry: written as bytes, and read from them. Every type of serde is, as JSON; another format is a type of your own.
///
/// ```
/// use bytes::Bytes;
/// use redrive::runtime::{Content, Failure};
///
/// /// One reading of a sensor, as its firmware writes it.
/// struct Reading(u16);
///
/// impl Content for Reading {
///     fn encode(&self) -> Result<Bytes, Failure> {
///         Ok(Bytes::copy_from_slice(&self.0.to_be_bytes()))
///     }
///
///     fn decode(data: &[u8]) -> Result<Self, Failure> {
///         Ok(Self(u16::from_be_bytes(data.try_into()?)))
///     }
/// }
/// # assert_eq!(Reading::decode(&Reading(7).encode().unwrap()).unwrap().0, 7);
/// # assert!(Reading::decode(b"x").is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the content of a message",
    label = "not the content of a message",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it (it is JSON then), or implement `redrive::runtime::Content`"
)]
pub trait Content: Sized + Send + 'static {
    /// Writes it.
    ///
    /// # Errors
    ///
    /// Fails where this value has no form as bytes.
    fn encode(&self) -> Result<Bytes, Failure>;

    /// Reads it.
    ///
    /// # Errors
    ///
    /// Fails where the bytes are something else: the message is then malformed and not acknowledged.
    fn decode(data: &[u8]) -> Result<Self, Failure>;
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Content for T {
    fn encode(&self) -> Result<Bytes, Failure> {
        Ok(serde_json::to_vec(self)?.into())
    }

    fn decode(data: &[u8]) -> Result<Self, Failure> {
        Ok(serde_json::from_slice(data)?)
    }
}

/// Content that is published: it knows its topic.
///
/// ```
/// use redrive::runtime::Message;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced { order: u64, customer: String }
///
/// impl Message for OrderPlaced {
///     const TOPIC: &'static str = "orders";
///
///     fn ordering_key(&self) -> String {
///         self.customer.clone()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not published to a topic",
    label = "not a message",
    note = "implement `redrive::runtime::Message` for it: `const TOPIC: &'static str` is all it needs"
)]
pub trait Message: Content {
    /// Its topic, without the app's prefix: `orders` is `shop--orders` in an app named `shop`.
    const TOPIC: &'static str;

    /// Returns its attributes (at most 100; a key has 256 bytes at most, a value 1,024), by which subscriptions filter.
    fn attributes(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Returns its ordering key: messages of one key come in order to subscriptions that are ordered. Empty is none.
    fn ordering_key(&self) -> String {
        String::new()
    }
}

/// A record that is published: its content, attributes and topic are made of it.
///
/// ```
/// use std::borrow::Cow;
/// use std::collections::BTreeMap;
/// use redrive::runtime::Entity;
/// use serde::{Deserialize, Serialize};
///
/// struct Customer { id: u64, name: String, country: String, password_hash: String }
///
/// #[derive(Serialize, Deserialize)]
/// struct Published { id: u64, name: String }
///
/// impl Entity for Customer {
///     type Content = Published;
///
///     fn topic(&self) -> Cow<'_, str> {
///         format!("customers-{}", self.country).into()
///     }
///
///     fn content(&self) -> Published {
///         Published { id: self.id, name: self.name.clone() }
///     }
///
///     fn attributes(&self) -> BTreeMap<String, String> {
///         [("country".to_owned(), self.country.clone())].into()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no record that can be published",
    label = "not an entity",
    note = "implement `redrive::runtime::Entity` for it: a type of content, `topic(&self)` and `content(&self)`"
)]
pub trait Entity {
    /// What is published of it.
    type Content: Content;

    /// What its publisher is called, where messages of it go through Cloud Tasks in the format of `django-google-cloud-tasks`, which names their tasks so; the app
    /// [`publishes_records`](crate::runtime::Builder::publishes_records) of it then.
    const PUBLISHER: &'static str = "";

    /// Returns its topic, without the app's prefix.
    fn topic(&self) -> std::borrow::Cow<'_, str>;

    /// Returns what is published of it.
    fn content(&self) -> Self::Content;

    /// Returns the message's attributes.
    fn attributes(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Returns the message's ordering key; empty is none.
    fn ordering_key(&self) -> String {
        String::new()
    }
}
