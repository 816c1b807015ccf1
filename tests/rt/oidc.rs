//! Tokens: whose are taken, and whose are not.
