//! Search in sealed messages: what is found, by whom, and what never is.

use std::collections::BTreeSet;

use e2e::{Client, Database, Disturbance, Instance, Pair, Reply, eventually, on_both_databases};
use messenger::config::Secret;
use messenger::db::Db;
use messenger::search::{self, Progress};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use shared::encryption::Keyring;

use crate::support::sql::Sql;

on_both_databases!(
    what_was_just_sent_is_found_on_both_apps,
    words_are_found_in_any_case_script_and_order,
    a_search_combines_with_filters_orders_and_pages,
    an_edited_message_is_found_by_its_new_text_and_a_deleted_one_by_none,
    a_changed_message_is_found_as_the_peer_has_it_last,
    who_does_not_see_a_message_does_not_find_it,
    a_search_that_cannot_find_anything_says_why,
    a_message_is_found_whichever_key_sealed_it,
    what_came_without_terms_is_found_after_reindex,
    a_search_finds_what_reading_everything_would_find,
    a_long_text_is_found_by_every_word,
);

const LIST: &str = "/api/chats/messages/";

async fn search_at(client: &Client, path: &str, words: &str, more: &[(&str, &str)]) -> Reply {
    let request = client.request(http::Method::GET, path).query(&[("search", words)]).query(more);
    client.run(request).await
}

fn texts(reply: &Reply) -> Vec<String> {
    reply.results().iter().map(|m| m["content"].as_str().unwrap().to_owned()).collect()
}

/// The texts that a user finds, the newest first.
async fn find(client: &Client, words: &str) -> Vec<String> {
    let reply = search_at(client, LIST, words, &[]).await.expect(200);
    assert_eq!(reply.json["count"], reply.results().len());
    texts(&reply)
}

async fn finds(client: &Client, words: &str, expected: &[&str]) {
    eventually(&format!("{words} is found by {}", client.name), || async {
        (find(client, words).await == expected).then_some(())
    })
    .await;
}

fn id(message: &Value, key: &str) -> String {
    message[key].as_str().unwrap().to_owned()
}

async fn two(database: Database) -> (Pair, Client, Client) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    (pair, alice, bob)
}

async fn what_was_just_sent_is_found_on_both_apps(database: Database) {
    let (pair, alice, bob) = two(database).await;
    for number in 0..30 {
        let text = format!("Message number {number}, about the harbour");
        alice.send("bob@app-b", &text).await;
        assert_eq!(find(&alice, &format!("HARBOUR {number}")).await, [text]);
    }
    finds(&bob, "harbour 29", &["Message number 29, about the harbour"]).await;
    bob.send("alice@app-a", "Which harbour?").await;
    assert_eq!(find(&bob, "which").await, ["Which harbour?"]);
    finds(&alice, "which harbour", &["Which harbour?"]).await;
    assert_eq!(find(&alice, "harbor").await, [""; 0]);
    assert_eq!(find(&alice, "harb").await, [""; 0], "whole words alone");
    assert_eq!(search_at(&alice, LIST, "harbour", &[]).await.expect(200).json["count"], 31);
    pair.stop().await;
}

async fn words_are_found_in_any_case_script_and_order(database: Database) {
    let (pair, alice, bob) = two(database).await;
    let texts = [
        ("Le Café de l’Été ferme à 8h", "cafe ETE"),
        ("Die Straße nach Køge", "STRASSE koge"),
        ("Ο δρόμος της ΟΔΟΣ", "οδος"),
        ("Ёлка и йод", "елка"),
        ("שָׁלוֹם עולם", "שלום"),
        ("مُحَمَّد هنا", "محمد"),
        ("今日は日本語で書く", "日本語"),
        ("मेरा नाम", "नाम"),
        ("I ❤️ 🦀 👍🏽", "👍 🦀 ❤"),
        ("100% sure, snake_case *bold* \"quoted\"", "case 100 quoted bold"),
        ("don't panic", "don’t"),
    ];
    for (text, _) in texts {
        alice.send("bob@app-b", text).await;
    }
    for (text, words) in texts {
        assert_eq!(find(&alice, words).await, [text], "{words}");
        finds(&bob, words, &[text]).await;
    }
    // What would be a wildcard or an operator elsewhere is nothing, or a word, here.
    for (words, found) in [
        ("sur%", 0),
        ("sur*", 0),
        ("sure%", 1),
        ("panic*", 1),
        ("p_nic", 0),
        ("sure OR panic", 0),
        ("NOT sure", 0),
        ("sure -panic", 0),
        ("terms:sure", 0),
        ("\"sure snake\"", 1),
        ("sure') --", 1),
        ("^sure", 1),
        ("NEAR(sure bold)", 0),
    ] {
        assert_eq!(find(&alice, words).await.len(), found, "{words}");
    }
    pair.stop().await;
}

