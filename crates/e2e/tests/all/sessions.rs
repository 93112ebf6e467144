//! Log-ins as their owner manages them, and the other names of the same routes.

use e2e::{Database, Pair, on_both_databases};
use http::Method;
use serde_json::{Value, json};

on_both_databases!(
    sessions_are_listed_and_ended_one_by_one,
    a_new_password_ends_all_other_sessions,
    log_out_everywhere_means_everywhere,
    the_aliases_do_what_their_originals_do,
);

const LIST: &str = "/api/auth/sessions/";

async fn sessions_are_listed_and_ended_one_by_one(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = pair.a.client().join("alice").await;
    let phone = alice.clone();
    let body = json!({ "username": "alice", "password": "correct horse battery staple" });
    let login = alice.request(Method::POST, "/api/auth/login/").json(&body);
    let reply = alice.run(login.header("User-Agent", "Laptop/1.0")).await.expect(200);
    alice.token = Some(reply.str("access_token"));

    let list = alice.get(LIST).await.expect(200);
    assert_eq!(list.json["count"], 2);
    let current: Vec<_> = list.results().iter().filter(|d| d["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["user_agent"], "Laptop/1.0");
    let other = list.results().iter().find(|device| device["current"] == false).unwrap();
    let path = format!("{LIST}{}/", other["id"].as_str().unwrap());

    let eve = pair.a.client().join("eve").await;
    eve.delete(&path).await.expect(404);
    phone.get("/api/auth/me/").await.expect(200);
    alice.delete(&path).await.expect(204);
    alice.delete(&path).await.expect(404);
    phone.get("/api/auth/me/").await.expect(401);
    let spent = json!({ "refresh_token": phone.refresh });
    pair.a.client().post("/api/auth/refresh/", &spent).await.expect(401);
    assert_eq!(alice.get(LIST).await.expect(200).json["count"], 1);
    assert_eq!(alice.get(&format!("{LIST}?page_size=1")).await.expect(200).results().len(), 1);
    pair.a.client().get(LIST).await.expect(401);
    pair.stop().await;
}

async fn a_new_password_ends_all_other_sessions(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = pair.a.client().join("alice").await;
    let phone = alice.clone();
    alice.log_in().await;
    let path = "/api/auth/password/change/";
    let old = "correct horse battery staple";
    let change =
        |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    let wrong = alice.post(path, &change("not it at all", "a whole new secret")).await.expect(403);
    assert_eq!(wrong.code(), "wrong_password");
    for weak in ["short", "password123", "alice", "alice@example.org", old] {
        let reply = alice.post(path, &change(old, weak)).await.expect(400);
        assert!(reply.json["errors"]["new_password"].is_array(), "{weak}: {reply:#?}");
    }
    phone.get("/api/auth/me/").await.expect(200);
    alice.post(path, &change(old, "a whole new secret")).await.expect(200);
    alice.get("/api/auth/me/").await.expect(200);
    phone.get("/api/auth/me/").await.expect(401);
    let login = |password: &str| json!({ "username": "alice", "password": password });
    let nobody = pair.a.client();
    nobody.post("/api/auth/login/", &login(old)).await.expect(401);
    nobody.post("/api/auth/login/", &login("a whole new secret")).await.expect(200);
    nobody.post(path, &change(old, "x")).await.expect(401);
    pair.stop().await;
}

async fn log_out_everywhere_means_everywhere(database: Database) {
    let pair = Pair::start(database).await;
    let mut alice = pair.a.client().join("alice").await;
    let phone = alice.clone();
    alice.log_in().await;
    alice.post("/api/auth/logout/all/", &json!({})).await.expect(200);
    for client in [&alice, &phone] {
        client.get("/api/auth/me/").await.expect(401);
        let spent = json!({ "refresh_token": client.refresh });
        pair.a.client().post("/api/auth/refresh/", &spent).await.expect(401);
    }
    pair.stop().await;
}

async fn the_aliases_do_what_their_originals_do(database: Database) {
    let pair = Pair::start(database).await;
    let mut nobody = pair.a.client();
    let body = json!({ "username": "alice", "email": "alice@example.org", "password": "correct horse battery" });
    nobody.post("/api/register/", &body).await.expect(201);
    let body = json!({ "username": "alice", "password": "correct horse battery" });
    let tokens = nobody.post("/api/token/", &body).await.expect(200);
    let keys = |json: &Value| json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&tokens.json), ["access", "refresh"]);
    let renewed = nobody
        .post("/api/token/refresh/", &json!({ "refresh": tokens.str("refresh") }))
        .await
        .expect(200);
    assert_eq!(keys(&renewed.json), ["access", "refresh"]);
    nobody.post("/api/token/refresh/", &json!({})).await.expect(400);
    nobody
        .post("/api/refresh/", &json!({ "refresh_token": renewed.str("refresh") }))
        .await
        .expect(200);
    nobody.token = Some(renewed.str("access"));
    nobody.get("/api/me/").await.expect(200);
    nobody.post("/api/logout/", &json!({})).await.expect(200);
    nobody.get("/api/me").await.expect(401);
    nobody.token = None;
    nobody
        .post("/api/login/", &json!({ "username": "alice", "password": "wrong wrong" }))
        .await
        .expect(401);
    pair.stop().await;
}
