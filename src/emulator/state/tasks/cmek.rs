//! Customer-managed keys of a location: kept and told; nothing here is encrypted with them.

use super::Tasks;
use crate::emulator::state::saved::saved;
use crate::emulator::state::{Command, Effects, Moment, Refusal, State};
use crate::names::Location;

/// The key of a location; an empty one is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CmekConfig {
    pub(crate) location: Location,
    pub(crate) key: String,
}

/// Sets the key of a location.
pub(crate) struct UpdateCmekConfig {
    pub(crate) config: CmekConfig,
    /// Paths of fields in the proto's spelling; empty is all.
    pub(crate) mask: Vec<String>,
}

saved!(struct CmekConfig { location, key });
saved!(struct UpdateCmekConfig { config, mask });

impl Tasks {
    pub(crate) fn cmek_config(&self, location: Location) -> CmekConfig {
        let key = self.keys.get(&location.to_string()).cloned().unwrap_or_default();
        CmekConfig { location, key }
    }
}

impl Command for UpdateCmekConfig {
    type Reply = CmekConfig;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<CmekConfig, Refusal> {
        let Self { config, mask } = self;
        if let Some(path) = mask.iter().find(|path| !["*", "kms_key", "name"].contains(&path.as_str())) {
            return Err(Refusal::invalid(format!("Invalid update mask: the CMEK config has no field \"{}\".", path.escape_debug())));
        }
        if !config.key.is_empty() && !is_key(&config.key) {
            let text = "CmekConfig.kmsKey must be formatted: \
                        \"projects/<PROJECT_ID>/locations/<LOCATION_ID>/keyRings/<KEY_RING_ID>/cryptoKeys/<KEY_ID>\"";
            return Err(Refusal::invalid(text));
        }
        if mask.is_empty() || mask.iter().any(|path| path != "name") {
            let keys = &mut state.tasks.keys;
            if config.key.is_empty() {
                keys.remove(&config.location.to_string());
            } else {
                keys.insert(config.location.to_string(), config.key);
            }
        }
        Ok(state.tasks.cmek_config(config.location))
    }
}

fn is_key(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    matches!(parts[..], ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key]
        if [project, location, ring, key].iter().all(|part| !part.is_empty()))
}
