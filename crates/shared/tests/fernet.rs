//! The vectors of the Fernet specification, and what other libraries test, through the response layer: the only
//! way to open a token.
//!
//! A vector's plaintext has no envelope, so a token that is genuine is shown as `unsupported_version`: it opened, and
//! what it holds is no message. One that is not genuine is `tampered`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use http::Request;
use serde_json::{Value, json};
use shared::encryption::{DecryptResponseLayer, Keyring, KeyringError};
use tower::{Layer, ServiceExt};
use uuid::Uuid;

const MESSAGE: Uuid = Uuid::from_u128(0x0190_a5d0_ac96_774b_8cce_b302_099a_8057);
const SENDER: Uuid = Uuid::from_u128(0x0190_a5d0_ac96_7aaa_8bbb_b302_099a_8058);

/// The text that the layer shows for a token, or the code of why there is none.
async fn open(keys: &str, token: &str) -> Result<String, String> {
    let ring = Arc::new(Keyring::parse(keys).unwrap());
    let sealed = json!({
        "$sealed": format!("{}:{token}", ring.key_ids()[0]),
        "message": MESSAGE, "sender": SENDER, "revision": 0,
    });
    // The mark comes first in the object, as the models write it.
    let sealed = sealed.as_object().unwrap();
    let rest: Vec<_> =
        ["message", "sender", "revision"].map(|key| format!("\"{key}\":{}", sealed[key])).into();
    let body = format!("{{\"content\":{{\"$sealed\":{},{}}}}}", sealed["$sealed"], rest.join(","));
    let inner = tower::service_fn(move |_: Request<Body>| {
        let body = body.clone();
        async move {
            let response = Response::builder().header("content-type", "application/json");
            response.body(Body::from(body))
        }
    });
    let response = DecryptResponseLayer::new(ring).layer(inner);
    let response = response.oneshot(Request::new(Body::empty())).await.unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    match body["content"].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(body["content_error"]["code"].as_str().expect("a code").to_owned()),
    }
}

/// A text in its envelope, at its place.
fn enveloped(text: &[u8]) -> Vec<u8> {
    let mut plaintext = vec![1, 1];
    plaintext.extend(MESSAGE.as_bytes());
    plaintext.extend(SENDER.as_bytes());
    plaintext.extend(0i64.to_be_bytes());
    plaintext.extend(text);
    plaintext
}

/// One of the files of vectors that the fernet crate brings along.
fn vectors(file: &str) -> Vec<Value> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("its answer is JSON");
    let packages = metadata["packages"].as_array().unwrap();
    let fernet = packages.iter().find(|package| package["name"] == "fernet").unwrap();
    let manifest = PathBuf::from(fernet["manifest_path"].as_str().unwrap());
    let path = manifest.with_file_name("tests").join(file);
    serde_json::from_slice(&std::fs::read(path).expect("the vectors")).unwrap()
}

fn text<'a>(vector: &'a Value, key: &str) -> &'a str {
    vector[key].as_str().unwrap()
}

#[tokio::test]
async fn the_vectors_to_generate_and_to_verify_open() {
    for file in ["generate.json", "verify.json"] {
        let vectors = vectors(file);
        assert!(!vectors.is_empty());
        for vector in vectors {
            let (secret, token) = (text(&vector, "secret"), text(&vector, "token"));
            assert_eq!(
                open(secret, token).await,
                Err("unsupported_version".to_owned()),
                "{vector}"
            );
            let now = 499_162_800;
            let opened = Fernet::new(secret).unwrap().decrypt_at_time(token, None, now).unwrap();
            assert_eq!(opened, text(&vector, "src").as_bytes(), "{vector}");
            // The time stands in it as the specification says, whatever the reader's clock.
            let bytes = URL_SAFE.decode(token).unwrap();
            assert_eq!((bytes[0], &bytes[1..9]), (0x80, &now.to_be_bytes()[..]));
        }
    }
}

#[tokio::test]
async fn the_invalid_vectors_do_not_open_save_those_that_only_the_time_makes_invalid() {
    let vectors = vectors("invalid.json");
    assert_eq!(vectors.len(), 8);
    let mut of_time = 0;
    for vector in vectors {
        let what = text(&vector, "desc");
        let opened = open(text(&vector, "secret"), text(&vector, "token")).await;
        // Stored messages are read for as long as they are stored, and a clock that was ahead when one was sealed
        // does not hide it; freshness is judged on the relay's own signature. So these two are genuine here.
        if what.starts_with("far-future TS") || what == "expired TTL" {
            of_time += 1;
            assert_eq!(opened, Err("unsupported_version".to_owned()), "{what}");
        } else {
            assert_eq!(opened, Err("tampered".to_owned()), "{what}");
        }
    }
    assert_eq!(of_time, 2);
}

