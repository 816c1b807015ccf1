//! What must not get through, or bring a service down.
