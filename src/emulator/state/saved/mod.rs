//! State and commands as bytes: what the data directory holds.
//!
//! Every type of the state says with [`saved!`](crate::emulator::state::saved::saved) what it is made of. The macros take the types apart in full, so that a field or a
//! variant that is not listed does not compile. Order is the format: a field added later goes behind a `;` at the end and is
//! its default where an older file lacks it; numbers of variants and commands are never used again. Must not know files.

mod plain;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pubsub::Message;
use crate::error::{Error, Kind, Result};

/// A value that can be written as bytes and read back equal.
pub(crate) trait Saved: Sized {
    fn save(&self, to: &mut Writer);
    fn load(from: &mut Reader<'_>) -> Result<Self>;
}

/// Where values are written.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
    /// The messages that what was written refers to: they are kept once, however many subscriptions hold them.
    pub(crate) messages: BTreeMap<u64, Arc<Message>>,
}

/// Where values are read from.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    messages: &'a BTreeMap<u64, Arc<Message>>,
}

/// For what refers to no messages.
static NO_MESSAGES: BTreeMap<u64, Arc<Message>> = BTreeMap::new();

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, messages: &NO_MESSAGES }
    }

    pub(crate) fn with_messages(bytes: &'a [u8], messages: &'a BTreeMap<u64, Arc<Message>>) -> Self {
        Self { bytes, messages }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(|| damaged("it ends too early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn message(&mut self) -> Result<Arc<Message>> {
        let id = u64::load(self)?;
        self.messages.get(&id).cloned().ok_or_else(|| damaged("a message is missing"))
    }
}

/// The error of bytes that cannot be read.
pub(crate) fn damaged(why: &str) -> Error {
    Error::new(Kind::Io, format!("the data cannot be read: {why}"))
        .with_hint("data of a newer `redrive` needs that one; else begin with another directory")
}

/// Says what a type is made of: `saved!(struct Name { a, b; later })`, `saved!(tuple Name(a))`, `saved!(enum Name { 0 = A, 1 = B(x), 2 = C { y } })`,
/// `saved!(message pb::Topic)` for protobuf and `saved!(text Name)` for what is read from its text.
macro_rules! saved {
    (struct $name:path { $($field:ident),* $(,)? $(; $($later:ident),* $(,)?)? }) => {
        impl $crate::emulator::state::saved::Saved for $name {
            fn save(&self, to: &mut $crate::emulator::state::saved::Writer) {
                const FIELDS: &[&str] = &[$(stringify!($field),)* $($(stringify!($later)),*)?];
                let Self { $($field,)* $($($later,)*)? } = self;
                to.bytes.push(u8::try_from(FIELDS.len()).expect("a struct has fewer than 256 fields"));
                $($crate::emulator::state::saved::Saved::save($field, to);)*
                $($($crate::emulator::state::saved::Saved::save($later, to);)*)?
            }

            fn load(from: &mut $crate::emulator::state::saved::Reader<'_>) -> $crate::error::Result<Self> {
                const FIRST: &[&str] = &[$(stringify!($field)),*];
                const LATER: &[&str] = &[$($(stringify!($later)),*)?];
                let fields = usize::from(<u8 as $crate::emulator::state::saved::Saved>::load(from)?);
                if fields < FIRST.len() || fields > FIRST.len() + LATER.len() {
                    return Err($crate::emulator::state::saved::damaged(concat!("not the fields of ", stringify!($name))));
                }
                $(let $field = $crate::emulator::state::saved::Saved::load(from)?;)*
                $($(
                    let $later = if LATER.iter().take(fields - FIRST.len()).any(|name| *name == stringify!($later)) {
                        $crate::emulator::state::saved::Saved::load(from)?
                    } else {
                        Default::default()
                    };
                )*)?
                Ok(Self { $($field,)* $($($later,)*)? })
            }
        }
    };
    (tuple $name:path) => {
        impl $crate::emulator::state::saved::Saved for $name {
            fn save(&self, to: &mut $crate::emulator::state::saved::Writer) {
                let Self(only) = self;
                $crate::emulator::state::saved::Saved::save(only, to);
            }

            fn load(from: &mut $crate::emulator::state::saved::Reader<'_>) -> $crate::error::Result<Self> {
                Ok(Self($crate::emulator::state::saved::Saved::load(from)?))
            }
        }
    };
    (enum $name:path { $($tag:literal = $variant:ident $( ( $($item:ident),* ) )? $( { $($field:ident),* } )?),* $(,)? }) => {
        impl $crate::emulator::state::saved::Saved for $name {
            fn save(&self, to: &mut $crate::emulator::state::saved::Writer) {
                match self {
                    $(Self::$variant $( ( $($item),* ) )? $( { $($field),* } )? => {
                        to.bytes.push($tag);
                        $($($crate::emulator::state::saved::Saved::save($item, to);)*)?
                        $($($crate::emulator::state::saved::Saved::save($field, to);)*)?
                    })*
                }
            }

            fn load(from: &mut $crate::emulator::state::saved::Reader<'_>) -> $crate::error::Result<Self> {
                match <u8 as $crate::emulator::state::saved::Saved>::load(from)? {
                    $($tag => {
                        $($(let $item = $crate::emulator::state::saved::Saved::load(from)?;)*)?
                        $($(let $field = $crate::emulator::state::saved::Saved::load(from)?;)*)?
                        Ok(Self::$variant $( ( $($item),* ) )? $( { $($field),* } )?)
                    })*
                    _ => Err($crate::emulator::state::saved::damaged(concat!("an unknown kind of ", stringify!($name)))),
                }
            }
        }
    };
    (message $($name:path),* $(,)?) => {
        $(impl $crate::emulator::state::saved::Saved for $name {
            fn save(&self, to: &mut $crate::emulator::state::saved::Writer) {
                to.message(self);
            }

            fn load(from: &mut $crate::emulator::state::saved::Reader<'_>) -> $crate::error::Result<Self> {
                from.decode()
            }
        })*
    };
    (text $($name:path),* $(,)?) => {
        $(impl $crate::emulator::state::saved::Saved for $name {
            fn save(&self, to: &mut $crate::emulator::state::saved::Writer) {
                $crate::emulator::state::saved::Saved::save(&self.to_string(), to);
            }

            fn load(from: &mut $crate::emulator::state::saved::Reader<'_>) -> $crate::error::Result<Self> {
                let text = <String as $crate::emulator::state::saved::Saved>::load(from)?;
                text.parse().map_err(|_| $crate::emulator::state::saved::damaged(concat!("not a ", stringify!($name))))
            }
        })*
    };
}
pub(crate) use saved;

impl Writer {
    pub(crate) fn message(&mut self, message: &impl prost::Message) {
        let bytes = message.encoded_len();
        bytes.save(self);
        self.bytes.reserve(bytes);
        message.encode_raw(&mut self.bytes);
    }
}

impl Reader<'_> {
    pub(crate) fn decode<M: prost::Message + Default>(&mut self) -> Result<M> {
        let bytes = usize::load(self)?;
        M::decode(self.take(bytes)?).map_err(|error| damaged("a request is malformed").with_source(error))
    }
}

#[cfg(test)]
mod tests;
