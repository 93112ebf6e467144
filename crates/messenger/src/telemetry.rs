//! Logs: JSON lines for machines, or readable ones in debug mode. They hold no bodies, tokens, cookies or passwords.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::util::TryInitError;

/// Sends what `filter` lets through to standard output.
pub fn start(filter: &str, debug: bool) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(filter).map_err(|error| format!("RUST_LOG is not valid: {error}"))?;
    // The library of the sockets would log their frames, which are in the clear, where everything is logged.
    let filter = ["tungstenite=info", "tokio_tungstenite=info"]
        .into_iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive);
    let registry = tracing_subscriber::registry().with(filter);
    let set: Result<(), TryInitError> = if debug {
        let colours = std::io::stdout().is_terminal();
        let layer = tracing_subscriber::fmt::layer().with_target(false).with_ansi(colours);
        registry.with(layer).try_init()
    } else {
        registry.with(tracing_subscriber::fmt::layer().json().flatten_event(true)).try_init()
    };
    set.map_err(|error| error.to_string())
}
