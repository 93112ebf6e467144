//! Backups: taken while the app is used, restored into either database, and what is lost comes back from the peer.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use e2e::{Client, Database, Process, ProcessPair, eventually, on_both_databases};
use messenger::backup::{LEFT_OUT, TABLES};
use messenger::db::{Db, Row};
use serde_json::{Value, json};

use crate::support::peer::{World, outcomes};
use crate::support::seal::Token;

on_both_databases!(
    a_restored_app_gets_back_what_its_peer_has_and_nothing_is_doubled,
    a_backup_is_whole_and_its_damage_is_noticed,
    a_peer_speaks_for_users_of_this_app_only_after_a_restore_and_cannot_invent_texts,
);

const TEXT: &str = "a text that no backup shows";

async fn send(client: &Client, conversation: &str, text: &str) -> String {
    let body = json!({ "conversation": conversation, "content": text });
    client.post("/api/chats/messages/", &body).await.expect(201).str("id")
}

async fn edit(client: &Client, message: &str, text: &str) {
    let path = format!("/api/chats/messages/{message}/");
    let request = client.request(http::Method::PATCH, &path).json(&json!({ "content": text }));
    client.run(request).await.expect(200);
}

async fn delete(client: &Client, message: &str) {
    let path = format!("/api/chats/messages/{message}/");
    client.run(client.request(http::Method::DELETE, &path)).await.expect(204);
}

async fn begin_group(client: &Client, title: &str, others: &[&Client]) -> String {
    let others: Vec<_> = others.iter().map(|other| other.address()).collect();
    let body = json!({ "title": title, "participants": others });
    client.post("/api/chats/conversations/", &body).await.expect(201).str("id")
}

/// What somebody sees: of each conversation its title, who takes part, and its messages in their order, each with its
/// text and whether it was edited or deleted.
async fn sight(client: &Client) -> BTreeMap<String, Value> {
    let mut seen = BTreeMap::new();
    let list = client.get("/api/chats/conversations/?page_size=100").await.expect(200);
    for conversation in list.results() {
        let id = conversation["id"].as_str().unwrap().to_owned();
        let path = format!("/api/chats/conversations/{id}/messages/?page_size=100");
        let messages = client.get(&path).await.expect(200);
        assert!(messages.json["next"].is_null(), "one page is enough for this test");
        let messages: Vec<_> = messages
            .results()
            .iter()
            .map(|m| {
                let edited = !m["edited_at"].is_null();
                let deleted = !m["deleted_at"].is_null();
                json!([m["id"], m["sender"]["username"], m["content"], edited, deleted])
            })
            .collect();
        let people: BTreeSet<_> = conversation["participants"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|person| person["left_at"].is_null())
            .map(|person| format!("{} {}", person["user"]["address"], person["role"]))
            .collect();
        seen.insert(id, json!([conversation["title"], people, messages]));
    }
    seen
}

/// Waits until two people of a conversation see the same of it, and gives that.
async fn agree(conversation: &str, one: &Client, other: &Client) -> Value {
    eventually("both see the same", || async {
        let (here, there) = (sight(one).await, sight(other).await);
        let (here, there) = (here.get(conversation)?, there.get(conversation)?);
        (here == there).then(|| here.clone())
    })
    .await
}

/// Gives an app a fresh database of a kind, and puts a backup into it.
async fn restore(app: &mut Process, database: Database, file: &str) {
    app.storage = Arc::new(database.fresh().await);
    let url = app.storage.url.clone();
    app.set("DATABASE_URL", &url);
    app.succeed(&["restore", "--verify", file]);
    let said: Value = serde_json::from_str(&app.succeed(&["restore", "--json", file])).unwrap();
    assert_eq!(said["restored"], true);
    let why = app.fail(&["restore", file]);
    assert!(why.contains("not empty"), "{why}");
}

