//! The layers as real tower services around an axum router: what they seal and open, what they leave alone, and
//! what a handler behind them gets to see.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{any, get};
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use shared::encryption::{
    Caller, Ciphertext, DecryptResponseLayer, EncryptRequestLayer, EncryptionLayer, Keyring,
    MAX_REQUEST, Sealed, SealedContent,
};
use shared::id::{MessageId, UserId};
use shared::time::{Clock, Timestamp};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

/// The text that no handler may see.
const TEXT: &str = "c4n4ry text \"quoted\" \\ é 🦀";
const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// What reached the handler.
#[derive(Clone, Debug, Default)]
struct Seen {
    body: Bytes,
    length: Option<String>,
    sealed: Option<Sealed>,
}

type Captured = Arc<Mutex<Vec<Seen>>>;

/// The two ways to stack the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stack {
    Split,
    Combined,
}

struct Edge {
    keyring: Arc<Keyring>,
    captured: Captured,
    routes: Router,
    caller: UserId,
}

/// Keeps what it gets, and answers with the message that was sealed, as a store would.
async fn echo(State(captured): State<Captured>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let sealed = parts.extensions.get::<Sealed>().copied();
    let length = parts.headers.get("content-length").map(|v| v.to_str().unwrap().to_owned());
    captured.lock().unwrap().push(Seen { body: body.clone(), length, sealed });
    let caller = parts.extensions.get::<Caller>().map(|caller| caller.0);
    let (Some(sealed), Some(caller)) = (sealed, caller) else {
        return Response::new(Body::from("nothing was sealed"));
    };
    let json: Value = serde_json::from_slice(&body).unwrap();
    let token: Ciphertext = serde_json::from_value(json["content"].clone()).unwrap();
    let content = SealedContent::new(sealed.message, caller, sealed.revision, token);
    json_response(&json!({ "id": sealed.message, "content": content }).to_string())
}

fn json_response(body: &str) -> Response {
    Response::builder()
        .header("content-type", "application/json")
        .header("content-length", body.len())
        .header("etag", "\"of the ciphertext\"")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

impl Edge {
    fn new(stack: Stack) -> Self {
        Self::around(stack, Router::new().route("/{*path}", any(echo)))
    }

    fn around(stack: Stack, routes: Router<Captured>) -> Self {
        let key = Keyring::generate_key();
        let (keyring, clock) = (Arc::new(Keyring::parse(&key).unwrap()), Clock::manual(START));
        let captured = Captured::default();
        let routes = routes.with_state(captured.clone());
        let routes = match stack {
            Stack::Combined => routes.layer(EncryptionLayer::new(keyring.clone(), clock)),
            Stack::Split => routes.layer(
                ServiceBuilder::new()
                    .layer(DecryptResponseLayer::new(keyring.clone()))
                    .layer(EncryptRequestLayer::new(keyring.clone(), clock)),
            ),
        };
        Self { keyring, captured, routes, caller: UserId::mint(START) }
    }

    async fn run(&self, request: Request) -> (Response<()>, Bytes) {
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (Response::from_parts(parts, ()), to_bytes(body, usize::MAX).await.unwrap())
    }

    /// A JSON request of the caller.
    fn request(&self, method: Method, path: &str, body: impl Into<Body>) -> Request {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(body.into())
            .unwrap();
        request.extensions_mut().insert(Caller(self.caller));
        request
    }

    async fn post(&self, body: impl Into<Body>) -> (Response<()>, Bytes) {
        self.run(self.request(Method::POST, "/messages/send", body)).await
    }

    fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.captured.lock().unwrap())
    }
}

/// A body whose length nobody knows.
fn chunked(body: Vec<u8>) -> Body {
    Body::new(Full::from(body).map_frame(|frame| frame))
}

fn problem(response: &Response<()>, body: &[u8]) -> String {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body["status"], response.status().as_u16());
    body["code"].as_str().unwrap().to_owned()
}

macro_rules! on_both_stacks {
    ($($name:ident),* $(,)?) => {
        mod split {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Stack::Split).await;
            })*
        }

        mod combined {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Stack::Combined).await;
            })*
        }
    };
}

