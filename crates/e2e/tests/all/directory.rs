//! The list of users, over both apps.

use e2e::{Client, Database, Disturbance, Pair, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::problem::IsProblem;

on_both_databases!(
    a_search_knows_no_case_and_takes_wildcards_literally,
    the_users_of_both_apps_stand_in_one_order,
    a_peer_that_is_away_is_named,
    an_admin_sees_the_own_users_in_full,
    whom_the_list_names_can_be_written_to,
    a_list_that_cannot_be_understood_is_refused,
);

/// The addresses on one page of the list.
async fn list(client: &Client, query: &str) -> Vec<String> {
    let reply = client.get(&format!("/api/users/?{query}")).await.expect(200);
    let address = |user: &Value| user["address"].as_str().unwrap().to_owned();
    reply.results().iter().map(address).collect()
}

/// Somebody with a first and a last name.
async fn join(client: Client, name: &str, first: &str, last: &str) -> Client {
    let joined = client.join(name).await;
    let body = json!({ "first_name": first, "last_name": last });
    joined.patch("/api/auth/me/", &body).await.expect(200);
    joined
}

async fn a_search_knows_no_case_and_takes_wildcards_literally(database: Database) {
    let pair = Pair::start(database).await;
    let alice = join(pair.a.client(), "alice_1", "Åsa", "Öst Straße").await;
    join(pair.b.client(), "bob.b", "ΟΔΟΣ", "100%!").await;
    for (search, found) in [
        ("ALICE", vec!["alice_1@app-a"]),
        ("lice_1", vec!["alice_1@app-a"]),
        ("åSA ÖST", vec!["alice_1@app-a"]),
        ("strasse", vec!["alice_1@app-a"]),
        ("%20%20asa", vec![]),
        ("οδος", vec!["bob.b@app-b"]),
        ("_", vec!["alice_1@app-a"]),
        ("%25", vec!["bob.b@app-b"]),
        ("0%25!", vec!["bob.b@app-b"]),
        ("%25b", vec![]),
        ("*", vec![]),
        ("%5C", vec![]),
        ("alice%00_1", vec!["alice_1@app-a"]),
        ("%27%20OR%201=1--", vec![]),
        ("example.org", vec![]),
        ("b", vec!["bob.b@app-b"]),
        ("", vec!["alice_1@app-a", "bob.b@app-b"]),
    ] {
        assert_eq!(list(&alice, &format!("search={search}")).await, found, "{search}");
    }
    let fields = alice.get("/api/users/?search=bob").await.expect(200);
    assert_eq!(fields.results()[0].as_object().unwrap().len(), 7, "{fields:#?}");
    assert!(!fields.text.contains("example.org"));
    pair.stop().await;
}

async fn the_users_of_both_apps_stand_in_one_order(database: Database) {
    let pair = Pair::start(database).await;
    let mut reader = None;
    // Punctuation and capitals, which the collations of databases do not agree on.
    for name in ["zoe", "Anna-b", "anna.c", "Bob", "_cy"] {
        reader = Some(pair.a.client().join(name).await);
        pair.b.client().join(name).await;
    }
    let reader = reader.unwrap();
    let mut expected: Vec<_> = ["zoe", "anna-b", "anna.c", "bob", "_cy"]
        .iter()
        .flat_map(|name| [format!("{name}@app-a"), format!("{name}@app-b")])
        .collect();
    expected.sort_by(|a, b| {
        let name = |address: &String| address.split_once('@').unwrap().0.to_owned();
        name(a).cmp(&name(b)).then(a.cmp(b))
    });
    let lower = |list: Vec<String>| -> Vec<_> { list.iter().map(|a| a.to_lowercase()).collect() };
    assert_eq!(lower(list(&reader, "").await), expected);
    for size in [1, 3, 7] {
        let mut all = Vec::new();
        let mut next = Some(format!("{}/api/users/?page_size={size}", reader.base));
        while let Some(url) = next {
            let reply = reader.get(url.strip_prefix(&reader.base).unwrap()).await.expect(200);
            assert_eq!(
                (&reply.json["count"], &reply.json["unavailable"]),
                (&json!(10), &json!([]))
            );
            all.extend(reply.results().iter().map(|u| u["address"].as_str().unwrap().to_owned()));
            next = reply.json["next"].as_str().map(str::to_owned);
        }
        assert_eq!(lower(all), expected, "{size}");
    }
    let mut backwards = lower(list(&reader, "ordering=-username").await);
    backwards.sort_by(|a, b| {
        let name = |address: &String| address.split_once('@').unwrap().0.to_owned();
        name(a).cmp(&name(b)).then(a.cmp(b))
    });
    assert_eq!(backwards, expected);
    let made = lower(list(&reader, "ordering=created_at").await);
    assert_eq!(made[..3], ["zoe@app-a", "zoe@app-b", "anna-b@app-a"]);
    let mut latest = lower(list(&reader, "ordering=-created_at").await);
    latest.reverse();
    assert_eq!(latest, made);
    for app in ["app-a", "app-b"] {
        let one = lower(list(&reader, &format!("app={app}&page_size=100")).await);
        assert_eq!(one.len(), 5);
        assert!(one.iter().all(|address| address.ends_with(app)), "{one:?}");
    }
    for app in ["app-c", "APP-B", "", "%25"] {
        assert!(list(&reader, &format!("app={app}")).await.is_empty(), "{app}");
    }
    reader.get("/api/users/?page=2&page_size=10").await.problem(404, "not_found");
    pair.stop().await;
}

async fn a_peer_that_is_away_is_named(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, _) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    pair.a_to_b.disturb(Disturbance::Down);
    let reply = alice.get("/api/users/").await.expect(200);
    assert_eq!(reply.json["unavailable"], json!(["app-b"]));
    assert_eq!((reply.results().len(), &reply.json["count"]), (1, &json!(1)));
    let own = alice.get("/api/users/?app=app-a").await.expect(200);
    assert_eq!(own.json["unavailable"], json!([]));
    let theirs = alice.get("/api/users/?app=app-b").await.expect(200);
    assert_eq!((theirs.results().len(), &theirs.json["unavailable"]), (0, &json!(["app-b"])));
    alice.get("/api/users/?page=2").await.problem(503, "peer_unavailable");
    pair.a_to_b.disturb(Disturbance::None);
    eventually("the peer is there again", || async {
        let reply = alice.get("/api/users/").await.expect(200);
        (reply.json["unavailable"] == json!([]) && reply.results().len() == 2).then_some(())
    })
    .await;
    pair.stop().await;
}

