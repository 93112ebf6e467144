//! PostgreSQL and Redis, reached over TLS.

use e2e::{Authority, Client, Database, Postgres, Process, ProcessPair, Redis, Wire, eventually};
use serde_json::Value;

const HERE: &str = "127.0.0.1";

/// Fails unless a message of Alice on AppA reaches Bob on AppB.
async fn a_message_goes_through(pair: &ProcessPair) {
    let (alice, bob): (Client, Client) =
        (pair.a.client().join("alice*").await, pair.b.client().join("bob*").await);
    alice.send(&bob.address(), "over TLS").await;
    eventually("the message arrives", || async {
        let inbox = bob.get("/api/messages/inbox/").await.expect(200);
        inbox.results().iter().any(|message| message["content"] == "over TLS").then_some(())
    })
    .await;
}

/// What the doctor says of an area.
fn doctor(app: &Process, area: &str) -> Vec<(String, String)> {
    let output = app.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let lines = report["checks"].as_array().expect("lines").iter();
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    lines
        .filter(|line| line["area"] == area)
        .map(|line| (text(line, "state"), text(line, "message") + " " + &text(line, "remedy")))
        .collect()
}

#[track_caller]
fn expect(lines: &[(String, String)], state: &str, says: &str) {
    let found = lines.iter().any(|(known, said)| known == state && said.contains(says));
    assert!(found, "{state}, {says}: {lines:#?}");
}

/// Fails unless the app does not start, and says this.
#[track_caller]
fn expect_no_start(app: &Process, says: &str) {
    let output = app.run(&["serve"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the database cannot be used") && said.contains(says), "{says}: {said}");
}

fn holds(wire: &Wire, what: &str) -> bool {
    wire.recorded().windows(what.len()).any(|window| window == what.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_spoken_to_over_tls_and_only_where_it_is_the_one_that_is_meant() {
    let Some(postgres) = Postgres::start().await else { return };
    let (authority, stranger) = (Authority::new(), Authority::new());
    let wire = Wire::to(postgres.address()).await;
    let mut pair = ProcessPair::prepare(Database::Sqlite).await;
    let plain = postgres.database(wire.address).await;
    let write = |name: &str, pem: &str| {
        let path = pair.a.folder().join(name);
        std::fs::write(&path, pem).expect("a file");
        path.display().to_string()
    };
    let (known, unknown) = (write("ca.pem", &authority.pem), write("stranger.pem", &stranger.pem));
    let verified = |authority: &str| format!("{plain}?sslmode=verify-full&sslrootcert={authority}");

    // Who asks for TLS gets it, or no connection.
    pair.a.set("DATABASE_URL", &verified(&known));
    expect_no_start(&pair.a, "server does not support TLS");
    pair.a.set("DATABASE_URL", &verified("/nowhere.pem"));
    expect_no_start(&pair.a, "/nowhere.pem cannot be read");
    pair.a.set("DATABASE_URL", &verified(&known));
    postgres.show(&authority.issue(HERE)).await;
    eventually("the server speaks TLS", || async {
        pair.a.run(&["migrate"]).status.success().then_some(())
    })
    .await;
    let before = wire.recorded().len();
    assert!(!holds(&wire, "CREATE TABLE"));
    pair.a.start().await;
    pair.b.start().await;
    a_message_goes_through(&pair).await;
    assert!(wire.recorded().len() > before && !holds(&wire, "gAAAA") && !holds(&wire, "INSERT"));
    expect(&doctor(&pair.a, "database"), "ok", "encrypted (TLSv1.3), and the server is verified");

    // One that shows a certificate of somebody else, or for another name, is told nothing.
    assert!(pair.a.terminate().await);
    pair.a.set("DATABASE_URL", &verified(&unknown));
    expect_no_start(&pair.a, "invalid peer certificate");
    expect(&doctor(&pair.a, "database"), "failure", "sslrootcert=FILE");
    pair.a.set("DATABASE_URL", &verified(&known));
    postgres.show(&authority.issue("elsewhere.example.org")).await;
    eventually("the server shows another certificate", || async {
        let said = String::from_utf8_lossy(&pair.a.run(&["migrate"]).stderr).into_owned();
        said.contains("not valid for name").then_some(())
    })
    .await;

    // Without a word about TLS it is used where the server has it, and nobody is verified.
    pair.a.set("DATABASE_URL", &plain);
    expect(&doctor(&pair.a, "database"), "ok", "is not verified (sslmode=verify-full)");
    pair.a.set("DATABASE_URL", &format!("{plain}?sslmode=disable"));
    expect(&doctor(&pair.a, "database"), "ok", "is not encrypted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_spoken_to_over_tls_and_only_where_it_is_the_one_that_is_meant() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let Some(redis) = Redis::start_over_tls(&authority).await else { return };
    let (watched, wire) = (redis.watched().await, Wire::to(redis.tls_address()).await);
    let mut pair = ProcessPair::prepare(Database::Sqlite).await;
    pair.a.set("REDIS_URL", &format!("rediss://{}", wire.address));
    pair.a.keep("REDIS_CA_FILE", &authority.pem);
    pair.a.start().await;
    pair.b.start().await;
    a_message_goes_through(&pair).await;
    assert!(!wire.recorded().is_empty() && !holds(&wire, "messaging:app-a"));
    expect(&doctor(&pair.a, "redis"), "ok", "over TLS, verified");
    assert!(!pair.a.has_logged("Redis is away"));

    // One that the authority has not signed for is away, and the app goes on without it.
    pair.a.kill();
    pair.a.keep("REDIS_CA_FILE", &stranger.pem);
    pair.a.start().await;
    expect(&doctor(&pair.a, "redis"), "failure", "REDIS_CA_FILE");
    pair.a.client().join("anna").await;
    eventually("the log says why", || async {
        let said =
            pair.a.has_logged("Redis is away") && pair.a.has_logged("invalid peer certificate");
        said.then_some(())
    })
    .await;

    // A file that is none stops the start.
    pair.a.kill();
    pair.a.keep("REDIS_CA_FILE", "no certificate");
    let output = pair.a.run(&["serve"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.code() == Some(1) && said.contains("there is no certificate in it"),
        "{said}"
    );

    let mut redis = redis;
    redis.kill();
    let passed = String::from_utf8_lossy(&watched.await.expect("what has passed")).into_owned();
    assert!(passed.contains("messaging:app-a") && passed.contains("SUBSCRIBE"), "{passed}");
}
