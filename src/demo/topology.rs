//! What the shop is made of, as tables.

/// Where its queues and jobs are, but for the reports.
pub(super) const LOCATION: &str = "europe-west1";
/// Where the reports are made: a second location, as large shops have.
pub(super) const LOCATION_REPORTS: &str = "us-central1";

/// All topics.
pub(super) const TOPICS: &[&str] = &["orders", "orders-dead", "mail", "mail-dead", "images", "images-dead", "reports"];

/// A subscription.
pub(super) struct Subscription {
    pub(super) id: &'static str,
    pub(super) topic: &'static str,
    /// Pushed to the shop's `/pubsub/ID`, else pulled.
    pub(super) push: bool,
    pub(super) ordered: bool,
    pub(super) filter: &'static str,
    /// Dead-letter topic, and deliveries before.
    pub(super) dead_letters: Option<(&'static str, i32)>,
}

const PULL: Subscription = Subscription { id: "", topic: "", push: false, ordered: false, filter: "", dead_letters: None };
const PUSH: Subscription = Subscription { push: true, ..PULL };
const HOLD: Subscription = PULL;

/// All subscriptions; those that hold dead letters come first, so that none is lost.
pub(super) const SUBSCRIPTIONS: &[Subscription] = &[
    Subscription { id: "orders-hold", topic: "orders-dead", ..HOLD },
    Subscription { id: "mail-hold", topic: "mail-dead", ..HOLD },
    Subscription { id: "billing", topic: "orders", dead_letters: Some(("orders-dead", 5)), ..PUSH },
    Subscription { id: "audit", topic: "orders", filter: r#"attributes.kind = "order""#, dead_letters: Some(("orders-dead", 5)), ..PULL },
    Subscription { id: "shipping", topic: "orders", ordered: true, ..PULL },
    // Nobody pulls it: a backlog that grows with every order.
    Subscription { id: "analytics", topic: "orders", ..PULL },
    Subscription { id: "mailer", topic: "mail", dead_letters: Some(("mail-dead", 5)), ..PUSH },
    // `images-dead` has no subscription: what this one gives up is lost.
    Subscription { id: "thumbnailer", topic: "images", dead_letters: Some(("images-dead", 5)), ..PUSH },
    Subscription { id: "report-builder", topic: "reports", ..PUSH },
];

/// A queue; its tasks go to the shop's `/tasks/NAME`.
pub(super) struct Queue {
    pub(super) id: &'static str,
    pub(super) location: &'static str,
    pub(super) per_second_max: f64,
    pub(super) concurrent_max: i32,
    /// -1 is unlimited.
    pub(super) attempts_max: i32,
    pub(super) backoff_min_ms: u64,
    pub(super) backoff_max_ms: u64,
    pub(super) paused: bool,
}

const QUEUE: Queue = Queue {
    id: "",
    location: LOCATION,
    per_second_max: 5.0,
    concurrent_max: 10,
    attempts_max: 10,
    backoff_min_ms: 1000,
    backoff_max_ms: 60_000,
    paused: false,
};

/// All queues.
pub(super) const QUEUES: &[Queue] = &[
    Queue { id: "emails", ..QUEUE },
    // The handler takes seconds, and few run at once: a depth that goes up and down.
    Queue { id: "thumbnails", per_second_max: 2.0, concurrent_max: 3, ..QUEUE },
    Queue { id: "reports", location: LOCATION_REPORTS, concurrent_max: 2, ..QUEUE },
    // The warehouse never answers well: its tasks are tried for ever, and pile up.
    Queue { id: "exports", per_second_max: 1.0, concurrent_max: 2, attempts_max: -1, backoff_min_ms: 5000, ..QUEUE },
    Queue { id: "newsletters", paused: true, ..QUEUE },
];

/// What a run of a job does.
pub(super) enum Run {
    /// Posts to the shop's `/jobs/ID`.
    Post,
    /// Publishes to a topic.
    Publish(&'static str),
}

/// A scheduled job.
pub(super) struct Job {
    pub(super) id: &'static str,
    pub(super) location: &'static str,
    pub(super) description: &'static str,
    pub(super) schedule: &'static str,
    pub(super) time_zone: &'static str,
    pub(super) run: Run,
    pub(super) paused: bool,
    /// Run once at the start, so that there is a result to see.
    pub(super) run_at_start: bool,
}

const JOB: Job = Job {
    id: "",
    location: LOCATION,
    description: "",
    schedule: "* * * * *",
    time_zone: "Europe/Paris",
    run: Run::Post,
    paused: false,
    run_at_start: false,
};

/// All jobs.
pub(super) const JOBS: &[Job] = &[
    Job { id: "expire-carts", description: "Gives up carts that nobody paid for", run_at_start: true, ..JOB },
    Job { id: "sales-figures", description: "Asks for the figures of the last minute", run: Run::Publish("reports"), ..JOB },
    Job {
        id: "inventory-sync",
        description: "Fetches stock levels; fails while the warehouse is down",
        schedule: "*/2 * * * *",
        run_at_start: true,
        ..JOB
    },
    Job { id: "nightly-report", description: "Closes the books of the day", schedule: "0 3 * * *", location: LOCATION_REPORTS, ..JOB },
    Job { id: "weekly-newsletter", description: "Paused until the new template is there", schedule: "0 9 * * MON", paused: true, ..JOB },
];
