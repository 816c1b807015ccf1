//! Where a service finds out that it is on Cloud Run, and where.
