//! Groups: who may change what, what those who leave see, and that both apps come to agree.

use e2e::{Client, Database, Disturbance, Pair, Reply, eventually, on_both_databases};
use http::Method;
use serde_json::{Value, json};

use crate::support::problem::IsProblem;

on_both_databases!(
    a_group_grows_shrinks_and_is_renamed_from_both_apps,
    each_role_may_do_what_it_may,
    who_leaves_sees_what_was_and_nothing_later,
    who_comes_back_takes_part_again,
    the_last_owner_stays_until_there_is_another,
    an_ended_group_is_readable_and_silent,
    a_direct_conversation_is_hidden_until_a_message_arrives,
    a_direct_conversation_stays_what_it_is,
    unknown_people_are_listed_and_nobody_is_added,
    only_the_title_is_ever_set,
    what_was_done_apart_converges,
    who_has_been_removed_meanwhile_changes_nothing,
    what_was_written_before_one_left_arrives_after,
    conversations_are_found_by_title_and_by_name,
    conversations_are_listed_in_the_order_asked_for,
);

const PATH: &str = "/api/chats/conversations/";

/// A group of four: Alice owns it, Bob is an admin, Carol and Dave are members; Bob and Dave are of AppB.
struct Team {
    pair: Pair,
    alice: Client,
    bob: Client,
    carol: Client,
    dave: Client,
    id: String,
}

impl Team {
    async fn new(database: Database) -> Self {
        let pair = Pair::start(database).await;
        let (a, b) = (pair.a.client(), pair.b.client());
        let (alice, carol) = (a.join("alice").await, a.join("carol").await);
        let (bob, dave) = (b.join("bob").await, b.join("dave").await);
        let body = json!({ "participants": ["carol", "bob@app-b", "dave@app-b"], "title": "Team" });
        let id = alice.post(PATH, &body).await.expect(201).str("id");
        let team = Self { pair, alice, bob, carol, dave, id };
        let reply = team.set_role(&team.alice, "bob@app-b", "admin").await.expect(200);
        assert_eq!(reply.json["role"], "admin");
        team.agree("the group is there", |group| role(group, "bob@app-b") == "admin").await;
        team
    }

    fn path(&self) -> String {
        format!("{PATH}{}/", self.id)
    }

    fn seat(&self, user: &str) -> String {
        format!("{}participants/{user}/", self.path())
    }

    async fn set_role(&self, who: &Client, user: &str, role: &str) -> Reply {
        who.patch(&self.seat(user), &json!({ "role": role })).await
    }

    async fn add(&self, who: &Client, users: &[&str]) -> Reply {
        let body = json!({ "participants": users });
        who.post(&format!("{}participants/", self.path()), &body).await
    }

    async fn remove(&self, who: &Client, user: &str) -> Reply {
        who.delete(&self.seat(user)).await
    }

    async fn rename(&self, who: &Client, title: &str) -> Reply {
        who.patch(&self.path(), &json!({ "title": title })).await
    }

    async fn say(&self, who: &Client, text: &str) -> Reply {
        let body = json!({ "conversation": self.id, "content": text });
        who.post("/api/chats/messages/", &body).await
    }

    async fn see(&self, who: &Client) -> Value {
        who.get(&self.path()).await.expect(200).json
    }

    /// Waits until both apps show the same group, and it is as it should be.
    async fn agree(&self, what: &str, right: impl Fn(&Value) -> bool) {
        self.agree_as(&self.alice, &self.dave, what, right).await;
    }

    async fn agree_as(&self, a: &Client, b: &Client, what: &str, right: impl Fn(&Value) -> bool) {
        eventually(what, || async {
            let (a, b) = (a.get(&self.path()).await.json, b.get(&self.path()).await.json);
            (shape(&a) == shape(&b) && right(&a)).then_some(())
        })
        .await;
    }

    fn part(&self, disturbance: Disturbance) {
        self.pair.a_to_b.disturb(disturbance);
        self.pair.b_to_a.disturb(disturbance);
    }
}

/// A conversation without what differs from one of its participants to another.
fn shape(conversation: &Value) -> Value {
    let mut shape = conversation.clone();
    if let Some(shape) = shape.as_object_mut() {
        shape.remove("unread_count");
        shape.remove("last_message");
        shape.remove("updated_at");
    }
    shape
}