async fn an_admin_sees_the_own_users_in_full(database: Database) {
    let pair = Pair::start(database).await;
    let admin = pair.a.admin("boss").await;
    let alice = pair.a.client().join("alice").await;
    pair.b.client().join("bob").await;
    let reply = admin.get("/api/users/").await.expect(200);
    let emails: Vec<_> = reply.results().iter().map(|user| user["email"].as_str()).collect();
    assert_eq!(emails, [Some("alice@example.org"), None, Some("boss@example.org")]);
    assert_eq!(list(&admin, "role=admin").await, ["boss@app-a"]);
    assert_eq!(list(&admin, "role=user").await, ["alice@app-a"]);
    assert_eq!(list(&admin, "role=user&app=app-b").await, Vec::<String>::new());
    assert_eq!(list(&admin, "is_active=true").await.len(), 2);
    let path = format!("/api/users/{}/", alice.me().await["id"].as_str().unwrap());
    admin.patch(&path, &json!({ "is_active": false })).await.expect(200);
    assert_eq!(list(&admin, "is_active=true").await, ["boss@app-a"]);
    assert_eq!(list(&admin, "is_active=false").await, ["alice@app-a"]);
    pair.stop().await;
}

async fn whom_the_list_names_can_be_written_to(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let unseen = bob.me().await["id"].as_str().unwrap().to_owned();
    alice.get(&format!("/api/users/{unseen}/")).await.problem(404, "not_found");
    let listed = alice.get("/api/users/?search=bob").await.expect(200);
    let id = listed.results()[0]["id"].as_str().unwrap();
    let seen = alice.get(&format!("/api/users/{id}/")).await.expect(200);
    assert_eq!(seen.json, listed.results()[0]);
    let sent = alice.send(id, "found you").await;
    let conversation = sent["conversation"].as_str().unwrap();
    eventually("bob has it", || async {
        (bob.read(conversation).await == ["found you"]).then_some(())
    })
    .await;
    for id in ["0190a5d0-ac96-774b-8cce-b302099a8057", "x", "alice", "%00"] {
        alice.get(&format!("/api/users/{id}/")).await.problem(404, "not_found");
    }
    pair.stop().await;
}

async fn a_list_that_cannot_be_understood_is_refused(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let long = format!("search={}", "x".repeat(201));
    for (query, field) in [
        ("ordering=email", "ordering"),
        ("ordering=", "ordering"),
        ("ordering=username,-username", "ordering"),
        ("role=root", "role"),
        ("is_active=maybe", "is_active"),
        ("page=0", "page"),
        ("page_size=101", "page_size"),
        ("page=26", "page"),
        ("page=9223372036854775807", "page"),
        (long.as_str(), "search"),
    ] {
        let reply = alice.get(&format!("/api/users/?{query}")).await.problem(400, "invalid");
        assert!(reply.json["errors"][field].is_array(), "{query}: {reply:#?}");
    }
    let reply = alice.get("/api/users/?ordering=email").await;
    assert!(reply.json["errors"]["ordering"][0].as_str().unwrap().contains("-created_at"));
    pair.stop().await;
}
