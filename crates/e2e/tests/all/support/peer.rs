//! AppB as the test plays it: it signs what no sound sender would send, straight to AppA.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::{Client, Database, Pair, Reply};
use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::address::Address;
use shared::id::{ConversationId, EventId, MessageId, StreamId, UserId};
use shared::relay::EVENTS_PATH;
use shared::time::{Clock, Timestamp};

use super::seal::Token;
use super::sql::Sql;

/// An id that is nobody's.
pub const OTHER: &str = "0190a5d0-ac96-774b-8cce-b302099a8057";

/// AppB, as the test plays it, and what it speaks of.
pub struct World {
    pub pair: Pair,
    /// A user of AppA.
    pub alice: Client,
    /// The same, as everybody sees her.
    pub card: Value,
    /// A user that AppB has.
    pub bob: Value,
    /// The direct conversation of the two.
    pub conversation: String,
    pub stream: StreamId,
    pub clock: Clock,
}

/// The claims of a service token for a request with this body.
pub fn claims(body: &[u8]) -> Value {
    let now = Clock::system().wall().seconds();
    json!({
        "iss": "app-b", "aud": "app-a", "iat": now, "exp": now + 60, "jti": OTHER,
        "htm": "POST", "htu": EVENTS_PATH,
        "digest": URL_SAFE_NO_PAD.encode(Sha256::digest(body)),
    })
}

pub fn header() -> Header {
    Header {
        typ: Some("relay+jwt".to_owned()),
        kid: Some("app-b".to_owned()),
        ..Header::new(Algorithm::HS256)
    }
}

pub fn sign(header: &Header, claims: &Value, secret: &str) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// What became of each event: `stored`, `early`, or the code of its refusal.
#[track_caller]
pub fn outcomes(reply: &Reply) -> Vec<String> {
    let results = reply.json["results"].as_array().unwrap_or_else(|| panic!("{reply:#?}"));
    let outcome = |result: &Value| match result["outcome"].as_str().unwrap() {
        "refused" => result["code"].as_str().unwrap().to_owned(),
        other => other.to_owned(),
    };
    results.iter().map(outcome).collect()
}

impl World {
    /// Both apps, Alice at AppA, and events 1 (Bob begins their direct conversation) of a fresh stream taken in.
    pub async fn new(database: Database) -> Self {
        let mut world = Self::empty(database).await;
        let begin = world.conversation_event(1, world.direct());
        let reply = world.deliver(vec![begin]).await;
        assert_eq!(outcomes(&reply), ["stored"], "{reply:#?}");
        world.stream = serde_json::from_value(reply.json["stream"].clone()).unwrap();
        world
    }

    pub async fn empty(database: Database) -> Self {
        let pair = Pair::start(database).await;
        let alice = pair.a.client().join("alice").await;
        let card = alice.get("/api/auth/me/").await.expect(200).json;
        let clock = Clock::system();
        let bob = user(&clock, "bob", "app-b");
        let (one, other): (Address, Address) =
            ("alice@app-a".parse().unwrap(), "bob@app-b".parse().unwrap());
        let conversation = ConversationId::direct(&one, &other).to_string();
        let stream = StreamId::mint(clock.now());
        Self { pair, alice, card, bob, conversation, stream, clock }
    }

    pub fn now(&self) -> String {
        self.clock.now().to_string()
    }

    pub fn keys(&self) -> &str {
        self.pair.a.config.fernet_keys.expose()
    }

    pub async fn post(&self, body: Vec<u8>) -> Reply {
        let token = sign(&header(), &claims(&body), &self.pair.relay_secret);
        self.post_with(&token, body).await
    }

    pub async fn post_with(&self, token: &str, body: Vec<u8>) -> Reply {
        let peer = self.pair.a.client();
        let request = peer.request(Method::POST, EVENTS_PATH).bearer_auth(token);
        peer.run(request.header("content-type", "application/json").body(body)).await
    }

