//! A message in the user's editor: what is changed there becomes a JSON patch, for this message and others like it.

use json_patch::Patch;

use crate::error::{Error, Kind, Result};
use crate::ops::Ops;
use crate::ops::transfer::{Request, difference, document, replaced};

/// Opens the first message that is selected in the editor; returns what was changed.
pub(super) async fn edit(ops: &Ops, request: &Request) -> Result<Patch> {
    let message = ops.sample_message(request).await?;
    let before = document(&message);
    let mut text = serde_json::to_string_pretty(&before).map_err(|error| Error::invalid(error.to_string()))?;
    text.push('\n');
    let edited = ops.edit_text(&text)?;
    let after = serde_json::from_str(&edited).map_err(|error| Error::invalid(format!("what was edited is no JSON any more: {error}")))?;
    replaced(&message, &before, &after)?;
    let patch = difference(&before, &after);
    if patch.0.is_empty() {
        return Err(Error::new(Kind::Cancelled, "nothing was done: nothing was edited"));
    }
    Ok(patch)
}
