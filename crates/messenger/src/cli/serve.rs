use std::net::SocketAddr;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Environment, Finding};
use crate::router::Stack;
use crate::serve;
use crate::telemetry::{self, Logs};

/// Connections that wait to be accepted, at most; the system may allow fewer (`net.core.somaxconn`). A client beyond them
/// tries again after one second, then two, four and so on: a crowd that comes back at once should fit in.
const BACKLOG: u32 = 4096;

/// Serves the app until SIGTERM or SIGINT, and says first what is odd about its settings. SIGHUP has it read anew
/// what is to be logged, as `binary` reads it.
pub fn run(config: &Config, stack: Stack, findings: &[Finding], binary: &'static str) -> ExitCode {
    let logs = match telemetry::start(&config.log, config.debug) {
        Ok(logs) => logs,
        Err(error) => {
            eprintln!("{}: {error}", config.app);
            return ExitCode::from(2);
        }
    };
    raise_descriptors();
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
    match runtime.block_on(serve_until_told(config, stack, logs, binary)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the app cannot run");
            ExitCode::FAILURE
        }
    }
}

/// As many open files as the system lets this process have. What processes begin with is often 1024, for the sake of
/// programs that use select(2), and each connection is one.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

async fn serve_until_told(
    config: &Config,
    stack: Stack,
    logs: Logs,
    binary: &'static str,
) -> Result<(), String> {
    let stopping = CancellationToken::new();
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let environment = Environment::load(binary);
            let filter = environment.get("RUST_LOG").unwrap_or("info");
            match logs.change(filter) {
                Ok(()) => tracing::warn!(filter, "what is logged has changed"),
                Err(error) => tracing::warn!(error, "what is logged stays as it was"),
            }
        }
    });
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
    let listener = listen(config.bind)
        .map_err(|error| format!("cannot listen on {}: {error}", config.bind))?;
    serve::serve(config, stack, listener, stopping).await.map_err(|error| error.to_string())
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // What is left of connections of before keeps no process from starting.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
