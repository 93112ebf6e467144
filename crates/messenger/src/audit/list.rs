use std::collections::HashMap;

use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use shared::id::AuditId;
use shared::models::{Page, UserCard};
use shared::problem::Problem;
use shared::time::Timestamp;
use utoipa::ToSchema;

use super::store;
use crate::accounts::Admin;
use crate::app::AppState;
use crate::http::{Json, PageParams, PageRequest};
use crate::users;

/// Something that was done.
#[derive(Serialize, ToSchema)]
pub struct AuditEntry {
    id: AuditId,
    created_at: Timestamp,
    /// Who did it; null for what was done on the command line.
    #[schema(required)]
    actor: Option<UserCard>,
    #[schema(example = "setting.changed")]
    action: String,
    /// What it was done to.
    #[schema(example = "PAGE_SIZE")]
    subject: String,
    /// What else there is to say, as `old` and `new`.
    #[schema(value_type = Object, example = json!({"old": 20, "new": 50}))]
    details: Box<RawValue>,
}

/// `GET /api/admin/audit/`, for admins: what was done to the app itself, the newest first; `?action=` for one kind.
#[utoipa::path(
    get,
    path = "/",
    tag = "Admin",
    summary = "Read the audit log",
    description = "Who has changed what of the app itself, the newest first.",
    params(PageParams, ("action" = Option<String>, Query, description = "Only one kind of change.", example = "setting.changed")),
    responses(
        (status = 200, description = "A page of entries.", body = Page<AuditEntry>),
        (status = 403, description = "`admins_only`"),
    )
)]
pub async fn list(
    State(app): State<AppState>,
    Admin(admin): Admin,
    page: PageRequest,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let action = page.params().get("action").unwrap_or_default();
    if !action.bytes().all(|b| matches!(b, b'a'..=b'z' | b'_' | b'.')) {
        return Err(Problem::invalid().field("action", "This should be like setting.changed."));
    }
    let mut conn = app.db.read().await?;
    let window = page.window(admin.id())?;
    let entries = store::page(&mut conn, action, &window).await?;
    let count = if page.needs_count(entries.len()) {
        Some(store::count(&mut conn, action).await?)
    } else {
        None
    };
    let mut actors: HashMap<_, UserCard> = HashMap::new();
    let mut results = Vec::with_capacity(entries.len());
    for entry in entries {
        // A page has few actors: all of them are admins.
        if let Some(id) = entry.actor
            && !actors.contains_key(&id)
            && let Some(card) = users::by_id(&mut conn, id).await?
        {
            actors.insert(id, card);
        }
        results.push(AuditEntry {
            id: entry.id,
            created_at: entry.created_at,
            actor: entry.actor.and_then(|id| actors.get(&id).cloned()),
            action: entry.action,
            subject: entry.subject,
            details: RawValue::from_string(entry.details).map_err(|_| Problem::internal())?,
        });
    }
    page.answer(&window, count, results, |entry| (entry.created_at, entry.id)).map(Json)
}
