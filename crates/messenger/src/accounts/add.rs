use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Deserialize;
use shared::models::{AccountRole, Profile};
use shared::problem::Problem;
use utoipa::ToSchema;

use super::Admin;
use super::details::Given;
use super::register::{Making, Registration, make};
use crate::app::AppState;
use crate::http::Json;

/// An account that an admin makes for somebody.
#[derive(Deserialize, ToSchema)]
pub struct NewUser {
    email: String,
    /// For the new user to change.
    password: String,
    username: Option<String>,
    #[serde(default)]
    first_name: String,
    #[serde(default)]
    last_name: String,
    #[serde(default)]
    role: Option<AccountRole>,
    dob: Option<String>,
    phone_number: Option<String>,
    emergency_contact: Option<String>,
}

/// `POST /api/users/`, for admins: makes an account with a role and answers 201 with it. The rules are those of
/// registration, but an admin may have a reserved name. `added_by` is the caller.
#[utoipa::path(
    post,
    path = "/",
    tag = "Users",
    summary = "Make an account for somebody",
    description = "For admins. The rules are those of registration, but an admin may have a reserved name; `added_by` is the caller.",
    request_body = NewUser,
    responses(
        (status = 201, description = "The account.", body = Profile),
        (status = 403, description = "`admins_only`."),
        (status = 409, description = "`username_taken` or `email_taken`."),
    )
)]
pub async fn add(
    State(app): State<AppState>,
    Admin(admin): Admin,
    Json(body): Json<NewUser>,
) -> Result<impl IntoResponse, Problem> {
    let NewUser { email, password, username, first_name, last_name, .. } = body;
    let registration = Registration { email, password, username, first_name, last_name };
    let making = Making {
        role: body.role.unwrap_or(AccountRole::User),
        added_by: Some(admin.id()),
        details: Given {
            dob: Some(body.dob),
            phone_number: Some(body.phone_number),
            emergency_contact: Some(body.emergency_contact),
        },
    };
    let profile = make(&app, registration, making).await?;
    tracing::info!(admin = %admin.id(), user = %profile.card.id, role = ?profile.role, "added an account");
    Ok((StatusCode::CREATED, Json(profile)))
}