async fn a_restored_app_gets_back_what_its_peer_has_and_nothing_is_doubled(database: Database) {
    let mut pair = ProcessPair::start(database).await;
    let (mut alice, mut carol) =
        (pair.a.client().join("alice*").await, pair.a.client().join("carol*").await);
    let bob = pair.b.client().join("bob*").await;
    let direct = json!({ "recipient": bob.address(), "content": "before, from alice" });
    let direct = alice.post("/api/messages/send/", &direct).await.expect(201).str("conversation");
    let group = begin_group(&alice, "Before", &[&bob, &carol]).await;
    agree(&direct, &alice, &bob).await;
    agree(&group, &alice, &bob).await;
    let edited_later = send(&alice, &direct, "to be edited by alice").await;
    let deleted_later = send(&alice, &group, "to be deleted by alice").await;
    let theirs = send(&bob, &group, "to be edited by bob").await;
    agree(&direct, &alice, &bob).await;
    agree(&group, &alice, &bob).await;

    // It is used while the backup is taken.
    let file = pair.a.folder().join("backup");
    let file = file.to_str().unwrap().to_owned();
    pair.a.succeed(&["backup", &file]);

    // What the backup does not have, on both sides.
    let first = send(&bob, &direct, "since, from bob").await;
    let second = send(&alice, &direct, "since, from alice").await;
    edit(&alice, &edited_later, "edited by alice since").await;
    edit(&alice, &second, "since, from alice, and edited").await;
    delete(&alice, &deleted_later).await;
    edit(&bob, &theirs, "edited by bob since").await;
    send(&carol, &group, "since, from carol").await;
    let title = json!({ "title": "Since" });
    let path = format!("/api/chats/conversations/{group}/");
    alice.run(alice.request(http::Method::PATCH, &path).json(&title)).await.expect(200);
    let dave = pair.b.client().join("dave*").await;
    let path = format!("/api/chats/conversations/{group}/participants/");
    let more = json!({ "participants": [dave.address()] });
    alice.post(&path, &more).await.expect(201);
    // Somebody new on the app that is going to lose its database, and conversations begun by each side.
    let erin = pair.a.client().join("erin*").await;
    let lost = json!({ "recipient": bob.address(), "content": "since, from somebody new" });
    let lost = erin.post("/api/messages/send/", &lost).await.expect(201).str("conversation");
    let new_group = begin_group(&carol, "Begun by carol", &[&bob]).await;
    let other_group = begin_group(&bob, "Begun by bob", &[&alice, &carol]).await;
    agree(&new_group, &carol, &bob).await;
    agree(&other_group, &alice, &bob).await;
    send(&carol, &new_group, "in a group that was begun since").await;
    send(&bob, &other_group, "in another one").await;
    let read = format!("/api/chats/conversations/{direct}/read/");
    agree(&direct, &alice, &bob).await;
    bob.post(&read, &json!({ "message": second })).await.expect(200);
    alice.post(&read, &json!({ "message": first })).await.expect(200);
    eventually("what each has read is known on the other side", || async {
        (both_read((&alice, &second), (&bob, &first)).await).then_some(())
    })
    .await;
    let mut before = BTreeMap::new();
    for (conversation, one) in
        [(&direct, &alice), (&group, &alice), (&new_group, &carol), (&other_group, &alice)]
    {
        before.insert(conversation.clone(), agree(conversation, one, &bob).await);
    }
    agree(&lost, &erin, &bob).await;
    let unread = unread_by(&alice, &direct).await;

    // The hour is lost.
    assert!(pair.a.terminate().await);
    restore(&mut pair.a, database, &file).await;
    pair.a.start().await;
    let ended = alice.get("/api/auth/me/").await;
    assert_eq!(ended.status, 401, "sessions that may have been ended since are ended");
    alice.log_in().await;
    carol.log_in().await;
    for (conversation, one) in
        [(&direct, &alice), (&group, &alice), (&new_group, &carol), (&other_group, &alice)]
    {
        let now = eventually("everything is back", || async {
            let seen = sight(one).await;
            (seen.get(conversation) == before.get(conversation)).then_some(())
        });
        now.await;
        agree(conversation, one, &bob).await;
    }
    eventually("how far each has read is back", || async {
        let known = both_read((&alice, &second), (&bob, &first)).await;
        (known && unread_by(&alice, &direct).await == unread).then_some(())
    })
    .await;
    // What somebody wrote whose account is gone is still there for the other, and nobody can take the name.
    assert_eq!(sight(&bob).await[&lost][2][0][2], "since, from somebody new");
    let taken = json!({
        "username": erin.name, "email": "other@example.org", "password": e2e::PASSWORD
    });
    pair.a.client().post("/api/auth/register/", &taken).await.expect(409);

    life_goes_on(&mut pair.a, [&alice, &bob, &carol, &dave], [&direct, &group], &second).await;
    let found = format!("/api/chats/conversations/{new_group}/messages/?search=since");
    assert_eq!(carol.get(&found).await.expect(200).results().len(), 1, "what came back is found");
}

