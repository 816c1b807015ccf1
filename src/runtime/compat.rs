//! Whose wire format an app speaks.

/// The system whose names, URLs, bodies, headers and answers an app has, so that its services and this one can enqueue and publish to each other.
///
/// Formats were taken off the wire of the versions named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compat {
    /// This crate's own: a URL per task and subscriber, JSON bodies.
    #[default]
    Native,
    /// `django-google-cloud-tasks` 2.21.
    DjangoGoogleCloudTasks,
    /// `django-gcp` 0.26.
    DjangoGcp,
    /// `django-tasks-cloud-tasks` 0.1: one endpoint, the task's name is in the payload.
    DjangoTasksCloudTasks,
    /// Tasks over Pub/Sub: a topic per task, one endpoint, the task's name is in the payload. Nothing can be delayed: Pub/Sub has no schedule.
    SingleEndpoint,
}
