//! How often who may do what, and that nobody is locked out by others.

use e2e::{Client, Database, Disturbance, Pair, Redis, Reply, Wire, eventually, on_both_databases};
use http::Method;
use serde_json::json;

use crate::support::problem::IsProblem;

on_both_databases!(
    a_user_who_sends_too_much_waits_and_nobody_else_does,
    names_of_one_action_share_a_bucket,
    one_password_on_many_accounts_is_stopped_at_its_address,
    many_passwords_on_one_account_are_stopped_wherever_they_come_from,
    guessing_locks_nobody_out,
    only_log_ins_that_fail_count,
    a_client_cannot_choose_its_address,
    registrations_refreshes_and_lookups_have_buckets_of_their_own,
    guesses_of_a_session_at_its_own_password_are_counted,
);

const BEHIND_A_PROXY: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.0/8");

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The number of a parameter of a header.
fn number(reply: &Reply, name: &str, parameter: &str) -> i64 {
    let value = header(reply, name);
    let found = value.split(';').find_map(|part| part.strip_prefix(&format!("{parameter}=")));
    found.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{parameter} in {reply:#?}"))
}

/// A request from behind the proxy.
async fn from(address: &str, client: &Client, path: &str, body: &serde_json::Value) -> Reply {
    let request = client.request(Method::POST, path).header("X-Forwarded-For", address);
    client.run(request.json(body)).await
}

async fn try_password(address: &str, client: &Client, name: &str, password: &str) -> Reply {
    let body = json!({ "username": name, "password": password });
    from(address, client, "/api/auth/login/", &body).await
}

const RIGHT: &str = "correct horse battery staple";

async fn a_user_who_sends_too_much_waits_and_nobody_else_does(database: Database) {
    let pair = Pair::start_with(database, &[("RATE_LIMIT_SEND", "3")]).await;
    let (alice, carol) = (pair.a.client().join("alice").await, pair.a.client().join("carol").await);
    let body = json!({ "recipient": "carol", "content": "hello" });
    for left in [2, 1, 0] {
        let sent = alice.post("/api/messages/send/", &body).await.expect(201);
        assert_eq!(header(&sent, "ratelimit-policy"), "\"send\";q=3;w=10");
        assert!(header(&sent, "ratelimit").starts_with("\"send\";r="), "{sent:#?}");
        assert!((left..=left + 1).contains(&number(&sent, "ratelimit", "r")), "{sent:#?}");
        assert!((1..=10).contains(&number(&sent, "ratelimit", "t")), "{sent:#?}");
    }
    let refused = eventually("the bucket is empty", || async {
        let reply = alice.post("/api/messages/send/", &body).await;
        (reply.status == 429).then_some(reply)
    });
    let refused = refused.await.problem(429, "rate_limited");
    assert_eq!(number(&refused, "ratelimit", "r"), 0);
    assert!((1..=4).contains(&header(&refused, "retry-after").parse::<u32>().unwrap()));
    // Reading is not sending, and others have buckets of their own.
    alice.get("/api/chats/messages/").await.expect(200);
    carol.send("alice", "hello yourself").await;
    eventually("time passes", || async {
        (alice.post("/api/messages/send/", &body).await.status == 201).then_some(())
    })
    .await;
    pair.stop().await;
}

async fn names_of_one_action_share_a_bucket(database: Database) {
    let set = [("RATE_LIMIT_SEND", "2"), ("RATE_LIMIT_LOGIN", "2")];
    let pair = Pair::start_with(database, &set).await;
    let (alice, carol) = (pair.a.client().join("alice").await, pair.a.client().join("carol").await);
    let first = alice.send("carol", "one").await;
    let conversation = first["conversation"].as_str().unwrap();
    let into = json!({ "conversation": conversation, "content": "two" });
    let to = json!({ "recipient": "carol", "content": "three" });
    let edit = format!("/api/chats/messages/{}/", first["id"].as_str().unwrap());
    eventually("the bucket is empty for all of them", || async {
        let (into, to) = tokio::join!(
            alice.post("/api/chats/messages/", &into),
            alice.post("/api/messages/send", &to),
        );
        let edited = alice.patch(&edit, &json!({ "content": "four" })).await;
        let all = [into, to, edited];
        all.iter().all(|reply| reply.status == 429).then_some(())
    })
    .await;
    carol.send("alice", "mine is full").await;

    let wrong = json!({ "username": "carol", "password": "not the right one" });
    let anybody = pair.b.client();
    for path in ["/api/auth/login/", "/api/token/"] {
        anybody.post(path, &wrong).await.problem(401, "invalid_credentials");
    }
    for path in ["/api/auth/login/", "/api/login", "/api/token/"] {
        anybody.post(path, &wrong).await.problem(429, "rate_limited");
    }
    pair.stop().await;
}

async fn one_password_on_many_accounts_is_stopped_at_its_address(database: Database) {
    let set = [BEHIND_A_PROXY, ("RATE_LIMIT_LOGIN", "5")];
    let pair = Pair::start_with(database, &set).await;
    let alice = pair.a.client().join("alice").await;
    let anybody = pair.a.client();
    for number in 0..5 {
        let name = format!("user{number}");
        try_password("203.0.113.9", &anybody, &name, RIGHT)
            .await
            .problem(401, "invalid_credentials");
    }
    try_password("203.0.113.9", &anybody, "user5", RIGHT).await.problem(429, "rate_limited");
    // An IPv6 network counts as one address; its neighbour is another.
    for host in 1..=5 {
        let address = format!("2001:db8::{host}");
        try_password(&address, &anybody, "nobody", "x").await.expect(401);
    }
    try_password("2001:db8::ffff", &anybody, "nobody2", "x").await.problem(429, "rate_limited");
    try_password("2001:db8:0:1::1", &anybody, "nobody2", "x").await.expect(401);
    // From elsewhere everybody gets in, and who is in stays in.
    try_password("203.0.113.10", &anybody, "alice", RIGHT).await.expect(200);
    alice.get("/api/auth/me/").await.expect(200);
    pair.stop().await;
}

async fn many_passwords_on_one_account_are_stopped_wherever_they_come_from(database: Database) {
    let set = [BEHIND_A_PROXY, ("RATE_LIMIT_LOGIN_ACCOUNT", "5")];
    let pair = Pair::start_with(database, &set).await;
    pair.a.client().join("alice").await;
    let anybody = pair.a.client();
    // Whether there is such an account or not.
    for name in ["alice", "nobody"] {
        for number in 0..20 {
            // Other spellings are the same account.
            let name = if number % 2 == 0 { name.to_owned() } else { name.to_uppercase() };
            let address = format!("198.51.100.{number}");
            let reply = try_password(&address, &anybody, &name, &format!("guess {number}")).await;
            if number < 5 {
                reply.problem(401, "invalid_credentials");
            } else {
                let refused = reply.problem(429, "rate_limited");
                assert!(header(&refused, "retry-after").parse::<u32>().unwrap() >= 1);
            }
        }
    }
    pair.stop().await;
}

async fn guessing_locks_nobody_out(database: Database) {
    let set = [BEHIND_A_PROXY, ("RATE_LIMIT_LOGIN_ACCOUNT", "3")];
    let pair = Pair::start_with(database, &set).await;
    let anybody = pair.a.client();
    // Registers and logs in with no word of a proxy: from 127.0.0.1.
    let alice = pair.a.client().join("alice").await;
    // She has been at home before, and on the way, where only her session was refreshed.
    let home = "192.0.2.1";
    let tokens = try_password(home, &anybody, "alice", RIGHT).await.expect(200);
    let refresh = json!({ "refresh_token": tokens.str("refresh_token") });
    let tokens = from("192.0.2.77", &anybody, "/api/auth/refresh/", &refresh).await.expect(200);
    for number in 0..10 {
        let address = format!("198.51.100.{number}");
        try_password(&address, &anybody, "alice", "a guess").await;
    }
    try_password("198.51.100.99", &anybody, "alice", RIGHT).await.problem(429, "rate_limited");
    // Where she is known she is let in, as often as she likes; her session and its refresh token go on.
    for _ in 0..5 {
        try_password(home, &anybody, "alice", RIGHT).await.expect(200);
    }
    try_password("192.0.2.77", &anybody, "alice", RIGHT).await.expect(200);
    alice.get("/api/auth/me/").await.expect(200);
    let refresh = json!({ "refresh_token": tokens.str("refresh_token") });
    from("198.51.100.99", &anybody, "/api/auth/refresh/", &refresh).await.expect(200);
    // Guesses are limited from there as well, and hinder nobody but those of that address.
    for number in 0..3 {
        let reply = try_password(home, &anybody, "alice", &format!("guess {number}")).await;
        reply.problem(401, "invalid_credentials");
    }
    try_password(home, &anybody, "alice", RIGHT).await.problem(429, "rate_limited");
    try_password("192.0.2.77", &anybody, "alice", RIGHT).await.expect(200);
    pair.stop().await;
}

async fn only_log_ins_that_fail_count(database: Database) {
    let set = [("RATE_LIMIT_LOGIN", "2"), ("RATE_LIMIT_LOGIN_ACCOUNT", "2")];
    let pair = Pair::start_with(database, &set).await;
    let mut alice = pair.a.client().join("alice").await;
    for _ in 0..6 {
        alice.log_in().await;
    }
    let right = json!({ "username": "alice", "password": RIGHT });
    let reply = pair.a.client().post("/api/auth/login/", &right).await.expect(200);
    assert_eq!(header(&reply, "ratelimit-policy"), "\"login\";q=2;w=300");
    assert_eq!(number(&reply, "ratelimit", "r"), 2);
    pair.stop().await;
}

async fn a_client_cannot_choose_its_address(database: Database) {
    let pair = Pair::start_with(database, &[("RATE_LIMIT_LOGIN", "3")]).await;
    let anybody = pair.a.client();
    for number in 0..6 {
        let address = format!("198.51.100.{number}");
        let reply = try_password(&address, &anybody, "nobody", "x").await;
        assert_eq!(reply.status.as_u16(), if number < 3 { 401 } else { 429 }, "{number}");
    }
    pair.stop().await;
    let set = [BEHIND_A_PROXY, ("RATE_LIMIT_LOGIN", "3")];
    let pair = Pair::start_with(database, &set).await;
    let anybody = pair.a.client();
    for number in 0..6 {
        // The proxy adds the address it sees on the right.
        let chain = format!("198.51.100.{number}, 203.0.113.1, 127.0.0.9");
        let reply = try_password(&chain, &anybody, "nobody", "x").await;
        assert_eq!(reply.status.as_u16(), if number < 3 { 401 } else { 429 }, "{number}");
    }
    pair.stop().await;
}

async fn registrations_refreshes_and_lookups_have_buckets_of_their_own(database: Database) {
    let set =
        [("RATE_LIMIT_REGISTER", "2"), ("RATE_LIMIT_REFRESH", "2"), ("RATE_LIMIT_LOOKUP", "2")];
    let pair = Pair::start_with(database, &set).await;
    let alice = pair.a.client().join("alice").await;
    let anybody = pair.a.client();
    anybody.post("/api/register/", &json!({})).await.problem(400, "invalid");
    let refused = anybody.post("/api/auth/register/", &json!({})).await;
    let refused = refused.problem(429, "rate_limited");
    assert_eq!(header(&refused, "ratelimit-policy"), "\"register\";q=2;w=3600");

    let nonsense = json!({ "refresh_token": "x", "refresh": "x" });
    anybody.post("/api/refresh/", &nonsense).await.expect(401);
    anybody.post("/api/token/refresh/", &nonsense).await.expect(401);
    anybody.post("/api/auth/refresh/", &nonsense).await.problem(429, "rate_limited");

    let nobody = "/api/users/get_by_username/?username=nobody";
    alice.get(nobody).await.expect(404);
    let begin = json!({ "participants": ["nobody"] });
    alice.post("/api/chats/conversations/", &begin).await.expect(400);
    alice.get(nobody).await.problem(429, "rate_limited");
    // Who has no session does not even learn that.
    anybody.get(nobody).await.problem(401, "not_authenticated");
    alice.get("/api/auth/me/").await.expect(200);
    pair.stop().await;
}

async fn guesses_of_a_session_at_its_own_password_are_counted(database: Database) {
    let pair = Pair::start_with(database, &[("RATE_LIMIT_LOGIN_ACCOUNT", "2")]).await;
    let mut alice = pair.a.client().join("alice").await;
    let path = "/api/auth/password/change/";
    let change =
        json!({ "current_password": "a guess", "new_password": "plums of staple, thrice" });
    for _ in 0..2 {
        alice.post(path, &change).await.problem(403, "wrong_password");
    }
    alice.post(path, &change).await.problem(429, "rate_limited");
    alice.log_in().await;
    pair.stop().await;
}

/// How many of the next sends of a client are let through, alternating between the replicas.
async fn sends(clients: [&Client; 2], count: usize) -> usize {
    let body = json!({ "recipient": "carol", "content": "hello" });
    let mut sent = 0;
    for turn in 0..count {
        let reply = clients[turn % 2].post("/api/messages/send/", &body).await;
        assert!(reply.status == 201 || reply.status == 429, "{reply:#?}");
        sent += usize::from(reply.status == 201);
    }
    sent
}

/// What is left after a lookup.
async fn look(client: &Client) -> i64 {
    let reply = client.get("/api/users/get_by_username/?username=carol").await.expect(200);
    number(&reply, "ratelimit", "r")
}

/// Whether what one of them takes is missing for the other; two that count apart take turns at the same numbers.
async fn count_together(here: &Client, there: &Client) -> bool {
    let first = (look(here).await, look(there).await);
    let second = (look(here).await, look(there).await);
    first.0 > first.1 && first.1 > second.0 && second.0 > second.1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_count_together_in_redis_and_apart_while_it_is_away() {
    let Some(redis) = Redis::start().await else { return };
    if !Database::Postgres.is_to_be_tested() {
        return;
    }
    let wire = Wire::to(redis.address()).await;
    let url = format!("redis://{}", wire.address);
    let set = [("REDIS_URL", url.as_str()), ("RATE_LIMIT_LOOKUP", "1000")];
    let pair = Pair::start_with(Database::Postgres, &set).await;
    let mut replica = pair.a.replica().await;
    let here = pair.a.client().join("alice").await;
    let mut there = here.clone();
    there.base = replica.client().base;
    pair.a.client().join("carol").await;
    eventually("they count together", || async {
        count_together(&here, &there).await.then_some(())
    })
    .await;

    wire.disturb(Disturbance::Down);
    // Each has a full bucket of its own now, and is not slow: Redis is not waited for.
    assert_eq!(look(&here).await, 999);
    assert_eq!(look(&there).await, 999);
    let before = std::time::Instant::now();
    assert_eq!(sends([&here, &there], 10).await, 10);
    assert!(before.elapsed().as_secs() < 10, "{:?}", before.elapsed());

    wire.disturb(Disturbance::None);
    eventually("they count together again", || async {
        count_together(&here, &there).await.then_some(())
    })
    .await;
    replica.stop().await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_not_there_keeps_nothing_from_working() {
    let set = [("REDIS_URL", "redis://127.0.0.1:1"), ("RATE_LIMIT_SEND", "2")];
    let pair = Pair::start_with(Database::Sqlite, &set).await;
    let alice = pair.a.client().join("alice").await;
    pair.a.client().join("carol").await;
    eventually("it counts by itself", || async {
        (sends([&alice, &alice], 4).await < 4).then_some(())
    })
    .await;
    pair.stop().await;
}
