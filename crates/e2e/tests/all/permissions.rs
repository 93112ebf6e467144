//! Who may do what: every route of the description, asked by everybody.
//!
//! A route that is not in the table fails the test, so that none is forgotten.

use std::collections::BTreeSet;

use e2e::{Client, Database, Pair, on_both_databases};
use http::{Method, header};
use messenger::openapi::description;
use serde_json::{Value, json};

use crate::support::sql::Sql;

on_both_databases!(everybody_may_do_what_the_table_says, nothing_protected_is_set_by_a_body);

/// One route, and how it answers: nobody, a user of the other app, a stranger, somebody who was removed from the group,
/// an admin of the app, a member of the group, its owner. They ask in this order.
struct Row {
    method: &'static str,
    /// As the description spells it; what stands in braces is of a group, a message, a user or a session of each row's
    /// own.
    path: &'static str,
    body: Value,
    statuses: [u16; 7],
}

fn row(method: &'static str, path: &'static str, body: Value, statuses: [u16; 7]) -> Row {
    Row { method, path, body, statuses }
}

/// Whoever has a session of this app.
const fn users(status: u16) -> [u16; 7] {
    [401, 401, status, status, status, status, status]
}

/// Who takes part or has done so.
const fn participants(status: u16) -> [u16; 7] {
    [401, 401, 404, status, 404, status, status]
}

/// Who takes part.
const fn members(status: u16) -> [u16; 7] {
    [401, 401, 404, 404, 404, status, status]
}

/// The owner of the group and of the message; others who see it are told so.
const fn owner(status: u16) -> [u16; 7] {
    [401, 401, 404, 404, 404, 403, status]
}

/// The owner of the group; who is or was in it knows of it, and is told so.
const fn founder(status: u16) -> [u16; 7] {
    [401, 401, 404, 403, 404, 403, status]
}

/// Admins of this app.
const fn admins(status: u16) -> [u16; 7] {
    [401, 401, 403, 403, status, 403, 403]
}

/// Everybody, whatever they send along.
const fn all(status: u16) -> [u16; 7] {
    [status; 7]
}

fn none() -> Value {
    Value::Null
}

fn accounts() -> Vec<Row> {
    let mut rows = vec![
        row("post", "/api/auth/logout/all/", none(), users(200)),
        row("get", "/api/auth/csrf/", none(), [200, 401, 200, 200, 200, 200, 200]),
        row(
            "post",
            "/api/auth/password/change/",
            json!({ "current_password": "x", "new_password": "y" }),
            users(403),
        ),
        row("get", "/api/auth/sessions/", none(), users(200)),
        row("delete", "/api/auth/sessions/{session}/", none(), [401, 401, 404, 404, 404, 404, 204]),
        row("post", "/api/token/", json!({ "username": "x", "password": "y" }), all(401)),
        row("post", "/api/token/refresh/", json!({ "refresh": "x" }), all(401)),
    ];
    for base in ["/api/auth", "/api"] {
        let path = |name: &str| -> &'static str { format!("{base}/{name}").leak() };
        rows.extend([
            row("post", path("register/"), json!({ "email": "x", "password": "y" }), all(400)),
            row("post", path("login/"), json!({ "username": "x", "password": "y" }), all(401)),
            row("post", path("refresh/"), json!({ "refresh_token": "x" }), all(401)),
            row("post", path("logout/"), none(), users(200)),
            row("get", path("me/"), none(), users(200)),
            row("put", path("me/"), json!({}), users(400)),
            row("patch", path("me/"), json!({ "first_name": "X" }), users(200)),
            row("put", path("me/picture/"), json!("no picture"), users(415)),
            row("post", path("me/picture/"), json!("no picture"), users(415)),
            row("delete", path("me/picture/"), none(), users(204)),
        ]);
    }
    rows
}

fn chats() -> Vec<Row> {
    const CONVERSATION: &str = "/api/chats/conversations/{group}/";
    const MESSAGE: &str = "/api/chats/messages/{message}/";
    let text = || json!({ "content": "hello" });
    let title = || json!({ "title": "Another" });
    vec![
        row("get", "/api/chats/conversations/", none(), users(200)),
        row("post", "/api/chats/conversations/", json!({ "participants": [] }), users(400)),
        row("get", CONVERSATION, none(), participants(200)),
        row("put", CONVERSATION, title(), founder(200)),
        row("patch", CONVERSATION, title(), founder(200)),
        row("delete", CONVERSATION, none(), founder(204)),
        row("get", "/api/chats/conversations/{group}/messages/", none(), participants(200)),
        row(
            "post",
            "/api/chats/conversations/{group}/participants/",
            json!({ "participants": ["{stranger}"] }),
            founder(201),
        ),
        row(
            "patch",
            "/api/chats/conversations/{group}/participants/{member}/",
            json!({ "role": "admin" }),
            founder(200),
        ),
        row(
            "delete",
            "/api/chats/conversations/{group}/participants/{owner}/",
            none(),
            founder(409),
        ),
        row(
            "post",
            "/api/chats/conversations/{group}/read/",
            json!({ "message": "{message}" }),
            members(200),
        ),
        row("get", "/api/chats/messages/", none(), users(200)),
        row(
            "post",
            "/api/chats/messages/",
            json!({ "conversation": "{group}", "content": "x" }),
            members(201),
        ),
        row("get", MESSAGE, none(), members(200)),
        row("put", MESSAGE, text(), owner(200)),
        row("patch", MESSAGE, text(), owner(200)),
        row("delete", MESSAGE, none(), owner(204)),
        row("get", "/api/chats/messages/{message}/receipts/", none(), owner(200)),
        row(
            "post",
            "/api/messages/send/",
            json!({ "recipient": "nobody-there", "content": "x" }),
            users(404),
        ),
        row("get", "/api/messages/inbox/", none(), users(200)),
        row("get", "/api/ws/", none(), [401, 401, 426, 426, 426, 426, 426]),
        row("post", "/api/ws/ticket/", none(), users(201)),
    ]
}

