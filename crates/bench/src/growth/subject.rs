use futures::{StreamExt, TryStreamExt, stream};
use hyper::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::store::Store;
use crate::connection::{Connection, Template, get, post};
use crate::error::Result;
use crate::options::Options;
use crate::people::{Named, Person, register, text};
use crate::servers::Site;

/// Numbers of participants.
const PARTICIPANTS: [usize; 3] = [2, 50, 500];
/// Numbers of conversations of one user.
const CONVERSATIONS: [usize; 3] = [1, 100, 1_000];
/// Conversations begun at once.
const AT_ONCE: usize = 8;
/// Messages that are sent on top of those that are made, so that the newest page is as people make it.
const NEWEST: usize = 40;

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// The messages of a conversation.
    Messages,
    /// Those who take part in it.
    Participants,
    /// The conversations of a user; the page is that of the conversations.
    Conversations,
}

impl Dimension {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Participants => "participants",
            Self::Conversations => "conversations",
        }
    }
}

/// Something that has grown, and the requests that may cost more for it.
pub struct Subject {
    /// What has grown.
    pub dimension: Dimension,
    /// How far.
    pub size: u64,
    /// The newest page, by cursor.
    pub page: Template,
    /// The newest page, by number, with the count of all.
    pub counted_page: Template,
    /// A message.
    pub send: Template,
}

/// Makes all subjects, through the API but for the bulk of the messages.
pub async fn make(app: &Site, store: &Store, options: &Options) -> Result<Vec<Subject>> {
    let most = if options.quick { PARTICIPANTS[1] } else { PARTICIPANTS[2] };
    let people = register(app.address(), "person", most).await?;
    let mut connection = Connection::open(app.address()).await?;
    let mut subjects = Vec::new();
    let mut sizes = vec![1_000, 100_000, options.messages()];
    sizes.retain(|size| *size <= options.messages());
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        let id = begin(&mut connection, &people[..2], "Long").await?;
        subjects.push(subject(Dimension::Messages, size, &people[0], &id)?);
        let send = &subjects[subjects.len() - 1].send;
        let first: Named = connection.fetch(send.clone(), StatusCode::CREATED).await?;
        store.multiply(&first.id, size - 1 - NEWEST as u64).await?;
        // The one of before has been idle for longer than the app waits.
        connection = Connection::open(app.address()).await?;
        for _ in 0..NEWEST {
            let _: Named = connection.fetch(send.clone(), StatusCode::CREATED).await?;
        }
    }
    store.tidy().await?;
    connection = Connection::open(app.address()).await?;
    for size in PARTICIPANTS.into_iter().filter(|size| *size <= most) {
        let id = begin(&mut connection, &people[..size], "Large").await?;
        subjects.push(subject(Dimension::Participants, size as u64, &people[0], &id)?);
        for _ in 0..NEWEST {
            let send = subjects[subjects.len() - 1].send.clone();
            let _: Named = connection.fetch(send, StatusCode::CREATED).await?;
        }
    }
    let busy = register(app.address(), "busy", CONVERSATIONS.len()).await?;
    for (owner, size) in busy.iter().zip(CONVERSATIONS) {
        let pair = [owner.clone(), people[1].clone()];
        let begun = (0..size).map(|_| async {
            let mut connection = Connection::open(app.address()).await?;
            begin(&mut connection, &pair, "One of many").await
        });
        let ids: Vec<String> = stream::iter(begun).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut one = subject(Dimension::Conversations, size as u64, owner, &ids[0])?;
        let path = "/api/chats/conversations/?page_size=20";
        one.page = get(&format!("{path}&cursor="), Some(&owner.token))?;
        one.counted_page = get(path, Some(&owner.token))?;
        subjects.push(one);
    }
    Ok(subjects)
}

/// A group of these people, of whom the first begins it.
async fn begin(connection: &mut Connection, people: &[Person], title: &str) -> Result<String> {
    let names: Vec<&str> = people[1..].iter().map(|person| person.username.as_str()).collect();
    let body = json!({ "participants": names, "title": title, "kind": "group" });
    let request = post("/api/chats/conversations/", Some(&people[0].token), &body)?;
    let group: Named = connection.fetch(request, StatusCode::CREATED).await?;
    Ok(group.id)
}

fn subject(dimension: Dimension, size: u64, owner: &Person, id: &str) -> Result<Subject> {
    let token = Some(owner.token.as_str());
    let path = format!("/api/chats/conversations/{id}/messages/?page_size=20");
    let message = json!({ "conversation": id, "content": text() });
    Ok(Subject {
        dimension,
        size,
        page: get(&format!("{path}&cursor="), token)?,
        counted_page: get(&path, token)?,
        send: post("/api/chats/messages/", token, &message)?,
    })
}
