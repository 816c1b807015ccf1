//! A built app: state, registry and where it is. What everything else of the runtime is given.

use std::sync::Arc;

use crate::cloud::Cloud;
use crate::runtime::Host;
use crate::runtime::builder::Builder;
use crate::runtime::config::Config;
use crate::runtime::pull::Pulls;
use crate::runtime::push::Entrance;
use crate::runtime::registry::Registry;
use crate::runtime::wire::Layout;

/// An application: its state and all that can be called in it. Cheap to clone.
pub struct App<S>(Arc<Inner<S>>);

struct Inner<S> {
    state: S,
    cloud: Cloud,
    host: Host,
    config: Config,
    layout: Layout,
    registry: Registry<S>,
    entrance: Entrance,
    pulls: Pulls,
}

impl<S: Send + Sync + 'static> App<S> {
    /// Begins an app with its state.
    #[expect(clippy::new_ret_no_self, reason = "an app begins with its builder")]
    pub fn new(state: S) -> Builder<S> {
        Builder::new(state)
    }
}

impl<S: Send + Sync + 'static> App<S> {
    pub(crate) fn built(state: S, cloud: Cloud, host: Host, config: Config, registry: Registry<S>) -> Self {
        let layout = Layout::new(&config, &host);
        let entrance = Entrance::new(&config, &cloud, &host, &registry);
        Self(Arc::new(Inner { state, cloud, host, config, layout, registry, entrance, pulls: Pulls::default() }))
    }
}

impl<S> App<S> {
    /// Returns the state.
    pub fn state(&self) -> &S {
        &self.0.state
    }

    /// Returns where calls go.
    pub fn cloud(&self) -> &Cloud {
        &self.0.cloud
    }

    /// Returns where the service is.
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.0.layout
    }

    pub(crate) fn registry(&self) -> &Registry<S> {
        &self.0.registry
    }

    pub(crate) fn pulls(&self) -> &Pulls {
        &self.0.pulls
    }

    pub(crate) fn entrance(&self) -> &Entrance {
        &self.0.entrance
    }
}

impl<S> Clone for App<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