fn others() -> Vec<Row> {
    let mut rows = vec![
        row("get", "/api/users/", none(), users(200)),
        row("post", "/api/users/", json!({ "email": "x", "password": "y" }), admins(400)),
        row("get", "/api/users/get_by_username/?username={stranger}", none(), users(200)),
        row("get", "/api/users/{owner}/", none(), users(200)),
        row("patch", "/api/users/{member}/", json!({ "role": "user" }), admins(200)),
        row("get", "/api/users/{owner}/picture/", none(), users(404)),
        row("get", "/api/admin/settings/", none(), admins(200)),
        row("patch", "/api/admin/settings/", json!({ "PAGE_SIZE": 20 }), admins(200)),
        row("get", "/api/admin/audit/", none(), admins(200)),
        row("get", "/api/admin/peers/", none(), admins(200)),
        row("get", "/api/admin/outbox/", none(), admins(200)),
        row("post", "/api/admin/outbox/retry/", json!({}), admins(200)),
        row("post", "/api/admin/outbox/app-b:{message}/retry/", none(), admins(404)),
        row("get", "/api/schema/", none(), all(200)),
        row("get", "/api/about/", none(), all(200)),
        row("get", "/health/live", none(), all(200)),
        row("get", "/health/ready", none(), all(200)),
    ];
    // Peers sign; no user does.
    rows.extend([
        row("post", "/relay/v1/events/", json!({}), all(401)),
        row("get", "/relay/v1/keys/", none(), all(401)),
        row("post", "/relay/v1/recovery/", json!({}), all(401)),
        row("post", "/relay/v1/signals/", json!({}), all(401)),
        row("get", "/relay/v1/reach/", none(), all(401)),
        row("get", "/relay/v1/users/?username={owner}", none(), all(401)),
        row("get", "/relay/v1/users/{owner}/picture/", none(), all(401)),
    ]);
    rows
}

/// The template with its parameters called as the description calls them.
fn template(row: &Row) -> String {
    let path = row.path.split('?').next().unwrap_or_default();
    let path = path.replace("participants/{member}", "participants/{user}");
    let path = path.replace("participants/{owner}", "participants/{user}");
    let path = path.replace("app-b:{message}", "{message}");
    let path = ["{group}", "{message}", "{session}", "{member}", "{owner}"]
        .iter()
        .fold(path, |path, name| path.replace(name, "{id}"));
    format!("{} {path}", row.method)
}

fn described() -> BTreeSet<String> {
    let document = serde_json::to_value(description()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| format!("{method} {path}")).collect::<Vec<_>>()
        })
        .collect()
}