on_both_stacks!(
    a_text_is_sealed_before_the_handler_and_opened_after_it,
    everything_else_in_a_body_stays_as_it_was_written,
    an_edit_is_bound_to_the_message_of_its_path,
    what_is_no_json_passes_untouched,
    a_content_encoding_is_refused,
    a_body_over_the_limit_is_refused_with_and_without_its_length,
    nobody_seals_in_nobodys_name,
    what_could_carry_a_text_past_the_layer_is_refused,
    length_is_that_of_the_text_and_the_tag_of_the_token_goes,
    empty_and_switching_responses_pass,
    what_does_not_open_is_shown_as_unreadable_and_breaks_nothing,
    a_problem_of_the_handler_passes,
);

async fn a_text_is_sealed_before_the_handler_and_opened_after_it(stack: Stack) {
    let edge = Edge::new(stack);
    for text in [TEXT, "", " ", "\u{0}", "{\"$sealed\":\"x\"}", &"é".repeat(20_000)] {
        let (response, body) = edge.post(json!({ "content": text }).to_string()).await;
        assert_eq!(response.status(), 200);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["content"], text);
        let seen = edge.seen().remove(0);
        let sealed = seen.sealed.unwrap();
        assert_eq!(body["id"], json!(sealed.message));
        assert_eq!((sealed.revision, sealed.message.uuid().get_version_num()), (0, 7));
        assert_eq!(sealed.facts.characters, text.chars().count());
        assert_eq!(sealed.facts.blank, text.trim_matches(['\u{0}', ' ']).is_empty());
        let handed: Value = serde_json::from_slice(&seen.body).unwrap();
        let token: Ciphertext = handed["content"].as_str().unwrap().parse().unwrap();
        assert_eq!(token.key(), edge.keyring.key_ids()[0]);
        assert_eq!(seen.length.unwrap(), seen.body.len().to_string());
        assert!(!seen.body.windows(7).any(|window| window == &TEXT.as_bytes()[..7]));
    }
    // The same text twice makes two messages and two tokens.
    for _ in 0..2 {
        edge.post(json!({ "content": TEXT }).to_string()).await;
    }
    let seen = edge.seen();
    assert_ne!(seen[0].body, seen[1].body);
    assert_ne!(seen[0].sealed.unwrap().message, seen[1].sealed.unwrap().message);
}

async fn everything_else_in_a_body_stays_as_it_was_written(stack: Stack) {
    let edge = Edge::new(stack);
    let (before, after) = (
        " {\n \"a\" : [1e30, 0.10, -0, {\"content\":\"inner\"}], \"\\u0063ontent\"\t: ",
        ", \"content2\": \"x\" , \"z\":{} }\n\n",
    );
    edge.post(format!("{before}\"c4n4ry\\u0020text\"{after}")).await;
    let seen = edge.seen().remove(0);
    let body = std::str::from_utf8(&seen.body).unwrap();
    let token = body.strip_prefix(before).unwrap().strip_suffix(after).unwrap();
    assert!(token.trim_matches('"').parse::<Ciphertext>().is_ok(), "{token}");
    // A body without a content, or with none, is not touched at all.
    for other in
        ["", "{}", " [ 1 ] ", "{\"a\":{\"content\":\"x\"}}", "{\"content\" : null}", "7", "null"]
    {
        edge.post(other).await;
        let seen = edge.seen().remove(0);
        assert_eq!(seen.body, other);
        assert!(seen.sealed.is_none());
    }
}

async fn an_edit_is_bound_to_the_message_of_its_path(stack: Stack) {
    let edge = Edge::new(stack);
    let message = MessageId::mint(START);
    let body = json!({ "content": TEXT }).to_string();
    let mut last = START.micros() - 1;
    for path in [format!("/messages/{message}"), format!("/api/chats/messages/{message}/")] {
        for method in [Method::PUT, Method::PATCH] {
            let (_, answer) = edge.run(edge.request(method, &path, body.clone())).await;
            let sealed = edge.seen().remove(0).sealed.unwrap();
            assert_eq!(sealed.message, message);
            assert!(sealed.revision > last, "a later edit has a higher revision");
            last = sealed.revision;
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["content"], TEXT);
        }
    }
    // A new message gets an id of its own, whatever its path, and so does one under a path without an id.
    for (method, path) in
        [(Method::POST, format!("/messages/{message}")), (Method::PATCH, "/messages/x".to_owned())]
    {
        edge.run(edge.request(method, &path, body.clone())).await;
        let sealed = edge.seen().remove(0).sealed.unwrap();
        assert_ne!(sealed.message, message);
        assert_eq!(sealed.revision, 0);
    }
}

