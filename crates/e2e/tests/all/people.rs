//! Profiles, and the people who manage others.

use e2e::{Client, Database, PASSWORD, Pair, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::problem::IsProblem;

on_both_databases!(
    a_profile_holds_what_its_owner_writes,
    what_nobody_else_may_see_is_sealed_at_rest,
    a_profile_refuses_what_is_not_valid,
    a_new_email_or_password_needs_the_current_password,
    nothing_protected_is_changed_by_a_profile,
    a_changed_name_reaches_the_peer,
    an_admin_makes_and_manages_accounts,
    a_deactivated_user_is_gone_and_their_messages_stay,
    only_admins_manage_and_only_users_of_their_app,
    the_last_admin_stays,
);

const ME: &str = "/api/auth/me/";
const UNKNOWN: &str = "0190a5d0-ac96-774b-8cce-b302099a8057";

fn id(user: &Value) -> String {
    user["id"].as_str().unwrap().to_owned()
}

async fn a_profile_holds_what_its_owner_writes(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let me = alice.me().await;
    for field in ["dob", "phone_number", "emergency_contact", "profile_picture", "added_by"] {
        assert!(me.get(field).is_some_and(Value::is_null), "{field} in {me:#}");
    }
    let written = json!({
        "first_name": " Alice ", "last_name": "Ängström", "dob": "1990-02-28",
        "phone_number": "+49 (30) 123-4567", "emergency_contact": "Carol, 030 7654321",
    });
    let kept = json!({
        "first_name": "Alice", "last_name": "Ängström", "dob": "1990-02-28",
        "phone_number": "+49301234567", "emergency_contact": "Carol, 030 7654321",
    });
    let reply = alice.patch(ME, &written).await.expect(200);
    let holds = |json: &Value, expected: &Value| {
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&json[field], value, "{field} in {json:#}");
        }
    };
    holds(&reply.json, &kept);
    holds(&alice.get("/api/me/").await.expect(200).json, &kept);
    // What is not named stays; null and blank are none.
    let change = json!({ "dob": null, "phone_number": " " });
    let reply = alice.patch("/api/me/", &change).await.expect(200);
    holds(&reply.json, &json!({ "dob": null, "phone_number": null, "last_name": "Ängström" }));
    holds(&reply.json, &json!({ "emergency_contact": "Carol, 030 7654321" }));
    alice.patch(ME, &json!({})).await.expect(200);
    // The whole of it: what is not named of the private fields is gone.
    let missing = alice.put(ME, &json!({ "first_name": "A" })).await.problem(400, "invalid");
    let errors = missing.json["errors"].as_object().unwrap();
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["email", "last_name"]);
    let whole =
        json!({ "email": me["email"], "first_name": "A", "last_name": "", "username": "alice" });
    let reply = alice.put(ME, &whole).await.expect(200);
    holds(&reply.json, &json!({ "first_name": "A", "last_name": "", "emergency_contact": null }));
    holds(&alice.me().await, &reply.json);
    // Nobody else sees more than everybody may.
    let bob = pair.a.client().join("bob").await;
    alice.patch(ME, &written).await.expect(200);
    let seen = bob.get(&format!("/api/users/{}/", id(&me))).await.expect(200).json;
    let fields: Vec<_> = seen.as_object().unwrap().keys().map(String::as_str).collect();
    let public = ["address", "app", "first_name", "id", "last_name", "profile_picture", "username"];
    assert_eq!(fields, public);
    holds(&alice.get(&format!("/api/users/{}/", id(&me))).await.expect(200).json, &kept);
    pair.stop().await;
}

async fn what_nobody_else_may_see_is_sealed_at_rest(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let written = json!({
        "first_name": "Visible", "dob": "1912-06-23", "phone_number": "+49301234567",
        "emergency_contact": "Canary Contact",
    });
    alice.patch(ME, &written).await.expect(200);
    let dump = pair.a.storage.dump().await;
    let holds = |text: &str| dump.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("Visible"), "the dump is one");
    for text in ["1912-06-23", "49301234567", "Canary", "alice@example.org"] {
        assert!(!holds(text), "{text} is in the clear");
    }
    pair.stop().await;
}

