//! An app that finds out where it is.

use crate::cloud::{Cloud, Environment, Found, Place, Settings};
use crate::error::{Error, Result};
use crate::names::LocationId;
use crate::runtime::cloud_run::{CloudRun, NotOnCloudRun, service};
use crate::runtime::{App, Builder, Host};

/// The location on an emulator where none is named; it serves any.
const EMULATOR_LOCATION: &str = "europe-west1";
/// Where a service listens unless `PORT` says otherwise, as on Cloud Run.
const PORT_DEFAULT: &str = "8080";

impl<S: Send + Sync + 'static> Builder<S> {
    /// Builds the app, and finds in the environment what was not set with [`on`](Self::on) and [`host`](Self::host).
    ///
    /// * **Project, credentials, emulators**: as [`Cloud::discover`].
    /// * **Location**: `CLOUD_TASKS_LOCATION`, `CLOUD_RUN_REGION`, the metadata server; on an emulator else `europe-west1`.
    /// * **Its own URL**: `SERVICE_URL`, else the one that Cloud Run or App Engine gives it; on an emulator else `http://localhost:$PORT`.
    /// * **The account** of tasks and pushes: `SERVICE_ACCOUNT_EMAIL`, else the one it runs as; on an emulator else none.
    ///
    /// The metadata server is asked only where `K_SERVICE` or `GAE_SERVICE` say that this is Cloud Run or App Engine.
    ///
    /// # Errors
    ///
    /// Fails as [`build`](Self::build) does, and where something is not to be found; the error says what to set.
    pub async fn from_env(self) -> Result<App<S>> {
        self.from_environment(&Environment::of_process()).await
    }

    /// The same in an environment of its own.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    ///
    /// ```
    /// use redrive::cloud::Environment;
    /// use redrive::runtime::App;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let environment = [("PUBSUB_EMULATOR_HOST", "127.0.0.1:8085"), ("CLOUD_TASKS_EMULATOR_HOST", "127.0.0.1:8085")];
    /// let app = App::new(()).from_environment(&Environment::new(None, environment)).await?;
    /// assert_eq!(app.host().url, "http://localhost:8080");
    /// # Ok::<(), redrive::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn from_environment(self, environment: &Environment) -> Result<App<S>> {
        let cloud = match self.found_cloud() {
            Some(cloud) => cloud.clone(),
            None => discover(environment).await?,
        };
        let host = match self.found_host() {
            Some(host) => host.clone(),
            None => host(&cloud, environment).await?,
        };
        self.on(cloud).host(host).build()
    }
}

async fn discover(environment: &Environment) -> Result<Cloud> {
    match Cloud::discover_in(&Settings::default(), environment).await {
        Found::Ready(cloud) => Ok(*cloud),
        Found::Broken(error) => Err(error),
        Found::Nothing => Err(Error::invalid("neither a project nor credentials nor an emulator are configured").with_hint(
            "set `PUBSUB_EMULATOR_HOST`, `CLOUD_TASKS_EMULATOR_HOST` and `CLOUD_SCHEDULER_EMULATOR_HOST` to what `redrive emulator` prints, or \
             `GOOGLE_CLOUD_PROJECT` and run `gcloud auth application-default login`",
        )),
    }
}

async fn host(cloud: &Cloud, environment: &Environment) -> Result<Host> {
    let emulated = matches!(cloud.place(), Place::Emulator(_));
    let here = match service(environment) {
        Some(_) => CloudRun::detect_in(environment).await,
        None => Err(NotOnCloudRun { why: "neither `K_SERVICE` nor `GAE_SERVICE` is set".to_owned() }),
    };
    let missing = |what: &str, hint: &str| {
        let why = here.as_ref().err().map(ToString::to_string).unwrap_or_default();
        Error::invalid(format!("{what} is not known ({why})")).with_hint(hint.to_owned())
    };
    let variable = |name: &str| environment.get(name).map(str::to_owned);
    let found = here.as_ref().ok();
    let location = variable("CLOUD_TASKS_LOCATION").or_else(|| variable("CLOUD_RUN_REGION"));
    let location = location.or_else(|| cloud.locations().first().map(ToString::to_string));
    let location =
        location.or_else(|| found.map(|here| here.region.to_string())).or_else(|| emulated.then(|| EMULATOR_LOCATION.to_owned()));
    let location: LocationId = location
        .ok_or_else(|| missing("the location of queues and jobs", "set `CLOUD_TASKS_LOCATION`, such as `europe-west1`"))?
        .parse()
        .map_err(|error: Error| error.context("the location"))?;
    let port = environment.get("PORT").unwrap_or(PORT_DEFAULT);
    let url = variable("SERVICE_URL").or_else(|| found.map(|here| here.url.clone()));
    let url = url
        .or_else(|| emulated.then(|| format!("http://localhost:{port}")))
        .ok_or_else(|| missing("the URL of this service", "set `SERVICE_URL`, such as `https://shop.example.com`"))?;
    if !url.starts_with("https://") && !emulated {
        return Err(Error::invalid(format!("`{}` is no URL for tokens: it begins with `https://`", url.escape_debug()))
            .with_hint("set `SERVICE_URL` to the address under which Google reaches this service"));
    }
    let account = variable("SERVICE_ACCOUNT_EMAIL").or_else(|| found.map(|here| here.account.clone()).filter(|_| !emulated));
    Ok(Host { location, url: url.trim_end_matches('/').to_owned(), account })
}