async fn a_search_combines_with_filters_orders_and_pages(database: Database) {
    let (pair, alice, bob) = two(database).await;
    let carol = pair.a.client().join("carol").await;
    let first = alice.send("bob@app-b", "common one").await;
    let with_bob = id(&first, "conversation");
    let second = carol.send("alice", "common two").await;
    let with_carol = id(&second, "conversation");
    finds(&bob, "common", &["common one"]).await;
    let answer =
        json!({ "conversation": with_bob, "content": "common three", "parent": first["id"] });
    bob.post(LIST, &answer).await.expect(201);
    finds(&alice, "common three", &["common three"]).await;
    alice.send("carol", "rare").await;

    let with = async |more: &[(&str, &str)]| {
        let reply = search_at(&alice, LIST, "common", more).await.expect(200);
        assert_eq!(reply.json["count"], reply.results().len(), "{more:?}");
        texts(&reply)
    };
    assert_eq!(with(&[]).await, ["common three", "common two", "common one"]);
    let oldest = with(&[("ordering", "created_at")]).await;
    assert_eq!(oldest, ["common one", "common two", "common three"]);
    assert_eq!(with(&[("user", "bob@app-b")]).await, ["common three"]);
    assert_eq!(with(&[("conversation", &with_bob)]).await, ["common three", "common one"]);
    assert_eq!(with(&[("parent", &id(&first, "id"))]).await, ["common three"]);
    assert_eq!(with(&[("start_date", &id(&second, "created_at"))]).await[1..], ["common two"]);
    assert_eq!(with(&[("end_date", "2001-01-01")]).await, [""; 0]);
    let path = format!("/api/chats/conversations/{with_carol}/messages/");
    assert_eq!(texts(&search_at(&alice, &path, "common", &[]).await.expect(200)), ["common two"]);
    let inbox = "/api/messages/inbox/";
    let reply = search_at(&alice, inbox, "Common", &[("unread", "true")]).await.expect(200);
    assert_eq!(texts(&reply), ["common three", "common two"]);

    // The links lead on, with what the client has searched for.
    let reply = search_at(&alice, LIST, "ünd common", &[]).await.expect(200);
    assert_eq!(reply.results().len(), 0);
    let mut reply = search_at(&alice, LIST, "Cömmon", &[("page_size", "1")]).await.expect(200);
    let mut pages = Vec::new();
    loop {
        assert_eq!(reply.json["count"], 3);
        pages.extend(texts(&reply));
        let Some(next) = reply.json["next"].as_str() else { break };
        assert!(next.contains("search=C%C3%B6mmon"), "{next}");
        reply = alice.get(next.strip_prefix(&alice.base).unwrap()).await.expect(200);
    }
    assert_eq!(pages, ["common three", "common two", "common one"]);
    assert!(reply.str("previous").contains("search="));
    pair.stop().await;
}

async fn an_edited_message_is_found_by_its_new_text_and_a_deleted_one_by_none(database: Database) {
    let (pair, alice, bob) = two(database).await;
    let sent = alice.send("bob@app-b", "the first words").await;
    finds(&bob, "first", &["the first words"]).await;
    let path = format!("{LIST}{}/", id(&sent, "id"));
    alice.patch(&path, &json!({ "content": "the second words" })).await.expect(200);
    assert_eq!(find(&alice, "first").await, [""; 0]);
    assert_eq!(find(&alice, "second").await, ["the second words"]);
    finds(&bob, "second words", &["the second words"]).await;
    assert_eq!(find(&bob, "first").await, [""; 0]);
    // Without a word there is nothing to find it by.
    alice.patch(&path, &json!({ "content": "…!" })).await.expect(200);
    assert_eq!(find(&alice, "second").await, [""; 0]);
    alice.patch(&path, &json!({ "content": "third words" })).await.expect(200);
    assert_eq!(find(&alice, "third").await, ["third words"]);
    finds(&bob, "third", &["third words"]).await;
    alice.delete(&path).await.expect(204);
    assert_eq!(find(&alice, "third").await, [""; 0]);
    finds(&bob, "words", &[]).await;
    pair.stop().await;
}

