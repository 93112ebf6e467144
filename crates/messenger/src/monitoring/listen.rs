//! The listener of `METRICS_ADDR`, which has nothing to do with that of the app.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{collect, recorder};
use crate::app::App;

/// The text format that every Prometheus reads.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How often what was measured is added up, so that it takes no more memory if nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// What the listener answers from.
struct Source {
    app: Arc<App>,
    /// One look at the database at a time, whoever asks.
    turn: Mutex<()>,
}

/// Serves `/metrics` at an address until `stopping` is cancelled.
pub async fn listen(
    app: Arc<App>,
    address: SocketAddr,
    stopping: CancellationToken,
) -> std::io::Result<tokio::task::JoinHandle<()>> {
    let listener = TcpListener::bind(address).await?;
    collect::begin(&app);
    tracing::info!(%address, "metrics are served");
    let source = Arc::new(Source { app, turn: Mutex::default() });
    let router = Router::new().route("/metrics", get(show)).with_state(source);
    Ok(tokio::spawn(async move {
        let end = stopping.clone().cancelled_owned();
        let serving = axum::serve(listener, router).with_graceful_shutdown(end);
        tokio::select! {
            served = serving => {
                if let Err(error) = served {
                    tracing::error!(%error, "metrics are not served any more");
                }
            }
            // A connection that somebody keeps open holds nothing up.
            () = keep_up(&stopping) => {}
        }
    }))
}

async fn keep_up(stopping: &CancellationToken) {
    while stopping.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
        if let Some(recorder) = recorder() {
            recorder.run_upkeep();
        }
    }
}

async fn show(State(source): State<Arc<Source>>) -> impl IntoResponse {
    let Some(recorder) = recorder() else {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    };
    let _turn = source.turn.lock().await;
    collect::collect(&source.app).await;
    Ok(([(CONTENT_TYPE, FORMAT), (CACHE_CONTROL, "no-store")], recorder.render()))
}