fn seat<'a>(group: &'a Value, address: &str) -> Option<&'a Value> {
    let participants = group["participants"].as_array()?;
    participants.iter().find(|participant| participant["user"]["address"] == address)
}

/// The role of somebody who takes part.
fn role(group: &Value, address: &str) -> String {
    let seat = seat(group, address).filter(|seat| seat["left_at"].is_null());
    seat.map_or("none", |seat| seat["role"].as_str().unwrap()).to_owned()
}

async fn a_group_grows_shrinks_and_is_renamed_from_both_apps(database: Database) {
    let team = Team::new(database).await;
    let erin = team.pair.a.client().join("erin").await;
    let frank = team.pair.b.client().join("frank").await;
    assert_eq!(team.rename(&team.bob, "From B").await.expect(200).json["title"], "From B");
    team.agree("the title", |group| group["title"] == "From B").await;
    let grown = team.add(&team.bob, &["erin@app-a", "frank"]).await.expect(201).json;
    assert_eq!(grown["participants"].as_array().unwrap().len(), 6);
    team.agree("both are in", |g| role(g, "erin@app-a") == "member").await;
    for who in [&erin, &frank] {
        assert_eq!(team.see(who).await["title"], "From B");
        team.say(who, "hello").await.expect(201);
    }
    team.add(&team.bob, &["erin@app-a", "frank"]).await.expect(200);
    eventually("their words are everywhere", || async {
        let all = [team.alice.read(&team.id).await, team.dave.read(&team.id).await];
        all.iter().all(|texts| texts.len() == 2).then_some(())
    })
    .await;
    team.remove(&team.bob, "erin@app-a").await.expect(204);
    team.remove(&team.alice, "frank@app-b").await.expect(204);
    team.agree("both are out", |g| {
        role(g, "erin@app-a") == "none" && role(g, "frank@app-b") == "none"
    })
    .await;
    team.say(&erin, "still there?").await.expect(404);
    team.say(&frank, "still there?").await.expect(404);
    let put = team.alice.request(Method::PUT, &team.path()).json(&json!({ "title": null }));
    assert_eq!(team.alice.run(put).await.expect(200).json["title"], Value::Null);
    team.agree("no title", |group| group["title"].is_null()).await;
    team.pair.stop().await;
}

async fn each_role_may_do_what_it_may(database: Database) {
    let team = Team::new(database).await;
    let erin = team.pair.a.client().join("erin").await;
    let before = team.see(&team.alice).await;
    let all = [
        (Method::PATCH, team.path(), json!({ "title": "x" })),
        (Method::PUT, team.path(), json!({ "title": "x" })),
        (Method::DELETE, team.path(), Value::Null),
        (
            Method::POST,
            format!("{}participants/", team.path()),
            json!({ "participants": ["erin@app-a"] }),
        ),
        (Method::PATCH, team.seat("dave@app-b"), json!({ "role": "admin" })),
        (Method::DELETE, team.seat("dave@app-b"), Value::Null),
    ];
    let call = async |who: &Client, (method, path, body): &(Method, String, Value)| {
        let request = who.request(method.clone(), path);
        who.run(if body.is_null() { request } else { request.json(body) }).await
    };
    for request in &all {
        call(&team.carol, request).await.problem(403, "not_permitted");
        call(&erin, request).await.problem(404, "not_found");
        call(&team.pair.a.client(), request).await.expect(401);
    }
    // An admin has no say about owners, admins and roles.
    team.set_role(&team.alice, "carol", "admin").await.expect(200);
    team.agree("two admins", |group| role(group, "carol@app-a") == "admin").await;
    for (path, body) in [
        (team.seat("dave"), json!({ "role": "admin" })),
        (team.seat("bob"), json!({ "role": "owner" })),
        (team.seat("alice@app-a"), json!({ "role": "member" })),
    ] {
        team.bob.patch(&path, &body).await.problem(403, "not_permitted");
    }
    for path in [team.seat("alice@app-a"), team.seat("carol@app-a"), team.path()] {
        team.bob.delete(&path).await.problem(403, "not_permitted");
    }
    let body = json!({ "participants": ["erin@app-a"], "role": "admin" });
    let path = format!("{}participants/", team.path());
    team.bob.post(&path, &body).await.problem(403, "not_permitted");
    team.alice.patch(&team.seat("erin"), &json!({ "role": "admin" })).await.expect(404);
    team.alice.patch(&team.seat("nobody"), &json!({ "role": "admin" })).await.expect(404);
    team.alice.patch(&team.seat("dave@app-b"), &json!({ "role": "king" })).await.expect(400);
    team.alice.patch(&team.seat("dave@app-b"), &json!({})).await.expect(400);
    team.alice.delete(&team.seat("erin")).await.expect(404);
    team.set_role(&team.alice, "carol", "member").await.expect(200);
    let mut now = team.see(&team.alice).await;
    now["updated_at"] = before["updated_at"].clone();
    assert_eq!(now, before);
    // Every spelling of a user names them.
    let dave = seat(&now, "dave@app-b").unwrap()["user"]["id"].as_str().unwrap();
    for name in [dave, "DAVE@app-b"] {
        assert_eq!(
            team.set_role(&team.alice, name, "owner").await.expect(200).json["role"],
            "owner"
        );
        team.set_role(&team.alice, name, "member").await.expect(200);
    }
    team.pair.stop().await;
}

