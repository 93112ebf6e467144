use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::error::{Error, Result};

/// A request that is sent many times: to clone it is to count a few references.
pub type Template = Request<Full<Bytes>>;

/// One keep-alive connection, on which one request follows the other.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
}

/// What was answered.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The whole body.
    pub body: Bytes,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends when the sender is dropped; what breaks it is told to the sender.
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Sends a request and reads the whole answer.
    pub async fn call(&mut self, request: Template) -> Result<Answer> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        Ok(Answer { status: parts.status, body: body.collect().await?.to_bytes() })
    }

    /// Sends a request that must be answered with `status`, and reads the answer as `T`.
    pub async fn fetch<T: DeserializeOwned>(
        &mut self,
        request: Template,
        status: StatusCode,
    ) -> Result<T> {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = self.call(request).await?;
        answer.expect(status, what)?;
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

impl Answer {
    /// Fails unless the status is this one.
    pub fn expect(&self, status: StatusCode, what: String) -> Result<()> {
        if self.status == status {
            return Ok(());
        }
        Err(Error::Answer { what, status: self.status, body: self.excerpt() })
    }

    /// The start of the body, for people.
    pub fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect()
    }
}

/// A `GET`, in the name of the owner of the token if there is one.
pub fn get(path: &str, token: Option<&str>) -> Result<Template> {
    build(Method::GET, path, token, Bytes::new())
}

/// A `POST` of JSON.
pub fn post(path: &str, token: Option<&str>, body: &impl Serialize) -> Result<Template> {
    build(Method::POST, path, token, serde_json::to_vec(body)?.into())
}

fn build(method: Method, path: &str, token: Option<&str>, body: Bytes) -> Result<Template> {
    let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    Ok(request.body(Full::new(body))?)
}
