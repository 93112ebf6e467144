//! Every test of the running apps. One binary, so that it is linked once and all tests share its threads.
//!
//! A file per subject; `cargo test -p e2e --test all journey` runs those of one.

mod attacks;
mod backup;
mod bad_input;
mod canary;
mod containers;
mod cookies;
mod cors;
mod cursors;
mod directory;
mod faults;
mod groups;
mod idempotency;
mod journey;
mod keys;
mod limits;
mod lists;
mod openapi;
mod outbox;
mod people;
mod permissions;
mod pictures;
mod receipts;
mod relay_groups;
mod relay_protocol;
mod replicas;
mod resume;
mod schema;
mod search;
mod sessions;
mod settings;
mod simulation;
mod sockets;
mod sockets_bad_input;
mod start;
mod support;
mod threads;
mod tls;
mod web;
