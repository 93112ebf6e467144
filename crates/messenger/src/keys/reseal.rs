use serde::Serialize;
use shared::encryption::{
    Ciphertext, Field, FieldCipher, KeyId, Keyring, SealedContent, Unreadable,
};
use shared::id::{MessageId, UserId};
use shared::relay::EventBody;
use uuid::Uuid;

use super::store::{self, Aside, FIELDS};
use crate::db::{Db, Result, patiently};
use crate::search;

/// Tokens that are read, sealed anew and written at once: few enough that a send behind it does not wait long.
const BATCH: i64 = 128;

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Progress {
    /// Texts of messages that are sealed with the first key now.
    pub messages: u64,
    /// The same of fields and secrets.
    pub fields: u64,
    /// The same of stored answers and of events that were set aside.
    pub answers: u64,
    /// Messages whose search terms were made anew.
    pub terms: u64,
    /// Tokens that do not open, and stay as they are.
    pub unreadable: u64,
}

/// Seals everything that is stored with the first key of the ring. `tell` is told after every batch.
///
/// It may be stopped at any time: what is done is done, and the next run finds what is left. It may run beside the app:
/// a token is replaced only where it still stands, so an edit meanwhile wins. Events that wait in the outbox name their
/// messages, and so need nothing.
pub async fn reseal(
    db: &Db,
    keyring: &Keyring,
    fields: &FieldCipher,
    mut tell: impl FnMut(&Progress),
) -> Result<Progress> {
    let sealing = keyring.key_ids()[0];
    let mut progress = Progress::default();
    reseal_messages(db, keyring, sealing, &mut progress, &mut tell).await?;
    for field in FIELDS {
        reseal_fields(db, fields, field, sealing, &mut progress, &mut tell).await?;
    }
    reseal_index_key(db, fields, sealing, &mut progress).await?;
    reseal_answers(db, keyring, &mut progress, &mut tell).await?;
    reseal_parked(db, keyring, sealing, &mut progress, &mut tell).await?;
    let before = progress;
    let terms = search::reindex(db, keyring, false, |terms| {
        tell(&Progress { terms: terms.renewed, ..before });
    });
    progress.terms = terms.await?.renewed;
    tell(&progress);
    Ok(progress)
}

async fn reseal_messages(
    db: &Db,
    keyring: &Keyring,
    sealing: KeyId,
    progress: &mut Progress,
    tell: &mut impl FnMut(&Progress),
) -> Result<()> {
    let mut after = (i64::MIN, MessageId::from(Uuid::nil()));
    loop {
        let stale = patiently(async || {
            store::stale_messages(&mut db.read().await?, sealing, after, BATCH).await
        });
        let stale = stale.await?;
        let Some((key, _, id)) = stale.last() else { return Ok(()) };
        after = (*key, *id);
        let mut renewed: Vec<(MessageId, SealedContent, Ciphertext)> = Vec::new();
        for (_, content, id) in stale {
            match keyring.reseal(&content) {
                Ok(token) => renewed.push((id, content, token)),
                Err(why) => skip(progress, "message", id.uuid(), why),
            }
        }
        let done = patiently(async || {
            let renewed = renewed.clone();
            db.write(move |conn| {
                Box::pin(async move {
                    let mut done = 0;
                    for (id, content, token) in &renewed {
                        let old = content.sealed().token();
                        done += u64::from(store::renew_message(conn, *id, old, token).await?);
                    }
                    Ok(done)
                })
            })
            .await
        });
        progress.messages += done.await?;
        tell(progress);
    }
}

async fn reseal_fields(
    db: &Db,
    cipher: &FieldCipher,
    field: Field,
    sealing: KeyId,
    progress: &mut Progress,
    tell: &mut impl FnMut(&Progress),
) -> Result<()> {
    let mut after = UserId::from(Uuid::nil());
    loop {
        let stale = patiently(async || {
            store::stale_fields(&mut db.read().await?, field, sealing, after, BATCH).await
        });
        let stale = stale.await?;
        let Some((owner, _)) = stale.last() else { return Ok(()) };
        after = *owner;
        let mut renewed: Vec<(UserId, Ciphertext, Ciphertext)> = Vec::new();
        for (owner, old) in stale {
            match cipher.reseal(field, owner.uuid(), &old) {
                Ok(new) => renewed.push((owner, old, new)),
                Err(why) => skip(progress, "field", owner.uuid(), why),
            }
        }
        let done = patiently(async || {
            let renewed = renewed.clone();
            db.write(move |conn| {
                Box::pin(async move {
                    let mut done = 0;
                    for (owner, old, new) in &renewed {
                        let renewed = store::renew_field(conn, field, *owner, old.token(), new);
                        done += u64::from(renewed.await?);
                    }
                    Ok(done)
                })
            })
            .await
        });
        progress.fields += done.await?;
        tell(progress);
    }
}

