use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::tls;

/// How long the app may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of a first line, at most.
const MAX_LINE: usize = 1024;

/// Asks the app at `BIND_ADDR` whether it is ready.
pub fn run(config: &Config) -> ExitCode {
    let mut address = config.bind;
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    match ask(address, config.tls.server.is_some()) {
        Ok(line) if line.starts_with("HTTP/1.1 200 ") => ExitCode::SUCCESS,
        Ok(line) => {
            let line = if line.is_empty() { "no answer" } else { &line };
            eprintln!("not ready: {line}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("not reachable at {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The first line of the answer.
fn ask(address: SocketAddr, over_tls: bool) -> std::io::Result<String> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if over_tls { first_line(tls::to_own_app(stream, address.ip())?) } else { first_line(stream) }
}

fn first_line(mut stream: impl Read + Write) -> std::io::Result<String> {
    let until = Instant::now() + PATIENCE;
    stream
        .write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    stream.flush()?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') && answer.len() < MAX_LINE && Instant::now() < until {
        let mut bytes = [0; 256];
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&bytes[..count]);
    }
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).trim_end().to_owned())
}
