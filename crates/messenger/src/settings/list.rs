use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use shared::problem::Problem;
use utoipa::ToSchema;

use super::{Kind, Setting, Settings};
use crate::accounts::Admin;
use crate::app::AppState;
use crate::http::Json;

/// A setting as admins see it.
#[derive(Serialize, ToSchema)]
pub struct SettingView {
    /// What is in effect.
    #[schema(value_type = Object, example = 3600)]
    value: Value,
    /// What is in effect unless an admin sets it: the environment's value, or the built-in one.
    #[schema(value_type = Object, example = 3600)]
    default: Value,
    /// `integer` or `boolean`.
    #[schema(example = "integer")]
    r#type: &'static str,
    /// The least that it may be, if it is a number.
    #[schema(required, example = 1)]
    min: Option<i64>,
    /// The most that it may be, if it is a number.
    #[schema(required, example = 86400)]
    max: Option<i64>,
    description: &'static str,
}

/// All settings by name.
pub type SettingViews = BTreeMap<&'static str, SettingView>;

/// `GET /api/admin/settings/`, for admins: all settings.
#[utoipa::path(
    get,
    path = "/",
    tag = "Admin",
    summary = "List the runtime settings",
    description = "All settings by name, with what they may be.",
    responses(
        (status = 200, description = "The settings.", body = BTreeMap<String, SettingView>),
        (status = 403, description = "`admins_only`"),
    )
)]
pub async fn list(State(app): State<AppState>, _: Admin) -> Result<Json<SettingViews>, Problem> {
    Ok(Json(views(&app.settings)))
}

/// All settings as they are.
pub fn views(settings: &Settings) -> SettingViews {
    let view = |&setting: &Setting| {
        let definition = setting.definition();
        let (r#type, min, max) = match definition.kind {
            Kind::Number(min, max) => ("integer", Some(min), Some(max)),
            Kind::Switch => ("boolean", None, None),
        };
        let view = SettingView {
            value: setting.show(settings.get(setting)),
            default: setting.show(settings.default(setting)),
            r#type,
            min,
            max,
            description: definition.about,
        };
        (definition.name, view)
    };
    Setting::ALL.iter().map(view).collect()
}
