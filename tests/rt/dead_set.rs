//! Tasks that failed too often are kept, and none is lost on the way.