async fn what_is_no_json_passes_untouched(stack: Stack) {
    let edge = Edge::new(stack);
    let body = json!({ "content": TEXT }).to_string();
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let mut request = edge.request(Method::POST, "/x", body.clone());
        request.headers_mut().insert("content-type", media_type.parse().unwrap());
        edge.run(request).await;
        let seen = edge.seen().remove(0);
        assert_eq!(seen.body, body);
        assert!(seen.sealed.is_none(), "a handler that needs a sealed text finds none");
    }
    let mut request = edge.request(Method::POST, "/x", body.clone());
    request.headers_mut().remove("content-type");
    edge.run(request).await;
    assert!(edge.seen().remove(0).sealed.is_none());
    for media_type in ["application/json; charset=utf-8", "Application/JSON", "application/json ;x"]
    {
        let mut request = edge.request(Method::POST, "/x", body.clone());
        request.headers_mut().insert("content-type", media_type.parse().unwrap());
        edge.run(request).await;
        assert!(edge.seen().remove(0).sealed.is_some(), "{media_type}");
    }
    // On the way out: a mark in what is no JSON is not one.
    let text = "{\"content\":{\"$sealed\":\"x\"}}";
    let plain = Router::new().route("/x", get(move || async move { text }));
    let edge = Edge::around(stack, plain);
    assert_eq!(edge.run(edge.request(Method::GET, "/x", Body::empty())).await.1, text);
}

async fn a_content_encoding_is_refused(stack: Stack) {
    let edge = Edge::new(stack);
    for encoding in ["gzip", "br", "identity", ""] {
        let mut request = edge.request(Method::POST, "/x", json!({ "content": TEXT }).to_string());
        request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        let (response, body) = edge.run(request).await;
        assert_eq!(response.status(), 415);
        assert_eq!(problem(&response, &body), "unsupported_media_type");
    }
    assert!(edge.seen().is_empty());
}

async fn a_body_over_the_limit_is_refused_with_and_without_its_length(stack: Stack) {
    let edge = Edge::new(stack);
    let padded = |length: usize| {
        let body = json!({ "content": TEXT }).to_string();
        format!("{body}{}", " ".repeat(length - body.len())).into_bytes()
    };
    let post = async |body: Vec<u8>, announced: bool| {
        let length = body.len();
        let body = if announced { Body::from(body) } else { chunked(body) };
        let mut request = edge.request(Method::POST, "/x", body);
        if announced {
            request.headers_mut().insert("content-length", length.into());
        }
        edge.run(request).await
    };
    for announced in [true, false] {
        assert_eq!(post(padded(MAX_REQUEST), announced).await.0.status(), 200);
        assert_eq!(edge.seen().len(), 1);
        let (response, body) = post(padded(MAX_REQUEST + 1), announced).await;
        assert_eq!(response.status(), 413);
        assert_eq!(problem(&response, &body), "too_large");
    }
    // By its own word too long, whatever there is of it.
    let mut request = edge.request(Method::POST, "/x", "{}");
    request.headers_mut().insert("content-length", (MAX_REQUEST + 1).into());
    assert_eq!(edge.run(request).await.0.status(), 413);
    assert!(edge.seen().is_empty());
}

async fn nobody_seals_in_nobodys_name(stack: Stack) {
    let edge = Edge::new(stack);
    let mut request = edge.request(Method::POST, "/x", json!({ "content": TEXT }).to_string());
    request.extensions_mut().remove::<Caller>();
    let (response, body) = edge.run(request).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(problem(&response, &body), "not_authenticated");
    assert!(edge.seen().is_empty());
}