async fn who_leaves_sees_what_was_and_nothing_later(database: Database) {
    let team = Team::new(database).await;
    team.say(&team.alice, "before").await.expect(201);
    eventually("it arrives", || async {
        (team.dave.read(&team.id).await.len() == 1).then_some(())
    })
    .await;
    for (who, address) in [(&team.carol, "carol"), (&team.dave, "dave")] {
        team.remove(who, address).await.expect(204);
        team.remove(who, address).await.expect(204);
    }
    team.agree_as(&team.alice, &team.bob, "both have left", |g| {
        role(g, "carol@app-a") == "none" && role(g, "dave@app-b") == "none"
    })
    .await;
    let left = seat(&team.see(&team.alice).await, "carol@app-a").unwrap()["left_at"].clone();
    assert!(left.is_string());
    team.say(&team.alice, "after").await.expect(201);
    team.rename(&team.alice, "Later").await.expect(200);
    let erin = team.pair.a.client().join("erin").await;
    team.add(&team.alice, &["erin"]).await.expect(201);
    team.agree_as(&team.alice, &team.bob, "what came after", |g| {
        g["title"] == "Later" && role(g, "erin@app-a") == "member"
    })
    .await;
    eventually("that arrives too", || async {
        (team.bob.read(&team.id).await.len() == 2).then_some(())
    })
    .await;
    assert_eq!(erin.read(&team.id).await.last().unwrap(), "after");
    for who in [&team.carol, &team.dave] {
        assert_eq!(who.read(&team.id).await, ["before"]);
        let seen = team.see(who).await;
        assert_eq!(seen["title"], "Team", "as it was then");
        assert!(seat(&seen, "erin@app-a").is_none(), "{seen}");
        assert_eq!(seen["last_message"]["content"], "before");
        assert_eq!(who.get(PATH).await.expect(200).json["count"], 0);
        team.say(who, "let me in").await.expect(404);
        team.rename(who, "Mine").await.problem(403, "not_a_participant");
        team.add(who, &["alice@app-a"]).await.problem(403, "not_permitted");
        who.delete(&team.path()).await.problem(403, "not_a_participant");
        team.remove(who, "alice@app-a").await.problem(403, "not_a_participant");
    }
    team.pair.stop().await;
}

async fn who_comes_back_takes_part_again(database: Database) {
    let team = Team::new(database).await;
    for user in ["bob@app-b", "dave@app-b"] {
        team.remove(&team.alice, user).await.expect(204);
    }
    let gone = |g: &Value| role(g, "bob@app-b") == "none" && role(g, "dave@app-b") == "none";
    eventually("AppB hears of it", || async { gone(&team.see(&team.dave).await).then_some(()) })
        .await;
    // AppB has nobody in it now, and hears nothing, until somebody is there again.
    team.rename(&team.alice, "Meanwhile").await.expect(200);
    team.say(&team.alice, "unheard").await.expect(201);
    assert_eq!(team.see(&team.dave).await["title"], "Team");
    team.add(&team.alice, &["dave@app-b"]).await.expect(201);
    team.agree("Dave is back", |g| role(g, "dave@app-b") == "member").await;
    let seen = team.see(&team.dave).await;
    assert_eq!(seen["title"], "Meanwhile");
    assert!(seat(&seen, "dave@app-b").unwrap()["left_at"].is_null());
    team.say(&team.dave, "here I am").await.expect(201);
    team.say(&team.alice, "welcome").await.expect(201);
    eventually("they hear each other", || async {
        let (a, b) = (team.alice.read(&team.id).await, team.dave.read(&team.id).await);
        (a == ["unheard", "here I am", "welcome"] && b == ["here I am", "welcome"]).then_some(())
    })
    .await;
    team.pair.stop().await;
}

