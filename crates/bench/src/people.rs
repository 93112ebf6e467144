//! Accounts on both apps, and the conversations between them.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;
use shared::encryption::Keyring;

use crate::connection::{Connection, Template, get, post};
use crate::error::{Error, Result};

/// Accounts made at once: their passwords are hashed on as many threads as there are cores.
const AT_ONCE: usize = 4;
/// Characters of a message.
const TEXT: usize = 200;
/// How long the peer may take to learn of a conversation.
const AGREEING: Duration = Duration::from_secs(20);

/// A logged-in user of one app.
#[derive(Clone)]
pub struct Person {
    /// The name, without that of the app.
    pub username: String,
    /// The access token.
    pub token: String,
    password: String,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
}

/// What has an id.
#[derive(Deserialize)]
pub struct Named {
    /// The id.
    pub id: String,
}

#[derive(Deserialize)]
struct Page {
    count: u64,
}

/// Registers `count` users and logs them in.
pub async fn register(address: SocketAddr, name: &str, count: usize) -> Result<Vec<Person>> {
    let one = |number: usize| join(address, format!("{name}{number:04}"));
    stream::iter(0..count).map(one).buffered(AT_ONCE).try_collect().await
}

async fn join(address: SocketAddr, username: String) -> Result<Person> {
    let password = Keyring::generate_key();
    let mut connection = Connection::open(address).await?;
    let account = json!({
        "username": username,
        "email": format!("{username}@example.org"),
        "password": password,
    });
    let request = post("/api/auth/register/", None, &account)?;
    let _: Named = connection.fetch(request, StatusCode::CREATED).await?;
    let mut person = Person { username, token: String::new(), password };
    let tokens: Tokens = connection.fetch(person.login()?, StatusCode::OK).await?;
    person.token = tokens.access_token;
    Ok(person)
}

/// A user of app-a and a user of app-b who write to each other.
#[derive(Clone)]
pub struct Pair {
    /// Which of the recipients it is.
    pub recipient: usize,
    /// The request with which the sender writes to the recipient.
    pub send: Template,
    /// The recipient's access token.
    pub recipient_token: String,
}

/// Conversations between `senders` of app-a and `recipients` of app-b, no two between the same people as long as there
/// are enough of them.
pub async fn converse(
    a: SocketAddr,
    b: SocketAddr,
    senders: &[Person],
    recipients: &[Person],
    count: usize,
) -> Result<Vec<Pair>> {
    let mut there = Connection::open(a).await?;
    let mut pairs = Vec::with_capacity(count);
    let mut last = None;
    for number in 0..count {
        let sender = &senders[number % senders.len()];
        // Shifted by one whenever the longer list begins again, so that the same two do not meet again.
        let shift = number / senders.len().max(recipients.len());
        let recipient = (number + shift) % recipients.len();
        let address = format!("{}@app-b", recipients[recipient].username);
        let body = json!({ "participants": [address] });
        let request = post("/api/chats/conversations/", Some(&sender.token), &body)?;
        let conversation: Named = there.fetch(request, StatusCode::CREATED).await?;
        let message = json!({ "conversation": conversation.id, "content": text() });
        let send = post("/api/chats/messages/", Some(&sender.token), &message)?;
        let recipient_token = recipients[recipient].token.clone();
        last = Some((conversation.id, recipient_token.clone()));
        pairs.push(Pair { recipient, send, recipient_token });
    }
    if let Some((id, token)) = last {
        // The stream is in order: once the last is there, all are.
        let path = format!("/api/chats/conversations/{id}/");
        appears(&mut Connection::open(b).await?, get(&path, Some(&token))?, AGREEING).await?;
    }
    Ok(pairs)
}

impl Pair {
    /// The request with which the recipient looks at one message.
    pub fn look(&self, message: &str) -> Result<Template> {
        get(&format!("/api/chats/messages/{message}/"), Some(&self.recipient_token))
    }

    /// The request with which the recipient lists the newest messages.
    pub fn list(&self, page_size: usize) -> Result<Template> {
        inbox(&self.recipient_token, page_size)
    }
}

impl Person {
    /// How many messages the inbox of a user of app-b holds.
    pub async fn count(&self, connection: &mut Connection) -> Result<u64> {
        let page: Page = connection.fetch(inbox(&self.token, 1)?, StatusCode::OK).await?;
        Ok(page.count)
    }

    /// The request that logs the user in once more.
    pub fn login(&self) -> Result<Template> {
        let credentials = json!({ "username": self.username, "password": self.password });
        post("/api/auth/login/", None, &credentials)
    }

    /// The request for the first page of the inbox.
    pub fn list(&self, page_size: usize) -> Result<Template> {
        inbox(&self.token, page_size)
    }
}

fn inbox(token: &str, page_size: usize) -> Result<Template> {
    get(&format!("/api/messages/inbox/?page_size={page_size}"), Some(token))
}

/// Asks again and again until the answer is 200.
pub async fn appears(
    connection: &mut Connection,
    request: Template,
    within: Duration,
) -> Result<()> {
    const PAUSE: Duration = Duration::from_millis(1);
    let asking = async {
        loop {
            match connection.call(request.clone()).await?.status {
                StatusCode::OK => return Ok(()),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    };
    let missing = |_| Error::Failed(format!("{} does not appear at app-b", request.uri()));
    tokio::time::timeout(within, asking).await.map_err(missing)?
}

/// What everybody writes: a message of 200 bytes.
pub fn text() -> String {
    "The quick brown fox jumps over the lazy dog. ".chars().cycle().take(TEXT).collect()
}
