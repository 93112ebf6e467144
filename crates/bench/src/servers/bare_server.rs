use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::Json;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Router, serve};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::echo;
use crate::error::Result;

/// Bytes of the page.
pub const PAGE: usize = 4096;

#[derive(Deserialize)]
struct NewMessage {
    conversation: String,
    content: String,
}

#[derive(Serialize)]
struct Message {
    id: &'static str,
    conversation: String,
    content: String,
}

/// Serves what the apps are compared with until it is killed: a JSON body read and written, and a page of 4 KiB.
///
/// The same runtime and the same HTTP library as the apps, and nothing else that they do. At `echo` there is not even
/// that: see [`echo::serve`].
pub fn run(address: SocketAddr, echo: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let routes = Router::new()
            .route("/health/ready", get(|| async { "ok" }))
            .route("/messages", post(send))
            .route("/page", get(page));
        tokio::spawn(echo::serve(TcpListener::bind(echo).await?));
        let listener = TcpListener::bind(address).await?.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                eprintln!("TCP_NODELAY cannot be set: {error}");
            }
        });
        serve(listener, routes).await?;
        Ok(())
    })
}

async fn send(Json(message): Json<NewMessage>) -> impl IntoResponse {
    let NewMessage { conversation, content } = message;
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    (StatusCode::CREATED, Json(Message { id, conversation, content }))
}

async fn page() -> impl IntoResponse {
    static BYTES: [u8; PAGE] = [b' '; PAGE];
    ([(CONTENT_TYPE, "application/json")], Body::from(BYTES.as_slice()))
}
