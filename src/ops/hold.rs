//! Holds a push subscription: turned to pull, so that its messages wait and can be taken, with its configuration put away to be put back.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::names::SubscriptionName;
use crate::ops::{Ops, home};

/// Where the configurations lie below the home.
const FOLDER: &str = "holds";

impl Ops {
    /// Turns a push subscription to pull; its configuration is on disk before.
    pub async fn hold_subscription(&self, name: &SubscriptionName) -> Result<()> {
        self.act("subscription.hold", name, async {
            let config = self.cloud().push_config(name).await?;
            if config.get("pushEndpoint").and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(Error::new(
                    Kind::FailedPrecondition,
                    format!("subscription `{}` does not push: there is nothing to hold", name.id()),
                ));
            }
            let path = self.hold_path(name);
            home::create_folder(&self.0.home.join(FOLDER))?;
            // One that is there is of a hold that was ended by hand: the subscription pushes again, so that its present configuration counts.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(home::unusable(&path, error)),
                _ => {}
            }
            let mut file = home::create_new(&path)?;
            let written = file.write_all(config.to_string().as_bytes()).and_then(|()| file.sync_all());
            written.map_err(|error| home::unusable(&path, error))?;
            self.cloud().set_push_config(name, &Value::Object(serde_json::Map::new())).await
        })
        .await
    }

    /// Puts the configuration of a held subscription back.
    pub async fn release_subscription(&self, name: &SubscriptionName) -> Result<()> {
        self.act("subscription.release", name, async {
            let path = self.hold_path(name);
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(Error::new(Kind::NotFound, format!("subscription `{}` is not held from this machine", name.id())));
                }
                Err(error) => return Err(home::unusable(&path, error)),
            };
            let config: Value = serde_json::from_str(&text)
                .map_err(|error| Error::new(Kind::Io, format!("`{}` cannot be read: {error}", path.display())))?;
            self.cloud().set_push_config(name, &config).await?;
            fs::remove_file(&path).map_err(|error| home::unusable(&path, error))
        })
        .await
    }

    fn hold_path(&self, name: &SubscriptionName) -> PathBuf {
        self.0.home.join(FOLDER).join(format!("{}~{}.json", name.project().id(), name.id()))
    }
}