async fn the_last_owner_stays_until_there_is_another(database: Database) {
    let team = Team::new(database).await;
    team.remove(&team.alice, "alice").await.problem(409, "last_owner");
    team.set_role(&team.alice, "alice", "member").await.problem(409, "last_owner");
    assert_eq!(role(&team.see(&team.alice).await, "alice@app-a"), "owner");
    team.set_role(&team.alice, "dave@app-b", "owner").await.expect(200);
    team.remove(&team.alice, "alice").await.expect(204);
    team.agree_as(&team.carol, &team.dave, "Dave owns it", |g| {
        role(g, "dave@app-b") == "owner" && role(g, "alice@app-a") == "none"
    })
    .await;
    team.set_role(&team.dave, "carol@app-a", "owner").await.expect(200);
    team.agree_as(&team.carol, &team.dave, "two owners", |g| role(g, "carol@app-a") == "owner")
        .await;
    // Both leave at the same moment, each leaving it to the other: the admin is next.
    team.part(Disturbance::Down);
    team.remove(&team.dave, "dave").await.expect(204);
    team.remove(&team.carol, "carol").await.expect(204);
    team.part(Disturbance::None);
    eventually("Bob owns it", || async {
        let group = team.see(&team.bob).await;
        (role(&group, "bob@app-b") == "owner" && role(&group, "carol@app-a") == "none")
            .then_some(())
    })
    .await;
    // Nobody is left whom it could be left to.
    team.remove(&team.bob, "bob").await.expect(204);
    team.pair.stop().await;
}

async fn an_ended_group_is_readable_and_silent(database: Database) {
    let team = Team::new(database).await;
    let message = team.say(&team.bob, "the last word").await.expect(201).str("id");
    eventually("it arrives", || async {
        (team.carol.read(&team.id).await.len() == 1).then_some(())
    })
    .await;
    assert!(team.see(&team.alice).await["ended_at"].is_null());
    team.alice.delete(&team.path()).await.expect(204);
    team.alice.delete(&team.path()).await.expect(204);
    team.agree("it is over", |group| group["ended_at"].is_string()).await;
    for who in [&team.alice, &team.bob, &team.carol, &team.dave] {
        assert_eq!(who.read(&team.id).await, ["the last word"]);
        assert_eq!(who.get(PATH).await.expect(200).json["count"], 1);
        team.say(who, "one more").await.problem(409, "conversation_ended");
    }
    let path = format!("/api/chats/messages/{message}/");
    team.bob.patch(&path, &json!({ "content": "x" })).await.problem(409, "conversation_ended");
    team.rename(&team.alice, "x").await.problem(409, "conversation_ended");
    team.set_role(&team.alice, "carol", "admin").await.problem(409, "conversation_ended");
    team.remove(&team.alice, "carol").await.problem(409, "conversation_ended");
    team.add(&team.alice, &["bob@app-b"]).await.problem(409, "conversation_ended");
    team.remove(&team.alice, "alice").await.expect(204);
    assert_eq!(team.alice.get(PATH).await.expect(200).json["count"], 0);
    team.bob.delete(&path).await.expect(204);
    team.pair.stop().await;
}

