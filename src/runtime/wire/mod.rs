//! Names, URLs and bodies, in this crate's own format and in those of the systems it works beside. Pure: it knows neither sockets nor clocks.

mod answer;
mod arguments;
mod body;
mod cloud_headers;
mod layout;
mod message;
mod python;

pub(crate) use answer::{Answer, What, answer, status};
pub(crate) use arguments::read;
pub(crate) use body::{Call, Incoming, Outgoing, iso_format};
/// A task is at most this large, with its headers (Google's limit).
pub(crate) const TASK_BYTES_MAX: usize = 1024 * 1024;

pub(crate) use cloud_headers::{DEADLINE_HEADER, ENQUEUED_HEADER, is_dispatch_deadline, own_headers, task_info};
pub(crate) use layout::{Layout, Route, short_hash};
pub(crate) use python::dumps;
