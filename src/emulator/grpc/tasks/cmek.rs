//! Keys of customers from and to the wire.

use super::pb;
use crate::emulator::state::Refusal;
use crate::emulator::state::tasks::{CmekConfig, UpdateCmekConfig};
use crate::names::Location;

/// The location of `projects/P/locations/L/cmekConfig`.
pub(super) fn location(name: &str) -> Result<Location, Refusal> {
    let text = "CMEK config name must be formatted: \"projects/<PROJECT_ID>/locations/<LOCATION_ID>/cmekConfig\"";
    name.strip_suffix("/cmekConfig").and_then(|location| location.parse().ok()).ok_or_else(|| Refusal::invalid(text))
}

pub(super) fn update(request: pb::UpdateCmekConfigRequest) -> Result<UpdateCmekConfig, Refusal> {
    let proto = request.cmek_config.ok_or_else(|| Refusal::invalid("UpdateCmekConfigRequest.cmekConfig is required."))?;
    let config = CmekConfig { location: location(&proto.name)?, key: proto.kms_key };
    Ok(UpdateCmekConfig { config, mask: request.update_mask.map(|mask| mask.paths).unwrap_or_default() })
}

pub(super) fn to_proto(config: CmekConfig) -> pb::CmekConfig {
    pb::CmekConfig { name: format!("{}/cmekConfig", config.location), kms_key: config.key }
}
