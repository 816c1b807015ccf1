//! What users write their own tests with.
