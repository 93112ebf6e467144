//! A proxy before a peer that takes smaller bodies than the peer does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use e2e::{Client, Database, Disturbance, ProcessPair, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(
    a_proxy_that_takes_small_bodies_gets_small_batches_and_one_event_too_large_fails_alone,
    a_proxy_that_takes_nothing_at_all_costs_no_message,
);

/// What the proxy takes, unless a test says otherwise.
const LIMIT: usize = 64 * 1024;
/// Longer than that by itself, once it is sealed.
const HUGE: &str = "🦀";

/// A proxy that answers 413 to bodies above a limit, as nginx does.
#[derive(Clone)]
struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<Passage>>,
}

struct Passage {
    target: SocketAddr,
    limit: Option<usize>,
    http: reqwest::Client,
    /// Bytes of each batch, and whether it was passed on.
    batches: Vec<(usize, bool)>,
}

impl Proxy {
    async fn before(target: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let passage = Passage { target, limit: Some(LIMIT), http, batches: Vec::new() };
        let state = Arc::new(Mutex::new(passage));
        let router = Router::new().fallback(Self::pass).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    async fn pass(State(state): State<Arc<Mutex<Passage>>>, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let (target, http, passes) = {
            let mut state = state.lock().unwrap();
            let passes = state.limit.is_some_and(|limit| body.len() <= limit);
            if parts.uri.path() == "/relay/v1/events/" {
                state.batches.push((body.len(), passes));
            }
            (state.target, state.http.clone(), passes)
        };
        if !passes {
            let page = "<html><h1>413 Request Entity Too Large</h1></html>";
            return Response::builder().status(413).body(Body::from(page)).unwrap();
        }
        let url = format!("http://{target}{}", parts.uri);
        let request = http.request(parts.method, url).headers(parts.headers).body(body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body = answer.bytes().await.unwrap();
        Response::builder().status(status).body(Body::from(body)).unwrap()
    }

    /// Takes bodies of so many bytes from now on; none at all without a limit.
    fn take(&self, limit: Option<usize>) {
        self.state.lock().unwrap().limit = limit;
    }

    /// Bytes of the batches that it has passed on, or has not.
    fn batches(&self, passed: bool) -> Vec<usize> {
        let state = self.state.lock().unwrap();
        let batches = state.batches.iter().filter(|(_, passes)| *passes == passed);
        batches.map(|(bytes, _)| *bytes).collect()
    }
}

fn path(message: &Value) -> String {
    format!("/api/chats/messages/{}/", message["id"].as_str().unwrap())
}

async fn status(client: &Client, message: &Value) -> (String, Value) {
    let message = client.get(&path(message)).await.expect(200);
    (message.str("status"), message.json["status_reason"].clone())
}

/// Alice and Bob, who know each other, and all that Alice has for Bob waits.
async fn start(database: Database) -> (ProcessPair, Proxy, Client, Client, String) {
    let pair = ProcessPair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let sent = alice.send("bob@app-b", "0").await;
    let conversation = sent["conversation"].as_str().unwrap().to_owned();
    eventually("they are acquainted", || async {
        (bob.read(&conversation).await == ["0"]).then_some(())
    })
    .await;
    let proxy = Proxy::before(pair.b.bind).await;
    pair.a_to_b.disturb(Disturbance::Down);
    (pair, proxy, alice, bob, conversation)
}

async fn a_proxy_that_takes_small_bodies_gets_small_batches_and_one_event_too_large_fails_alone(
    database: Database,
) {
    let (pair, proxy, alice, bob, conversation) = start(database).await;
    let mut expected = vec!["0".to_owned()];
    let first = alice.send("bob@app-b", "edited in vain").await;
    expected.push("edited in vain".to_owned());
    let mut huge = None;
    for number in 1..=40 {
        if number == 20 {
            huge = Some(alice.send("bob@app-b", &HUGE.repeat(20_000)).await);
        }
        let text = format!("{number} {}", "long ".repeat(600));
        alice.send("bob@app-b", &text).await;
        expected.push(text);
    }
    let huge = huge.unwrap();
    pair.a_to_b.lead_to(proxy.address);
    bob.send("alice@app-a", "are you there?").await;
    let arrived = || async {
        let mut texts = bob.read(&conversation).await;
        texts.retain(|text| text != "are you there?");
        (texts == expected).then_some(())
    };
    eventually("all but one arrive, in order", arrived).await;
    assert_eq!(status(&alice, &huge).await, ("failed".to_owned(), json!("too_large")));
    let says = "an event is too large for the peer, or for a proxy before it, and was given up";
    assert!(pair.a.has_logged(says));
    assert!(pair.a.has_logged("a batch is too large for the peer, or for a proxy before it"));
    let (passed, refused) = (proxy.batches(true), proxy.batches(false));
    assert!(!refused.is_empty() && refused.len() <= 8, "{refused:?}");
    assert!(passed.iter().any(|bytes| *bytes > LIMIT / 3), "they are not tiny: {passed:?}");

    // An edit that is too large is given up as well, and what comes behind it passes.
    let body = json!({ "content": HUGE.repeat(20_000) });
    alice.patch(&path(&first), &body).await.expect(200);
    alice.send("bob@app-b", "after the edit").await;
    expected.push("after the edit".to_owned());
    eventually("what comes behind an edit that is too large arrives", || async {
        let mut texts = bob.read(&conversation).await;
        texts.retain(|text| text != "are you there?");
        (texts == expected).then_some(())
    })
    .await;

    // Once the proxy takes more, what has failed can be sent again.
    proxy.take(Some(8 * 1024 * 1024));
    pair.a.succeed(&["outbox", "retry", "--peer", "app-b"]);
    eventually("it arrives after all", || async {
        (status(&alice, &huge).await.0 != "failed").then_some(())
    })
    .await;
    eventually("and it is the right one", || async {
        bob.read(&conversation).await.contains(&HUGE.repeat(20_000)).then_some(())
    })
    .await;
}

async fn a_proxy_that_takes_nothing_at_all_costs_no_message(database: Database) {
    let (pair, proxy, alice, bob, conversation) = start(database).await;
    proxy.take(None);
    let mut sent = Vec::new();
    for number in 1..=3 {
        sent.push(alice.send("bob@app-b", &number.to_string()).await);
    }
    pair.a_to_b.lead_to(proxy.address);
    eventually("it is tried again and again", || async {
        (proxy.batches(false).len() > 12).then_some(())
    })
    .await;
    for message in &sent {
        assert_eq!(status(&alice, message).await, ("queued".to_owned(), Value::Null));
    }
    let peers: Value =
        serde_json::from_str(&pair.a.succeed(&["peers", "--json"])).expect("it is JSON");
    assert!(peers.to_string().contains("\"too_large\""), "{peers:#}");
    proxy.take(Some(LIMIT));
    bob.send("alice@app-a", "are you there?").await;
    eventually("all of them arrive", || async {
        let mut texts = bob.read(&conversation).await;
        texts.retain(|text| text != "are you there?");
        (texts == ["0", "1", "2", "3"]).then_some(())
    })
    .await;
}
