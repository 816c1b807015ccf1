//! Customer-managed keys of a location: kept and told; nothing here is encrypted with them.

use std::collections::BTreeMap;

use super::{Queue, Tasks};
use crate::emulator::state::saved::saved;
use crate::emulator::state::{Command, Effects, Info, Moment, Refusal, State};
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

    /// Whether no queue of the project holds what the service does not encrypt.
    fn may_have_key(&self, config: &CmekConfig) -> Result<(), Refusal> {
        let project = config.location.project();
        let has_headers = |queue: &Queue| queue.settings.http.as_ref().is_some_and(|http| !http.headers.is_empty());
        if !self.queues.values().any(|queue| queue.name.location().project() == project && has_headers(queue)) {
            return Ok(());
        }
        let text = "CMEK cannot be enabled on any project that has one or more queues with HTTP Target Override headers \
                    or tasks ttl of more than 60 days.";
        let info = Info { reason: "UNSATISFIED_PRECONDITION_FOR_CMEK", domain: "cloudtasks.googleapis.com", metadata: BTreeMap::new() };
        Err(Refusal::precondition(text).with_info(info))
    }
}

impl Command for UpdateCmekConfig {
    type Reply = CmekConfig;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<CmekConfig, Refusal> {
        let Self { config, mask } = self;
        if let Some(path) = mask.iter().find(|path| !["*", "kms_key", "name"].contains(&path.as_str())) {
            return Err(Refusal::invalid(format!("Invalid update mask: the CMEK config has no field \"{}\".", path.escape_debug())));
        }
        if !config.key.is_empty() {
            state.tasks.may_have_key(&config)?;
            check_key(&config)?;
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

/// A key of the same location; which keys there are is not known here.
fn check_key(config: &CmekConfig) -> Result<(), Refusal> {
    let parts: Vec<&str> = config.key.split('/').collect();
    let is_full = parts.iter().all(|part| !part.is_empty());
    match parts[..] {
        ["projects", _, "locations", location, "keyRings", _, "cryptoKeys", _] if is_full => {
            if location == config.location.id() {
                Ok(())
            } else {
                Err(Refusal::not_found("Requested entity was not found."))
            }
        }
        // What holds keys, and what a key holds.
        ["projects", _, "locations", _]
        | ["projects", _, "locations", _, "keyRings", _]
        | ["projects", _, "locations", _, "keyRings", _, "cryptoKeys", _, "cryptoKeyVersions", _]
            if is_full =>
        {
            Err(Refusal::invalid("Request contains an invalid argument."))
        }
        _ => {
            let key = config.key.escape_debug();
            Err(Refusal::invalid(format!("Resource name [{key}] does not match any known resource name pattern.")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::state::Code;
    use crate::emulator::state::tasks::{CreateQueue, HttpOverride, QueueDraft};

    fn set(state: &mut State, key: &str) -> Result<String, Refusal> {
        let at = Moment { now: jiff::Timestamp::UNIX_EPOCH, seed: 1 };
        let config = CmekConfig { location: "projects/p/locations/l".parse().unwrap(), key: key.into() };
        UpdateCmekConfig { config, mask: Vec::new() }.apply(state, at, &mut Effects::default()).map(|config| config.key)
    }

    #[test]
    fn what_is_no_key_is_refused_in_googles_words() {
        const RING: &str = "projects/p/locations/l/keyRings/r";
        let version = format!("{RING}/cryptoKeys/k/cryptoKeyVersions/1");
        for (key, code, message) in [
            ("not-a-key", Code::InvalidArgument, "Resource name [not-a-key] does not match any known resource name pattern."),
            (RING, Code::InvalidArgument, "Request contains an invalid argument."),
            (version.as_str(), Code::InvalidArgument, "Request contains an invalid argument."),
            ("projects/p/locations/m/keyRings/r/cryptoKeys/k", Code::NotFound, "Requested entity was not found."),
        ] {
            let refusal = set(&mut State::default(), key).unwrap_err();
            assert_eq!((refusal.code, refusal.message.as_str()), (code, message), "{key}");
        }
        let key = format!("{RING}/cryptoKeys/k");
        assert_eq!(set(&mut State::default(), &key), Ok(key));
    }

    #[test]
    fn a_project_with_headers_in_its_queues_gets_no_key() {
        let mut state = State::default();
        let http = Some(HttpOverride { headers: vec![("X-Custom".into(), "value".into())], ..HttpOverride::default() });
        let create = CreateQueue {
            name: "projects/p/locations/elsewhere/queues/q".parse().unwrap(),
            draft: QueueDraft { http, ..QueueDraft::default() },
        };
        let at = Moment { now: jiff::Timestamp::UNIX_EPOCH, seed: 1 };
        create.apply(&mut state, at, &mut Effects::default()).unwrap();
        let refusal = set(&mut state, "not-a-key").unwrap_err();
        assert_eq!((refusal.code, refusal.info.unwrap().reason), (Code::FailedPrecondition, "UNSATISFIED_PRECONDITION_FOR_CMEK"));
        assert_eq!(set(&mut state, ""), Ok(String::new()), "to have none is free");
    }
}