async fn what_could_carry_a_text_past_the_layer_is_refused(stack: Stack) {
    let edge = Edge::new(stack);
    let bodies: [&[u8]; 12] = [
        b"{",
        b"{\"content\":\"c4n4ry\"",
        b"{\"content\":\"c4n4ry\",}",
        b"{\"content\":\"c4n4ry\"}{}",
        b"\xef\xbb\xbf{\"content\":\"c4n4ry\"}",
        b"{\"content\":\"c4n4ry\",\"content\":\"x\"}",
        b"{\"content\":\"x\",\"\\u0063ontent\":\"c4n4ry\"}",
        b"{\"content\":{\"text\":\"c4n4ry\"}}",
        b"{\"content\":[\"c4n4ry\"]}",
        b"{\"content\":7}",
        b"{\"content\":\"\\ud800 c4n4ry\"}",
        b"{\"content\":\"c4n4ry \xff\"}",
    ];
    for body in bodies {
        let (response, answer) = edge.post(body.to_vec()).await;
        let text = String::from_utf8_lossy(body);
        assert_eq!(response.status(), 400, "{text}");
        assert!(matches!(problem(&response, &answer).as_str(), "malformed" | "invalid"), "{text}");
        assert!(!String::from_utf8_lossy(&answer).contains("c4n4ry"), "{text}");
    }
    let deep = format!("{{\"content\":{}", "[".repeat(100_000));
    assert_eq!(edge.post(deep).await.0.status(), 400);
    assert!(edge.seen().is_empty());
}

async fn length_is_that_of_the_text_and_the_tag_of_the_token_goes(stack: Stack) {
    let edge = Edge::new(stack);
    let (response, body) = edge.post(json!({ "content": TEXT }).to_string()).await;
    assert_eq!(response.headers()["content-length"], body.len().to_string().as_str());
    assert!(!response.headers().contains_key("etag"));
    // Where there was nothing to open, nothing changes.
    let plain = || async { json_response("{\"content\":\"plain\"}") };
    let edge = Edge::around(stack, Router::new().route("/x", get(plain)));
    let (response, body) = edge.run(edge.request(Method::GET, "/x", Body::empty())).await;
    assert_eq!(body, "{\"content\":\"plain\"}");
    assert_eq!(response.headers()["etag"], "\"of the ciphertext\"");
}

async fn empty_and_switching_responses_pass(stack: Stack) {
    for status in
        [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED, StatusCode::SWITCHING_PROTOCOLS]
    {
        let answer = move || async move {
            let mut response = json_response("");
            *response.status_mut() = status;
            response
        };
        let edge = Edge::around(stack, Router::new().route("/x", get(answer)));
        let (response, body) = edge.run(edge.request(Method::GET, "/x", Body::empty())).await;
        assert_eq!((response.status(), body.len()), (status, 0));
        assert_eq!(response.headers()["etag"], "\"of the ciphertext\"");
    }
}

async fn what_does_not_open_is_shown_as_unreadable_and_breaks_nothing(stack: Stack) {
    let writer = Edge::new(stack);
    writer.post(json!({ "content": TEXT }).to_string()).await;
    let seen = writer.seen().remove(0);
    let sealed = seen.sealed.unwrap();
    let handed: Value = serde_json::from_slice(&seen.body).unwrap();
    let token: Ciphertext = handed["content"].as_str().unwrap().parse().unwrap();
    let (id, sender) = (sealed.message, writer.caller);
    let other = MessageId::mint(START);
    let right = SealedContent::new(id, sender, 0, token.clone());
    let broken = {
        let mut text = token.to_string();
        let at = text.len() / 2;
        let flipped = if &text[at..=at] == "A" { "B" } else { "A" };
        text.replace_range(at..=at, flipped);
        SealedContent::new(id, sender, 0, text.parse().unwrap())
    };
    let page = json!({ "count": 5, "results": [
        { "n": 0, "content": right },
        { "n": 1, "content": SealedContent::new(other, sender, 0, token.clone()) },
        { "n": 2, "content": SealedContent::new(id, other.uuid().into(), 0, token.clone()) },
        { "n": 3, "content": SealedContent::new(id, sender, 1, token.clone()) },
        { "n": 4, "content": broken },
        { "n": 5, "content": { "$sealed": "rubbish" } },
        { "n": 6, "content": null },
        { "n": 7, "content": right },
    ]});
    let text = page.to_string();
    let read = |keyring: Arc<Keyring>, text: String| async move {
        let inner = tower::service_fn(move |_: Request| {
            let text = text.clone();
            async move { Ok::<_, Infallible>(json_response(&text)) }
        });
        let response = DecryptResponseLayer::new(keyring).layer(inner);
        let response = response.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()
    };
    let opened = read(writer.keyring.clone(), text.clone()).await;
    assert_eq!(opened["count"], 5);
    let results = opened["results"].as_array().unwrap();
    let key = token.key().to_string();
    for (n, code) in [(1, "moved"), (2, "moved"), (3, "moved"), (4, "tampered")] {
        let error = json!({ "code": code, "key": key });
        assert_eq!(results[n], json!({ "n": n, "content": null, "content_error": error }));
    }
    let shapeless = json!({ "code": "tampered", "key": null });
    assert_eq!(results[5], json!({ "n": 5, "content": null, "content_error": shapeless }));
    assert_eq!(results[6], json!({ "n": 6, "content": null }));
    for n in [0, 7] {
        assert_eq!(results[n], json!({ "n": n, "content": TEXT }));
    }
    let stranger = Arc::new(Keyring::parse(&Keyring::generate_key()).unwrap());
    let closed = read(stranger, text).await;
    let error = json!({ "code": "unknown_key", "key": key });
    assert_eq!(closed["results"][0], json!({ "n": 0, "content": null, "content_error": error }));
    assert!(!closed.to_string().contains("c4n4ry"));
}

