use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::hub::PARTS;
use super::store;
use crate::app::App;
use crate::db::Result;

/// How often to look for sessions that have ended on another replica, and at one part of the sockets.
const TICK: Duration = Duration::from_secs(1);
/// How far back to look for ended sessions: more than the clocks of two replicas differ, or a transaction takes.
const LOOK_BACK: Duration = Duration::from_mins(1);
/// How often to prune the log.
const PRUNING: Duration = Duration::from_mins(10);
/// How long what has happened is remembered.
const REMEMBERED: Duration = Duration::from_hours(7 * 24);
/// How many events are remembered, at most.
const REMEMBERED_ROWS: i64 = 1_000_000;
/// Rows that one transaction removes, at most.
const PRUNED: i64 = 1_000;

/// Looks after the sockets: closes those whose sessions have ended and those whose clients are gone.
///
/// It looks at once when a session ends here, and each second for those that end elsewhere. Each second it looks at one
/// part of the sockets as well, and at all that their sessions depend on.
pub async fn watch(app: Arc<App>, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for part in (0..PARTS).cycle() {
        loop {
            let ticked = tokio::select! {
                _ = ticks.tick() => true,
                () = app.accounts.session_ended() => false,
                () = stopping.cancelled() => return,
            };
            if app.realtime.hub.count() > 0
                && let Err(error) = end_sessions(&app).await
            {
                tracing::warn!(%error, "ended sessions cannot be looked for");
            }
            if ticked {
                break;
            }
        }
        if let Err(error) = look_at(&app, part).await {
            tracing::warn!(%error, "the sessions of sockets cannot be looked at");
        }
    }
}

async fn end_sessions(app: &App) -> Result<()> {
    let moment = app.clock.wall().before(LOOK_BACK);
    let ended = store::ended_since(&mut app.db.read().await?, moment).await?;
    app.realtime.hub.end_sessions(ended);
    Ok(())
}

async fn look_at(app: &App, part: u64) -> Result<()> {
    let asked = app.realtime.hub.heartbeat(part);
    if asked.is_empty() {
        return Ok(());
    }
    let sessions: Vec<Uuid> = asked.iter().copied().collect();
    let mut living = HashSet::with_capacity(sessions.len());
    for some in sessions.chunks(500) {
        let mut conn = app.db.read().await?;
        living.extend(store::living(&mut conn, some, app.clock.wall()).await?);
    }
    app.realtime.hub.keep_sessions(part, &asked, &living);
    Ok(())
}

/// Removes what is too old from the log, now and then.
pub async fn prune(app: Arc<App>, stopping: CancellationToken) {
    while stopping.run_until_cancelled(tokio::time::sleep(PRUNING)).await.is_some() {
        let before = app.clock.wall().before(REMEMBERED);
        loop {
            let pruned = app.db.write(move |conn| {
                Box::pin(async move { store::prune(conn, before, REMEMBERED_ROWS, PRUNED).await })
            });
            match pruned.await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the event log cannot be pruned");
                    break;
                }
            }
        }
    }
}
