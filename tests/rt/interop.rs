//! The Django libraries of the predecessors, and this runtime, work for each other.
