use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::error::Result;

/// What every request is answered.
const ANSWER: &[u8] = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}";
/// Bytes of a request, at most.
const REQUEST: usize = 4096;

/// Answers every request alike: what it costs is next to nothing, so what is measured is who asks.
///
/// It knows one client, which sends the same request again and again on a connection, each when the one before is
/// answered: so the length of the first is that of all.
pub async fn serve(listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            if let Err(error) = answer(stream).await {
                eprintln!("a connection broke: {error}");
            }
        });
    }
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; REQUEST];
    let (mut filled, mut length) = (0, None);
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        length = length.or_else(|| request_length(&buffer[..filled]));
        if length.is_some_and(|length| filled >= length) {
            stream.write_all(ANSWER).await?;
            filled = 0;
        }
    }
}

/// Bytes of the request that begins here, once its headers are there.
fn request_length(bytes: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let body = memmem::find(bytes, b"\r\n\r\n")? + 4;
    let headers = &bytes[..body];
    let Some(start) = memmem::find(headers, NAME) else { return Some(body) };
    let digits = headers[start + NAME.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(body + digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_request_is_known_once_its_headers_are_there() {
        let post = b"POST / HTTP/1.1\r\ncontent-length: 12\r\n\r\n";
        assert_eq!(request_length(&post[..20]), None);
        assert_eq!(request_length(post), Some(post.len() + 12));
        let get = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        assert_eq!(request_length(get), Some(get.len()));
    }
}
