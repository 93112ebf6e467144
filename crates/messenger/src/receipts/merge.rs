use std::time::Duration;

use shared::address::AppName;
use shared::relay::{Progress, ReceiptState};
use shared::time::Timestamp;

use super::{Move, Moved, Register, push, store};
use crate::conversations::Membership;
use crate::db::{Conn, Result};
use crate::relay;

/// How far in the future a peer may say that something was read; it is only shown.
const MAX_AHEAD: Duration = relay::MAX_AHEAD;

/// Whether the peer may say this of a reader: they are its own user, and take or took part.
pub fn check(
    origin: &AppName,
    state: &ReceiptState,
    membership: Option<&Membership>,
    now: Timestamp,
) -> std::result::Result<(), &'static str> {
    let membership = membership.ok_or("unknown_conversation")?;
    let reader = membership.member(state.reader).ok_or("not_a_participant")?;
    if reader.app != *origin {
        return Err("not_your_user");
    }
    if [state.delivered, state.read].iter().any(|progress| progress.from > progress.to) {
        return Err("malformed");
    }
    let latest = now.after(MAX_AHEAD);
    if [state.delivered, state.read].iter().any(|progress| progress.at > latest) {
        return Err("from_the_future");
    }
    Ok(())
}

/// Takes in how far the readers of the peer `origin` have come with the messages of this app: never back, and never
/// beyond what has been written for that peer.
pub async fn merge(
    conn: &mut Conn,
    own: &AppName,
    origin: &AppName,
    states: Vec<ReceiptState>,
    now: Timestamp,
) -> Result<Vec<Moved>> {
    if states.is_empty() {
        return Ok(Vec::new());
    }
    let sent = relay::last_written(conn, origin).await?;
    let clamp = |progress: Progress| {
        let to = progress.to.min(sent);
        Progress { from: progress.from.min(to), to, at: progress.at }
    };
    let mut moves: Vec<Move> = Vec::with_capacity(states.len());
    for state in states {
        let (conversation, reader) = (state.conversation, state.reader);
        let register = Register { conversation, origin: own.clone(), reader };
        let (delivered, seen) = (clamp(state.delivered), clamp(state.read));
        let read_to = Progress::default().to;
        moves.push(Move { register, delivered, seen, read_to, tell: false });
    }
    moves.sort_by(|a, b| a.register.cmp(&b.register));
    // The later of two events about one register tells at least as much.
    moves.reverse();
    moves.dedup_by(|a, b| a.register == b.register);
    let changed = store::advance(conn, &moves, now).await?;
    push(conn, own, &changed, now).await?;
    Ok(changed)
}

/// Takes back from the peer `origin` how far readers of this app had come with its messages before this app was restored
/// from a backup. It is as far as they had let others know.
pub async fn take_back(
    conn: &mut Conn,
    origin: &AppName,
    states: Vec<ReceiptState>,
    now: Timestamp,
) -> Result<()> {
    for ReceiptState { conversation, reader, delivered, read } in states {
        let register = Register { conversation, origin: origin.clone(), reader };
        let read_to = read.to;
        let returned = Move { register, delivered, seen: read, read_to, tell: false };
        store::advance(conn, &[returned], now).await?;
        let nothing = Progress::default().to;
        store::mark_read(conn, conversation, reader, nothing, read_to).await?;
    }
    Ok(())
}