/// Those who ask.
struct World {
    pair: Pair,
    askers: [(&'static str, Client); 7],
}

impl World {
    async fn begin(database: Database) -> Self {
        let pair = Pair::start(database).await;
        let here = pair.a.client();
        let mut other = pair.b.client().join("other").await;
        other.base.clone_from(&here.base);
        let admin = here.join("adminette").await;
        let mut sql = Sql::open(&pair.a.storage).await;
        let id = sql.id(&me(&admin).await);
        sql.change(&format!("UPDATE accounts SET role = 1 WHERE user_id = {id}")).await;
        let askers = [
            ("nobody", here.clone()),
            ("other", other),
            ("stranger", here.join("stranger").await),
            ("left", here.join("left").await),
            ("admin", admin),
            ("member", here.join("member").await),
            ("owner", here.join("owner").await),
        ];
        Self { pair, askers }
    }

    fn asker(&self, name: &str) -> &Client {
        &self.askers.iter().find(|(known, _)| *known == name).unwrap().1
    }

    /// A group with a message of its owner's, in a text in the place of what stands in braces.
    async fn scene(&mut self) -> impl Fn(&str) -> String + use<> {
        for (name, client) in &mut self.askers {
            // Some rows end sessions.
            if !matches!(*name, "nobody" | "other") {
                client.log_in().await;
            }
        }
        let owner = self.asker("owner");
        let body = json!({ "participants": ["member", "left"], "title": "A group" });
        let group = owner.post("/api/chats/conversations/", &body).await.expect(201).str("id");
        owner
            .delete(&format!("/api/chats/conversations/{group}/participants/left/"))
            .await
            .expect(204);
        let body = json!({ "conversation": group, "content": "hello" });
        let message = owner.post("/api/chats/messages/", &body).await.expect(201).str("id");
        let sessions = owner.get("/api/auth/sessions/").await.expect(200);
        let session = sessions.results().iter().find(|session| session["current"] == false);
        let session = session.map_or(String::new(), |s| s["id"].as_str().unwrap().to_owned());
        let (owner, member) = (me(owner).await, me(self.asker("member")).await);
        move |text: &str| {
            text.replace("{group}", &group)
                .replace("{message}", &message)
                .replace("{session}", &session)
                .replace("{owner}", &owner)
                .replace("{member}", &member)
                .replace("{stranger}", "stranger")
        }
    }
}

async fn me(client: &Client) -> String {
    client.get("/api/auth/me/").await.expect(200).str("id")
}

async fn everybody_may_do_what_the_table_says(database: Database) {
    let rows: Vec<Row> = [accounts(), chats(), others()].into_iter().flatten().collect();
    let known: BTreeSet<String> = rows.iter().map(template).collect();
    assert_eq!(known, described(), "the table has the routes of the description");
    let mut world = World::begin(database).await;
    let mut wrong = Vec::new();
    for row in &rows {
        let fill = world.scene().await;
        let method: Method = row.method.to_uppercase().parse().unwrap();
        for ((name, client), expected) in world.askers.iter().zip(row.statuses) {
            let mut request = client.request(method.clone(), &fill(row.path));
            if !row.body.is_null() {
                let body = fill(&row.body.to_string());
                request = request.header(header::CONTENT_TYPE, "application/json").body(body);
            }
            let reply = client.run(request).await;
            if reply.status != expected {
                let (got, code) = (reply.status.as_u16(), reply.code());
                wrong.push(format!("{} as {name}: {got} {code}, not {expected}", template(row)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    world.pair.stop().await;
}

/// What no body may set, whichever route takes it.
fn protected() -> Value {
    json!({
        "id": "00000000-0000-7000-8000-000000000000", "role": "admin", "is_active": false,
        "is_staff": true, "is_superuser": true, "added_by": "00000000-0000-7000-8000-000000000000",
        "sender": "stranger", "origin": "app-b", "app": "app-b", "address": "x@app-b",
        "status": "read", "created_at": "2001-01-01T00:00:00Z", "created_by": "stranger",
        "edited_at": "2001-01-01T00:00:00Z", "deleted_at": "2001-01-01T00:00:00Z",
        "updated_at": "2001-01-01T00:00:00Z", "ended_at": "2001-01-01T00:00:00Z",
        "reply_count": 7, "unread_count": 7, "kind": "group", "profile_picture": "http://127.0.0.1/",
    })
}

fn with_protected(body: &Value) -> Value {
    let mut all = protected();
    for (field, value) in body.as_object().unwrap() {
        all[field] = value.clone();
    }
    all
}

async fn nothing_protected_is_set_by_a_body(database: Database) {
    let world = World::begin(database).await;
    let (owner, nobody) = (world.asker("owner"), world.asker("nobody"));
    let is_untouched = |made: &Value, what: &str| {
        for (field, value) in protected().as_object().unwrap() {
            // A group is what was asked for.
            if field != "kind" {
                assert!(made.get(field) != Some(value), "{what} has set {field}: {made}");
            }
        }
    };
    let body = json!({ "email": "new@example.org", "username": "newcomer", "password": "correct horse battery" });
    let made = nobody.post("/api/auth/register/", &with_protected(&body)).await.expect(201).json;
    is_untouched(&made, "registration");
    let made = owner.patch("/api/auth/me/", &with_protected(&json!({}))).await.expect(200).json;
    is_untouched(&made, "the profile");
    let body = json!({ "participants": ["member", "left"], "title": "A group" });
    let made =
        owner.post("/api/chats/conversations/", &with_protected(&body)).await.expect(201).json;
    is_untouched(&made, "a conversation");
    let path = format!("/api/chats/conversations/{}/", made["id"].as_str().unwrap());
    let changed =
        owner.patch(&path, &with_protected(&json!({ "title": "B" }))).await.expect(200).json;
    is_untouched(&changed, "a title");
    let body = json!({ "conversation": made["id"], "content": "hello" });
    let sent = owner.post("/api/chats/messages/", &with_protected(&body)).await.expect(201).json;
    is_untouched(&sent, "a message");
    let path = format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap());
    let edited =
        owner.patch(&path, &with_protected(&json!({ "content": "bye" }))).await.expect(200).json;
    assert_eq!(edited["content"], "bye");
    for field in ["id", "sender", "origin", "created_at", "deleted_at", "reply_count"] {
        assert_eq!(edited[field], sent[field], "an edit has set {field}");
    }
    world.pair.stop().await;
}
