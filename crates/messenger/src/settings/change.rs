use axum::extract::State;
use serde_json::{Map, Value, json};
use shared::problem::Problem;

use super::list::{SettingView, SettingViews, views};
use super::{Setting, store};
use crate::accounts::Admin;
use crate::app::AppState;
use crate::audit;
use crate::http::Json;

/// `PATCH /api/admin/settings/`, for admins: `{NAME: value}`, all of them or none. In effect at once here, and within
/// a second on the other replicas.
#[utoipa::path(
    patch,
    path = "/",
    tag = "Admin",
    summary = "Change runtime settings",
    description = "Sets those that the body names, all of them or none. In effect on every replica within a second, without \
        a restart, and written to the audit log.",
    request_body(content = Object, example = json!({"PAGE_SIZE": 50, "REGISTRATION_OPEN": false})),
    responses(
        (status = 200, description = "All settings as they are now.", body = std::collections::BTreeMap<String, SettingView>),
        (status = 400, description = "`invalid`: `errors` names what is unknown, of another type or out of bounds."),
        (status = 403, description = "`admins_only`"),
    )
)]
pub async fn change(
    State(app): State<AppState>,
    Admin(admin): Admin,
    Json(body): Json<Map<String, Value>>,
) -> Result<Json<SettingViews>, Problem> {
    let changes = read(&body)?;
    let (shared, actor) = (app.clone(), admin.id());
    app.db
        .write(move |conn| {
            Box::pin(async move {
                let stored = store::all(conn).await?;
                for (setting, new) in changes {
                    let name = setting.definition().name;
                    let old = stored.iter().find(|(stored, _)| stored == name);
                    let old = old.map_or_else(|| shared.settings.default(setting), |(_, old)| *old);
                    let now = shared.clock.now();
                    store::set(conn, name, new, now).await?;
                    if old != new {
                        let details = json!({ "old": setting.show(old), "new": setting.show(new) });
                        audit::record(conn, Some(actor), "setting.changed", name, details, now)
                            .await?;
                    }
                }
                Ok::<_, Problem>(())
            })
        })
        .await?;
    app.settings.load(&app.db).await?;
    tracing::info!(admin = %actor, names = ?body.keys().collect::<Vec<_>>(), "changed settings");
    Ok(Json(views(&app.settings)))
}

/// The settings that a body names, with their new values.
fn read(body: &Map<String, Value>) -> Result<Vec<(Setting, i64)>, Problem> {
    let mut problem = Problem::invalid();
    let mut changes = Vec::with_capacity(body.len().min(Setting::ALL.len()));
    for (name, value) in body {
        let read = Setting::named(name).ok_or_else(|| "There is no such setting.".to_owned());
        match read.and_then(|setting| Ok((setting, setting.read(value)?))) {
            Ok(change) => changes.push(change),
            Err(why) => problem = problem.field(name.clone(), why),
        }
    }
    problem.check()?;
    Ok(changes)
}
