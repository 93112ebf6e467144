use std::collections::HashMap;

use shared::address::AppName;
use shared::id::{ConversationId, MessageId, UserId};
use shared::problem::Problem;
use shared::relay::Progress;
use shared::time::Timestamp;
use uuid::Uuid;

use super::{Move, Register, advance, announce_moved, store};
use crate::app::App;
use crate::messages;
use crate::realtime::{self, EventKind, NewEntry};

/// A user of this app has read everything that they have of a conversation, up to a message; their position never goes
/// back. 404 if they may not see the message, or it is elsewhere.
///
/// What was written earlier and arrives later has not been read: of each app, only what cannot be overtaken any more
/// counts.
pub async fn read(
    app: &App,
    reader: UserId,
    conversation: ConversationId,
    message: MessageId,
    trace: Uuid,
) -> Result<(), Problem> {
    let message = messages::visible(&mut app.db.read().await?, message, reader).await?;
    let message = message.filter(|message| message.conversation == conversation);
    let message = message.ok_or_else(Problem::not_found)?;
    let membership = app.memberships.of(app, conversation).await?;
    let membership = membership.ok_or_else(Problem::not_found)?;
    let now = app.clock.now();
    let (own, last) = (app.name.clone(), message.created_at);
    let (apps, peers) = (membership.apps(), membership.elsewhere().clone());
    let tell = peers.clone();
    let moved = app.db.write(move |conn| {
        Box::pin(async move {
            let heard = store::heard(conn).await?;
            let shows = store::shows_reads(conn, reader).await?;
            let upto = |origin: &AppName| {
                if *origin == message.origin {
                    last
                } else {
                    bound(origin, &own, &heard, last, now)
                }
            };
            let all = apps.iter().map(upto).min().unwrap_or(last);
            let moves = apps.iter().map(|origin| {
                let to = upto(origin);
                let delivered = Progress::begin(to, now);
                Move {
                    register: Register { conversation, origin: origin.clone(), reader },
                    delivered,
                    seen: if shows { delivered } else { Progress::default() },
                    read_to: to,
                    tell: tell.contains(origin),
                }
            });
            let nothing = Progress::default().to;
            let moves: Vec<_> = moves.filter(|row| row.read_to > nothing).collect();
            if store::mark_read(conn, conversation, reader, all, last).await? {
                // Their other devices count what is unread anew.
                let entry =
                    NewEntry::conversation(EventKind::ConversationUpdated, conversation, now);
                realtime::append(conn, &[entry.only_for(reader)]).await?;
            }
            advance(conn, &own, moves, trace, now).await
        })
    });
    let moved = moved.await?;
    app.relay.wake(&peers);
    announce_moved(app, moved);
    Ok(())
}

/// Up to which moment the messages of an app, none of which is the one that was read, are all here.
fn bound(
    origin: &AppName,
    own: &AppName,
    heard: &HashMap<AppName, Timestamp>,
    last: Timestamp,
    now: Timestamp,
) -> Timestamp {
    let here = if origin == own { Some(now) } else { heard.get(origin).copied() };
    here.map_or(Progress::default().to, |here| here.min(last))
}
