//! What is said to a client whose request cannot be parsed.
//!
//! Such a request reaches no service: hyper answers it with a bare 400, 414 or 431, and has no hook for more. So the
//! stream under hyper finds these answers by their form and writes a whole problem in their place.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use shared::problem::Problem;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use uuid::Uuid;

use super::edge::HEADERS;
use super::trace::REQUEST_ID;

/// Bytes of an answer that hyper gives by itself, at most.
const BARE: usize = 160;

/// A stream whose bare refusals become problems with all headers.
pub struct Explained<S> {
    stream: S,
    /// What stands in the place of a bare refusal and has not been written yet.
    rest: Vec<u8>,
}

impl<S: AsyncWrite + Unpin> Explained<S> {
    /// Wraps a stream that hyper serves.
    pub fn new(stream: S) -> Self {
        Self { stream, rest: Vec::new() }
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.rest.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.rest))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.rest.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

/// The status, if these bytes are a refusal of hyper's own: every other answer has more headers.
fn refusal(bytes: &[u8]) -> Option<StatusCode> {
    if bytes.len() > BARE || !bytes.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let mut lines = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?;
    let bare = lines.all(|line| {
        matches!(line, "connection: close" | "content-length: 0") || line.starts_with("date: ")
    });
    bare.then(|| StatusCode::from_bytes(status.as_bytes()).ok())?
}

/// The whole answer, if these bytes are a bare refusal.
fn explain(bytes: &[u8]) -> Option<Vec<u8>> {
    let status = refusal(bytes)?;
    let id = Uuid::from_u128(rand::random()).simple().to_string();
    let body = Problem::of_status(status).document(None, Some(&id));
    let mut head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         connection: close\r\n{REQUEST_ID}: {id}\r\n",
        body.len()
    );
    for (name, value) in HEADERS {
        head.extend([name.as_str(), ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    Some([head.into_bytes(), body].concat())
}

impl<S: AsyncRead + Unpin> AsyncRead for Explained<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Explained<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        ready!(self.poll_rest(cx))?;
        if let Some(whole) = explain(bytes) {
            self.rest = whole;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        ready!(self.poll_rest(cx))?;
        if let [only] = slices {
            return self.poll_write(cx, only);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_rest(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_rest(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_refusal_is_explained_and_nothing_else_is_touched() {
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
        let whole = String::from_utf8(explain(bare.as_bytes()).unwrap()).unwrap();
        assert!(whole.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{whole}");
        assert!(whole.contains("application/problem+json") && whole.contains("DENY"), "{whole}");
        let body = whole.split_once("\r\n\r\n").unwrap().1;
        assert!(whole.contains(&format!("content-length: {}\r\n", body.len())), "{whole}");
        for other in [
            "",
            "{}",
            "HTTP/1.1 4",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\nx: y\r\n\r\n",
        ] {
            assert_eq!(explain(other.as_bytes()), None, "{other}");
        }
    }
}