async fn a_direct_conversation_is_hidden_until_a_message_arrives(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let id = alice.send("bob@app-b", "one").await["conversation"].as_str().unwrap().to_owned();
    let count = async |who: &Client| who.get(PATH).await.expect(200).json["count"].clone();
    eventually("it arrives", || async { (bob.read(&id).await == ["one"]).then_some(()) }).await;
    let path = format!("{PATH}{id}/");
    for _ in 0..2 {
        bob.delete(&path).await.expect(204);
        assert_eq!(count(&bob).await, 0);
    }
    assert_eq!(count(&alice).await, 1, "it is only out of Bob's sight");
    assert_eq!(bob.read(&id).await, ["one"]);
    alice.send("bob@app-b", "two").await;
    eventually("a message brings it back", || async { (count(&bob).await == 1).then_some(()) })
        .await;
    assert_eq!(bob.read(&id).await, ["one", "two"]);
    bob.delete(&path).await.expect(204);
    bob.send("alice@app-a", "three").await;
    assert_eq!(count(&bob).await, 1, "so does one's own");
    bob.delete(&path).await.expect(204);
    let again = bob.post(PATH, &json!({ "participants": ["alice@app-a"] })).await.expect(200);
    assert_eq!(again.json["id"], id);
    assert_eq!(count(&bob).await, 1, "so does looking for it");
    pair.stop().await;
}

async fn a_direct_conversation_stays_what_it_is(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, carol) = (pair.a.client().join("alice").await, pair.a.client().join("carol").await);
    let erin = pair.a.client().join("erin").await;
    let id = alice.send("carol", "one").await["conversation"].as_str().unwrap().to_owned();
    let path = format!("{PATH}{id}/");
    let before = carol.get(&path).await.expect(200).json;
    let code = "direct_conversation";
    alice.patch(&path, &json!({ "title": "x" })).await.problem(409, code);
    let people = json!({ "participants": ["erin"] });
    alice.post(&format!("{path}participants/"), &people).await.problem(409, code);
    for name in ["alice", "carol"] {
        alice.delete(&format!("{path}participants/{name}/")).await.problem(409, code);
        let body = json!({ "role": "owner" });
        alice.patch(&format!("{path}participants/{name}/"), &body).await.problem(409, code);
    }
    assert_eq!(carol.get(&path).await.expect(200).json, before);
    for reply in [
        erin.patch(&path, &json!({ "title": "x" })).await,
        erin.patch(&path, &json!({ "title": "" })).await,
        erin.delete(&path).await,
        erin.post(&format!("{path}participants/"), &people).await,
        erin.delete(&format!("{path}participants/alice/")).await,
        erin.delete(&format!("{path}participants/erin/")).await,
        erin.delete(&format!("{PATH}x/participants/erin/")).await,
        erin.delete(&format!("{PATH}x/")).await,
    ] {
        reply.problem(404, "not_found");
    }
    pair.stop().await;
}

async fn unknown_people_are_listed_and_nobody_is_added(database: Database) {
    let team = Team::new(database).await;
    team.pair.a.client().join("erin").await;
    let before = team.see(&team.alice).await;
    let reply = team.add(&team.alice, &["erin", "ghost", "ghost@app-b", "x@nowhere", "erin"]).await;
    let reply = reply.problem(400, "invalid");
    let errors = reply.json["errors"]["participants"].to_string();
    for named in ["ghost.", "ghost@app-b.", "x@nowhere.", "erin stands twice"] {
        assert!(errors.contains(named), "{named}: {errors}");
    }
    let path = format!("{}participants/", team.path());
    let many: Vec<_> = (0..501).map(|n| format!("user{n}")).collect();
    for body in [
        json!({}),
        json!({ "participants": [] }),
        json!({ "participants": "erin" }),
        json!({ "participants": [7] }),
        json!({ "participants": ["erin"], "role": "king" }),
        json!({ "participants": ["x".repeat(600)] }),
        json!({ "participants": many }),
    ] {
        team.alice.post(&path, &body).await.expect(400);
    }
    for title in [json!(""), json!(" "), json!("x".repeat(201)), json!("a\u{0}b"), json!(7)] {
        team.alice.patch(&team.path(), &json!({ "title": title })).await.problem(400, "invalid");
    }
    let put = team.alice.request(Method::PUT, &team.path()).json(&json!({}));
    team.alice.run(put).await.problem(400, "invalid");
    assert_eq!(team.see(&team.alice).await, before);
    team.pair.stop().await;
}

