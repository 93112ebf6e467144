use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Instant;

use futures::StreamExt;
use hyper::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::error::{Error, Result};

/// Bytes that are read or collected at once: thousands of sockets are open.
const BUFFER: usize = 2048;

/// A WebSocket, as a client of an app holds it. It must be read, so that the app's heartbeats are answered.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
}

/// A message that the app has told of, and when that was known here.
#[derive(Debug)]
pub struct Told {
    /// The message's id.
    pub id: String,
    /// When the frame had been read.
    pub at: Instant,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

impl Socket {
    /// Opens a socket in the name of a token's owner, from a local address whose port may be 0.
    pub async fn open(address: SocketAddr, from: SocketAddr, token: &str) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(from)?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{address}/api/ws/").into_client_request()?;
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
        request.headers_mut().insert(AUTHORIZATION, bearer.map_err(hyper::http::Error::from)?);
        let small = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(BUFFER);
        let (stream, _) = client_async_with_config(request, stream, Some(small)).await?;
        Ok(Self { stream })
    }

    /// Waits until the app tells of a new message; it never ends otherwise than by an error.
    pub async fn message(&mut self) -> Result<Told> {
        loop {
            let text = self.text().await?;
            let at = Instant::now();
            if let Some(id) = created(&text)? {
                return Ok(Told { id, at });
            }
        }
    }

    /// Reads whatever comes, so that heartbeats are answered.
    pub async fn listen(&mut self) -> Error {
        loop {
            if let Err(error) = self.text().await {
                return error;
            }
        }
    }

    async fn text(&mut self) -> Result<Utf8Bytes> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map_or_else(String::new, |frame| frame.to_string());
                    return Err(Error::Failed(format!("a socket was closed: {why}")));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(Error::Failed("a socket has ended".to_owned())),
            }
        }
    }
}

/// The id of the message that a frame tells of, if it tells of a new one.
fn created(text: &str) -> Result<Option<String>> {
    let frame: Frame<'_> = serde_json::from_str(text)?;
    let id = frame.data.filter(|_| frame.kind == "message.created").and_then(|data| data.id);
    Ok(id.map(Cow::into_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_messages_are_told_from_other_frames() {
        let of = |text: &str| created(text).unwrap();
        let new =
            r#"{"cursor":"x","type":"message.created","data":{"id":"one","content":"\u00e9"}}"#;
        assert_eq!(of(new).as_deref(), Some("one"));
        assert_eq!(of(&new.replace("created", "status")), None);
        assert_eq!(of(r#"{"type":"presence","data":{"online":[],"offline":[]}}"#), None);
        assert_eq!(of(r#"{"type":"pong"}"#), None);
    }
}
