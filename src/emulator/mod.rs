//! mod
mod pb;
mod state;
