use serde_json::json;
use shared::address::AppName;
use shared::id::UserId;
use shared::problem::Problem;

use crate::app::App;
use crate::audit;
use crate::receipts::{self, StatusChange};
use crate::relay::{self, GivenUp, Waits};

/// Gives up what waits for a peer, which need not be one of the configuration any more, and gives the number of events.
/// New messages among them become failed with `dropped`, and may be [sent again](super::retry()); changes are lost to the
/// peer until the next change of the same thing.
pub async fn drop_waiting(
    app: &App,
    actor: Option<UserId>,
    peer: &AppName,
    which: Waits,
) -> Result<usize, Problem> {
    let (peer, now) = (peer.clone(), app.clock.now());
    let work = app.db.write(move |conn| {
        Box::pin(async move {
            let given_up = relay::give_up(conn, &peer, which, "dropped", now).await?;
            let details = json!({ "events": given_up.events, "messages": given_up.failed.len() });
            if given_up.events > 0 {
                audit::record(conn, actor, "outbox.dropped", peer.as_str(), details, now).await?;
            }
            Ok::<_, Problem>(given_up)
        })
    });
    let GivenUp { events, failed } = work.await?;
    receipts::announce(app, StatusChange::Messages(failed));
    Ok(events)
}
