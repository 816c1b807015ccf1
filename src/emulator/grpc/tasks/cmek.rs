//! Keys of customers from and to the wire.

use std::collections::BTreeMap;

use super::pb;
use crate::emulator::state::tasks::{CmekConfig, UpdateCmekConfig};
use crate::emulator::state::{Info, Refusal};
use crate::names::Location;

/// The location that `GetCmekConfig` names.
pub(super) fn location(name: &str) -> Result<Location, Refusal> {
    location_of(name, "GetCmekConfig")
}

/// The location of `projects/P/locations/L/cmekConfig`.
fn location_of(name: &str, method: &str) -> Result<Location, Refusal> {
    if name.is_empty() {
        return Err(no_resource(method));
    }
    let text = "CMEK Config name must be formatted: \"projects/<PROJECT_ID>/locations/<LOCATION_ID>/cmekConfig\".";
    name.strip_suffix("/cmekConfig").and_then(|location| location.parse().ok()).ok_or_else(|| Refusal::invalid(text))
}

pub(super) fn update(request: pb::UpdateCmekConfigRequest) -> Result<UpdateCmekConfig, Refusal> {
    let proto = request.cmek_config.unwrap_or_default();
    let config = CmekConfig { location: location_of(&proto.name, "UpdateCmekConfig")?, key: proto.kms_key };
    Ok(UpdateCmekConfig { config, mask: request.update_mask.map(|mask| mask.paths).unwrap_or_default() })
}

/// The refusal of a request that names nothing.
pub(super) fn no_resource(method: &str) -> Refusal {
    let metadata = [("method", format!("google.cloud.tasks.v2.CloudTasks.{method}")), ("service", "cloudtasks.googleapis.com".to_owned())];
    let metadata: BTreeMap<String, String> = metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let info = Info { reason: "RESOURCE_PROJECT_INVALID", domain: "googleapis.com", metadata };
    Refusal::invalid("Invalid resource field value in the request.").with_info(info)
}

pub(super) fn to_proto(config: CmekConfig) -> pb::CmekConfig {
    pb::CmekConfig { name: format!("{}/cmekConfig", config.location), kms_key: config.key }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_found_by_its_name() {
        let refused = |name: &str| location(name).unwrap_err();
        assert_eq!(location("projects/p/locations/l/cmekConfig").unwrap().to_string(), "projects/p/locations/l");
        for name in ["projects/p/locations/l", "projects/p/locations/l/otherConfig"] {
            assert!(refused(name).message.starts_with("CMEK Config name must be formatted: "), "{name}");
        }
        assert_eq!(refused("").info.unwrap().metadata["method"], "google.cloud.tasks.v2.CloudTasks.GetCmekConfig");
        let refused = update(pb::UpdateCmekConfigRequest::default()).err().unwrap();
        assert_eq!(refused.message, "Invalid resource field value in the request.");
        assert_eq!(refused.info.unwrap().metadata["method"], "google.cloud.tasks.v2.CloudTasks.UpdateCmekConfig");
    }
}