async fn only_the_title_is_ever_set(database: Database) {
    let team = Team::new(database).await;
    let before = team.see(&team.alice).await;
    let me = before["created_by"].clone();
    let mut sneaky = json!({
        "id": "0190a5d0-ac96-774b-8cce-b302099a8057", "kind": "direct", "created_by": me,
        "created_at": "2000-01-01T00:00:00Z", "updated_at": "2000-01-01T00:00:00Z",
        "ended_at": "2000-01-01T00:00:00Z", "participants": [], "role": "owner", "unread_count": 9,
    });
    let mut now = team.bob.patch(&team.path(), &sneaky).await.expect(200).json;
    now["unread_count"] = before["unread_count"].clone();
    assert_eq!(shape(&now), shape(&before));
    sneaky["title"] = json!("New");
    team.bob.patch(&team.path(), &sneaky).await.expect(200);
    team.agree("the title alone", |group| {
        let mut expected = shape(&before);
        expected["title"] = json!("New");
        shape(group) == expected
    })
    .await;
    let body = json!({ "role": "admin", "user": me, "joined_at": "2000-01-01T00:00:00Z" });
    let seat = team.alice.patch(&team.seat("carol"), &body).await.expect(200).json;
    assert_eq!((&seat["role"], &seat["user"]["username"]), (&json!("admin"), &json!("carol")));
    assert_ne!(seat["joined_at"], body["joined_at"]);
    team.pair.stop().await;
}

async fn what_was_done_apart_converges(database: Database) {
    let team = Team::new(database).await;
    team.pair.a.client().join("erin").await;
    team.pair.b.client().join("frank").await;
    team.set_role(&team.alice, "dave@app-b", "owner").await.expect(200);
    team.agree("two owners", |group| role(group, "dave@app-b") == "owner").await;
    team.part(Disturbance::Down);
    team.rename(&team.alice, "On A").await.expect(200);
    team.add(&team.alice, &["erin"]).await.expect(201);
    team.remove(&team.alice, "bob@app-b").await.expect(204);
    team.rename(&team.dave, "On B").await.expect(200);
    team.add(&team.dave, &["frank"]).await.expect(201);
    team.set_role(&team.dave, "carol@app-a", "admin").await.expect(200);
    team.say(&team.alice, "on A").await.expect(201);
    team.say(&team.dave, "on B").await.expect(201);
    team.part(Disturbance::None);
    team.agree("both know all", |group| {
        group["title"] == "On B"
            && role(group, "erin@app-a") == "member"
            && role(group, "frank@app-b") == "member"
            && role(group, "bob@app-b") == "none"
            && role(group, "carol@app-a") == "admin"
    })
    .await;
    eventually("the words too", || async {
        let (a, b) = (team.alice.read(&team.id).await, team.dave.read(&team.id).await);
        (a.len() == 2 && a == b).then_some(())
    })
    .await;
    team.pair.stop().await;
}

async fn who_has_been_removed_meanwhile_changes_nothing(database: Database) {
    let team = Team::new(database).await;
    team.pair.b.client().join("frank").await;
    team.part(Disturbance::Down);
    team.remove(&team.alice, "bob@app-b").await.expect(204);
    // AppB has not heard that he may no more.
    team.rename(&team.bob, "Mine").await.expect(200);
    team.add(&team.bob, &["frank"]).await.expect(201);
    team.say(&team.bob, "too late").await.expect(201);
    assert_eq!(role(&team.see(&team.dave).await, "frank@app-b"), "member");
    team.part(Disturbance::None);
    team.agree("it comes to nothing", |group| {
        group["title"] == "Team"
            && role(group, "bob@app-b") == "none"
            && seat(group, "frank@app-b").is_none()
    })
    .await;
    assert_eq!(team.alice.read(&team.id).await, [""; 0]);
    team.rename(&team.alice, "Ours").await.expect(200);
    team.agree("and the group goes on", |group| group["title"] == "Ours").await;
    team.pair.stop().await;
}

async fn what_was_written_before_one_left_arrives_after(database: Database) {
    let team = Team::new(database).await;
    team.pair.b_to_a.disturb(Disturbance::Down);
    team.say(&team.dave, "farewell").await.expect(201);
    team.remove(&team.alice, "dave@app-b").await.expect(204);
    eventually("AppB hears of it", || async {
        (role(&team.see(&team.bob).await, "dave@app-b") == "none").then_some(())
    })
    .await;
    team.pair.b_to_a.disturb(Disturbance::None);
    eventually("his word arrives", || async {
        (team.alice.read(&team.id).await == ["farewell"]).then_some(())
    })
    .await;
    assert_eq!(team.dave.read(&team.id).await, ["farewell"]);
    team.pair.stop().await;
}

