//! The apps speaking TLS themselves: to people, and to each other.

use std::sync::Arc;

use e2e::{Authority, Client, Database, Disturbance, Issued, Process, ProcessPair, eventually};
use futures::StreamExt;
use http::Method;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

const HERE: &str = "127.0.0.1";

/// Both apps with certificates of one authority, which is the one that they trust; not yet started.
async fn pair() -> (ProcessPair, Arc<Authority>) {
    let mut pair = ProcessPair::prepare_over("https", Database::Sqlite).await;
    let authority = Arc::new(Authority::new());
    for app in [&mut pair.a, &mut pair.b] {
        app.show(&authority, &authority.issue(HERE));
        app.keep("PEER_CA_FILE", &authority.pem);
    }
    (pair, authority)
}

/// Alice of AppA and Bob of AppB.
async fn people(pair: &ProcessPair) -> (Client, Client) {
    (pair.a.client().join("alice*").await, pair.b.client().join("bob*").await)
}

async fn arrives(bob: &Client, text: &str) {
    eventually("the message arrives", || async {
        let inbox = bob.get("/api/messages/inbox/").await.expect(200);
        inbox.results().iter().any(|message| message["content"] == text).then_some(())
    })
    .await;
}

fn count(app: &Process, what: &str) -> usize {
    String::from_utf8_lossy(&app.log()).matches(what).count()
}

async fn says(app: &Process, what: &str) {
    eventually(what, || async { (count(app, what) > 0).then_some(()) }).await;
}

/// TLS to an app, trusting an authority.
async fn connect(app: &Process, authority: &Authority) -> TlsStream<TcpStream> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let pem = authority.pem.as_bytes();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config =
        rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(app.bind).await.unwrap();
    let name = ServerName::IpAddress(app.bind.ip().into());
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

async fn socket(
    app: &Process,
    authority: &Authority,
    user: &Client,
) -> WebSocketStream<TlsStream<TcpStream>> {
    let url = format!("wss://{}/api/ws/", app.bind);
    let mut request = url.into_client_request().unwrap();
    let token = format!("Bearer {}", user.token.as_ref().unwrap());
    request.headers_mut().insert("authorization", token.parse().unwrap());
    let stream = connect(app, authority).await;
    client_async(request, stream).await.unwrap().0
}

