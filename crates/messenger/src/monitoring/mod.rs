//! What Prometheus reads of a running app, on an address of its own (`METRICS_ADDR`).
//!
//! All metrics stand in one table ([`METRICS`]), from which they are described. What happens is counted where it happens;
//! what is measured, as the depth of a queue, is looked up when Prometheus asks (`collect.rs`). No label holds a name or
//! an id of a user, a conversation or a message. Without an address nothing is counted.

mod collect;
mod listen;
mod process;
mod requests;
mod route;
mod table;

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

pub use listen::listen;
pub use requests::Requests;
pub use route::{RouteSlot, note_route};
pub use table::{Kind, METRICS, Metric};

/// The bounds of all histograms in seconds: from what a cache answers to the deadline of a request.
const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// There is one recorder in a process, as there is one app.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// From now on, what happens in this process is counted. Handles that were made before count nothing.
pub fn install() {
    RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS).ok()?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).ok()?;
        table::describe();
        Some(handle)
    });
}

/// What has been counted, if it is.
fn recorder() -> Option<&'static PrometheusHandle> {
    RECORDER.get()?.as_ref()
}
