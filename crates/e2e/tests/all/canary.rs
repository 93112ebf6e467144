//! A whole run with texts that are easily found again, and a search for them in everything that is kept or sent:
//! databases with their WAL, the wire between the apps, and the logs of both, at the most talkative level.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::{Client, Database, ProcessPair, eventually, on_both_databases};
use http::Method;
use serde_json::json;
use sha2::{Digest, Sha256, Sha384, Sha512};

on_both_databases!(no_text_password_or_token_is_found_anywhere_outside_the_edge);

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// What anybody makes of the word that stands in every text here.
fn unkeyed_hashes() -> Vec<Vec<u8>> {
    const MD5: &str = "1a93b59c9a4c9da9b85259447e678c76";
    const SHA1: &str = "b47ddfd6afd2a9c383947c898d5b43ff0ef50eb8";
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|n| u8::from_str_radix(&hex[n..n + 2], 16).unwrap()).collect()
    };
    let mut hashes = vec![bytes(MD5), bytes(SHA1)];
    for word in ["canary", "canary\n"] {
        hashes.push(Sha256::digest(word).to_vec());
        hashes.push(Sha512::digest(word).to_vec());
        hashes.push(Sha384::digest(word).to_vec());
    }
    hashes
}

/// The first 64 bits of a hash, in every way in which they might be kept.
fn forms(hash: &[u8]) -> Vec<Vec<u8>> {
    let first: [u8; 8] = hash[..8].try_into().unwrap();
    let (big, little) = (i64::from_be_bytes(first), i64::from_le_bytes(first));
    vec![
        first.to_vec(),
        little.to_be_bytes().to_vec(),
        format!("{big:016x}").into_bytes(),
        format!("{little:016x}").into_bytes(),
        format!("{big}").into_bytes(),
        format!("{little}").into_bytes(),
    ]
}