async fn a_changed_message_is_found_as_the_peer_has_it_last(database: Database) {
    let (pair, alice, bob) = two(database).await;
    alice.send("bob@app-b", "before").await;
    finds(&bob, "before", &["before"]).await;
    pair.a_to_b.disturb(Disturbance::Down);
    let (edited, deleted) =
        (alice.send("bob@app-b", "one draft").await, alice.send("bob@app-b", "two draft").await);
    let path = |message: &Value| format!("{LIST}{}/", id(message, "id"));
    for text in ["one redraft", "one final"] {
        alice.patch(&path(&edited), &json!({ "content": text })).await.expect(200);
    }
    alice.delete(&path(&deleted)).await.expect(204);
    pair.a_to_b.disturb(Disturbance::None);
    finds(&bob, "final", &["one final"]).await;
    assert_eq!(find(&bob, "draft").await, [""; 0]);
    assert_eq!(find(&bob, "redraft").await, [""; 0]);
    pair.stop().await;
}

async fn who_does_not_see_a_message_does_not_find_it(database: Database) {
    let (pair, alice, bob) = two(database).await;
    let carol = pair.a.client().join("carol").await;
    let group = json!({ "participants": ["bob@app-b", "carol"], "title": "Three" });
    let group = alice.post("/api/chats/conversations/", &group).await.expect(201);
    let write = async |client: &Client, text: &str| {
        let body = json!({ "conversation": group.json["id"], "content": text });
        client.post(LIST, &body).await.expect(201).json
    };
    let last = write(&alice, "secret before").await;
    write(&alice, "secret after").await;
    alice.send("bob@app-b", "secret of two").await;
    let mut sql = Sql::open(&pair.a.storage).await;
    let me = carol.get("/api/auth/me/").await.expect(200).str("id");
    let left = format!(
        "UPDATE participants SET left_at = (SELECT created_at FROM messages WHERE id = {})
         WHERE user_id = {} AND conversation_id = {}",
        sql.id(&id(&last, "id")),
        sql.id(&me),
        sql.id(&group.str("id")),
    );
    sql.change(&left).await;
    assert_eq!(find(&carol, "secret").await, ["secret before"]);
    assert_eq!(find(&alice, "secret").await.len(), 3);
    finds(&bob, "secret", &["secret of two", "secret after", "secret before"]).await;
    let stranger = pair.b.client().join("dave").await;
    assert_eq!(find(&stranger, "secret").await, [""; 0]);
    let path = format!("/api/chats/conversations/{}/messages/", group.str("id"));
    search_at(&stranger, &path, "secret", &[]).await.expect(404);
    let mut nobody = stranger;
    nobody.token = None;
    search_at(&nobody, LIST, "secret", &[]).await.expect(401);
    pair.stop().await;
}