async fn a_profile_refuses_what_is_not_valid(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let before = alice.me().await;
    let long = |length| "x".repeat(length);
    for (field, values) in [
        ("username", vec![json!("admin"), json!("Alice"), json!("bob"), json!("")]),
        ("email", vec![json!("nobody"), json!("a@b"), json!(""), json!(7)]),
        ("first_name", vec![json!(long(151)), json!("a\u{0}b"), json!("a\nb"), json!(["a"])]),
        ("last_name", vec![json!(long(151)), json!("a\u{7f}b"), json!({})]),
        (
            "dob",
            vec![
                json!("1899-12-31"),
                json!("2999-01-01"),
                json!("2001-02-29"),
                json!("1.1.2000"),
                json!(2000),
            ],
        ),
        (
            "phone_number",
            vec![json!("123"), json!("12345678901234567"), json!("call me"), json!(49)],
        ),
        ("emergency_contact", vec![json!(long(201)), json!("a\u{1b}[0m"), json!(false)]),
        ("password", vec![json!("short"), json!("password123"), json!("alice"), json!(PASSWORD)]),
    ] {
        for value in values {
            let mut body = json!({ "current_password": PASSWORD, "first_name": "Changed" });
            body[field] = value.clone();
            let reply = alice.patch(ME, &body).await.problem(400, "invalid");
            assert!(reply.json["errors"][field].is_array(), "{field} {value}: {reply:#?}");
        }
    }
    assert_eq!(alice.me().await, before);
    pair.a.client().patch(ME, &json!({})).await.problem(401, "not_authenticated");
    pair.a.client().put(ME, &json!({})).await.problem(401, "not_authenticated");
    pair.stop().await;
}

async fn a_new_email_or_password_needs_the_current_password(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = pair.a.client().join("alice").await;
    pair.a.client().join("bob").await;
    let phone = alice.clone();
    alice.log_in().await;
    let (email, secret) = ("new@example.org", "a whole new secret");
    for wrong in [None, Some("not it at all"), Some("")] {
        for (field, value) in [("email", email), ("password", secret)] {
            let mut body = json!({ "first_name": "Changed" });
            body[field] = json!(value);
            if let Some(wrong) = wrong {
                body["current_password"] = json!(wrong);
            }
            alice.patch(ME, &body).await.problem(403, "wrong_password");
        }
    }
    let me = alice.me().await;
    assert_eq!((&me["first_name"], &me["email"]), (&json!(""), &json!("alice@example.org")));
    // The same address in other letters is no new one.
    alice.patch(ME, &json!({ "email": " ALICE@Example.org" })).await.expect(200);
    let body = json!({ "email": "BOB@example.org", "current_password": PASSWORD });
    alice.patch(ME, &body).await.problem(409, "email_taken");
    let body = json!({ "email": email, "current_password": PASSWORD });
    assert_eq!(alice.patch(ME, &body).await.expect(200).str("email"), email);
    let login = |name: &str, password: &str| json!({ "email": name, "password": password });
    let nobody = pair.a.client();
    nobody.post("/api/auth/login/", &login(email, PASSWORD)).await.expect(200);
    let old = login("alice@example.org", PASSWORD);
    nobody.post("/api/auth/login/", &old).await.problem(401, "invalid_credentials");
    phone.get(ME).await.expect(200);
    let body = json!({ "password": secret, "current_password": PASSWORD });
    let reply = alice.patch(ME, &body).await.expect(200);
    assert!(reply.json.get("password").is_none(), "{reply:#?}");
    phone.get(ME).await.problem(401, "invalid_token");
    alice.get(ME).await.expect(200);
    nobody.post("/api/auth/login/", &login(email, PASSWORD)).await.expect(401);
    nobody.post("/api/auth/login/", &login(email, secret)).await.expect(200);
    pair.stop().await;
}

