//! Payloads as they are kept.

use bytes::Bytes;

/// From this size on a payload is kept as it came, in bytes: a request has ten times that at most.
const SHARED_BYTES_MIN: usize = 1024 * 1024;

/// Returns the payload without what it came with. Off the wire it is a slice of the request's buffer, which has 8 kB at least, and holds all of it
/// for as long as it lives itself.
pub(crate) fn kept(data: Bytes) -> Bytes {
    if data.len() < SHARED_BYTES_MIN { Bytes::copy_from_slice(&data) } else { data }
}
