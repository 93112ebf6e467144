//! What admins change while the apps run, and the log of it.

use e2e::{Client, Database, Instance, Pair, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::problem::IsProblem;
use crate::support::sql::Sql;

const SETTINGS: &str = "/api/admin/settings/";
const AUDIT: &str = "/api/admin/audit/";

on_both_databases!(
    every_setting_says_what_it_is_and_what_it_may_be,
    settings_and_audit_log_are_for_admins_alone,
    a_change_is_made_as_a_whole_or_not_at_all,
    each_setting_is_used_at_once,
    tokens_outlive_a_change_of_their_lifetime,
    changes_are_in_the_audit_log_with_what_was_before,
    settings_survive_a_restart_and_the_environment_sets_other_defaults,
);

/// Somebody who is an admin.
async fn admin(app: &Instance) -> Client {
    let mut admin = app.client().join("adm_*").await;
    let id = admin.get("/api/auth/me/").await.expect(200).str("id");
    let mut sql = Sql::open(&app.storage).await;
    let id = sql.id(&id);
    sql.change(&format!("UPDATE accounts SET role = 1 WHERE user_id = {id}")).await;
    admin.log_in().await;
    admin
}

async fn value(admin: &Client, name: &str) -> Value {
    admin.get(SETTINGS).await.expect(200).json[name]["value"].clone()
}

async fn every_setting_says_what_it_is_and_what_it_may_be(database: Database) {
    let pair = Pair::start(database).await;
    let admin = admin(&pair.a).await;
    let all = admin.get(SETTINGS).await.expect(200).json;
    for (name, default) in [
        ("ACCESS_TOKEN_LIFETIME", json!(3600)),
        ("REFRESH_TOKEN_LIFETIME", json!(30 * 24 * 3600)),
        ("PAGE_SIZE", json!(20)),
        ("MAX_MESSAGE_LENGTH", json!(20_000)),
        ("REGISTRATION_OPEN", json!(true)),
    ] {
        assert_eq!(all[name]["value"], default, "{name}");
        assert_eq!(all[name]["default"], default, "{name}");
    }
    let buckets = ["REGISTER", "LOGIN", "REFRESH", "SEND", "LOOKUP", "UPLOAD", "SOCKET", "RELAY"];
    for bucket in buckets {
        assert!(all[format!("RATE_LIMIT_{bucket}")]["value"].is_i64(), "{bucket}");
    }
    for (name, setting) in all.as_object().unwrap() {
        assert_eq!(setting.as_object().unwrap().len(), 6, "{name}");
        assert!(setting["description"].as_str().is_some_and(|text| text.len() > 10), "{name}");
        match setting["type"].as_str() {
            Some("integer") => assert!(setting["min"].as_i64() < setting["max"].as_i64(), "{name}"),
            other => assert_eq!(other, Some("boolean"), "{name}"),
        }
    }
    pair.stop().await;
}

async fn settings_and_audit_log_are_for_admins_alone(database: Database) {
    let pair = Pair::start(database).await;
    let (nobody, alice) = (pair.a.client(), pair.a.client().join("alice").await);
    let mut stranger = nobody.clone();
    stranger.token = admin(&pair.b).await.token;
    let change = json!({ "PAGE_SIZE": 1 });
    for path in [SETTINGS, AUDIT] {
        nobody.get(path).await.problem(401, "not_authenticated");
        stranger.get(path).await.problem(401, "invalid_token");
        alice.get(path).await.problem(403, "admins_only");
    }
    nobody.patch(SETTINGS, &change).await.problem(401, "not_authenticated");
    alice.patch(SETTINGS, &change).await.problem(403, "admins_only");
    // Who is no admin learns nothing of what is valid.
    alice.patch(SETTINGS, &json!({ "NONSENSE": 1 })).await.problem(403, "admins_only");
    assert_eq!(value(&admin(&pair.a).await, "PAGE_SIZE").await, 20);
    pair.stop().await;
}

async fn a_change_is_made_as_a_whole_or_not_at_all(database: Database) {
    let pair = Pair::start(database).await;
    let admin = admin(&pair.a).await;
    for (name, bad) in [
        ("ACCESS_TOKEN_LIFETIME", json!(-1)),
        ("ACCESS_TOKEN_LIFETIME", json!(0)),
        ("ACCESS_TOKEN_LIFETIME", json!(10 * 365 * 24 * 3600)),
        ("ACCESS_TOKEN_LIFETIME", json!("3600")),
        ("REFRESH_TOKEN_LIFETIME", json!(1.5)),
        ("MAX_MESSAGE_LENGTH", json!(20_001)),
        ("PAGE_SIZE", json!(101)),
        ("PAGE_SIZE", json!(null)),
        ("PAGE_SIZE", json!([20])),
        ("PAGE_SIZE", json!(1e30)),
        ("REGISTRATION_OPEN", json!(0)),
        ("REGISTRATION_OPEN", json!("false")),
        ("RATE_LIMIT_SEND", json!(-1)),
        ("NO_SUCH_SETTING", json!(1)),
        ("page_size", json!(1)),
        ("", json!(1)),
    ] {
        let body = json!({ "RATE_LIMIT_LOOKUP": 7, name: bad });
        let reply = admin.patch(SETTINGS, &body).await.problem(400, "invalid");
        assert!(reply.json["errors"][name].is_array(), "{name}: {reply:#?}");
        assert!(reply.json["errors"]["RATE_LIMIT_LOOKUP"].is_null(), "{reply:#?}");
    }
    for body in [json!([]), json!("PAGE_SIZE")] {
        admin.patch(SETTINGS, &body).await.problem(400, "malformed");
    }
    admin.patch(SETTINGS, &json!({})).await.expect(200);
    assert_ne!(value(&admin, "RATE_LIMIT_LOOKUP").await, 7);
    assert_eq!(admin.get(AUDIT).await.expect(200).json["count"], 0);
    pair.stop().await;
}

async fn each_setting_is_used_at_once(database: Database) {
    let pair = Pair::start(database).await;
    let admin = admin(&pair.a).await;
    pair.a.client().join("carol").await;
    for number in 0..4 {
        admin.send("carol", &format!("number {number}")).await;
    }
    let change = json!({
        "PAGE_SIZE": 3, "MAX_MESSAGE_LENGTH": 10, "REGISTRATION_OPEN": false,
        "ACCESS_TOKEN_LIFETIME": 1234, "REFRESH_TOKEN_LIFETIME": 86_400,
    });
    let changed = admin.patch(SETTINGS, &change).await.expect(200).json;
    for (name, new) in change.as_object().unwrap() {
        assert_eq!(&changed[name]["value"], new);
    }
    assert_eq!(changed["PAGE_SIZE"]["default"], 20);
    assert_eq!(admin.get("/api/chats/messages/").await.results().len(), 3);
    assert_eq!(admin.get("/api/chats/messages/?page_size=4").await.results().len(), 4);

    let send = |content: &str| json!({ "recipient": "carol", "content": content });
    // Characters, not bytes.
    let exact = admin.post("/api/messages/send/", &send("ten→→→→→→→")).await.expect(201);
    let long = admin.post("/api/messages/send/", &send("eleven cha.")).await;
    let long = long.problem(400, "invalid");
    assert!(long.json["errors"]["content"][0].as_str().unwrap().contains("10"), "{long:#?}");
    let path = format!("/api/chats/messages/{}/", exact.str("id"));
    admin.patch(&path, &json!({ "content": "eleven cha." })).await.problem(400, "invalid");

    let body = json!({ "email": "dan@example.org", "password": "staple of plums, twice" });
    for path in ["/api/auth/register/", "/api/register/"] {
        pair.a.client().post(path, &body).await.problem(403, "registration_closed");
    }
    pair.b.client().post("/api/auth/register/", &body).await.expect(201);

    let mut again = admin.clone();
    again.log_in().await;
    let refresh = json!({ "refresh_token": again.refresh });
    let tokens = pair.a.client().post("/api/auth/refresh/", &refresh).await.expect(200);
    assert_eq!(tokens.json["expires_in"], 1234);
    let devices = again.get("/api/auth/sessions/").await.expect(200);
    let device = devices.results().iter().find(|device| device["current"] == true).unwrap();
    let seconds = |name: &str| {
        let moment: shared::time::Timestamp = device[name].as_str().unwrap().parse().unwrap();
        moment.seconds()
    };
    let left = seconds("expires_at") - seconds("last_used_at");
    assert!((86_390..=86_400).contains(&left), "{device:#?}");
    pair.stop().await;
}

async fn tokens_outlive_a_change_of_their_lifetime(database: Database) {
    let pair = Pair::start(database).await;
    let (admin, mut alice) = (admin(&pair.a).await, pair.a.client().join("alice").await);
    admin.patch(SETTINGS, &json!({ "ACCESS_TOKEN_LIFETIME": 86_400 })).await.expect(200);
    let of_an_hour = alice.clone();
    alice.log_in().await;
    admin.patch(SETTINGS, &json!({ "ACCESS_TOKEN_LIFETIME": 1 })).await.expect(200);
    alice.get("/api/auth/me/").await.expect(200);
    of_an_hour.get("/api/auth/me/").await.expect(200);
    let mut brief = alice.clone();
    brief.log_in().await;
    eventually("a token of a second expires", || async {
        (brief.get("/api/auth/me/").await.status == 401).then_some(())
    })
    .await;
    alice.get("/api/auth/me/").await.expect(200);
    pair.stop().await;
}

async fn changes_are_in_the_audit_log_with_what_was_before(database: Database) {
    let pair = Pair::start(database).await;
    let admin = admin(&pair.a).await;
    admin.patch(SETTINGS, &json!({ "PAGE_SIZE": 2, "REGISTRATION_OPEN": true })).await.expect(200);
    admin.patch(SETTINGS, &json!({ "PAGE_SIZE": 3 })).await.expect(200);
    admin.patch(SETTINGS, &json!({ "RATE_LIMIT_SEND": 0 })).await.expect(200);
    let log = admin.get(AUDIT).await.expect(200);
    assert_eq!(log.json["count"], 3, "what stays the same is not recorded: {log:#?}");
    let told = |entry: &Value| (entry["subject"].clone(), entry["details"].clone());
    let entries: Vec<_> = log.results().iter().map(told).collect();
    assert_eq!(entries[1], (json!("PAGE_SIZE"), json!({ "old": 2, "new": 3 })));
    assert_eq!(entries[2], (json!("PAGE_SIZE"), json!({ "old": 20, "new": 2 })));
    for entry in log.results() {
        assert_eq!(entry["action"], "setting.changed");
        assert_eq!(entry["actor"]["username"], admin.name);
        assert!(entry["created_at"].is_string() && entry["id"].is_string());
    }
    let some = |query: &str| {
        let path = format!("{AUDIT}?{query}");
        let admin = admin.clone();
        async move { admin.get(&path).await }
    };
    assert_eq!(some("action=setting.changed").await.json["count"], 3);
    assert_eq!(some("action=user.deactivated").await.json["count"], 0);
    let second = some("page=2&page_size=2").await.expect(200);
    assert_eq!(told(&second.results()[0]), entries[2]);
    some("action=%00").await.problem(400, "invalid");
    pair.stop().await;
}

async fn settings_survive_a_restart_and_the_environment_sets_other_defaults(database: Database) {
    let set = [("PAGE_SIZE", "7"), ("APP_A_MAX_MESSAGE_LENGTH", "99")];
    let mut pair = Pair::start_with(database, &set).await;
    let ours = admin(&pair.a).await;
    ours.patch(SETTINGS, &json!({ "MAX_MESSAGE_LENGTH": 50 })).await.expect(200);
    pair.a.stop().await;
    pair.a.start().await;
    let all = ours.get(SETTINGS).await.expect(200).json;
    assert_eq!(all["PAGE_SIZE"]["value"], 7);
    assert_eq!(all["PAGE_SIZE"]["default"], 7);
    assert_eq!(all["MAX_MESSAGE_LENGTH"]["value"], 50);
    assert_eq!(all["MAX_MESSAGE_LENGTH"]["default"], 99);
    let theirs = admin(&pair.b).await;
    assert_eq!(value(&theirs, "MAX_MESSAGE_LENGTH").await, 20_000, "each app has its own");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_reaches_the_other_replica_within_a_second() {
    if !Database::Postgres.is_to_be_tested() {
        return;
    }
    let pair = Pair::start(Database::Postgres).await;
    let mut replica = pair.a.replica().await;
    let here = admin(&pair.a).await;
    let mut there = here.clone();
    there.base = replica.client().base;
    let mut took = Vec::new();
    for size in [2, 3, 4] {
        here.patch(SETTINGS, &json!({ "PAGE_SIZE": size })).await.expect(200);
        let changed = std::time::Instant::now();
        eventually("the replica follows", || async {
            (value(&there, "PAGE_SIZE").await == size).then_some(())
        })
        .await;
        took.push(changed.elapsed());
    }
    // One of them may have met a moment in which the machine was busy.
    assert!(took.iter().min().unwrap().as_millis() < 1000, "{took:?}");
    replica.stop().await;
    pair.stop().await;
}