async fn nothing_protected_is_changed_by_a_profile(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let before = alice.me().await;
    let wish = json!({
        "id": UNKNOWN, "app": "app-b", "address": "root@app-b", "role": "admin", "is_active": false,
        "is_staff": true, "added_by": UNKNOWN, "profile_picture": "http://169.254.169.254/",
        "picture": "x", "created_at": "2001-01-01T00:00:00Z", "password_hash": "x", "vouched": false,
        "email_hash": "x", "changed_at": "2001-01-01T00:00:00Z",
    });
    assert_eq!(alice.patch(ME, &wish).await.expect(200).json, before);
    let mut whole = wish.clone();
    for field in ["email", "first_name", "last_name"] {
        whole[field] = before[field].clone();
    }
    assert_eq!(alice.put(ME, &whole).await.expect(200).json, before);
    let admin = pair.a.admin("boss").await;
    let path = format!("/api/users/{}/", id(&before));
    let mut wish = wish;
    (wish["role"], wish["is_active"]) = (json!("user"), json!(true));
    wish["email"] = json!("other@example.org");
    wish["first_name"] = json!("Other");
    assert_eq!(admin.patch(&path, &wish).await.expect(200).json, before);
    pair.stop().await;
}

async fn a_changed_name_reaches_the_peer(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let sent = alice.send("bob@app-b", "hello").await;
    let conversation = sent["conversation"].as_str().unwrap().to_owned();
    let path = format!("/api/chats/conversations/{conversation}/");
    let names = |client: &Client| {
        let (client, path) = (client.clone(), path.clone());
        async move {
            let reply = client.get(&path).await;
            let users = reply.json["participants"].as_array().cloned().unwrap_or_default();
            let name = |user: &Value| format!("{}", user["user"]["first_name"]);
            let mut names: Vec<_> = users.iter().map(name).collect();
            names.sort();
            names
        }
    };
    eventually("bob has the conversation", || async {
        (names(&bob).await.len() == 2).then_some(())
    })
    .await;
    // Both change while neither reaches the other, and more than once.
    pair.a_to_b.disturb(e2e::Disturbance::Down);
    pair.b_to_a.disturb(e2e::Disturbance::Down);
    for name in ["Al", "Alice"] {
        alice.patch(ME, &json!({ "first_name": name })).await.expect(200);
    }
    bob.patch(ME, &json!({ "first_name": "Bob" })).await.expect(200);
    pair.a_to_b.disturb(e2e::Disturbance::None);
    pair.b_to_a.disturb(e2e::Disturbance::None);
    for client in [&alice, &bob] {
        eventually("both apps know the names", || async {
            (names(client).await == ["\"Alice\"", "\"Bob\""]).then_some(())
        })
        .await;
    }
    let path = "/api/users/get_by_username/?username=alice@app-a";
    eventually("the lookup knows the name", || async {
        (bob.get(path).await.json["first_name"] == "Alice").then_some(())
    })
    .await;
    pair.stop().await;
}

