//! Times as Python's `isoformat` writes them in UTC, `2026-01-01T00:00:00+00:00`, for payloads that services in Python take: for serde's `with`.
//!
//! ```
//! use jiff::Timestamp;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Remind {
//!     #[serde(with = "redrive::runtime::python_time")]
//!     at: Timestamp,
//! }
//!
//! let remind: Remind = serde_json::from_str(r#"{"at":"2026-01-01T01:00:00.25+01:00"}"#)?;
//! assert_eq!(serde_json::to_string(&remind)?, r#"{"at":"2026-01-01T00:00:00.250000+00:00"}"#);
//! # Ok::<(), serde_json::Error>(())
//! ```

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};

use crate::runtime::wire::iso_format;

/// Writes a time, to the microsecond.
///
/// # Errors
///
/// Fails where the serializer does.
pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso_format(*time))
}

/// Reads a time with any offset.
///
/// # Errors
///
/// Fails where that is no time with an offset.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}
