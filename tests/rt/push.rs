//! The endpoint that Cloud Tasks, Pub/Sub and Cloud Scheduler call.
