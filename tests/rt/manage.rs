//! A service's own commands.
