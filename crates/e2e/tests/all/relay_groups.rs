//! What an app takes from a peer about groups, and what comes of what the peer's users may not do.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Database, on_both_databases};
use serde_json::{Value, json};

use crate::support::peer::{World, outcomes, user};
use crate::support::{peer, seal};

on_both_databases!(
    what_the_users_of_a_peer_may_not_do_comes_to_nothing,
    what_the_users_of_a_peer_may_do_is_done_whatever_its_order,
    nobody_is_let_in_by_who_is_not_in,
    who_has_left_says_nothing_more_but_what_they_said_before_arrives,
    nothing_is_said_after_the_end,
);

const PATH: &str = "/api/chats/conversations/";

/// A group of Alice's, with Carol of this app and with Bob and Dave of the peer, as the peer knows it.
struct Group {
    world: World,
    state: Value,
    dave: Value,
    carol: Value,
    seq: i64,
}

impl Group {
    async fn new(database: Database) -> Self {
        let world = World::new(database).await;
        let carol = world.pair.a.client().join("carol").await;
        let carol = carol.get("/api/auth/me/").await.expect(200).json;
        let dave = user(&world.clock, "dave", "app-b");
        // AppA gets to know Dave by a group of Bob's.
        let known = world.conversation_event(2, world.group(&[&world.card, &dave]));
        assert_eq!(outcomes(&world.deliver(vec![known]).await), ["stored"]);
        let body = json!({
            "participants": ["carol", world.bob["id"], dave["id"]], "title": "Ours",
        });
        let made = world.alice.post(PATH, &body).await.expect(201).json;
        let state = json!({
            "id": made["id"], "kind": "group", "created_by": world.card["id"],
            "created_at": made["created_at"], "changes": [],
            "users": [world.card, carol, world.bob, dave],
        });
        Self { world, state, dave, carol, seq: 3 }
    }

    /// The peer tells of the group with these changes, and what comes of that.
    async fn tell(&mut self, changes: Vec<Value>) -> String {
        let mut state = self.state.clone();
        state["changes"] = json!(changes);
        let event = self.world.conversation_event(self.seq, state);
        self.seq += 1;
        outcomes(&self.world.deliver(vec![event]).await).remove(0)
    }

    async fn say(&mut self, who: &Value, text: &str, at: Option<&Value>) -> String {
        let mut message = self.world.message(text);
        let id = message["id"].as_str().unwrap();
        let token = seal::Token::seal(self.world.keys(), id, who["id"].as_str().unwrap(), 0, text);
        message["content"] = json!(token.wire());
        message["conversation"] = self.state["id"].clone();
        message["sender"] = who["id"].clone();
        if let Some(at) = at {
            message["created_at"] = at.clone();
        }
        let event = self.world.message_event(self.seq, message);
        self.seq += 1;
        outcomes(&self.world.deliver(vec![event]).await).remove(0)
    }

    fn path(&self) -> String {
        format!("{PATH}{}/", self.state["id"].as_str().unwrap())
    }

    async fn see(&self) -> Value {
        self.world.alice.get(&self.path()).await.expect(200).json
    }

    async fn promote(&self, who: &Value, role: &str) {
        let path = format!("{}participants/{}/", self.path(), who["id"].as_str().unwrap());
        self.world.alice.patch(&path, &json!({ "role": role })).await.expect(200);
    }
}

fn add(user: &Value, role: &str) -> Value {
    json!({ "deed": "add", "user": user["id"], "role": role })
}

fn role(user: &Value, role: &str) -> Value {
    json!({ "deed": "role", "user": user["id"], "role": role })
}

fn remove(user: &Value) -> Value {
    json!({ "deed": "remove", "user": user["id"] })
}

fn title(title: &str) -> Value {
    json!({ "deed": "title", "title": title })
}

