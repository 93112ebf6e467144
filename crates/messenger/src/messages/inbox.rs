use axum::extract::State;
use shared::models::{InboxMessage, Page};
use shared::problem::Problem;

use super::store;
use crate::accounts::CurrentUser;
use crate::app::AppState;
use crate::http::{Json, PageRequest};

/// `GET /api/messages/inbox/`: messages from others, the newest first; `?unread=true` leaves out what has been read.
pub async fn inbox(
    State(app): State<AppState>,
    user: CurrentUser,
    page: PageRequest,
) -> Result<Json<Page<InboxMessage>>, Problem> {
    let unread = page.params().parse("unread", "This should be true or false.")?.unwrap_or(false);
    let mut conn = app.db.read().await?;
    let count = store::count_inbox(&mut conn, user.id(), unread).await?;
    let messages =
        store::page_inbox(&mut conn, user.id(), unread, page.limit(), page.offset()).await?;
    page.answer(count, messages).map(Json)
}