/// Waits until a socket tells of a message with this text.
async fn hears(socket: &mut WebSocketStream<TlsStream<TcpStream>>, text: &str) {
    let told = async {
        while let Some(Ok(frame)) = socket.next().await {
            let frame: Value =
                serde_json::from_str(frame.to_text().unwrap_or_default()).unwrap_or_default();
            if frame["data"]["content"] == text {
                return;
            }
        }
        panic!("the socket is gone");
    };
    tokio::time::timeout(e2e::PATIENCE, told).await.expect("the socket tells of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_and_peers_are_served_over_tls_and_in_no_other_way() {
    let (mut pair, authority) = pair().await;
    pair.a.start().await;
    pair.b.start().await;
    let (alice, bob) = people(&pair).await;
    let mut socket = socket(&pair.b, &authority, &bob).await;
    alice.send(&bob.address(), "over TLS").await;
    hears(&mut socket, "over TLS").await;
    bob.send(&alice.address(), "and back").await;
    arrives(&alice, "and back").await;

    let list = alice.get("/api/users/?page_size=1").await.expect(200);
    assert!(list.headers["strict-transport-security"].to_str().unwrap().starts_with("max-age="));
    assert!(list.str("next").starts_with("https://"), "{list:?}");
    assert!(pair.a.run(&["healthcheck"]).status.success(), "it is healthy");
    let passed = pair.a_to_b.recorded();
    assert!(!passed.is_empty() && !String::from_utf8_lossy(&passed).contains("/relay/v1"));

    // What speaks no TLS gets no answer in the clear.
    let mut plain = TcpStream::connect(pair.a.bind).await.unwrap();
    plain.write_all(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(e2e::PATIENCE, plain.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection is closed");
    assert!(answer.len() < 32 && !answer.starts_with(b"HTTP"), "{answer:?}");
    pair.a.kill();
    assert!(!pair.a.run(&["healthcheck"]).status.success(), "nobody is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_without_a_sound_certificate_gets_nothing_until_it_has_one() {
    let (mut pair, authority) = pair().await;
    pair.a.start().await;
    pair.b.start().await;
    let (alice, bob) = people(&pair).await;
    alice.send(&bob.address(), "acquainted").await;
    arrives(&bob, "acquainted").await;

    let stranger = Authority::new();
    let mut waiting = Vec::new();
    for (bad, reason) in [
        (stranger.issue(HERE), "invalid peer certificate"),
        (authority.issue_until(HERE, 2020), "certificate expired"),
        (authority.issue("elsewhere.example.org"), "not valid for name"),
    ] {
        swap(&pair, &bad).await;
        let text = format!("held back: {reason}");
        let sent = alice.send(&bob.address(), &text).await;
        says(&pair.a, reason).await;
        let path = format!("/api/chats/messages/{}/", sent["id"].as_str().unwrap());
        assert_eq!(alice.get(&path).await.expect(200).str("status"), "queued", "{reason}");
        waiting.push(text);
    }
    swap(&pair, &authority.issue(HERE)).await;
    for text in waiting {
        arrives(&bob, &text).await;
    }
}

/// Gives AppB another certificate, and cuts what AppA has open to it.
async fn swap(pair: &ProcessPair, issued: &Issued) {
    let read = || {
        let log = String::from_utf8_lossy(&pair.b.log()).into_owned();
        let own = log.lines().filter(|line| line.contains("of this app"));
        own.filter(|line| line.contains("certificates were read anew")).count()
    };
    let before = read();
    pair.b.replace(issued);
    pair.b.signal("HUP");
    eventually("the certificate is read", || async { (read() > before).then_some(()) }).await;
    pair.a_to_b.disturb(Disturbance::Down);
    pair.a_to_b.disturb(Disturbance::None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_certificate_is_taken_if_it_is_sound_and_drops_no_connection() {
    let (mut pair, authority) = pair().await;
    let app = &mut pair.a;
    app.start().await;
    let (alice, ann) = (app.client().join("alice*").await, app.client().join("ann*").await);
    let mut socket = socket(app, &authority, &ann).await;

    app.replace(&Issued { certificate: "nonsense".to_owned(), key: "nonsense".to_owned() });
    says(app, "those of before stay").await;
    app.client().get("/health/ready").await.expect(200);
    assert!(
        app.run(&["healthcheck"]).status.success(),
        "it is healthy whatever the new file holds"
    );

    let next = Authority::new();
    app.replace(&next.issue(HERE));
    let trusting = reqwest::Client::builder().tls_certs_only([next.certificate()]);
    let newcomer = Client::with(&format!("https://{}", app.bind), "app-a", trusting);
    eventually("the new certificate is shown", || async {
        let request = newcomer.request(Method::GET, "/health/ready");
        newcomer.try_run(request).await.ok().map(|reply| reply.expect(200))
    })
    .await;
    // Both connections of before are still there.
    alice.send(&ann.address(), "still here").await;
    hears(&mut socket, "still here").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_ends_a_handshake_blocks_nobody_and_is_let_go() {
    let (mut pair, _) = pair().await;
    pair.a.set("HEADER_TIMEOUT_SECONDS", "5");
    pair.a.start().await;
    let mut silent = Vec::new();
    for index in 0..100 {
        let mut stream = TcpStream::connect(pair.a.bind).await.unwrap();
        // Some say nothing, and some begin.
        stream.write_all(&[0x16, 3, 1, 2][..index % 5]).await.unwrap();
        silent.push(stream);
    }
    // One after the other they would take minutes.
    let client = pair.a.client();
    eventually("somebody else is served", || async {
        let request = client.request(Method::GET, "/health/ready");
        client.try_run(request).await.ok().map(|reply| reply.expect(200))
    })
    .await;
    for mut stream in silent {
        let ended = tokio::time::timeout(e2e::PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "it is closed");
    }
    assert!(pair.a.terminate().await, "it stops in peace");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_may_be_asked_for_certificates_and_people_are_not() {
    let (mut pair, authority) = pair().await;
    let signer = Authority::new();
    let of = |name: &str| signer.issue(name);
    for app in [&mut pair.a, &mut pair.b] {
        app.keep("TLS_CLIENT_CA_FILE", &signer.pem);
    }
    let shown = of("app-a");
    pair.a.keep("PEER_CLIENT_CERT_FILE", &shown.certificate);
    pair.a.keep("PEER_CLIENT_KEY_FILE", &shown.key);
    pair.a.start().await;
    pair.b.start().await;
    let (alice, bob) = people(&pair).await;
    // AppA shows one, and AppB none.
    alice.send(&bob.address(), "with a certificate").await;
    arrives(&bob, "with a certificate").await;
    says(&pair.b, "certificate_required").await;
    let back = bob.send(&alice.address(), "and back").await;
    assert_eq!(back["status"], "queued");
    let shown = of("app-b");
    pair.b.keep("PEER_CLIENT_CERT_FILE", &shown.certificate);
    pair.b.keep("PEER_CLIENT_KEY_FILE", &shown.key);
    assert!(pair.b.terminate().await);
    pair.b.start().await;
    arrives(&alice, "and back").await;

    let anybody = pair.b.client();
    let refused = anybody.get("/relay/v1/users/?username=bob").await.expect(403);
    assert_eq!(refused.code(), "certificate_required");
    anybody.get("/health/ready").await.expect(200);
    // Who shows one is not believed for that; and one of somebody else ends the handshake.
    for (issued, expected) in [(of("app-a"), Some(401)), (authority.issue("app-a"), None)] {
        let pem = [issued.certificate, issued.key].concat();
        let identity = reqwest::Identity::from_pem(pem.as_bytes()).unwrap();
        let client = pair.b.client_with(reqwest::Client::builder().identity(identity));
        let request = client.request(Method::GET, "/relay/v1/users/?username=bob");
        let status = client.try_run(request).await.ok().map(|reply| reply.status.as_u16());
        assert_eq!(status, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_to_a_peer_beyond_private_networks_is_reported_at_start() {
    const REPORT: &str = "is reached by plain http at a host that is not private";
    let mut pair = ProcessPair::prepare_over("http", Database::Sqlite).await;
    // An address for documentation (RFC 5737): nobody is there.
    pair.a.set("PEERS", "app-b=http://192.0.2.1");
    pair.a.start().await;
    pair.b.start().await;
    assert_eq!((count(&pair.a, REPORT), count(&pair.b, REPORT)), (1, 0));
}
