//! What the console opens on, prepared behind its first frame: discovery, and an emulator with the sample shop where nothing is configured.

use super::home::Home;
use crate::demo;
use crate::emulator::Emulator;
use crate::error::{Error, Kind, Result};
use crate::names::ProjectId;
use crate::ops::{Cloud, EMULATOR_PROJECT, Found, Guard, Ops, Settings};

/// What the user asked to see.
#[derive(Debug, Clone)]
pub enum Subject {
    /// What is configured; sample data where nothing is.
    Found(Box<Settings>),
    /// Sample data, whatever is configured: on an emulator of its own, or at `address`.
    Demo {
        /// `host:port` of services that are there already.
        address: Option<String>,
        /// The shop's project.
        project: ProjectId,
    },
}

/// What the console shows.
pub struct Opened {
    /// The operations of the project.
    pub ops: Ops,
    /// Whether it is the sample shop, and nothing of the user's.
    pub sample: bool,
}

impl Subject {
    /// Returns what stands in the header until it is open.
    pub fn title(&self) -> String {
        match self {
            Self::Demo { .. } => "starting the sample shop".to_owned(),
            Self::Found(_) => "looking for project and credentials".to_owned(),
        }
    }

    /// Returns what is asked for in another project; `None` is the same one.
    ///
    /// # Errors
    ///
    /// Fails where it is sample data: that is of one project.
    pub fn of_project(&self, project: Option<ProjectId>) -> Result<Self> {
        match (self, project) {
            (_, None) => Ok(self.clone()),
            (Self::Found(settings), Some(project)) => {
                Ok(Self::Found(Box::new(Settings { project: Some(project), ..(**settings).clone() })))
            }
            (Self::Demo { .. }, Some(_)) => {
                Err(Error::new(Kind::FailedPrecondition, "the sample shop has no other project")
                    .with_hint("open the console without `demo`"))
            }
        }
    }

    /// Opens it, hands the result to `deliver`, and keeps emulator and shop running until dropped.
    ///
    /// `guard` tells of a project's id what may be changed there.
    pub async fn open(self, guard: impl Fn(&str) -> Guard, deliver: impl FnOnce(Result<Opened>)) {
        match self.prepare(guard).await {
            Err(error) => deliver(Err(error)),
            Ok((opened, None)) => deliver(Ok(opened)),
            Ok((opened, Some(shop))) => {
                deliver(Ok(opened));
                if let Err(error) = demo::run(&shop.address, &shop.project, std::future::pending()).await {
                    tracing::error!(%error, cause = ?error, "the sample shop has ended");
                }
                // The emulator goes on: what is in it can be looked at.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn prepare(self, guard: impl Fn(&str) -> Guard) -> Result<(Opened, Option<Shop>)> {
        let home = Home::find()?.state;
        let ops = |cloud: Cloud| {
            let guard = guard(cloud.project().id());
            Ops::guarded(cloud, home, guard)
        };
        let (address, project) = match self {
            Self::Demo { address, project } => (address, project),
            Self::Found(settings) => match Cloud::discover(&settings).await {
                Found::Ready(cloud) => return Ok((Opened { ops: ops(*cloud)?, sample: false }, None)),
                Found::Broken(error) => return Err(error),
                Found::Nothing => (None, EMULATOR_PROJECT.parse()?),
            },
        };
        let shop = Shop::start(address, project).await?;
        let cloud = Cloud::emulator(&shop.address, shop.project.clone())?;
        Ok((Opened { ops: ops(cloud)?, sample: true }, Some(shop)))
    }
}

/// Where the sample shop is to run, and the emulator that lives as long.
struct Shop {
    address: String,
    project: ProjectId,
    _emulator: Option<Emulator>,
}

impl Shop {
    async fn start(address: Option<String>, project: ProjectId) -> Result<Self> {
        if let Some(address) = address {
            return Ok(Self { address, project, _emulator: None });
        }
        let emulator = Emulator::builder().project(project.clone()).start().await?;
        Ok(Self { address: emulator.address().to_string(), project, _emulator: Some(emulator) })
    }
}
