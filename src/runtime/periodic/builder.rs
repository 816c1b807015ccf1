//! Adds periodic tasks to an app.

use crate::runtime::{Builder, Periodic, Task};

impl<S: Send + Sync + 'static> Builder<S> {
    /// Has a task without payload run by a schedule (unix cron) in a zone of the tz database; the task is registered with it. Provisioning makes the job.
    ///
    /// ```
    /// # use redrive::runtime::{App, Context, Host, Outcome, Task, done};
    /// # use redrive::cloud::Cloud;
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct NightlyReport;
    /// # impl Task<()> for NightlyReport {
    /// #     const NAME: &'static str = "NightlyReport";
    /// #     async fn run(self, _: Context<()>) -> Outcome { done() }
    /// # }
    /// # let cloud = Cloud::emulator("127.0.0.1:1", "demo".parse()?)?;
    /// # let host = || Host { location: "europe-west1".parse().unwrap(), url: "http://127.0.0.1:1".into(), account: None };
    /// let app = App::new(()).periodic::<NightlyReport>("0 3 * * *", "Europe/Paris");
    /// # app.on(cloud.clone()).host(host()).build()?;
    /// let wrong = App::new(()).periodic::<NightlyReport>("0 25 * * *", "Europe/Paris");
    /// # assert!(wrong.on(cloud).host(host()).build().err().is_some_and(|error| error.is_invalid_input()));
    /// # Ok::<(), redrive::Error>(())
    /// ```
    pub fn periodic<T: Task<S>>(self, schedule: impl Into<String>, zone: impl Into<String>) -> Self {
        self.scheduled::<T>(Periodic::new(schedule, zone))
    }

    /// Has a task run by a schedule, with all that can be said of that: name, description, headers, payload, retries, deadline.
    pub fn scheduled<T: Task<S>>(mut self, periodic: Periodic) -> Self {
        let added = self.registry_mut().periodic_mut().add::<T>(periodic);
        self.note(added)
    }
}
