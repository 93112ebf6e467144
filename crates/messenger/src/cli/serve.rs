use std::process::ExitCode;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Finding};
use crate::router::Stack;
use crate::{serve, telemetry};

/// Serves the app until SIGTERM or SIGINT, and says first what is odd about its settings.
pub fn run(config: &Config, stack: Stack, findings: &[Finding]) -> ExitCode {
    if let Err(error) = telemetry::start(&config.log, config.debug) {
        eprintln!("{}: {error}", config.app);
        return ExitCode::from(2);
    }
    for finding in findings {
        tracing::warn!(variable = finding.variable, "{}", finding.message);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime cannot be started");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve_until_told(config, stack)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the app cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn serve_until_told(config: &Config, stack: Stack) -> Result<(), String> {
    let stopping = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let told = stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        told.cancel();
    });
    let listener = TcpListener::bind(config.bind).await;
    let listener =
        listener.map_err(|error| format!("cannot listen on {}: {error}", config.bind))?;
    serve::serve(config, stack, listener, stopping).await.map_err(|error| error.to_string())
}
