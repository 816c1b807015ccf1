//! Which resources have changed since somebody last asked, so that a look at the numbers costs what has changed, not what there is.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::saved::{Reader, Saved, Writer};
use crate::error::Result;

/// Full names of resources whose numbers may have changed, those that are gone included.
#[derive(Debug, Default)]
pub(crate) enum Touched {
    /// Nobody has asked yet, or all was replaced.
    #[default]
    Everything,
    These(BTreeSet<Arc<str>>),
}

impl Touched {
    pub(super) fn touch(&mut self, name: &str) {
        if let Self::These(names) = self
            && !names.contains(name)
        {
            names.insert(name.into());
        }
    }

    /// Returns what was touched, and begins anew.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::These(BTreeSet::new()))
    }

    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::These(mut names), Self::These(others)) => {
                names.extend(others);
                Self::These(names)
            }
            _ => Self::Everything,
        }
    }
}

/// Nothing of it is kept: who asks a state that was read back, asks for the first time.
impl Saved for Touched {
    fn save(&self, _to: &mut Writer) {}

    fn load(_from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self::default())
    }
}
