//! Tests of the console as a whole: keys → effects and screen text, snapshots, properties.

mod fixture;
mod keys;
mod limits;
mod screens;
