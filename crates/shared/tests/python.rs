//! Another Fernet library, that of Python's `cryptography`, reads and writes the same tokens.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{Method, Request};
use serde_json::{Value, json};
use shared::encryption::{
    Caller, Ciphertext, DecryptResponseLayer, EncryptRequestLayer, Keyring, Sealed, SealedContent,
};
use shared::id::{MessageId, UserId};
use shared::time::{Clock, Timestamp};
use tower::{Layer, ServiceExt};

const TEXTS: [&str; 5] = ["hello", "", "é 日本 🦀", "line\r\n\u{0}", "{\"content\":\"x\"}"];

/// Reads tokens and writes some, each as the document describes it; JSON in, JSON out.
const PROGRAM: &str = r#"
import json, sys, uuid
from cryptography.fernet import Fernet

given = json.load(sys.stdin)
key = Fernet(given["key"])
opened = [key.decrypt(token)[42:].decode() for token in given["tokens"]]
heads = [key.decrypt(token)[:42].hex() for token in given["tokens"]]
header = (
    bytes([1, 1])
    + uuid.UUID(given["message"]).bytes
    + uuid.UUID(given["sender"]).bytes
    + given["revision"].to_bytes(8, "big", signed=True)
)
sealed = [key.encrypt(header + text.encode()).decode() for text in given["texts"]]
json.dump({"opened": opened, "heads": heads, "sealed": sealed}, sys.stdout)
"#;

/// A Python that has `cryptography`: `TEST_PYTHON`, or else `python3`.
fn python() -> Option<String> {
    let named = std::env::var("TEST_PYTHON").ok().filter(|name| !name.is_empty());
    let found = named.into_iter().chain(["python3".to_owned()]).find(|python| {
        let mut check = Command::new(python);
        check.args(["-c", "import cryptography.fernet"]).stderr(Stdio::null());
        check.status().is_ok_and(|status| status.success())
    });
    if found.is_none() {
        eprintln!(
            "\n!!! NOT RUN: no Python with the package cryptography; set TEST_PYTHON to one.\n"
        );
        let required = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!required, "CI must have a Python with the package cryptography");
    }
    found
}

fn ask(python: &str, question: &Value) -> Value {
    let mut child = Command::new(python)
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut input = child.stdin.take().unwrap();
    input.write_all(question.to_string().as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "Python cannot read it");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the request layer hands to a handler for a text.
async fn seal(ring: &Arc<Keyring>, sender: UserId, text: &str) -> (MessageId, Ciphertext) {
    let handed = Arc::new(Mutex::new(None));
    let inner = tower::service_fn(|request: Request<Body>| {
        let handed = handed.clone();
        async move {
            let sealed = *request.extensions().get::<Sealed>().unwrap();
            let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let token: Ciphertext = body["content"].as_str().unwrap().parse().unwrap();
            *handed.lock().unwrap() = Some((sealed.message, token));
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }
    });
    let mut request = Request::builder()
        .method(Method::POST)
        .header("content-type", "application/json")
        .body(Body::from(json!({ "content": text }).to_string()))
        .unwrap();
    request.extensions_mut().insert(Caller(sender));
    let layer = EncryptRequestLayer::new(ring.clone(), Clock::system());
    layer.layer(inner).oneshot(request).await.unwrap();
    let sealed = handed.lock().unwrap().take();
    sealed.unwrap()
}

/// What the response layer shows of a token at its place.
async fn open(ring: &Arc<Keyring>, content: &SealedContent) -> Value {
    let body =
        json!({ "id": 1 }).to_string().replace('1', &serde_json::to_string(content).unwrap());
    let inner = tower::service_fn(move |_: Request<Body>| {
        let body = body.clone();
        async move {
            let response = Response::builder().header("content-type", "application/json");
            response.body(Body::from(body))
        }
    });
    let response = DecryptResponseLayer::new(ring.clone()).layer(inner);
    let response = response.oneshot(Request::new(Body::empty())).await.unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice::<Value>(&body).unwrap()["id"].take()
}

#[tokio::test]
async fn python_opens_our_tokens_and_we_open_those_of_python() {
    let Some(python) = python() else { return };
    let key = Keyring::generate_key();
    let ring = Arc::new(Keyring::parse(&key).unwrap());
    let now = Timestamp::from_micros(1_800_000_000_000_000);
    let (message, sender, revision) = (MessageId::mint(now), UserId::mint(now), -7_i64);
    let mut sealed = Vec::new();
    for text in TEXTS {
        sealed.push(seal(&ring, sender, text).await);
    }
    let tokens: Vec<_> = sealed.iter().map(|(_, token)| token.token()).collect();
    let answer = ask(
        &python,
        &json!({
            "key": key, "tokens": tokens, "texts": TEXTS,
            "message": message, "sender": sender, "revision": revision,
        }),
    );
    assert_eq!(answer["opened"], json!(TEXTS));
    for ((message, _), head) in sealed.iter().zip(answer["heads"].as_array().unwrap()) {
        let (message, sender) = (message.uuid().simple(), sender.uuid().simple());
        assert_eq!(*head, format!("0101{message}{sender}{:016x}", 0));
    }
    for (text, token) in TEXTS.iter().zip(answer["sealed"].as_array().unwrap()) {
        let token = Ciphertext::stored(ring.key_ids()[0].number(), token.as_str().unwrap().into());
        let content = SealedContent::new(message, sender, revision, token);
        assert_eq!(open(&ring, &content).await, *text);
    }
}