async fn an_admin_makes_and_manages_accounts(database: Database) {
    let pair = Pair::start(database).await;
    let admin = pair.a.admin("admin").await;
    let own = admin.me().await;
    assert_eq!((own["role"].as_str(), &own["added_by"]), (Some("admin"), &Value::Null));
    let body = json!({
        "username": "carol", "email": "carol@example.org", "password": PASSWORD, "first_name": "Carol",
        "dob": "2000-01-01", "role": "admin", "added_by": UNKNOWN, "id": UNKNOWN, "is_active": false,
    });
    let carol = admin.post("/api/users/", &body).await.expect(201).json;
    assert_eq!((carol["role"].as_str(), carol["is_active"].as_bool()), (Some("admin"), Some(true)));
    assert_eq!(carol["dob"], "2000-01-01");
    let maker = json!({
        "id": own["id"], "username": "admin", "first_name": "", "last_name": "", "role": "admin",
    });
    assert_eq!(carol["added_by"], maker);
    admin.post("/api/users/", &body).await.problem(409, "email_taken");
    for (field, value) in [
        ("role", json!("superuser")),
        ("email", json!("x")),
        ("password", json!("short")),
        ("username", json!("app-b")),
        ("dob", json!("x")),
    ] {
        let mut body =
            json!({ "username": "dave", "email": "dave@example.org", "password": PASSWORD });
        body[field] = value;
        let reply = admin.post("/api/users/", &body).await.problem(400, "invalid");
        assert!(reply.json["errors"][field].is_array(), "{reply:#?}");
    }
    // A reserved name is for admins alone.
    let body = json!({ "username": "support", "email": "s@example.org", "password": PASSWORD });
    admin.post("/api/users/", &body).await.problem(400, "invalid");
    let mut carol = pair.a.client();
    "carol".clone_into(&mut carol.name);
    carol.log_in().await;
    let alice = pair.a.client().join("alice").await;
    let path = format!("/api/users/{}/", id(&alice.me().await));
    alice.get("/api/users/?role=user").await.problem(403, "admins_only");
    assert_eq!(
        carol.patch(&path, &json!({ "role": "admin" })).await.expect(200).str("role"),
        "admin"
    );
    // At once, with the token that she has.
    alice.get("/api/users/?role=user").await.expect(200);
    carol.patch(&path, &json!({ "role": "user" })).await.expect(200);
    alice.get("/api/users/?role=user").await.problem(403, "admins_only");
    for body in [json!({ "role": "root" }), json!({ "is_active": "no" }), json!([])] {
        assert_eq!(carol.patch(&path, &body).await.status, 400, "{body}");
    }
    pair.stop().await;
}

async fn a_deactivated_user_is_gone_and_their_messages_stay(database: Database) {
    let pair = Pair::start(database).await;
    let admin = pair.a.admin("boss").await;
    let (alice, carol) = (pair.a.client().join("alice").await, pair.a.client().join("carol").await);
    let (bob, dave) = (pair.b.client().join("bob").await, pair.b.client().join("dave").await);
    let user = id(&alice.me().await);
    let sent = alice.send("bob@app-b", "before she went").await;
    alice.send("carol", "before she went").await;
    alice.send("dave@app-b", "hello").await;
    let conversation = sent["conversation"].as_str().unwrap().to_owned();
    eventually("bob has it", || async { (bob.read(&conversation).await.len() == 1).then_some(()) })
        .await;
    let path = format!("/api/users/{user}/");
    let gone = admin.patch(&path, &json!({ "is_active": false })).await.expect(200);
    assert_eq!(gone.json["is_active"], false);

    alice.get(ME).await.problem(401, "invalid_token");
    let nobody = pair.a.client();
    let refresh = json!({ "refresh_token": alice.refresh });
    nobody.post("/api/auth/refresh/", &refresh).await.problem(401, "invalid_token");
    let login = json!({ "username": "alice", "password": PASSWORD });
    nobody.post("/api/auth/login/", &login).await.problem(401, "invalid_credentials");
    // As if there had never been anybody of this name, here and at the peer.
    for (client, address) in [(&carol, "alice"), (&carol, user.as_str()), (&dave, "alice@app-a")] {
        let lookup = format!("/api/users/get_by_username/?username={address}");
        eventually("the lookup finds nobody", || async {
            (client.get(&lookup).await.status == 404).then_some(())
        })
        .await;
        let body = json!({ "participants": [address], "title": "New" });
        eventually("no conversation begins with her", || async {
            (client.post("/api/chats/conversations/", &body).await.status == 400).then_some(())
        })
        .await;
    }
    for client in [&carol, &dave] {
        eventually("she is on no list and on no page", || async {
            let list = client.get("/api/users/?search=alice").await.expect(200);
            let page = client.get(&path).await;
            (list.results().is_empty() && page.status == 404).then_some(())
        })
        .await;
    }
    let unknown = carol.get(&format!("/api/users/{UNKNOWN}/")).await;
    let hers = carol.get(&path).await;
    assert_eq!(hers.json["detail"], unknown.json["detail"]);
    // An admin sees her, and what she has written stays with those who have it.
    assert_eq!(admin.get(&path).await.expect(200).json["is_active"], false);
    let listed = admin.get("/api/users/?is_active=false").await.expect(200);
    assert_eq!(listed.results().len(), 1);
    assert_eq!(bob.read(&conversation).await, ["before she went"]);
    let messages = bob.get("/api/chats/messages/?user=alice@app-a").await.expect(200);
    assert_eq!(messages.results()[0]["sender"]["username"], "alice");

    admin.patch(&path, &json!({ "is_active": true })).await.expect(200);
    alice.get(ME).await.problem(401, "invalid_token");
    nobody.post("/api/auth/login/", &login).await.expect(200);
    eventually("the peer finds her again", || async {
        let lookup = "/api/users/get_by_username/?username=alice@app-a";
        let found = dave.get(lookup).await.status == 200;
        (found && dave.get(&path).await.status == 200).then_some(())
    })
    .await;
    pair.stop().await;
}

