//! What an app does, told to a collector of traces (OpenTelemetry): a span for each request that it answers, each batch
//! that it sends to a peer or takes in from one, and each request to a peer.
//!
//! A span holds what [`What`] has: methods, templates of paths, statuses, names of apps, numbers. So no text gets into
//! one, no name, no address and no id of a person or a message, and no token. Traces have the ids that the logs have.
//!
//! Spans wait in a bounded queue for the task that sends them ([`start`]). Nobody waits for that task: where the queue is
//! full, they are dropped and counted. Without a collector there is no queue, and nothing is made or measured.

mod document;
mod export;
mod queue;
mod what;

pub use export::start;
pub use queue::{Open, Place, Spans};
pub use what::What;
