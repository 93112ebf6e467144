//! Profile pictures: what is taken in, what comes out, and how they travel.

use std::io::Cursor;

use bytes::Bytes;
use e2e::{Client, Database, Disturbance, Pair, Reply, eventually, on_both_databases};
use http::Method;
use image::{DynamicImage, GenericImageView, ImageFormat, Rgb, RgbImage};
use serde_json::Value;

use crate::support::problem::IsProblem;
use crate::support::raw::raw;

on_both_databases!(
    a_picture_is_made_small_and_shown_safely,
    a_picture_comes_as_a_body_or_in_a_form,
    what_is_no_picture_is_refused,
    the_picture_of_a_peers_user_comes_from_the_peer,
);

const PICTURE: &str = "/api/auth/me/picture/";

/// An image of one colour, with a text hidden behind its end.
fn image(format: ImageFormat, colour: [u8; 3]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = RgbImage::from_pixel(640, 480, Rgb(colour));
    DynamicImage::from(image).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes.extend_from_slice(b"<script>canary</script>");
    bytes
}

async fn put(client: &Client, kind: &str, body: Vec<u8>) -> Reply {
    let request = client.request(Method::PUT, PICTURE).header("content-type", kind).body(body);
    client.run(request).await
}

/// A form with parts of these names.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let head = format!(
            "--edge\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"../x.svg\"\r\n\
             Content-Type: image/svg+xml\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--edge--\r\n");
    body
}

/// The bytes of a picture.
async fn bytes(client: &Client, path: &str) -> (http::HeaderMap, Bytes) {
    let response = client.request(Method::GET, path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    (response.headers().clone(), response.bytes().await.unwrap())
}

fn path(user: &Value) -> String {
    user["profile_picture"].as_str().unwrap_or_else(|| panic!("no picture: {user:#}")).to_owned()
}

async fn a_picture_is_made_small_and_shown_safely(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.a.client().join("bob").await);
    let reply = put(&alice, "image/png", image(ImageFormat::Png, [200, 10, 10])).await.expect(200);
    let shown = path(&reply.json);
    assert_eq!(path(&alice.me().await), shown);
    let id = reply.str("id");
    let seen = bob.get(&format!("/api/users/{id}/")).await.expect(200);
    assert_eq!(path(&seen.json), shown);
    assert!(shown.starts_with(&format!("/api/users/{id}/picture/?v=")), "{shown}");

    let (headers, picture) = bytes(&bob, &shown).await;
    let decoded = image::load_from_memory_with_format(&picture, ImageFormat::Jpeg).unwrap();
    assert_eq!(decoded.dimensions(), (256, 256));
    assert!(decoded.get_pixel(128, 128).0[0] > 150);
    assert!(!picture.windows(6).any(|window| window == b"canary"));
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/jpeg");
    assert_eq!(header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-disposition").starts_with("inline"));
    assert!(header("cache-control").starts_with("private, max-age="));
    // Without its version it is asked for again, and not sent again.
    let bare = shown.split('?').next().unwrap();
    let (headers, _) = bytes(&bob, bare).await;
    assert_eq!(headers["cache-control"], "private, no-cache");
    let request = bob.request(Method::GET, bare).header("if-none-match", &headers["etag"]);
    let reply = bob.run(request).await.expect(304);
    assert!(reply.text.is_empty() && reply.headers["etag"] == headers["etag"], "{reply:#?}");
    let request = bob.request(Method::GET, bare).header("if-none-match", "\"other\"");
    bob.run(request).await.expect(200);
    pair.a.client().get(&shown).await.problem(401, "not_authenticated");
    bob.get("/api/users/0190a5d0-ac96-774b-8cce-b302099a8057/picture/")
        .await
        .problem(404, "not_found");

    // Another picture has another version; none is none.
    let reply = put(&alice, "image/gif", image(ImageFormat::Gif, [10, 200, 10])).await.expect(200);
    assert_ne!(path(&reply.json), shown);
    let (headers, _) = bytes(&bob, &shown).await;
    assert_eq!(headers["cache-control"], "private, no-cache", "the old version is not the new one");
    for _ in 0..2 {
        alice.delete(PICTURE).await.expect(204);
        bob.get(bare).await.problem(404, "not_found");
        assert!(alice.me().await["profile_picture"].is_null());
    }
    pair.stop().await;
}

async fn a_picture_comes_as_a_body_or_in_a_form(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let kinds =
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP].into_iter();
    for (kind, colour) in kinds.zip([[1, 2, 3], [90, 2, 3], [1, 90, 3], [1, 2, 90]]) {
        // The bytes say what it is, not the header.
        let reply = put(&alice, "image/png", image(kind, colour)).await.expect(200);
        path(&reply.json);
        let form = form(&[("comment", b"hello"), ("picture", &image(kind, colour))]);
        let request = alice.request(Method::POST, "/api/me/picture/");
        let request = request.header("content-type", "multipart/form-data; boundary=edge");
        let again = alice.run(request.body(form)).await.expect(200);
        assert_eq!(path(&again.json), path(&reply.json), "{kind:?}");
    }
    pair.stop().await;
}