#[tokio::test]
async fn texts_come_back_as_they_were_sealed_whatever_the_time_of_the_token() {
    let key = Keyring::generate_key();
    let fernet = Fernet::new(&key).unwrap();
    for sealed in ["", "Abc!", "\u{0}\u{7f}\u{0}", "\u{80}é日🦀", "x"] {
        for time in [0, 1, 499_162_800, 4_102_444_800, u64::MAX] {
            let token = fernet.encrypt_at_time(&enveloped(sealed.as_bytes()), time);
            assert_eq!(open(&key, &token).await.as_deref(), Ok(sealed), "{time}");
        }
    }
    // Bytes that are no text are none, even well sealed.
    for bytes in [&b"\x00\xff\x00\x80"[..], b"\xc3", b"\xed\xa0\x80"] {
        let token = fernet.encrypt(&enveloped(bytes));
        assert_eq!(open(&key, &token).await, Err("unsupported_version".to_owned()));
    }
}

#[tokio::test]
async fn what_has_not_the_form_of_a_token_does_not_open() {
    let key = Keyring::generate_key();
    let fernet = Fernet::new(&key).unwrap();
    let token = fernet.encrypt(&enveloped(b"a text of some length to be padded"));
    let bytes = URL_SAFE.decode(&token).unwrap();
    let mut bad_start = bytes.clone();
    bad_start[0] = 0x81;
    let forms = [
        String::new(),
        "\0".to_owned(),
        "nonsense".to_owned(),
        "gAAAAA".to_owned(),
        URL_SAFE.encode([0x80]),
        URL_SAFE.encode(&bytes[..5]),
        URL_SAFE.encode(&bytes[..9]),
        URL_SAFE.encode(&bytes[..25]),
        URL_SAFE.encode(&bytes[..bytes.len() - 16]),
        URL_SAFE.encode(bad_start),
        token[1..].to_owned(),
        token.trim_end_matches('=').to_owned(),
        format!("{token}="),
        format!("{token}\n"),
        format!(" {token}"),
        token.replace(['-', '_'], "+"),
        token.to_uppercase(),
    ];
    assert_eq!(open(&key, &token).await.as_deref(), Ok("a text of some length to be padded"));
    for form in forms.iter().filter(|form| **form != token) {
        assert_eq!(open(&key, form).await, Err("tampered".to_owned()), "{form:?}");
    }
}

#[test]
fn a_ring_needs_sound_keys_and_at_least_one() {
    let key = Keyring::generate_key();
    let encode = |length: usize| URL_SAFE.encode(vec![7; length]);
    for empty in ["", " ", "\r\n"] {
        assert_eq!(Keyring::parse(empty).unwrap_err(), KeyringError::Empty);
    }
    for short in [encode(16), encode(31), encode(33), encode(0), "x".to_owned(), "é".repeat(22)] {
        let bad = format!("{key},{short}");
        assert_eq!(Keyring::parse(&bad).unwrap_err(), KeyringError::Malformed(2), "{short}");
    }
    // The last character has two bits that mean nothing; only one of four spellings is the key.
    let stem = &key[..42];
    let spellings = "AEIMQUYcgkosw048".chars().flat_map(|last| {
        let next = char::from(last as u8 + 1);
        [format!("{stem}{last}="), format!("{stem}{next}=")]
    });
    for spelling in spellings.filter(|spelling| *spelling != key) {
        let sound = URL_SAFE.decode(&spelling).is_ok();
        assert_eq!(Keyring::parse(&spelling).is_ok(), sound, "{spelling}");
    }
    // Standard base64 is another alphabet, and white space within a key is no key.
    let standard = "cw/0x689RpI+jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=";
    for other in [standard.to_owned(), format!("{} {}", &key[..20], &key[20..])] {
        assert_eq!(Keyring::parse(&other).unwrap_err(), KeyringError::Malformed(1));
    }
    assert!(Keyring::parse(&format!("{key}\r\n")).is_ok());
}

#[tokio::test]
async fn a_ring_opens_with_any_key_and_a_key_that_is_not_in_it_opens_nothing() {
    let keys = [Keyring::generate_key(), Keyring::generate_key(), Keyring::generate_key()];
    let ring = keys[..2].join(",");
    for key in &keys[..2] {
        let token = Fernet::new(key).unwrap().encrypt(&enveloped(b"text"));
        // The token names the first key here; that of the second one is found all the same.
        assert_eq!(open(&ring, &token).await.as_deref(), Ok("text"));
    }
    let foreign = Fernet::new(&keys[2]).unwrap().encrypt(&enveloped(b"text"));
    assert_eq!(open(&ring, &foreign).await, Err("tampered".to_owned()));
}

#[tokio::test]
async fn an_envelope_of_another_place_or_version_is_told_apart() {
    let key = Keyring::generate_key();
    let fernet = Fernet::new(&key).unwrap();
    let place = enveloped(b"text");
    for index in 0..42 {
        let mut other = place.clone();
        other[index] ^= 1;
        let code = if index == 0 { "unsupported_version" } else { "moved" };
        assert_eq!(open(&key, &fernet.encrypt(&other)).await, Err(code.to_owned()), "byte {index}");
    }
    for length in 0..42 {
        let short = fernet.encrypt(&place[..length]);
        assert_eq!(open(&key, &short).await, Err("unsupported_version".to_owned()), "{length}");
    }
}
