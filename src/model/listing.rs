//! What a listing of resources answers: the rows, and what could not be had.

use jiff::Timestamp;

use crate::error::Error;

/// Rows of one kind of resource, of all locations asked.
#[derive(Debug)]
pub struct Listing<T> {
    /// The rows, in the order of their names.
    pub items: Vec<T>,
    /// Places that did not answer (`europe-west1`, or a resource's name), each with its reason; the rows of the others are complete.
    pub failed: Vec<(String, Error)>,
    /// Whether a limit cut the rows.
    pub truncated: bool,
    /// When the answer was asked for, by this machine's clock.
    pub as_of: Timestamp,
}

impl<T> Listing<T> {
    /// Makes an empty listing.
    pub fn empty(as_of: Timestamp) -> Self {
        Self { items: Vec::new(), failed: Vec::new(), truncated: false, as_of }
    }
}