async fn what_is_no_picture_is_refused(database: Database) {
    let pair = Pair::start(database).await;
    let alice = pair.a.client().join("alice").await;
    let svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let html = "<!doctype html><script>alert(1)</script>";
    for other in [svg.as_bytes(), html.as_bytes(), b"MZ\x90\x00\x03", b"GIF", b"%PDF-1.7"] {
        for kind in ["image/png", "image/svg+xml", "application/octet-stream"] {
            put(&alice, kind, other.to_vec()).await.problem(415, "unsupported_image");
        }
    }
    let png = image(ImageFormat::Png, [1, 2, 3]);
    for kind in ["text/html", "application/json", "multipart/mixed", ""] {
        put(&alice, kind, png.clone()).await.problem(415, "unsupported_media_type");
    }
    let encoded = alice.request(Method::PUT, PICTURE).header("content-type", "image/png");
    let encoded = encoded.header("content-encoding", "gzip").body(png.clone());
    alice.run(encoded).await.problem(415, "unsupported_media_type");
    put(&alice, "image/png", Vec::new()).await.problem(400, "invalid");
    put(&alice, "image/png", png[..60].to_vec()).await.problem(400, "invalid");
    let mut large = png.clone();
    large.resize(5 * 1024 * 1024 + 1, 0);
    put(&alice, "image/png", large.clone()).await.problem(413, "too_large");
    // What is announced as larger is refused before it is read.
    large.resize(6 * 1024 * 1024, 0);
    let token = alice.token.as_deref().unwrap();
    for kind in ["image/png", "multipart/form-data; boundary=edge"] {
        let headers = format!(
            "Authorization: Bearer {token}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n",
            large.len()
        );
        let reply = raw(&alice, &format!("PUT {PICTURE} HTTP/1.1"), &headers, &[]).await;
        reply.expect("an answer").problem(413, "too_large");
    }
    large.truncate(5 * 1024 * 1024 + 1);
    // A header that promises sixty thousand pixels on each side.
    let mut bomb = b"GIF89a".to_vec();
    bomb.extend_from_slice(&60_000u16.to_le_bytes());
    bomb.extend_from_slice(&60_000u16.to_le_bytes());
    bomb.extend_from_slice(&[0x80, 0, 0, 0, 0, 0, 255, 255, 255, b',', 0, 0, 0, 0]);
    bomb.extend_from_slice(&60_000u16.to_le_bytes());
    bomb.extend_from_slice(&60_000u16.to_le_bytes());
    bomb.extend_from_slice(&[0, 2, 2, 0x44, 1, 0, b';']);
    put(&alice, "image/gif", bomb).await.problem(413, "too_many_pixels");
    let form_type = "multipart/form-data; boundary=edge";
    for (body, status, code) in [
        (form(&[("file", &png)]), 400, "invalid"),
        (form(&[("picture", b"")]), 400, "invalid"),
        (form(&[("picture", svg.as_bytes())]), 415, "unsupported_image"),
        (form(&[("picture", &large)]), 413, "too_large"),
        (b"no form at all".to_vec(), 400, "malformed"),
        (Vec::new(), 400, "malformed"),
    ] {
        put(&alice, form_type, body).await.problem(status, code);
    }
    put(&alice, "multipart/form-data", png.clone()).await.problem(400, "malformed");
    put(&pair.a.client(), "image/png", png).await.problem(401, "not_authenticated");
    pair.a.client().delete(PICTURE).await.problem(401, "not_authenticated");
    assert!(alice.me().await["profile_picture"].is_null());
    pair.stop().await;
}

async fn the_picture_of_a_peers_user_comes_from_the_peer(database: Database) {
    let pair = Pair::start(database).await;
    let (alice, bob) = (pair.a.client().join("alice").await, pair.b.client().join("bob").await);
    put(&bob, "image/png", image(ImageFormat::Png, [10, 10, 200])).await.expect(200);
    let lookup = "/api/users/get_by_username/?username=bob@app-b";
    let shown = path(&alice.get(lookup).await.expect(200).json);
    let (_, picture) = bytes(&alice, &shown).await;
    let decoded = image::load_from_memory_with_format(&picture, ImageFormat::Jpeg).unwrap();
    assert_eq!(decoded.dimensions(), (256, 256));
    assert!(decoded.get_pixel(9, 9).0[2] > 150);
    // It is kept: the peer may go away.
    pair.a_to_b.disturb(Disturbance::Down);
    bytes(&alice, &shown).await;
    // A new one is news, and the last one serves while the peer cannot be asked for it.
    put(&bob, "image/png", image(ImageFormat::Png, [10, 200, 10])).await.expect(200);
    let user = format!("/api/users/{}/", bob.me().await["id"].as_str().unwrap());
    let newer = eventually("alice hears of the new picture", || async {
        let newer = path(&alice.get(&user).await.expect(200).json);
        (newer != shown).then_some(newer)
    })
    .await;
    let (headers, old) = bytes(&alice, &newer).await;
    assert_eq!(old, picture);
    assert_eq!(headers["cache-control"], "private, no-cache");
    pair.a_to_b.disturb(Disturbance::None);
    bob.delete(PICTURE).await.expect(204);
    eventually("alice hears that there is none", || async {
        alice.get(&user).await.expect(200).json["profile_picture"].is_null().then_some(())
    })
    .await;
    alice.get(&newer).await.problem(404, "not_found");
    pair.stop().await;
}
