use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use shared::id::UserId;
use shared::models::{PictureVersion, UserCard};
use shared::problem::Problem;

use super::store::{self, Picture};
use crate::accounts::CurrentUser;
use crate::app::{App, AppState};
use crate::http::{Params, PathId};
use crate::users;

/// `GET /api/users/{id}/picture/`: the picture of a user whom this app knows, as JPEG, for those who are logged in.
///
/// That of a peer's user is fetched from the peer once, decoded and encoded anew. With `?v=` and the current version,
/// as `profile_picture` has it, the answer may be kept for a week; else it is to be asked for again with its `ETag`.
/// 404 if there is none; 503 if only an unreachable peer has it.
#[utoipa::path(
    get,
    path = "/{id}/picture",
    tag = "Users",
    summary = "Show the picture of a user",
    description = "The picture of a user of this app, or of one of a peer whom this app has met, as JPEG of at most 256 pixels a side. With the current version as `v`, as `profile_picture` has it, the answer may be kept for a week; else it is to be asked for again with `If-None-Match`.",
    params(
        ("id" = UserId, Path, description = "A user."),
        ("v" = Option<String>, Query, description = "The version, as `profile_picture` has it."),
    ),
    responses(
        (status = 200, description = "The picture.", body = Vec<u8>, content_type = "image/jpeg"),
        (status = 304, description = "It is still the one that `If-None-Match` names."),
        (status = 404, description = "There is none, or no such user."),
        (status = 503, description = "`peer_unavailable`: only the user's app has it, and cannot be asked just now."),
    )
)]
pub async fn show(
    State(app): State<AppState>,
    _: CurrentUser,
    PathId(id): PathId<UserId>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = users::state(&mut app.db.read().await?, id).await?;
    let user = found.filter(|found| found.is_active).ok_or_else(Problem::not_found)?.user;
    let version = user.picture.clone().ok_or_else(Problem::not_found)?;
    let picture = current(&app, &user, &version).await?;
    let etag = etag(&picture.version)?;
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|known| known == etag);
    let named = params.get("v") == Some(picture.version.as_str());
    let mut response =
        if known { StatusCode::NOT_MODIFIED.into_response() } else { picture.into_response() };
    let lasting = if named { "private, max-age=604800, immutable" } else { "private, no-cache" };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(lasting));
    response.headers_mut().insert(ETAG, etag);
    Ok(response)
}

/// The picture of a user: the latest, or, if a peer cannot be asked for that, the last that it has given.
async fn current(
    app: &AppState,
    user: &UserCard,
    version: &PictureVersion,
) -> Result<Picture, Problem> {
    let stored = store::stored(&mut app.db.read().await?, user.id).await?;
    if let Some(stored) = stored.filter(|stored| stored.version == *version || user.app == app.name)
    {
        return Ok(stored);
    }
    let key = (user.id, version.clone());
    app.pictures.asked.get_with(key, async { fetch(app, user, version).await }).await;
    let stored = store::stored(&mut app.db.read().await?, user.id).await?;
    stored.ok_or_else(|| {
        let why = "The other app does not give this picture just now.";
        Problem::unavailable("peer_unavailable", why, 30)
    })
}

/// Fetches a picture from the user's own app and keeps it; `false` if that has not worked.
async fn fetch(app: &App, user: &UserCard, version: &PictureVersion) -> bool {
    let Some(client) = app.relay.client(&user.app) else { return false };
    let Some(bytes) = client.picture(user.id).await else { return false };
    // The peer's word that this is an image is worth nothing, and the name of the version is only a name.
    let kept = match app.pictures.normalise(bytes.into()).await {
        Ok(image) => {
            let (id, picture) = (user.id, Picture { version: version.clone(), image });
            let keep = app
                .db
                .write(move |conn| Box::pin(async move { store::keep(conn, id, &picture).await }));
            keep.await.map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    if let Err(problem) = &kept {
        tracing::warn!(peer = %user.app, user = %user.id, %problem, "the peer's picture is not taken");
    }
    kept.is_ok()
}

fn etag(version: &PictureVersion) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(&format!("\"{version}\"")).map_err(|_| Problem::internal())
}

impl IntoResponse for Picture {
    /// Nothing in it can be anything but an image to a browser, even if it were something else.
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, "image/jpeg"),
            (CONTENT_DISPOSITION, "inline; filename=\"picture.jpg\""),
            (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        ];
        (headers, self.image).into_response()
    }
}