    pub fn batch(&self, events: Vec<Value>) -> Value {
        let mut batch = json!({ "origin": "app-b", "stream": self.stream });
        batch["events"] = Value::Array(events);
        batch
    }

    pub async fn deliver(&self, events: Vec<Value>) -> Reply {
        let body = serde_json::to_vec(&self.batch(events)).unwrap();
        self.post(body).await.expect(200)
    }

    pub fn event(&self, seq: i64, body: &Value) -> Value {
        json!({ "id": EventId::of(self.stream, seq), "seq": seq, "body": body })
    }

    pub fn message_event(&self, seq: i64, state: Value) -> Value {
        let mut event = self.event(seq, &json!({ "type": "message" }));
        event["body"]["data"] = state;
        event
    }

    pub fn conversation_event(&self, seq: i64, state: Value) -> Value {
        let mut event = self.event(seq, &json!({ "type": "conversation" }));
        event["body"]["data"] = state;
        event
    }

    /// Something that somebody does to a group.
    pub fn change(&self, actor: &Value, deed: Value) -> Value {
        let mut change = deed;
        change["at"] = json!(self.now());
        change["actor"] = actor["id"].clone();
        change
    }

    pub fn addition(&self, user: &Value) -> Value {
        self.change(&self.bob, json!({ "deed": "add", "user": user["id"], "role": "member" }))
    }

    /// Bob's and Alice's direct conversation, as Bob begins it.
    pub fn direct(&self) -> Value {
        json!({
            "id": self.conversation, "kind": "direct", "created_by": self.bob["id"],
            "created_at": self.now(), "users": [self.bob, self.card], "changes": [],
        })
    }

    /// A group of Bob's.
    pub fn group(&self, others: &[&Value]) -> Value {
        let mut group = self.direct();
        group["id"] = json!(ConversationId::mint(self.clock.now()));
        group["kind"] = json!("group");
        let title = self.change(&self.bob, json!({ "deed": "title", "title": "A group" }));
        let additions = others.iter().map(|user| self.addition(user));
        group["changes"] = [title].into_iter().chain(additions).collect();
        group["users"] = [&self.bob].iter().chain(others).map(|user| (**user).clone()).collect();
        group
    }

    /// A new message of Bob's to Alice.
    pub fn message(&self, text: &str) -> Value {
        let id = MessageId::mint(self.clock.now()).to_string();
        let sender = self.bob["id"].as_str().unwrap();
        json!({
            "id": id, "conversation": self.conversation, "sender": sender, "parent": null,
            "content": Token::seal(self.keys(), &id, sender, 0, text).wire(), "revision": 0,
            "created_at": self.now(), "edited_at": null, "deleted_at": null,
        })
    }

    /// The message with a later text.
    pub fn edited(&self, message: &Value, revision: i64, text: &str) -> Value {
        let mut edited = message.clone();
        let (id, sender) = (message["id"].as_str().unwrap(), message["sender"].as_str().unwrap());
        edited["revision"] = json!(revision);
        edited["content"] = json!(Token::seal(self.keys(), id, sender, revision, text).wire());
        edited["edited_at"] = json!(Timestamp::from_micros(revision));
        edited
    }

    pub fn deleted(&self, message: &Value) -> Value {
        let mut deleted = message.clone();
        deleted["content"] = Value::Null;
        deleted["deleted_at"] = json!(self.now());
        deleted
    }

    /// The texts that Alice sees in the conversation.
    pub async fn seen(&self) -> Vec<String> {
        self.alice.read(&self.conversation).await
    }

    pub async fn sql(&self) -> Sql {
        Sql::open(&self.pair.a.storage).await
    }
}

pub fn user(clock: &Clock, name: &str, app: &str) -> Value {
    json!({
        "id": UserId::mint(clock.now()), "username": name, "app": app,
        "first_name": "", "last_name": "",
    })
}