/// Writes, and edits a message of before, in both directions and through two more restarts.
async fn life_goes_on(
    restored: &mut Process,
    [alice, bob, carol, dave]: [&Client; 4],
    [direct, group]: [&str; 2],
    second: &str,
) {
    for round in 0..2 {
        for (client, conversation) in [(alice, direct), (bob, direct), (carol, group)] {
            send(client, conversation, &format!("round {round}")).await;
        }
        edit(alice, second, &format!("edited in round {round}")).await;
        let now = agree(direct, alice, bob).await;
        assert!(now.to_string().contains(&format!("edited in round {round}")));
        agree(group, carol, bob).await;
        agree(group, carol, dave).await;
        assert!(restored.terminate().await);
        restored.start().await;
    }
    eventually("nothing is waiting", || async {
        let newest = sight(alice).await[direct][2][0][0].as_str().unwrap().to_owned();
        let status = alice.get(&format!("/api/chats/messages/{newest}/")).await.expect(200);
        (status.json["status"] != "queued").then_some(())
    })
    .await;
}

/// Whether each of two messages is read, as those say who wrote them.
async fn both_read(one: (&Client, &str), other: (&Client, &str)) -> bool {
    for (writer, message) in [one, other] {
        let message = writer.get(&format!("/api/chats/messages/{message}/")).await;
        if message.json["status"] != "read" {
            return false;
        }
    }
    true
}

/// How many messages somebody has not read in a conversation.
async fn unread_by(client: &Client, conversation: &str) -> Value {
    let path = format!("/api/chats/conversations/{conversation}/");
    client.get(&path).await.expect(200).json["unread_count"].clone()
}

