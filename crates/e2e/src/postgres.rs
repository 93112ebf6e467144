use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::{Database, Issued, signal};

/// A private PostgreSQL, for tests that ill-treat it; it is gone when it is dropped.
pub struct Postgres {
    url: String,
    // The script ends when its input does.
    script: Child,
    _output: BufReader<ChildStdout>,
    /// The first process of the server.
    head: u32,
}

impl Postgres {
    /// Starts one as `make test` starts that of all tests. `None` where PostgreSQL cannot be had; the script has said so.
    pub async fn start() -> Option<Self> {
        if !Database::Postgres.is_to_be_tested() {
            return None;
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/with-postgres");
        let script = Command::new(path)
            .args(["sh", "-c", "echo \"$TEST_POSTGRES_URL\"; cat >/dev/null"])
            .env_remove("TEST_POSTGRES_URL")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut script = script.expect("scripts/with-postgres runs");
        let mut output = BufReader::new(script.stdout.take().expect("its output"));
        let mut url = String::new();
        output.read_line(&mut url).expect("what it says");
        let url = url.trim().to_owned();
        if url.is_empty() {
            let _ = script.wait();
            return None;
        }
        let mut conn = PgConnection::connect(&url).await.expect("the server");
        let folder = "SHOW data_directory";
        let folder: String = conn.fetch_one(folder).await.expect("its folder").get(0);
        let lock = std::fs::read_to_string(Path::new(&folder).join("postmaster.pid"));
        let head = lock.expect("its lock file").lines().next().and_then(|line| line.parse().ok());
        Some(Self { url, script, _output: output, head: head.expect("a process id") })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let (_, rest) = self.url.split_once('@').expect("a URL with a user");
        rest.split('/').next().expect("an address").parse().expect("an address")
    }

    /// The URL of a new database, at an address that leads to the server.
    pub async fn database(&self, at: SocketAddr) -> String {
        let name = format!("test_{:032x}", rand::random::<u128>());
        let mut conn = PgConnection::connect(&self.url).await.expect("the server");
        let create = format!("CREATE DATABASE {name}");
        conn.execute(AssertSqlSafe(create)).await.expect("a new database");
        let (user, _) = self.url.split_once('@').expect("a URL with a user");
        format!("{user}@{at}/{name}")
    }

    /// From soon on, it speaks TLS to whoever asks for that, and shows this certificate.
    pub async fn show(&self, issued: &Issued) {
        let mut conn = PgConnection::connect(&self.url).await.expect("the server");
        for (file, pem) in [("server.crt", &issued.certificate), ("server.key", &issued.key)] {
            // The server itself writes them: it wants its key to be in nobody else's reach.
            let copy = format!(
                "COPY (SELECT unnest(string_to_array('{}', E'\n'))) TO PROGRAM 'umask 077; cat >{file}'",
                pem.trim()
            );
            conn.execute(AssertSqlSafe(copy)).await.expect("a file");
        }
        conn.execute("ALTER SYSTEM SET ssl = on").await.expect("a setting");
        conn.execute("SELECT pg_reload_conf()").await.expect("to be read");
    }

    /// Kills one of its processes, as if it had crashed: the server then throws all connections out and recovers.
    pub async fn crash(&self) {
        let mut conn = PgConnection::connect(&self.url).await.expect("the server");
        let own: i32 = conn.fetch_one("SELECT pg_backend_pid()").await.expect("its process").get(0);
        signal("KILL", [own.unsigned_abs()]);
    }

    /// Makes it stand still: connections are taken and nothing is answered, until [`Frozen::thaw`].
    pub async fn freeze(&self) -> Frozen {
        let mut conn = PgConnection::connect(&self.url).await.expect("the server");
        signal("STOP", [self.head]);
        let all = "SELECT pid FROM pg_stat_activity";
        let all = conn.fetch_all(all).await.expect("its processes");
        let mut processes: Vec<u32> =
            all.iter().map(|row| row.get::<i32, _>(0).unsigned_abs()).collect();
        signal("STOP", processes.iter().copied());
        processes.push(self.head);
        Frozen { processes }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

/// A server that stands still.
#[must_use]
pub struct Frozen {
    processes: Vec<u32>,
}

impl Frozen {
    /// Lets it go on.
    pub fn thaw(self) {
        drop(self);
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        signal("CONT", self.processes.drain(..));
    }
}
