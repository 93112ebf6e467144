use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::eventually;

/// A Redis for one test: that of `TEST_REDIS_URL`, or a private one that is stopped when this is dropped.
pub struct RedisServer {
    /// Where it listens.
    pub address: SocketAddr,
    child: Option<Child>,
    _folder: TempDir,
}

impl RedisServer {
    /// Starts one; `None` where `TEST_REDIS=skip` says that there can be none.
    pub async fn start() -> Option<Self> {
        if std::env::var("TEST_REDIS").as_deref() == Ok("skip") {
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        if let Ok(url) = std::env::var("TEST_REDIS_URL") {
            let address = url.strip_prefix("redis://").and_then(|rest| rest.parse().ok());
            let address = address.expect("TEST_REDIS_URL is redis:// with an address and a port");
            return Some(Self { address, child: None, _folder: folder });
        }
        let address = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("its address")
        };
        let port = address.port().to_string();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server runs; `make test` installs it, TEST_REDIS_URL names another");
        eventually("Redis listens", || async {
            TcpStream::connect(address).await.ok().map(|_| ())
        })
        .await;
        Some(Self { address, child: Some(child), _folder: folder })
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