async fn what_the_users_of_a_peer_may_not_do_comes_to_nothing(database: Database) {
    let mut group = Group::new(database).await;
    let erin = user(&group.world.clock, "erin", "app-b");
    group.state["users"].as_array_mut().unwrap().push(erin.clone());
    let before = group.see().await;
    let (alice, bob) = (group.world.card.clone(), group.world.bob.clone());
    let (carol, dave) = (group.carol.clone(), group.dave.clone());
    for (what, actor, deed, code) in [
        ("renames in the name of a user of this app", &alice, title("x"), "not_your_user"),
        (
            "ends in the name of a user of this app",
            &alice,
            json!({ "deed": "end" }),
            "not_your_user",
        ),
        ("promotes in the name of its owner", &alice, role(&bob, "owner"), "not_your_user"),
        ("lets a user of this app leave", &carol, remove(&carol), "not_your_user"),
        ("renames as a member", &bob, title("x"), "not_permitted"),
        ("ends as a member", &bob, json!({ "deed": "end" }), "not_permitted"),
        ("promotes itself", &bob, role(&bob, "owner"), "not_permitted"),
        ("adds as a member", &bob, add(&erin, "member"), "not_permitted"),
        ("removes the owner", &bob, remove(&alice), "not_permitted"),
        ("removes a member", &bob, remove(&dave), "not_permitted"),
        ("adds itself as one who is not in it", &erin, add(&erin, "owner"), "not_permitted"),
        (
            "renames as one who is not in it",
            &user(&group.world.clock, "frank", "app-b"),
            title("x"),
            "bad_participants",
        ),
        ("gives an empty title", &bob, title(""), "bad_title"),
        ("speaks of nobody", &bob, remove(&json!({ "id": peer::OTHER })), "bad_participants"),
    ] {
        let change = group.world.change(actor, deed);
        let outcome = group.tell(vec![change]).await;
        assert!(
            outcome == code || (outcome == "not_a_participant" && actor == &erin),
            "{what}: {outcome}"
        );
        assert_eq!(group.see().await, before, "{what}");
    }
    let admin = group.dave.clone();
    group.promote(&admin, "admin").await;
    let before = group.see().await;
    for (what, deed) in [
        ("removes the owner", remove(&alice)),
        ("adds an owner", add(&erin, "owner")),
        ("promotes itself", role(&admin, "owner")),
        ("ends it", json!({ "deed": "end" })),
    ] {
        let change = group.world.change(&admin, deed);
        assert_eq!(group.tell(vec![change]).await, "not_permitted", "an admin {what}");
        assert_eq!(group.see().await, before, "an admin {what}");
    }
    let far = group.world.clock.now().after(std::time::Duration::from_hours(48)).to_string();
    let mut change = group.world.change(&admin, title("From the future"));
    change["at"] = json!(far);
    assert_eq!(group.tell(vec![change]).await, "from_the_future");
    for (key, value) in [
        ("kind", json!("direct")),
        ("created_by", bob["id"].clone()),
        ("created_at", json!("2020-01-01T00:00:00Z")),
    ] {
        let known = std::mem::replace(&mut group.state[key], value);
        let change = group.world.change(&admin, title("Another"));
        let outcome = group.tell(vec![change]).await;
        assert!(
            ["conversation_conflict", "bad_participants"].contains(&outcome.as_str()),
            "{key} {outcome}"
        );
        group.state[key] = known;
    }
    assert_eq!(group.see().await, before);
    group.world.pair.stop().await;
}

async fn what_the_users_of_a_peer_may_do_is_done_whatever_its_order(database: Database) {
    let mut group = Group::new(database).await;
    let (bob, dave) = (group.world.bob.clone(), group.dave.clone());
    group.promote(&bob, "owner").await;
    let named = group.world.change(&bob, title("First"));
    let raised = group.world.change(&bob, role(&dave, "admin"));
    let again = group.world.change(&dave, title("Second"));
    let lowered = group.world.change(&bob, role(&dave, "member"));
    let never = group.world.change(&dave, title("Third"));
    // As it was told last, first, and as it was.
    assert_eq!(group.tell(vec![again.clone()]).await, "not_permitted");
    assert_eq!(group.tell(vec![raised.clone()]).await, "stored");
    assert_eq!(group.see().await["title"], "Second", "it was permitted at its moment");
    assert_eq!(group.tell(vec![named.clone()]).await, "stored");
    assert_eq!(group.see().await["title"], "Second", "the later one stays");
    assert_eq!(group.tell(vec![never.clone(), lowered.clone()]).await, "stored");
    let all = vec![named, raised, again, lowered, never];
    let seen = group.see().await;
    assert_eq!(seen["title"], "Second");
    for _ in 0..3 {
        assert_eq!(group.tell(all.clone()).await, "stored");
        assert_eq!(group.see().await, seen);
    }
    group.world.pair.stop().await;
}

