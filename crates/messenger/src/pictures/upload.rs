use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{FromRequest, Request, State};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use shared::models::{PictureVersion, Profile};
use shared::problem::Problem;
use utoipa::ToSchema;

use super::store::{self, Picture};
use super::{MAX_BODY, MAX_UPLOAD};
use crate::accounts::{self, CurrentUser};
use crate::app::AppState;
use crate::http::{Json, Trace};

/// The image of a request: its whole body, or the part `picture` of a form. What type it is, its bytes say.
pub struct Upload(Bytes);

/// A form with a picture in it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes, and is never made")]
struct PictureForm {
    /// The image.
    #[schema(value_type = String, format = Binary)]
    picture: Vec<u8>,
}

/// `PUT` or `POST /api/auth/me/picture/`: sets the caller's picture, and gives their profile with it.
///
/// The body is an image (PNG, JPEG, GIF or WebP, up to 5 MiB and 25 million pixels), or a `multipart/form-data` with
/// one in its part `picture`. It is cut to a square, made small, and encoded anew as JPEG. 400 if it is empty or
/// broken, 413 if it is too large, 415 if it is anything else.
#[utoipa::path(
    method(put, post),
    path = "/picture",
    tag = "Accounts",
    summary = "Set the own picture",
    description = "The body is a PNG, JPEG, GIF or WebP image, or a form with one in its part `picture`; its type is told by its bytes. It has up to 5 MiB, 25 million pixels, and 10000 pixels on a side. It is cut to a square from the middle, made small, and encoded anew as JPEG, with nothing of the upload in it but its pixels.",
    request_body(
        description = "The image.",
        content(
            (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/gif"),
            (Vec<u8> = "image/webp"), (Vec<u8> = "application/octet-stream"),
            (PictureForm = "multipart/form-data"),
        )
    ),
    responses(
        (status = 200, description = "The profile with the picture.", body = Profile),
        (status = 413, description = "`too_large`, or `too_many_pixels`."),
        (status = 415, description = "`unsupported_image`: these are not the bytes of such an image; or `unsupported_media_type`."),
    )
)]
pub async fn upload(
    State(app): State<AppState>,
    user: CurrentUser,
    trace: Trace,
    Upload(upload): Upload,
) -> Result<Json<Profile>, Problem> {
    let image = app.pictures.normalise(upload).await?;
    let picture = Picture { version: PictureVersion::of(&image), image };
    let owner = user.id();
    let set = accounts::change_card(&app, &user, &trace, move |conn, card| {
        Box::pin(async move {
            store::keep(conn, owner, &picture).await?;
            card.picture = Some(picture.version);
            Ok(())
        })
    });
    set.await.map(Json)
}

impl FromRequest<AppState> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Problem> {
        let unsupported = || {
            Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send an image as the body, or multipart/form-data with one in the part picture.",
            )
        };
        let headers = request.headers();
        if headers.contains_key(CONTENT_ENCODING) {
            return Err(unsupported());
        }
        // Said at once, rather than after a body that may never come.
        if announced(headers).is_some_and(|length| length > MAX_BODY) {
            return Err(Problem::too_large(MAX_UPLOAD));
        }
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let image = match kind.as_str() {
            "multipart/form-data" => part(request, app).await?,
            "application/octet-stream" => whole(request, app).await?,
            image if image.starts_with("image/") => whole(request, app).await?,
            _ => return Err(unsupported()),
        };
        if image.is_empty() {
            return Err(Problem::invalid().field("picture", "This is empty."));
        }
        if image.len() > MAX_UPLOAD {
            return Err(Problem::too_large(MAX_UPLOAD));
        }
        Ok(Self(image))
    }
}

async fn whole(request: Request, app: &AppState) -> Result<Bytes, Problem> {
    Bytes::from_request(request, app).await.map_err(|rejection| refused(rejection.status()))
}

async fn part(request: Request, app: &AppState) -> Result<Bytes, Problem> {
    let refused = |error: MultipartError| refused(error.status());
    let form = Multipart::from_request(request, app).await;
    let mut form = form.map_err(|_| Problem::malformed("The form has no sound boundary."))?;
    while let Some(part) = form.next_field().await.map_err(refused)? {
        if part.name() == Some("picture") {
            return part.bytes().await.map_err(refused);
        }
    }
    Err(Problem::invalid().field("picture", "This field is required."))
}

fn refused(status: StatusCode) -> Problem {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::too_large(MAX_UPLOAD)
    } else {
        Problem::malformed("The body broke off, or is not the form that it says it is.")
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
