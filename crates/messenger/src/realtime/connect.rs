use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;
use http::header::{AUTHORIZATION, ORIGIN};
use http::{HeaderMap, Method, StatusCode};
use shared::encryption::FrameOpener;
use shared::problem::Problem;

use super::cursor::Cursor;
use super::hub::Seat;
use super::socket::{self, Beginning};
use super::{store, ticket};
use crate::accounts::{self, CurrentUser};
use crate::app::{App, AppState};
use crate::http::Params;

/// What the reference says of the socket, as no schema can.
const DESCRIPTION: &str = "\
    Frames from the server are JSON, `{cursor, type, data}`. The types are `message.created`, `message.updated`, \
    `message.deleted` and `message.status` (data: the message as a GET gives it), `conversation.created` and \
    `conversation.updated` (the conversation as a GET gives it), `typing` (`{conversation, user, active}`; it is over \
    after ten seconds unless it is said again), `presence` (`{online: [user, …], offline: [user, …]}`), `resync` \
    (`{reason}`: the cursor is unknown or too old; read the lists anew), `pong`, and `error` (`{code, detail}`; the \
    socket stays).\n\n\
    Frames from the client are `{type: \"typing\", conversation, active}`, `{type: \"read\", conversation, message}` \
    and `{type: \"ping\"}`; at most 16 KiB each, and 20 a second.\n\n\
    Close codes: 4401 the session has ended, 4408 the client reads too slowly, 1001 the app is shutting down, 1003 a \
    binary frame, 1008 too many frames, 1009 a frame too large. After any end, connect again with `since`.";
/// Bytes that are read from a socket at once.
const READ_BUFFER: usize = 2 * 1024;
/// Bytes of a burst of frames that are written at once.
const WRITE_BUFFER: usize = 8 * 1024;

/// `GET /api/ws/`: becomes a WebSocket that tells the caller what happens in their conversations.
///
/// Credentials are a Bearer token, `?ticket=` or a cookie; an `Origin` whose pages may not act for their users is 403, and
/// so is a cookie without an `Origin`. `?since=` takes the cursor of the last frame that the client has seen.
#[utoipa::path(
    get,
    path = "/",
    tag = "Real time",
    summary = "Open a socket",
    description = DESCRIPTION,
    params(
        ("ticket" = Option<String>, Query, description = "From `POST /api/ws/ticket/`, where there are no other credentials."),
        ("since" = Option<String>, Query, description = "The cursor of the last frame that the client has seen; what came after it is told first."),
    ),
    responses(
        (status = 101, description = "It is a WebSocket from here on."),
        (status = 403, description = "`origin_not_allowed`."),
        (status = 426, description = "`upgrade_required`: the request does not ask for a WebSocket (RFC 6455)."),
        (status = 429, description = "`too_many_sockets`: a user has at most 16."),
    )
)]
pub async fn connect(
    State(app): State<AppState>,
    opener: Option<Extension<FrameOpener>>,
    headers: HeaderMap,
    params: Params,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let by_ticket = params.get("ticket").is_some() && !headers.contains_key(AUTHORIZATION);
    let by_cookie = !by_ticket && !headers.contains_key(AUTHORIZATION);
    if by_ticket {
        check_origin(&app, &headers, false)?;
        // Before a ticket is spent on what is no socket.
        upgrade.as_ref().map_err(|_| upgrade_required())?;
    }
    let user = identify(&app, &headers, &params, by_ticket).await?;
    check_origin(&app, &headers, by_cookie)?;
    let upgrade = upgrade.map_err(|_| upgrade_required())?;
    let Some(Extension(opener)) = opener else {
        tracing::error!("the socket route is mounted without the layer that opens its frames");
        return Err(Problem::internal());
    };
    let since = params.get("since").map(Cursor::parse);
    let (seat, newest) = take_seat(&app, &user, since.is_none()).await?;
    let beginning = match since {
        None => Beginning::Now(newest),
        Some(Some(cursor)) => Beginning::After(cursor),
        Some(None) => Beginning::Unknown,
    };
    let task = app.realtime.sockets.token();
    Ok(upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(socket::MAX_READ)
        .max_frame_size(socket::MAX_READ)
        .on_upgrade(move |socket| async move {
            let _task = task;
            socket::run(app, user, seat, socket, opener, beginning).await;
        }))
}

fn upgrade_required() -> Problem {
    let why = "This path is for WebSockets (RFC 6455).";
    Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", why)
}

async fn identify(
    app: &AppState,
    headers: &HeaderMap,
    params: &Params,
    by_ticket: bool,
) -> Result<CurrentUser, Problem> {
    let Some(text) = params.get("ticket").filter(|_| by_ticket) else {
        // A bad header is not made good by anything else.
        return accounts::identify(app, &Method::GET, headers).await;
    };
    let refused =
        || Problem::unauthenticated("invalid_ticket", "The ticket does not count, or no longer.");
    let session = ticket::redeem(app, text).await?.ok_or_else(refused)?;
    accounts::of_session(app, session).await?.ok_or_else(refused)
}

/// A place in the hub, and where the log stands for it.
async fn take_seat(app: &App, user: &CurrentUser, live: bool) -> Result<(Seat, Cursor), Problem> {
    let hub = &app.realtime.hub;
    if let Some(admitted) = hub.admit(user.id(), user.session, live, None)? {
        return Ok(admitted);
    }
    let newest = store::newest(&mut app.db.read().await?).await?;
    let admitted = hub.admit(user.id(), user.session, live, Some(newest))?;
    admitted.ok_or_else(Problem::internal)
}

/// Browsers let any page open a socket anywhere, with the cookies of its address, and say which page it is: it must be
/// one that may act for its user. Who is no browser says nothing, and then has other credentials than a cookie.
fn check_origin(app: &App, headers: &HeaderMap, by_cookie: bool) -> Result<(), Problem> {
    if app.origins.is_allowed(headers) || !(by_cookie || headers.contains_key(ORIGIN)) {
        return Ok(());
    }
    let why = "Pages of this origin may not open a socket here.";
    Err(Problem::forbidden("origin_not_allowed", why))
}
