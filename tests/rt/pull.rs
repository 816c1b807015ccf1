//! Messages come in by streaming pull.
