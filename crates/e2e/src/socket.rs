use std::time::Duration;

use futures::{SinkExt, StreamExt};
use http::{HeaderValue, StatusCode};
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::{Client, PATIENCE};

/// A WebSocket of one app, as a client holds it.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    /// The cursor of the last frame.
    pub cursor: Option<String>,
}

/// What comes from a socket.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A frame.
    Frame(Value),
    /// The other side has closed it, with a code and a reason.
    Closed(u16, String),
    /// The connection is gone without a word.
    Gone,
}

impl Client {
    /// Opens a socket with the access token.
    pub async fn socket(&self) -> Socket {
        self.socket_at("/api/ws/").await.expect("a socket")
    }

    /// Opens a socket that first hears what it has missed since a cursor.
    pub async fn socket_since(&self, cursor: &str) -> Socket {
        self.socket_at(&format!("/api/ws/?since={cursor}")).await.expect("a socket")
    }

    /// Asks for a socket at a path, with the access token if there is one; the status and the body if it is refused.
    pub async fn socket_at(&self, path: &str) -> Result<Socket, (StatusCode, String)> {
        let token = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = token.iter().map(|token| ("authorization", token.as_str())).collect();
        self.socket_with(path, &headers).await
    }

    /// The same with these headers, and no others that say who it is.
    pub async fn socket_with(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, (StatusCode, String)> {
        let address = self.base.strip_prefix("http://").expect("an address");
        let mut request = format!("ws://{address}{path}").into_client_request().expect("a URL");
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).expect("a header"));
        }
        let gone = |error: std::io::Error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string());
        let stream = TcpStream::connect(address).await.map_err(gone)?;
        Self::shake_hands(request, stream).await
    }

    /// Opens a socket that can take in only a little without being read.
    pub async fn narrow_socket(&self) -> Socket {
        let address = self.base.strip_prefix("http://").expect("an address");
        let mut request = format!("ws://{address}/api/ws/").into_client_request().expect("a URL");
        let token = format!("Bearer {}", self.token.as_ref().expect("a token"));
        let token = HeaderValue::from_str(&token).expect("a header");
        request.headers_mut().insert("authorization", token);
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let stream = socket.connect(address.parse().expect("an address")).await;
        Self::shake_hands(request, stream.expect("a connection")).await.expect("a socket")
    }

    async fn shake_hands(
        request: http::Request<()>,
        stream: TcpStream,
    ) -> Result<Socket, (StatusCode, String)> {
        match tokio::time::timeout(PATIENCE, client_async(request, stream)).await {
            Ok(Ok((stream, _))) => Ok(Socket { stream, cursor: None }),
            Ok(Err(tungstenite::Error::Http(response))) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status(), String::from_utf8_lossy(&body).into_owned()))
            }
            Ok(Err(error)) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
            Err(tokio::time::error::Elapsed { .. }) => {
                panic!("no answer to the request for a socket")
            }
        }
    }
}

impl Socket {
    /// What comes next, of whatever type.
    pub async fn hear(&mut self) -> Heard {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            match next.expect("something from the socket") {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).expect("JSON");
                    if let Some(cursor) = frame["cursor"].as_str() {
                        self.cursor = Some(cursor.to_owned());
                    }
                    return Heard::Frame(frame);
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Heard::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Gone,
            }
        }
    }

    /// The next frame; panics if there is none.
    #[track_caller]
    pub fn frame(&mut self) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            match self.hear().await {
                Heard::Frame(frame) => frame,
                other => panic!("{other:?} instead of a frame, at {place}"),
            }
        }
    }

    /// The next frame that tells of neither presence nor typing.
    pub async fn event(&mut self) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] != "presence" && frame["type"] != "typing" {
                return frame;
            }
        }
    }

    /// The next frame of a type, whatever comes before it.
    pub async fn of_type(&mut self, name: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == name {
                return frame;
            }
        }
    }

    /// The code with which the other side closes it, whatever comes before; 0 if it is gone without a word.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            match self.hear().await {
                Heard::Frame(_) => {}
                Heard::Closed(code, _) => return code,
                Heard::Gone => return 0,
            }
        }
    }

    /// Says something.
    pub async fn say(&mut self, frame: &Value) {
        self.send(Message::text(frame.to_string())).await;
    }

    /// Sends a message as it stands; what cannot be sent any more is lost.
    pub async fn send(&mut self, message: Message) {
        let _ = self.stream.send(message).await;
    }

    /// Asks whether the other side is there, and gives what comes before it says so. What was sent before is done then.
    pub async fn settle(&mut self) -> Vec<Value> {
        self.say(&serde_json::json!({ "type": "ping" })).await;
        let mut before = Vec::new();
        loop {
            let frame = self.frame().await;
            if frame["type"] == "pong" {
                return before;
            }
            before.push(frame);
        }
    }

    /// Whether nothing comes within a time.
    pub async fn is_silent(&mut self, span: Duration) -> bool {
        tokio::time::timeout(span, self.stream.next()).await.is_err()
    }

    /// Ends the connection without a word.
    pub fn drop_connection(self) {
        drop(self);
    }
}