async fn only_admins_manage_and_only_users_of_their_app(database: Database) {
    let pair = Pair::start(database).await;
    let admin = pair.a.admin("boss").await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let (own, theirs) = (id(&alice.me().await), id(&bob.me().await));
    alice.send("bob@app-b", "hello").await;
    let new = json!({ "username": "carol", "email": "c@example.org", "password": PASSWORD });
    let role = json!({ "role": "admin" });
    let nobody = pair.a.client();
    for path in [format!("/api/users/{own}/"), format!("/api/users/{theirs}/")] {
        alice.patch(&path, &role).await.problem(403, "admins_only");
        nobody.patch(&path, &role).await.problem(401, "not_authenticated");
    }
    alice.post("/api/users/", &new).await.problem(403, "admins_only");
    nobody.post("/api/users/", &new).await.problem(401, "not_authenticated");
    nobody.get("/api/users/").await.problem(401, "not_authenticated");
    for query in ["role=admin", "role=user", "is_active=true", "is_active=false"] {
        alice.get(&format!("/api/users/?{query}")).await.problem(403, "admins_only");
    }
    // The user of a peer is known here, and another app's.
    admin.get(&format!("/api/users/{theirs}/")).await.expect(200);
    for user in [theirs.as_str(), UNKNOWN, "bob", "x"] {
        admin.patch(&format!("/api/users/{user}/"), &role).await.problem(404, "not_found");
    }
    assert_eq!(bob.me().await["role"], "user");
    let mut stranger = pair.b.client();
    stranger.token.clone_from(&admin.token);
    stranger.get("/api/users/?role=user").await.problem(401, "invalid_token");
    pair.stop().await;
}

async fn the_last_admin_stays(database: Database) {
    let pair = Pair::start(database).await;
    let admin = pair.a.admin("boss").await;
    let own = format!("/api/users/{}/", id(&admin.me().await));
    for role in ["user", "admin"] {
        let reply = admin.patch(&own, &json!({ "role": role })).await;
        if role == "user" {
            reply.problem(403, "own_role");
        } else {
            reply.expect(200);
        }
    }
    admin.patch(&own, &json!({ "is_active": false })).await.problem(409, "last_admin");
    let second = pair.a.admin("second").await;
    let other = format!("/api/users/{}/", id(&second.me().await));
    // Two who demote each other at the same moment: one of them is the last.
    let demote = json!({ "role": "user" });
    let (one, two) = tokio::join!(admin.patch(&other, &demote), second.patch(&own, &demote));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403], "{one:#?} {two:#?}");
    let (left, path) = if one.status == 200 { (&admin, &own) } else { (&second, &other) };
    left.patch(path, &json!({ "is_active": false })).await.problem(409, "last_admin");
    assert_eq!(left.me().await["role"], "admin");
    pair.stop().await;
}