/// What the apps have sent each other to find messages by, as bytes.
fn terms_on(wire: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(wire).into_owned();
    let sent = text.split("\"terms\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    sent.flat_map(|terms| URL_SAFE_NO_PAD.decode(terms).unwrap()).collect()
}

async fn arrives(client: &Client, conversation: &str, text: &str) {
    eventually("the text arrives", || async {
        client.read(conversation).await.contains(&text.to_owned()).then_some(())
    })
    .await;
}

/// What is refused must not be kept or logged either.
async fn be_refused(alice: &Client) {
    for (body, status) in [
        (r#"{"conversation":"canary-five","content":"canary-six"}"#.to_owned(), 400),
        (r#"{"content":{"text":"canary-seven"}}"#.to_owned(), 400),
        (r#"{"content":"canary-eight"#.to_owned(), 400),
        (json!({ "recipient": "nobody-there", "content": "canary-nine" }).to_string(), 404),
        (json!({ "recipient": "bob@app-b", "content": format!("canary-ten{}", "x".repeat(20_000)) }).to_string(), 400),
    ] {
        let request = alice.request(Method::POST, "/api/messages/send/");
        let reply = alice.run(request.header("content-type", "application/json").body(body)).await;
        let reply = reply.expect(status);
        assert!(!reply.text.contains("canary"), "{reply:#?}");
    }
    let wrong = json!({ "username": alice.name, "password": "canary-eleven" });
    alice.post("/api/auth/login/", &wrong).await.expect(401);
}

/// The words of a search go no further than those of a text.
async fn search(alice: &Client, bob: &Client) {
    for query in ["search=canary+SINGS", "search=Canary%21&page_size=1", "se%61rch=%63anary"] {
        for path in ["/api/chats/messages/", "/api/messages/inbox/"] {
            alice.get(&format!("{path}?{query}")).await.expect(200);
        }
    }
    let found = bob.get("/api/chats/messages/?search=CANARY").await.expect(200);
    assert!(found.json["count"].as_i64() >= Some(2), "{found:#?}");
    alice.get(&format!("/api/chats/messages/?search=canary{}", "x".repeat(99))).await.expect(400);
    alice.get("/api/messages/inbox/").await.expect(200);
    bob.get("/api/chats/conversations/").await.expect(200);
}

async fn no_text_password_or_token_is_found_anywhere_outside_the_edge(database: Database) {
    let mut pair = ProcessPair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    let ticket = bob.post("/api/ws/ticket/", &json!({})).await.expect(201).str("ticket");
    let path = format!("/api/ws/?ticket={ticket}");
    let mut bobs = pair.b.client().socket_at(&path).await.expect("a socket");
    let mut alices = alice.socket().await;
    let sent = alice.send("bob@app-b", "canary-one sings").await;
    let conversation = sent["conversation"].as_str().unwrap().to_owned();
    arrives(&bob, &conversation, "canary-one sings").await;
    // Sockets show it, and what is said over them leaves no trace either.
    for socket in [&mut alices, &mut bobs] {
        let frame = socket.of_type("message.created").await;
        assert_eq!(frame["data"]["content"], "canary-one sings");
        let typing = json!({ "type": "typing", "conversation": conversation, "active": true });
        socket.say(&typing).await;
        socket.say(&json!({ "type": "canary-twelve", "content": "canary-thirteen" })).await;
        let error = socket.of_type("error").await.to_string();
        assert!(!error.contains("canary"), "{error}");
    }
    bob.send("alice@app-a", "canary-two answers").await;
    arrives(&alice, &conversation, "canary-two answers").await;
    let path = format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap());
    alice.patch(&path, &json!({ "content": "canary-three has been edited" })).await.expect(200);
    arrives(&bob, &conversation, "canary-three has been edited").await;
    let deleted = alice.send("bob@app-b", "canary-four goes").await;
    let path = format!("/api/chats/messages/{}/", deleted["id"].as_str().unwrap());
    alice.delete(&path).await.expect(204);
    be_refused(&alice).await;
    search(&alice, &bob).await;
    eventually("everything is settled", || async {
        let list = alice.get("/api/chats/messages/").await.expect(200);
        list.results().iter().all(|message| message["status"] != "queued").then_some(())
    })
    .await;

    let mut places = Vec::new();
    // Once while the apps run, with the WAL as it is, and once after they have stopped.
    places.push(("database of A, running", pair.a.storage.dump().await));
    places.push(("database of B, running", pair.b.storage.dump().await));
    places.push(("metrics of A", pair.a.metrics().await.into_bytes()));
    places.push(("metrics of B", pair.b.metrics().await.into_bytes()));
    assert!(pair.a.terminate().await && pair.b.terminate().await);
    places.push(("database of A", pair.a.storage.dump().await));
    places.push(("database of B", pair.b.storage.dump().await));
    places.push(("wire from A", pair.a_to_b.recorded()));
    places.push(("wire from B", pair.b_to_a.recorded()));
    places.push(("terms on the wire from A", terms_on(&pair.a_to_b.recorded())));
    places.push(("log of A", pair.a.log()));
    places.push(("log of B", pair.b.log()));
    let secrets = [&alice, &bob]
        .map(|client| [client.token.clone().unwrap(), client.refresh.clone().unwrap()]);
    for (place, bytes) in &places {
        assert!(!holds(bytes, "canary"), "a text is in the {place}");
        assert!(!holds(bytes, "correct horse"), "a password is in the {place}");
        assert!(!holds(bytes, "@example.org"), "an e-mail address is in the {place}");
        assert!(!holds(bytes, &ticket), "a ticket is in the {place}");
        for secret in secrets.iter().flatten() {
            assert!(!holds(bytes, secret), "a token is in the {place}");
        }
        for hash in unkeyed_hashes() {
            for form in forms(&hash) {
                let found = bytes.windows(form.len()).any(|window| window == form);
                assert!(!found, "a hash of a word that anybody can make is in the {place}");
            }
        }
        // The search does find what is there.
        if place.starts_with("log") {
            assert!(holds(bytes, "serving") && holds(bytes, "received"), "{place}");
        } else if place.starts_with("metrics") {
            assert!(holds(bytes, "messaging_http_requests_in_flight"), "{place}");
        } else if place.starts_with("terms") {
            assert!(bytes.len() > 5 * 8, "there are {place}");
        } else {
            assert!(holds(bytes, "gAAAA"), "there are Fernet tokens in the {place}");
        }
    }
    // One request is followed by its trace from the log of one app to that of the other.
    let log = |process: &e2e::Process| String::from_utf8_lossy(&process.log()).into_owned();
    let (a, b) = (log(&pair.a), log(&pair.b));
    let received = b
        .lines()
        .find(|line| line.contains("received") && line.contains("\"message\":"))
        .expect("a log line");
    let line: serde_json::Value = serde_json::from_str(received).expect("JSON lines");
    let trace = line["trace"].as_str().expect("a trace");
    assert!(
        a.lines().any(|line| line.contains(trace) && line.contains("stored")),
        "{trace} is in the log of A"
    );
}