async fn a_backup_is_whole_and_its_damage_is_noticed(database: Database) {
    let mut pair = ProcessPair::start(database).await;
    let mut alice = pair.a.client().join("alice*").await;
    let bob = pair.b.client().join("bob*").await;
    let details = json!({ "phone_number": "+49 30 901820", "emergency_contact": "a neighbour" });
    let change = alice.request(http::Method::PATCH, "/api/auth/me/").json(&details);
    alice.run(change).await.expect(200);
    let body = json!({ "recipient": bob.address(), "content": TEXT });
    let direct = alice.post("/api/messages/send/", &body).await.expect(201).str("conversation");
    agree(&direct, &alice, &bob).await;

    let folder = pair.a.folder().to_owned();
    let said = pair.a.succeed(&["backup", "--json", folder.to_str().unwrap()]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let file = said["file"].as_str().unwrap().to_owned();
    assert!(file.contains("app-a-20") && file.ends_with("Z.backup"), "{file}");
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(said["rows"]["messages"], 1);
    assert_eq!(said["keys"].as_array().unwrap().len(), 1);
    let bytes = std::fs::read(&file).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let keys = pair.a.get("FERNET_KEYS").unwrap();
    for secret in [TEXT, "901820", "a neighbour", "@example.org", keys] {
        assert!(!text.contains(secret), "{secret}");
    }
    let why = pair.a.fail(&["backup", &file]);
    assert!(why.contains("exists"), "nothing is overwritten: {why}");
    assert!(!std::path::Path::new(&format!("{file}.incomplete")).exists());

    // Cut off, changed in one letter, of another app, for another ring: neither verified nor restored.
    let copy = format!("{file}.copy");
    let cut = bytes.len() - 200;
    let mut changed = bytes.clone();
    let place = text.find(&alice.name).unwrap();
    changed[place] = b'x';
    for damaged in [&bytes[..cut], &bytes[..bytes.len() - 1], &changed[..], b"", b"{}\n"] {
        std::fs::write(&copy, damaged).unwrap();
        let why = pair.a.fail(&["restore", "--verify", &copy]);
        assert!(why.contains("damaged"), "{why}");
        let why = pair.a.fail(&["restore", "--force", &copy]);
        assert!(why.contains("damaged"), "{why}");
    }
    let why = pair.b.fail(&["restore", "--verify", &file]);
    assert!(why.contains("a backup of app-a"), "{why}");
    let ring = keys.to_owned();
    pair.a.set("FERNET_KEYS", &shared::encryption::Keyring::generate_key());
    let why = pair.a.fail(&["restore", "--verify", &file]);
    assert!(why.contains("lacks the key"), "{why}");
    pair.a.set("FERNET_KEYS", &ring);
    assert_eq!(sight(&alice).await[&direct][2][0][2], TEXT, "all of that has left the app alone");

    // It moves to a database of the other kind, where there is one, and everybody stays logged in.
    assert!(pair.a.terminate().await);
    let last = format!("{file}.last");
    pair.a.succeed(&["backup", &last]);
    let other = match database {
        Database::Sqlite if Database::Postgres.is_to_be_tested() => Database::Postgres,
        _ => Database::Sqlite,
    };
    pair.a.storage = Arc::new(other.fresh().await);
    let url = pair.a.storage.url.clone();
    pair.a.set("DATABASE_URL", &url);
    pair.a.succeed(&["restore", "--moved", &last]);
    pair.a.start().await;
    assert_eq!(sight(&alice).await[&direct][2][0][2], TEXT);
    assert_eq!(alice.me().await["phone_number"], "+4930901820");
    send(&alice, &direct, "from the other database").await;
    send(&bob, &direct, "and back").await;
    agree(&direct, &alice, &bob).await;
    alice.log_in().await;
    let found = format!("/api/chats/conversations/{direct}/messages/?search=backup");
    assert_eq!(alice.get(&found).await.expect(200).results().len(), 1);
    // A second restore over it takes force, and then the database is what the backup says.
    assert!(pair.a.terminate().await);
    pair.a.fail(&["restore", &file]);
    pair.a.succeed(&["restore", "--force", &file]);
    pair.a.start().await;
    alice.log_in().await;
    agree(&direct, &alice, &bob).await;
}

async fn a_peer_speaks_for_users_of_this_app_only_after_a_restore_and_cannot_invent_texts(
    database: Database,
) {
    let world = World::new(database).await;
    let now = world.clock.now();
    let alice = world.card["id"].as_str().unwrap();
    let bob = world.bob["id"].as_str().unwrap();
    // A message in the name of Alice, sealed for one sender.
    let told = |sealed_for: &str, text: &str| {
        let mut message = world.message(text);
        let id = message["id"].as_str().unwrap().to_owned();
        let token = Token::seal(world.keys(), &id, sealed_for, 0, text);
        message["content"] = json!(token.wire());
        message["sender"] = json!(alice);
        message
    };
    let of_before = |mut message: Value| {
        message["created_at"] = json!(now.before(Duration::from_hours(2)));
        message
    };
    let sealed_elsewhere = |ring: &str| {
        let mut message = world.message("x");
        let id = message["id"].as_str().unwrap().to_owned();
        message["content"] = json!(Token::seal(ring, &id, alice, 0, "x").wire());
        message["sender"] = json!(alice);
        message
    };
    let deliver = async |seq: i64, message: Value| {
        outcomes(&world.deliver(vec![world.message_event(seq, message)]).await).remove(0)
    };
    assert_eq!(deliver(2, told(alice, "not restored")).await, "not_your_user");

    let db = Db::open(&world.pair.a.storage.url).await.unwrap();
    let begin = db.write(move |conn| {
        Box::pin(async move { messenger::recovery::begin(conn, "app-b", now, now).await })
    });
    begin.await.unwrap();
    let select = "SELECT id FROM restores WHERE peer = 'app-b'";
    let restore: uuid::Uuid =
        db.read().await.unwrap().sql(select).one(|row| row.take()).await.unwrap();
    db.close().await;
    let other_ring = shared::encryption::Keyring::generate_key();
    assert_eq!(deliver(3, told(alice, "what was lost")).await, "stored");
    assert_eq!(deliver(4, told(bob, "sealed by another")).await, "not_your_user");
    assert_eq!(deliver(5, sealed_elsewhere(&other_ring)).await, "not_your_user");
    assert_eq!(deliver(6, of_before(told(alice, "of before"))).await, "not_your_user");
    let end = async |seq: i64, id: uuid::Uuid| {
        let body = json!({ "type": "recovered", "data": { "id": id } });
        outcomes(&world.deliver(vec![world.event(seq, &body)]).await).remove(0)
    };
    assert_eq!(end(7, uuid::Uuid::nil()).await, "stored");
    assert_eq!(deliver(8, told(alice, "and more of it")).await, "stored");
    assert_eq!(end(9, restore).await, "stored");
    assert_eq!(deliver(10, told(alice, "too late")).await, "not_your_user");
    assert_eq!(world.seen().await, ["what was lost", "and more of it"]);
    world.pair.stop().await;
}

#[tokio::test]
async fn every_table_and_column_is_in_a_backup_or_left_out_by_name() {
    const SELECT: &str = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c
        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '_sqlx_%'
            AND m.name NOT LIKE 'search_terms%'";
    let storage = Database::Sqlite.fresh().await;
    let db = Db::open(&storage.url).await.unwrap();
    let column = |row: &Row| Ok((row.take::<String>()?, row.take::<String>()?));
    let columns = db.read().await.unwrap().sql(SELECT).all(column).await.unwrap();
    db.close().await;
    let there = columns.into_iter().filter(|(table, _)| !LEFT_OUT.contains(&table.as_str()));
    let there: BTreeSet<_> = there.collect();
    let known = TABLES.iter().flat_map(|table| {
        let columns = table.columns.iter();
        columns.map(|(column, _)| (table.name.to_owned(), (*column).to_owned()))
    });
    assert_eq!(known.collect::<BTreeSet<_>>(), there, "see crates/messenger/src/backup/tables.rs");
}
