//! Logs: JSON lines for machines, or readable ones in debug mode. They hold no bodies, tokens, cookies or passwords.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// What is logged, which may change while the app runs.
#[derive(Clone)]
pub struct Logs(reload::Handle<EnvFilter, Registry>);

impl Logs {
    /// From now on, logs what `filter` lets through.
    pub fn change(&self, filter: &str) -> Result<(), String> {
        self.0.reload(understand(filter)?).map_err(|error| error.to_string())
    }
}

/// Sends what `filter` lets through to standard output.
pub fn start(filter: &str, debug: bool) -> Result<Logs, String> {
    let (filter, handle) = reload::Layer::new(understand(filter)?);
    let registry = tracing_subscriber::registry().with(filter);
    let set: Result<(), TryInitError> = if debug {
        let colours = std::io::stdout().is_terminal();
        let layer = tracing_subscriber::fmt::layer().with_target(false).with_ansi(colours);
        registry.with(layer).try_init()
    } else {
        registry.with(tracing_subscriber::fmt::layer().json().flatten_event(true)).try_init()
    };
    set.map(|()| Logs(handle)).map_err(|error| error.to_string())
}

fn understand(filter: &str) -> Result<EnvFilter, String> {
    let filter =
        EnvFilter::try_new(filter).map_err(|error| format!("RUST_LOG is not valid: {error}"))?;
    // The library of the sockets would log their frames, which are in the clear, where everything is logged.
    let quiet = ["tungstenite=info", "tokio_tungstenite=info"];
    let quiet = quiet.into_iter().filter_map(|directive| directive.parse().ok());
    Ok(quiet.fold(filter, EnvFilter::add_directive))
}
