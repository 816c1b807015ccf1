//! What an app needs in the cloud, from its registry: by command, or when the service starts.

mod builder;
mod wanted;

use crate::error::Result;
use crate::provision::{self, Applied, Plan};
use crate::runtime::App;

/// The settings of provisioning.
#[derive(Debug, Clone, Default)]
pub(crate) struct Provisioning {
    /// Topics that are published to, without the app's prefix.
    pub(crate) topics: Vec<String>,
    pub(crate) project_number: Option<String>,
    pub(crate) at_start: bool,
}

impl<S: Send + Sync + 'static> App<S> {
    /// Reads what is in the cloud, and plans what is to be done so that it is what this app needs; changes nothing. The plan reads like a difference.
    ///
    /// With `prune` it deletes topics, subscriptions and jobs that this app made earlier, within its own prefix, and does not need any more. What was there
    /// before the app took it over, topics that other subscriptions use, and subscriptions that may hold dead letters stay.
    ///
    /// ```
    /// # use redrive::runtime::{App, Host, Message};
    /// # use redrive::cloud::Cloud;
    /// # use redrive::emulator::Emulator;
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct OrderPlaced { order: u64 }
    /// # impl Message for OrderPlaced { const TOPIC: &'static str = "orders"; }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> redrive::Result<()> {
    /// # let emulator = Emulator::builder().start().await?;
    /// # let cloud = Cloud::emulator(&emulator.address().to_string(), "demo".parse()?)?;
    /// # let host = Host { location: "europe-west1".parse()?, url: "http://127.0.0.1:1".into(), account: None };
    /// let app = App::new(()).named("shop").publishes::<OrderPlaced>();
    /// # let app = app.on(cloud).host(host).build()?;
    /// assert_eq!(app.plan(false).await?.to_string(), "+ topic         shop--orders\n");
    /// let (_, applied) = app.provision(false).await?;
    /// assert_eq!((applied.done, applied.failed.len()), (1, 0));
    /// assert!(app.plan(false).await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails when what is there cannot be listed, and when what the app declares cannot be, such as a name that is too long.
    pub async fn plan(&self, prune: bool) -> Result<Plan> {
        let wanted = self.wanted()?;
        // Boxed: it is large, and made rarely.
        Box::pin(provision::plan(self.cloud(), &wanted, prune)).await
    }

    /// Plans, and carries the plan out. What fails does not stop the rest.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan); what failed of the plan is in the answer.
    pub async fn provision(&self, prune: bool) -> Result<(Plan, Applied)> {
        let plan = self.plan(prune).await?;
        let applied = Box::pin(plan.apply(self.cloud())).await;
        Ok((plan, applied))
    }

    /// Provisions beside the service, where the app is to; what fails goes to the log, and the service goes on.
    pub(crate) fn provision_at_start(&self) {
        if self.config().provisioning.at_start {
            let app = self.clone();
            tokio::spawn(async move { app.provision_and_log().await });
        }
    }

    async fn provision_and_log(&self) {
        let (plan, applied) = match self.provision(false).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(target: "redrive::runtime", %error, hint = error.hint(), "nothing was provisioned; the service goes on");
                return;
            }
        };
        for error in &applied.failed {
            tracing::error!(target: "redrive::runtime", %error, hint = error.hint(), "something was not provisioned; the service goes on");
        }
        if plan.refused() > 0 {
            tracing::warn!(target: "redrive::runtime", refused = plan.refused(), plan = %plan, "not everything can be as the app declares it");
        }
        tracing::info!(target: "redrive::runtime", done = applied.done, failed = applied.failed.len(), "provisioned");
    }
}
