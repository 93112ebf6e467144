//! What no well-behaved client would say over a socket, or to get one.

use std::time::Duration;

use e2e::{Client, Database, Heard, Pair};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::support::raw::raw;

async fn alone() -> (Pair, Client) {
    let pair = Pair::start(Database::Sqlite).await;
    let alice = pair.a.client().join("alice").await;
    (pair, alice)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_is_too_large_closes_the_socket() {
    let (pair, alice) = alone().await;
    for size in [16 * 1024 + 1, 100_000, 1_000_000] {
        let mut socket = alice.socket().await;
        socket.send(Message::text(format!("\"{}\"", "x".repeat(size)))).await;
        let code = socket.close_code().await;
        // What is far too large is not read to its end, and the goodbye may be lost with the rest.
        assert!(code == 1009 || (size > 128 * 1024 && code == 0), "{size}: {code}");
    }
    let mut socket = alice.socket().await;
    socket.send(Message::text(" ".repeat(16 * 1024))).await;
    assert_eq!(socket.frame().await["data"]["code"], "malformed");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binary_frame_closes_the_socket() {
    let (pair, alice) = alone().await;
    let mut socket = alice.socket().await;
    socket.send(Message::binary(Bytes::from_static(b"{\"type\":\"ping\"}"))).await;
    assert_eq!(socket.close_code().await, 1003);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_frames_closes_the_socket_and_harms_nobody_else() {
    let (pair, alice) = alone().await;
    let mut other = alice.socket().await;
    for frame in
        [Message::text("{\"type\":\"ping\"}"), Message::text(""), Message::Ping(Bytes::new())]
    {
        let mut socket = alice.socket().await;
        for _ in 0..400 {
            socket.send(frame.clone()).await;
        }
        let code = socket.close_code().await;
        assert!(code == 1008 || code == 0, "{code}");
    }
    assert!(other.settle().await.is_empty());
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_frame_ends_the_socket_and_nothing_else() {
    let (pair, alice) = alone().await;
    // Bytes after the handshake that are no WebSocket: no mask, an unknown opcode, reserved bits, bad UTF-8, a ping of
    // more than 125 bytes, a continuation of nothing, a length that no memory holds.
    let rubbish: [&[u8]; 8] = [
        b"\x81\x02{}",
        b"\x83\x80\x00\x00\x00\x00",
        b"\xf1\x80\x00\x00\x00\x00",
        b"\x81\x82\x00\x00\x00\x00\xff\xfe",
        b"\x89\xfe\x00\x7e\x00\x00\x00\x00",
        b"\x80\x81\x00\x00\x00\x00x",
        b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for bytes in rubbish {
        let mut stream = shake_hands(&alice).await;
        // As much as any of them announces, but the last but one.
        stream.write_all(&[bytes, &[0; 200]].concat()).await.unwrap();
        let mut answer = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
        let _ = end.await.expect("an end");
    }
    assert!(alice.socket().await.settle().await.is_empty());
    alice.get("/api/auth/me/").await.expect(200);
    pair.stop().await;
}

/// A connection that has become a socket, for bytes that no library would send.
async fn shake_hands(client: &Client) -> TcpStream {
    let address = client.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /api/ws/ HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {}\r\n\r\n",
        client.token.as_ref().unwrap()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fragments_add_up_to_no_more_than_a_frame_may_have() {
    let (pair, alice) = alone().await;
    let mut stream = shake_hands(&alice).await;
    let mut fragment = vec![0x01, 0xfe, 0x04, 0x00, 0, 0, 0, 0];
    fragment.extend([b'x'; 1024]);
    for _ in 0..200 {
        if stream.write_all(&fragment).await.is_err() {
            break;
        }
        fragment[0] = 0x00;
    }
    let mut answer = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
    let _ = end.await.expect("an end, as there is more than may be");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_ask_for_half_a_socket_get_none() {
    let (pair, alice) = alone().await;
    let bearer = format!("Authorization: Bearer {}\r\n", alice.token.as_ref().unwrap());
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for (headers, status) in [
        (format!("{bearer}{key}Sec-WebSocket-Version: 13\r\n"), 426),
        (format!("{bearer}{upgrade}Sec-WebSocket-Version: 13\r\n"), 426),
        (format!("{bearer}{upgrade}{key}Sec-WebSocket-Version: 12\r\n"), 426),
        (format!("{bearer}{upgrade}{key}"), 426),
        (format!("{upgrade}{key}Sec-WebSocket-Version: 13\r\n"), 401),
        (format!("{bearer}{bearer}{upgrade}{key}Sec-WebSocket-Version: 13\r\n"), 401),
    ] {
        let reply = raw(&alice, "GET /api/ws/ HTTP/1.1", &headers, b"").await.expect("an answer");
        assert_eq!(reply.status, status, "{headers}: {reply:#?}");
        assert_eq!(reply.json["status"], status, "{reply:#?}");
    }
    let reply = raw(&alice, "POST /api/ws/ HTTP/1.1", &bearer, b"").await.expect("an answer");
    assert_eq!(reply.status, 405);
    let many = "x=1&".repeat(2000);
    let long = format!("/api/ws/?{many}since=x");
    let mut socket = alice.socket_at(&long).await.expect("a socket");
    assert_eq!(socket.event().await["type"], "resync");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_rubbish_are_answered_and_the_socket_stays() {
    let (pair, alice) = alone().await;
    let mut socket = alice.socket().await;
    let deep = format!("{{\"type\":{}", "[".repeat(5000));
    let rubbish = [
        "",
        "null",
        "0",
        "\"ping\"",
        "[]",
        "{",
        "{}",
        "{\"type\":null}",
        "{\"type\":\"PING\"}",
        "{\"type\":\"ping\"} x",
        "{\"type\":\"ping\",\"type\":\"ping\"}",
        deep.as_str(),
        "\u{feff}{}",
        "{\"type\":\"typing\",\"conversation\":[],\"active\":\"yes\"}",
        "{\"type\":\"read\",\"conversation\":\"00000000-0000-0000-0000-000000000000\",\"message\":\"'; --\"}",
    ];
    for text in rubbish {
        socket.send(Message::text(text)).await;
        let answer = socket.frame().await;
        assert_eq!(answer["type"], "error", "{text}: {answer}");
        assert!(answer["data"]["code"].is_string() && answer["data"]["detail"].is_string());
    }
    assert_eq!(socket.settle().await, Vec::<Value>::new());
    socket.send(Message::Close(None)).await;
    assert!(!matches!(socket.hear().await, Heard::Frame(_)));
    pair.stop().await;
}
