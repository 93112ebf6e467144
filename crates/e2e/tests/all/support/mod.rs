//! What several of the tests need.

pub mod browser;
pub mod cluster;
pub mod collector;
pub mod command;
pub mod faketime;
pub mod history;
pub mod impostor;
pub mod metrics;
pub mod peer;
pub mod problem;
pub mod raw;
pub mod seal;
pub mod sql;
