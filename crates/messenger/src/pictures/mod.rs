//! Profile pictures: taken in, made small and safe, and shown.

mod normalise;
mod remove;
pub(crate) mod show;
mod store;
mod upload;

use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use bytes::Bytes;
use moka::future::Cache;
use shared::id::UserId;
use shared::models::PictureVersion;
use shared::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::pool::Pool;

pub use store::{Picture, forget, stored};

/// Bytes of an upload, at most.
const MAX_UPLOAD: usize = 5 * 1024 * 1024;
/// Bytes of the body around it, at most: a multipart form has headers and boundaries too.
const MAX_BODY: usize = MAX_UPLOAD + 16 * 1024;
/// Pictures that wait to be decoded, at most.
const WAITING: usize = 16;
/// How long a peer is left alone after it was asked for a picture, with success or without.
const ASKED: Duration = Duration::from_secs(30);
/// Such questions remembered, at most.
const REMEMBERED: u64 = 10_000;

/// The routes under `/api/auth/me`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(upload::upload, remove::remove))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// What the picture routes share.
pub struct Pictures {
    pool: Pool,
    /// Whether a peer's picture could be had.
    asked: Cache<(UserId, PictureVersion), bool>,
}

impl Pictures {
    /// One picture is decoded at a time, as that takes up to a quarter of a GiB.
    pub fn new() -> Self {
        let asked = Cache::builder().max_capacity(REMEMBERED).time_to_live(ASKED).build();
        Self { pool: Pool::new(1, WAITING, "Too many pictures are waiting."), asked }
    }

    /// How many pictures are being decoded or wait, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        self.pool.jobs()
    }

    /// The picture as it is kept, whoever it comes from: see [`normalise::normalise`].
    async fn normalise(&self, upload: Bytes) -> Result<Vec<u8>, Problem> {
        Ok(self.pool.run(move || normalise::normalise(&upload)).await??)
    }
}

impl Default for Pictures {
    fn default() -> Self {
        Self::new()
    }
}