async fn a_search_that_cannot_find_anything_says_why(database: Database) {
    let (pair, alice, _) = two(database).await;
    let sent = alice.send("bob@app-b", "something to find").await;
    let many = (0..33).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    let bad = [
        ("", "no word"),
        ("   ", "no word"),
        ("%", "no word"),
        ("*\"'_-", "no word"),
        ("\0", "no word"),
        ("\u{fffd}", "no word"),
        (&"x".repeat(65), "64"),
        (&format!("something {}", "x".repeat(65)), "64"),
        (&many, "32"),
        (&"word ".repeat(101), "500"),
        (&"x".repeat(10_000), "500"),
        (&"%".repeat(10_000), "500"),
    ];
    let conversation = format!("/api/chats/conversations/{}/messages/", id(&sent, "conversation"));
    for path in [LIST, LIST.trim_end_matches('/'), "/api/messages/inbox/", &conversation] {
        for (words, why) in bad {
            let reply = search_at(&alice, path, words, &[]).await.expect(400);
            assert_eq!(reply.code(), "invalid");
            let error = reply.json["errors"]["search"][0].as_str().unwrap_or_default();
            assert!(error.contains(why), "{words}: {reply:#?}");
        }
        for query in ["search", "search=", "search=%ff", "search=%", "se%61rch=%2A", "search=%00"] {
            alice.get(&format!("{path}?{query}")).await.expect(400);
        }
    }
    // The first counts, whatever else is there and however it is spelt.
    for query in
        ["search=find&search=nothing", "se%61rch=find", "x=1&search=find&&y", "search=f%69nd+to"]
    {
        let reply = alice.get(&format!("{LIST}?{query}")).await.expect(200);
        assert_eq!(texts(&reply), ["something to find"], "{query}");
    }
    // Where other things are listed, a search is another matter.
    alice.get("/api/chats/conversations/?search=%25").await.expect(200);
    pair.stop().await;
}

/// Makes the terms anew, as the command does.
async fn reindex(instance: &Instance, all: bool) -> Progress {
    let keyring = Keyring::parse(instance.config.fernet_keys.expose()).unwrap();
    let db = Db::open(&instance.storage.url).await.unwrap();
    let mut steps = 0;
    let progress = search::reindex(&db, &keyring, all, |_| steps += 1).await.unwrap();
    assert_eq!(steps > 0, progress.renewed + progress.unreadable > 0);
    db.close().await;
    progress
}

async fn a_message_is_found_whichever_key_sealed_it(database: Database) {
    let (mut pair, mut alice, bob) = two(database).await;
    alice.send("bob@app-b", "under the old key").await;
    finds(&bob, "key", &["under the old key"]).await;
    let old = pair.a.config.fernet_keys.expose().to_owned();
    let both = Secret::new(format!("{},{old}", Keyring::generate_key()));
    for app in [&mut pair.a, &mut pair.b] {
        app.stop().await;
        app.config.fernet_keys = both.clone();
        app.start().await;
    }
    alice.log_in().await;
    alice.send("bob@app-b", "under the new key").await;
    let all = ["under the new key", "under the old key"];
    assert_eq!(find(&alice, "under key").await, all);
    finds(&bob, "the KEY", &all).await;
    // The words of a search must be found together, not one under each key.
    assert_eq!(find(&alice, "old new").await, [""; 0]);
    let done = reindex(&pair.a, false).await;
    assert_eq!((done.renewed, done.unreadable, done.messages), (1, 0, 2));
    assert_eq!(reindex(&pair.a, false).await.renewed, 0, "what is done is done");
    assert_eq!(reindex(&pair.a, true).await.renewed, 2);
    assert_eq!(find(&alice, "under key").await, all);
    pair.stop().await;
}

async fn what_came_without_terms_is_found_after_reindex(database: Database) {
    let (mut pair, alice, bob) = two(database).await;
    alice.send("bob@app-b", "greeting").await;
    finds(&bob, "greeting", &["greeting"]).await;
    // As a peer of an older release sends it.
    pair.a_to_b.disturb(Disturbance::Down);
    let sent = alice.send("bob@app-b", "sent without terms").await;
    // A sender that had read it before would send it as it was.
    pair.a.stop().await;
    let mut sql = Sql::open(&pair.a.storage).await;
    let row = sql.id(&id(&sent, "id"));
    sql.change(&format!("UPDATE messages SET terms = NULL WHERE id = {row}")).await;
    pair.a.start().await;
    pair.a_to_b.disturb(Disturbance::None);
    let conversation = id(&sent, "conversation");
    eventually("it arrives", || async { (bob.read(&conversation).await.len() == 2).then_some(()) })
        .await;
    assert_eq!(find(&bob, "without").await, [""; 0]);
    let done = reindex(&pair.b, false).await;
    assert_eq!((done.renewed, done.unreadable, done.messages), (1, 0, 2));
    assert_eq!(find(&bob, "without").await, ["sent without terms"]);
    // A token that does not open is passed by.
    let mut sql = Sql::open(&pair.b.storage).await;
    let row = sql.id(&id(&sent, "id"));
    sql.change(&format!("UPDATE messages SET terms = NULL, revision = 7 WHERE id = {row}")).await;
    let done = reindex(&pair.b, false).await;
    assert_eq!((done.renewed, done.unreadable), (0, 1));
    pair.stop().await;
}

