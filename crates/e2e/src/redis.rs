use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Authority, eventually};

/// A private Redis, which is stopped when it is dropped.
pub struct Redis {
    port: u16,
    /// Where it speaks TLS, beside.
    tls_port: Option<u16>,
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Redis {
    /// Starts one on a free port. It keeps nothing. `None` where `TEST_REDIS=skip` says that there can be none.
    pub async fn start() -> Option<Self> {
        if std::env::var("TEST_REDIS").as_deref() == Ok("skip") {
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut redis = Self { port: free_port(), tls_port: None, folder, child: None };
        redis.restart().await;
        Some(redis)
    }

    /// The same, which also speaks TLS, at another port, with a certificate for 127.0.0.1.
    pub async fn start_over_tls(authority: &Authority) -> Option<Self> {
        let mut redis = Self::start().await?;
        let issued = authority.issue("127.0.0.1");
        for (name, pem) in [("certificate", &issued.certificate), ("key", &issued.key)] {
            std::fs::write(redis.folder.path().join(name), pem).expect("a file");
        }
        redis.tls_port = Some(free_port());
        redis.restart().await;
        Some(redis)
    }

    /// Where it speaks TLS.
    pub fn tls_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.tls_port.expect("a server with TLS")).into()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// What `REDIS_URL` is set to.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Stops it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again, empty.
    pub async fn restart(&mut self) {
        self.kill();
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        if let Some(port) = self.tls_port {
            command.args(["--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
            command.args(["--tls-cert-file", "certificate", "--tls-key-file", "key"]);
        }
        let child = command
            .args(["--appendonly", "no", "--dir"])
            .arg(self.folder.path())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("redis-server runs; make test installs it"));
        eventually("Redis answers", || async {
            (self.command("PING").await.as_deref() == Some("+PONG")).then_some(())
        })
        .await;
    }

    /// Gives it a command, and gives the first line of what it answers.
    pub async fn command(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
        let mut answer = [0; 512];
        let count = stream.read(&mut answer).await.ok()?;
        let text = String::from_utf8_lossy(&answer[..count]).into_owned();
        text.lines().next().map(str::to_owned)
    }

    /// Everything that passes through it from now on, until it is stopped.
    pub async fn watched(&self) -> tokio::task::JoinHandle<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("Redis");
        stream.write_all(b"MONITOR\r\n").await.expect("Redis");
        let mut ok = [0; 5];
        stream.read_exact(&mut ok).await.expect("an answer");
        tokio::spawn(async move {
            let mut seen = Vec::new();
            let _ = stream.read_to_end(&mut seen).await;
            seen
        })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
