use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::address::AppName;
use shared::id::{ConversationId, UserId};
use shared::problem::Problem;
use shared::relay::Typing;
use tokio::time::Instant;

use super::hub::{Data, Event};
use super::replicas::Word;
use crate::app::App;

/// How often it is passed on that somebody is still writing.
const AGAIN: Duration = Duration::from_secs(3);
/// How long it is remembered that somebody was writing.
const REMEMBERED: Duration = Duration::from_secs(30);
/// Typists remembered, at most, before those who have stopped are forgotten.
const TYPISTS: usize = 10_000;

/// Who is writing where, as far as it has been passed on.
#[derive(Default)]
pub struct Typists {
    last: Mutex<HashMap<(ConversationId, UserId), (bool, Instant)>>,
}

impl Typists {
    /// Whether this is worth passing on: a beginning, an end, or a reminder after a while.
    fn is_news(&self, typing: &Typing, now: Instant) -> bool {
        let key = (typing.conversation, typing.user);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= TYPISTS {
            last.retain(|_, (_, at)| now.duration_since(*at) < REMEMBERED);
            if last.len() >= TYPISTS {
                return false;
            }
        }
        let news = match last.get(&key) {
            Some((true, at)) => !typing.active || now.duration_since(*at) >= AGAIN,
            Some((false, _)) | None => typing.active,
        };
        if news {
            last.insert(key, (typing.active, now));
        }
        news
    }
}

/// A user of this app says that they are writing, or have stopped: it is passed on to everybody in the conversation.
pub async fn typing(app: &App, typing: Typing) -> Result<(), Problem> {
    let membership = app.memberships.of(app, typing.conversation).await?;
    let membership = membership.filter(|membership| membership.active(typing.user).is_some());
    let membership = membership.ok_or_else(Problem::not_found)?;
    if app.realtime.typists.is_news(&typing, Instant::now()) {
        show(app, typing).await;
        app.realtime.replicas.say(Word::Typing(typing));
        for peer in membership.elsewhere().iter() {
            app.realtime.signals.typing(peer, typing);
        }
    }
    Ok(())
}

/// A peer says so of one of its users. It counts if that is one, and takes part in the conversation.
pub async fn from_peer(app: &App, peer: &AppName, typing: Typing) -> Result<(), Problem> {
    let membership = app.memberships.of(app, typing.conversation).await?;
    let member = membership.as_ref().and_then(|membership| membership.active(typing.user));
    if member.is_some_and(|member| member.app == *peer)
        && app.realtime.typists.is_news(&typing, Instant::now())
    {
        show(app, typing).await;
        app.realtime.replicas.say(Word::Typing(typing));
    }
    Ok(())
}

/// Shows it to the others in the conversation who have a socket here.
pub async fn show(app: &App, typing: Typing) {
    if app.realtime.hub.count() == 0 {
        return;
    }
    let Ok(Some(membership)) = app.memberships.of(app, typing.conversation).await else { return };
    let others: Vec<_> = membership.users().filter(|other| *other != typing.user).collect();
    let Ok(json) = serde_json::to_string(&typing) else { return };
    let event = Event { place: None, name: "typing", data: Data::Json(json.into()) };
    app.realtime.hub.mention(&others, &Arc::new(event));
}

#[cfg(test)]
mod tests {
    use shared::time::Timestamp;

    use super::*;

    #[test]
    fn only_beginnings_ends_and_reminders_are_passed_on() {
        let moment = Timestamp::from_micros(1_700_000_000_000_000);
        let (conversation, user) = (ConversationId::mint(moment), UserId::mint(moment));
        let (typists, now) = (Typists::default(), Instant::now());
        let is_news = |active, now| typists.is_news(&Typing { conversation, user, active }, now);
        assert!(!is_news(false, now));
        assert!(is_news(true, now));
        assert!(!is_news(true, now));
        assert!(is_news(true, now + AGAIN));
        assert!(is_news(false, now + AGAIN));
        assert!(!is_news(false, now + AGAIN));
        assert!(is_news(true, now + AGAIN));
    }
}