async fn reseal_index_key(
    db: &Db,
    cipher: &FieldCipher,
    sealing: KeyId,
    progress: &mut Progress,
) -> Result<()> {
    let Some(old) = store::stale_index_key(&mut db.read().await?, sealing).await? else {
        return Ok(());
    };
    let new = match cipher.reseal(Field::IndexKey, Uuid::nil(), &old) {
        Ok(new) => new,
        Err(why) => {
            skip(progress, "secret", Uuid::nil(), why);
            return Ok(());
        }
    };
    let done = patiently(async || {
        let (old, new) = (old.clone(), new.clone());
        db.write(move |conn| {
            Box::pin(async move { store::renew_index_key(conn, old.token(), &new).await })
        })
        .await
    });
    progress.fields += u64::from(done.await?);
    Ok(())
}

async fn reseal_answers(
    db: &Db,
    keyring: &Keyring,
    progress: &mut Progress,
    tell: &mut impl FnMut(&Progress),
) -> Result<()> {
    let mut after = (Uuid::nil(), String::new());
    loop {
        let stored = patiently(async || {
            let after = (after.0, after.1.as_str());
            store::stored_answers(&mut db.read().await?, after, BATCH).await
        });
        let stored = stored.await?;
        let Some((user, key, _)) = stored.last() else { return Ok(()) };
        after = (*user, key.clone());
        let renewed: Vec<_> = stored
            .into_iter()
            .filter_map(|(user, key, old)| {
                let new = keyring.reseal_answer(&old)?;
                Some(((user, key), old, new))
            })
            .collect();
        let done = patiently(async || {
            let renewed = renewed.clone();
            db.write(move |conn| {
                Box::pin(async move {
                    let mut done = 0;
                    for (id, old, new) in renewed {
                        done += u64::from(store::renew_answer(conn, id, &old, &new).await?);
                    }
                    Ok(done)
                })
            })
            .await
        });
        progress.answers += done.await?;
        tell(progress);
    }
}

async fn reseal_parked(
    db: &Db,
    keyring: &Keyring,
    sealing: KeyId,
    progress: &mut Progress,
    tell: &mut impl FnMut(&Progress),
) -> Result<()> {
    let mut after = (String::new(), Uuid::nil(), 0);
    loop {
        let mut conn = db.read().await?;
        let parked = store::parked(&mut conn, (&after.0, after.1, after.2), BATCH).await?;
        drop(conn);
        let Some(last) = parked.last() else { return Ok(()) };
        after = (last.origin.clone(), last.stream, last.seq);
        for event in parked {
            let Some(body) = reseal_event(keyring, sealing, &event) else { continue };
            let write = db.write(move |conn| {
                Box::pin(async move { store::renew_parked(conn, &event, &body).await })
            });
            progress.answers += u64::from(write.await?);
        }
        tell(progress);
    }
}

/// The body of an event that was set aside, with the text of its message sealed anew.
fn reseal_event(keyring: &Keyring, sealing: KeyId, event: &Aside) -> Option<String> {
    let EventBody::Message(state) = serde_json::from_str(&event.body).ok()? else { return None };
    let old = state.content.filter(|content| content.key() != sealing)?;
    let content = SealedContent::new(state.id, state.sender, state.revision, old.clone());
    let new = keyring.reseal(&content).ok()?;
    Some(event.body.replace(&old.to_string(), &new.to_string()))
}

fn skip(progress: &mut Progress, what: &'static str, id: Uuid, why: Unreadable) {
    tracing::warn!(what, %id, code = why.code(), "this does not open and stays as it is");
    progress.unreadable += 1;
}