async fn conversations_are_found_by_title_and_by_name(database: Database) {
    let pair = Pair::start(database).await;
    let a = pair.a.client();
    let (alice, carol) = (a.join("alice").await, a.join("carol").await);
    pair.b.client().join("bob_100").await;
    let body = json!({
        "username": "erin", "email": "erin@example.org", "password": "correct horse battery",
        "first_name": "Éva", "last_name": "Groß",
    });
    a.post("/api/auth/register/", &body).await.expect(201);
    let mut ids = Vec::new();
    for body in [
        json!({ "participants": ["carol"], "title": "ÜBUNG 100%" }),
        json!({ "participants": ["bob_100@app-b"] }),
        json!({ "participants": ["erin"] }),
        json!({ "participants": ["carol", "erin"], "title": "plain" }),
    ] {
        ids.push(alice.post(PATH, &body).await.expect(201).str("id"));
    }
    carol.post(PATH, &json!({ "participants": ["erin"], "title": "übung" })).await.expect(201);
    let find = async |text: &str| {
        let mut query = form_urlencoded(text);
        query.insert_str(0, "search=");
        let reply = alice.get(&format!("{PATH}?{query}")).await.expect(200);
        assert_eq!(reply.json["count"], reply.results().len());
        let found = reply.results().iter();
        let mut found: Vec<_> =
            found.map(|c| ids.iter().position(|id| c["id"] == json!(id)).unwrap()).collect();
        found.sort_unstable();
        found
    };
    for (text, expected) in [
        ("übung", &[0][..]),
        ("100%", &[0]),
        ("%", &[0]),
        ("b_1", &[1]),
        ("_", &[1]),
        ("BOB", &[1]),
        ("éVA", &[2, 3]),
        ("GROSS", &[2, 3]),
        ("carol", &[0, 3]),
        ("alice", &[0, 1, 2, 3]),
        ("", &[0, 1, 2, 3]),
        ("nobody", &[]),
        ("\\", &[]),
        ("'", &[]),
    ] {
        assert_eq!(find(text).await, expected, "{text}");
    }
    let page = alice.get(&format!("{PATH}?search=carol&page_size=1&page=2")).await.expect(200);
    assert_eq!((page.json["count"].as_i64(), page.results().len()), (Some(2), 1));
    assert!(page.json["previous"].as_str().unwrap().contains("search=carol"));
    alice.get(&format!("{PATH}?search=carol&page_size=1&page=3")).await.expect(404);
    pair.stop().await;
}

fn form_urlencoded(text: &str) -> String {
    text.bytes().fold(String::new(), |escaped, byte| format!("{escaped}%{byte:02X}"))
}

async fn conversations_are_listed_in_the_order_asked_for(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.a.client().join("carol").await);
    let mut ids = Vec::new();
    for title in ["one", "two", "three"] {
        let body = json!({ "participants": ["carol"], "title": title });
        ids.push(alice.post(PATH, &body).await.expect(201).str("id"));
    }
    let path = format!("{PATH}{}/", ids[1]);
    alice.patch(&path, &json!({ "title": "two, renamed" })).await.expect(200);
    let body = json!({ "conversation": ids[0], "content": "hello" });
    alice.post("/api/chats/messages/", &body).await.expect(201);
    for (query, expected) in [
        ("", [0, 1, 2]),
        ("?ordering=-updated_at", [0, 1, 2]),
        ("?ordering=updated_at", [2, 1, 0]),
        ("?ordering=created_at", [0, 1, 2]),
        ("?ordering=-created_at", [2, 1, 0]),
        ("?ordering=created_at&search=T", [0, 1, 2]),
    ] {
        let reply = alice.get(&format!("{PATH}{query}")).await.expect(200);
        let found: Vec<_> = reply.results().iter().map(|c| c["id"].clone()).collect();
        let expected = expected.map(|index| json!(ids[index]));
        if query.contains("search") {
            assert_eq!(found, expected[1..], "{query}");
        } else {
            assert_eq!(found, expected, "{query}");
        }
    }
    for bad in ["title", "updated_at,created_at", "-", "", "--updated_at", "id;"] {
        let reply = alice.get(&format!("{PATH}?ordering={bad}")).await.problem(400, "invalid");
        assert!(reply.json["errors"]["ordering"][0].as_str().unwrap().contains("-created_at"));
    }
    pair.stop().await;
}