async fn a_problem_of_the_handler_passes(stack: Stack) {
    let refuse = || async { shared::problem::Problem::not_found() };
    let edge = Edge::around(stack, Router::new().route("/x", get(refuse)));
    let (response, body) = edge.run(edge.request(Method::GET, "/x", Body::empty())).await;
    assert_eq!(response.status(), 404);
    assert_eq!(problem(&response, &body), "not_found");
}

/// A service that must be made ready before each call, as tower asks of every caller.
#[derive(Default)]
struct Strict {
    ready: bool,
    calls: Arc<Mutex<usize>>,
}

impl Clone for Strict {
    /// A clone is not ready because the original is.
    fn clone(&self) -> Self {
        Self { ready: false, calls: self.calls.clone() }
    }
}

impl Service<Request> for Strict {
    type Response = Response;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        self.ready = true;
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being made ready");
        *self.calls.lock().unwrap() += 1;
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

#[tokio::test]
async fn the_service_that_was_made_ready_is_the_one_that_is_called() {
    let keyring = Arc::new(Keyring::parse(&Keyring::generate_key()).unwrap());
    let strict = Strict::default();
    let calls = strict.calls.clone();
    let mut service = EncryptionLayer::new(keyring, Clock::manual(START)).layer(strict);
    for media_type in ["application/json", "text/plain", "application/json"] {
        let request = Request::builder().header("content-type", media_type);
        let request = request.body(Body::from("{\"a\":1}")).unwrap();
        service.ready().await.unwrap().call(request).await.unwrap();
    }
    assert_eq!(*calls.lock().unwrap(), 3);
}

#[tokio::test]
async fn a_token_of_one_stack_opens_in_the_other() {
    let key = Keyring::generate_key();
    let keyring = Arc::new(Keyring::parse(&key).unwrap());
    let clock = Clock::manual(START);
    let captured = Captured::default();
    let echo = Router::new().route("/x", any(echo)).with_state(captured);
    let sealing = EncryptRequestLayer::new(keyring.clone(), clock.clone()).layer(echo.clone());
    let mut request = Request::builder()
        .method(Method::POST)
        .uri("/x")
        .header("content-type", "application/json")
        .body(Body::from(json!({ "content": TEXT }).to_string()))
        .unwrap();
    request.extensions_mut().insert(Caller(UserId::mint(START)));
    let sealed = sealing.oneshot(request).await.unwrap();
    let stored = to_bytes(sealed.into_body(), usize::MAX).await.unwrap();
    assert!(
        !String::from_utf8_lossy(&stored).contains("c4n4ry"),
        "the half that seals opens nothing"
    );
    let stored = String::from_utf8(stored.to_vec()).unwrap();
    let shows = Router::new().route("/x", get(move || async move { json_response(&stored) }));
    let opening = shows.layer(EncryptionLayer::new(keyring, clock));
    let request = Request::builder().uri("/x").body(Body::empty()).unwrap();
    let opened = opening.oneshot(request).await.unwrap();
    let opened = to_bytes(opened.into_body(), usize::MAX).await.unwrap();
    let opened: Value = serde_json::from_slice(&opened).unwrap();
    assert_eq!(opened["content"], TEXT);
}
