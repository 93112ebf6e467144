//! Requests that no well-behaved client would send.

use std::time::Duration;

use e2e::{Client, Reply};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request line, header lines (each with its end) and a body as they stand, and gives the answer; `None` if
/// the connection is closed without one.
pub async fn raw(client: &Client, line: &str, headers: &str, body: &[u8]) -> Option<Reply> {
    let address = client.base.strip_prefix("http://").expect("an address");
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut from, mut to) = stream.into_split();
    let mut request =
        format!("{line}\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n").into_bytes();
    request.extend_from_slice(body);
    // The app may answer, and close, before it has read everything.
    let writing = tokio::spawn(async move {
        let _ = to.write_all(&request).await;
        to
    });
    let mut answer = Vec::new();
    let reading = from.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an end");
    writing.abort();
    parse(&answer)
}

fn parse(answer: &[u8]) -> Option<Reply> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_str(value.trim()).ok()?,
        );
    }
    Some(Reply {
        status: StatusCode::from_bytes(status.as_bytes()).ok()?,
        headers,
        text: body.to_owned(),
        json: serde_json::from_str(body).unwrap_or_default(),
    })
}