async fn nobody_is_let_in_by_who_is_not_in(database: Database) {
    let group = Group::new(database).await;
    let world = &group.world;
    // A group that is known here, of users of this app alone.
    let body = json!({ "participants": ["carol"], "title": "Private" });
    let private = world.alice.post(PATH, &body).await.expect(201).json;
    let mut state = group.state.clone();
    (state["id"], state["created_at"]) = (private["id"].clone(), private["created_at"].clone());
    let mut events = Vec::new();
    for (seq, (actor, deed)) in (3..).zip([
        (&world.bob, add(&world.bob, "owner")),
        (&world.bob, title("Mine")),
        (&world.bob, remove(&group.carol)),
        (&world.card, add(&world.bob, "owner")),
        (&world.bob, json!({ "deed": "end" })),
    ]) {
        state["changes"] = json!([world.change(actor, deed)]);
        events.push(world.conversation_event(seq, state.clone()));
    }
    let reply = world.deliver(events).await;
    for outcome in outcomes(&reply) {
        assert!(!["stored", "early"].contains(&outcome.as_str()), "{outcome}");
    }
    let path = format!("{PATH}{}/", private["id"].as_str().unwrap());
    let mut now = world.alice.get(&path).await.expect(200).json;
    now["updated_at"] = private["updated_at"].clone();
    assert_eq!(now, private);
    group.world.pair.stop().await;
}

async fn who_has_left_says_nothing_more_but_what_they_said_before_arrives(database: Database) {
    let mut group = Group::new(database).await;
    let (bob, dave) = (group.world.bob.clone(), group.dave.clone());
    let before = json!(group.world.now());
    let leave = group.world.change(&dave, remove(&dave));
    let path = format!("{}participants/{}/", group.path(), bob["id"].as_str().unwrap());
    group.world.alice.delete(&path).await.expect(204);
    assert_eq!(group.tell(vec![leave]).await, "stored");
    for who in [&bob, &dave] {
        assert_eq!(group.say(who, "in time", Some(&before)).await, "stored");
        assert_eq!(group.say(who, "too late", None).await, "not_a_participant");
    }
    let rename = group.world.change(&bob, title("Mine"));
    assert_eq!(group.tell(vec![rename]).await, "not_a_participant");
    let back = group.world.change(&bob, add(&bob, "member"));
    assert_eq!(group.tell(vec![back]).await, "not_a_participant");
    let id = group.state["id"].as_str().unwrap();
    assert_eq!(group.world.alice.read(id).await, ["in time", "in time"]);
    assert_eq!(group.see().await["title"], "Ours");
    group.world.pair.stop().await;
}

async fn nothing_is_said_after_the_end(database: Database) {
    let mut group = Group::new(database).await;
    let bob = group.world.bob.clone();
    let before = json!(group.world.now());
    group.world.alice.delete(&group.path()).await.expect(204);
    assert_eq!(group.say(&bob, "in time", Some(&before)).await, "stored");
    assert_eq!(group.say(&bob, "too late", None).await, "conversation_ended");
    let rename = group.world.change(&bob, title("Mine"));
    assert_eq!(group.tell(vec![rename]).await, "conversation_ended");
    let leave = group.world.change(&bob, remove(&bob));
    assert_eq!(group.tell(vec![leave]).await, "stored");
    let id = group.state["id"].as_str().unwrap();
    assert_eq!(group.world.alice.read(id).await, ["in time"]);
    group.world.pair.stop().await;
}
