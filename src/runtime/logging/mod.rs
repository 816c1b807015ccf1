//! What a service writes to its log, in the form that Cloud Logging and Error Reporting read, and where each record stands in its trace.
//!
//! Everything of the runtime is an event or a span of `tracing` with the target `redrive::runtime`, so that any other subscriber (OpenTelemetry's, say) can be
//! used instead of or beside [`CloudLogging`]. `traceparent` goes along with tasks and messages; a handler finds what arrived with
//! [`Context::header`](crate::runtime::Context::header), and what it enqueues and publishes has the handler's own span as its parent. With the layer of
//! `tracing-opentelemetry` these are the spans that OpenTelemetry exports: children of what arrived, parents of what is asked for.

mod fields;
mod layer;
mod otel;
mod outcome;
mod panics;
pub(crate) mod trace;

pub use layer::CloudLogging;

pub(crate) use otel::join_request;
pub(crate) use outcome::{Request, span_of, write};
pub(crate) use panics::{caught, told};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cloud::Environment;
use crate::error::{Error, Result};
use crate::runtime::CloudRun;

/// What is written where `RUST_LOG` says nothing.
const FILTER_DEFAULT: &str = "info";

/// Writes the log of this process: JSON for Cloud Logging where this is Cloud Run or App Engine, readable text to standard error elsewhere. `RUST_LOG` filters;
/// without it everything from `INFO` is written. Panics are records too, those outside of handlers as errors.
///
/// Cloud Logging finds the trace of a record by the project's id: that is `GOOGLE_CLOUD_PROJECT`, or on Cloud Run what the metadata server says, which is
/// asked for 2 s at most.
///
/// # Errors
///
/// Fails when something writes the log already.
pub async fn init() -> Result<()> {
    let environment = Environment::of_process();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER_DEFAULT));
    let registry = tracing_subscriber::registry().with(filter);
    let begun = match CloudLogging::of(&environment).await {
        Some(layer) => registry.with(layer).try_init(),
        None => registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).try_init(),
    };
    begun.map_err(|error| Error::invalid("something writes the log already").with_source(error))?;
    panics::install();
    Ok(())
}

impl CloudLogging {
    /// Makes the layer for where this process runs; `None` where that is neither Cloud Run nor App Engine. Asks the metadata server where no variable names
    /// the project, for 2 s at most.
    pub async fn of(environment: &Environment) -> Option<Self> {
        let service = environment.get("K_SERVICE").or(environment.get("GAE_SERVICE"))?;
        let version = environment.get("K_REVISION").or(environment.get("GAE_VERSION")).unwrap_or_default();
        let layer = Self::new().service(service, version);
        let project = match environment.get("GOOGLE_CLOUD_PROJECT") {
            Some(project) => Some(project.to_owned()),
            None => CloudRun::detect_in(environment).await.ok().map(|here| here.project.to_string()),
        };
        Some(match project {
            Some(project) => layer.project(project),
            None => layer,
        })
    }
}