async fn a_search_finds_what_reading_everything_would_find(database: Database) {
    const WORDS: [&str; 9] = ["sun", "Moon", "STARS", "café", "river", "sea", "hill", "日", "42"];
    let seed = rand::random::<u64>();
    let mut rng = StdRng::seed_from_u64(seed);
    let (pair, alice, bob) = two(database).await;
    let some = |rng: &mut StdRng, most: usize| -> Vec<usize> {
        (0..rng.random_range(1..=most)).map(|_| rng.random_range(0..WORDS.len())).collect()
    };
    let mut messages: Vec<(String, BTreeSet<usize>)> = Vec::new();
    let conversation = id(&alice.send("bob@app-b", "start").await, "conversation");
    for _ in 0..40 {
        let words = some(&mut rng, 5);
        let text = words.iter().map(|&word| WORDS[word]).collect::<Vec<_>>().join(", ");
        match rng.random_range(0..8) {
            0 if !messages.is_empty() => {
                let index = rng.random_range(0..messages.len());
                alice
                    .patch(&format!("{LIST}{}/", messages[index].0), &json!({ "content": text }))
                    .await
                    .expect(200);
                messages[index].1 = words.into_iter().collect();
            }
            1 if !messages.is_empty() => {
                let index = rng.random_range(0..messages.len());
                let (message, _) = messages.remove(index);
                alice.delete(&format!("{LIST}{message}/")).await.expect(204);
            }
            _ => {
                let body = json!({ "conversation": conversation, "content": text });
                let sent = alice.post(LIST, &body).await.expect(201);
                messages.push((sent.str("id"), words.into_iter().collect()));
            }
        }
    }
    alice.send("bob@app-b", "finish").await;
    finds(&bob, "finish", &["finish"]).await;
    for _ in 0..40 {
        let words = some(&mut rng, 3);
        let query =
            words.iter().map(|&word| WORDS[word].to_uppercase()).collect::<Vec<_>>().join(" ");
        // In the order in which they were sent, or the other way round.
        let mut expected: Vec<&str> = messages
            .iter()
            .filter(|(_, in_it)| words.iter().all(|word| in_it.contains(word)))
            .map(|(id, _)| id.as_str())
            .collect();
        let newest_first: bool = rng.random();
        if newest_first {
            expected.reverse();
        }
        let ordering = if newest_first { "-created_at" } else { "created_at" };
        for client in [&alice, &bob] {
            let more = [("page_size", "100"), ("ordering", ordering)];
            let reply = search_at(client, LIST, &query, &more).await.expect(200);
            let found: Vec<_> = reply.results().iter().map(|m| id(m, "id")).collect();
            assert_eq!(found, expected, "{query}, seed {seed}");
            assert_eq!(reply.json["count"], found.len());
        }
    }
    pair.stop().await;
}

async fn a_long_text_is_found_by_every_word(database: Database) {
    let (pair, alice, bob) = two(database).await;
    let words: Vec<String> = (0..3000).map(|n| format!("w{n:x}")).collect();
    let long = words.join(" ");
    alice.send("bob@app-b", &long).await;
    let ideographs: String = (0..4000u32).filter_map(|n| char::from_u32(0x4e00 + n)).collect();
    alice.send("bob@app-b", &ideographs).await;
    for words in ["w0", "wbb7", "w0 w1 w2 wbb7"] {
        assert_eq!(find(&alice, words).await, [long.as_str()], "{words}");
        finds(&bob, words, &[&long]).await;
    }
    assert_eq!(find(&alice, "一丁").await, [ideographs.as_str()]);
    assert_eq!(find(&alice, &words[..32].join(" ")).await.len(), 1);
    pair.stop().await;
}
