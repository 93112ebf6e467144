use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use shared::encryption::Keyring;

use crate::pair::HIGH_LIMITS;
use crate::{Authority, Client, Database, Issued, Storage, Wire, eventually, signal};

/// One app as a real process.
pub struct Process {
    app: &'static str,
    variables: Vec<(String, String)>,
    /// The command that is given the binary to run, with its arguments; empty for none.
    wrapper: Vec<String>,
    /// Its database, which it may share with replicas.
    pub storage: Arc<Storage>,
    logs: tempfile::TempDir,
    /// Where it listens.
    pub bind: SocketAddr,
    /// Whose certificate it shows, if it speaks TLS.
    authority: Option<Arc<Authority>>,
    metrics: SocketAddr,
    child: Option<Child>,
}

/// Both apps as real processes, wired to each other.
pub struct ProcessPair {
    /// AppA.
    pub a: Process,
    /// AppB.
    pub b: Process,
    /// What AppA sends to AppB.
    pub a_to_b: Wire,
    /// What AppB sends to AppA.
    pub b_to_a: Wire,
}

impl ProcessPair {
    /// Starts both on fresh databases, with everything logged.
    pub async fn start(database: Database) -> Self {
        let mut pair = Self::prepare(database).await;
        pair.a.start().await;
        pair.b.start().await;
        pair
    }

    /// Both, not yet started.
    pub async fn prepare(database: Database) -> Self {
        Self::prepare_over("http", database).await
    }

    /// The same, that reach each other by a scheme at addresses of 127.0.0.1.
    pub async fn prepare_over(scheme: &str, database: Database) -> Self {
        let (a, b) = (free_address(), free_address());
        let (a_to_b, b_to_a) = (Wire::to(b).await, Wire::to(a).await);
        let (keys, secret) = (Keyring::generate_key(), Keyring::generate_key());
        let shared =
            [("FERNET_KEYS", keys), ("RELAY_SECRET", secret), ("RUST_LOG", "trace".into())];
        Self {
            a: Process::new(
                "app-a",
                a,
                format!("app-b={scheme}://{}", a_to_b.address),
                database,
                &shared,
            )
            .await,
            b: Process::new(
                "app-b",
                b,
                format!("app-a={scheme}://{}", b_to_a.address),
                database,
                &shared,
            )
            .await,
            a_to_b,
            b_to_a,
        }
    }
}

/// An address that is free now, for a process that binds it in a moment.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

/// A binary of this build: it stands two folders above the test, as `make test` builds it before.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.ancestors().nth(2).expect("a target folder");
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --workspace --bins`", path.display());
    path
}

impl Process {
    async fn new(
        app: &'static str,
        bind: SocketAddr,
        peers: String,
        database: Database,
        shared: &[(&str, String)],
    ) -> Self {
        let (storage, metrics) = (Arc::new(database.fresh().await), free_address());
        let own = [
            ("BIND_ADDR", bind.to_string()),
            ("METRICS_ADDR", metrics.to_string()),
            ("DATABASE_URL", storage.url.clone()),
            ("JWT_SECRET", Keyring::generate_key()),
            ("PEERS", peers),
        ];
        let limits = HIGH_LIMITS.map(|(name, value)| (name, value.to_owned()));
        let variables = limits.into_iter().chain(own).chain(shared.iter().cloned());
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).collect();
        let logs = tempfile::tempdir().expect("a temporary folder");
        let wrapper = Vec::new();
        let authority = None;
        Self { app, variables, wrapper, storage, logs, bind, authority, metrics, child: None }
    }

    /// Another process of the same app over the same database, not yet started.
    #[must_use]
    pub fn beside(&self) -> Self {
        let (bind, metrics) = (free_address(), free_address());
        let logs = tempfile::tempdir().expect("a temporary folder");
        let (variables, storage) = (self.variables.clone(), self.storage.clone());
        let (app, wrapper) = (self.app, self.wrapper.clone());
        let authority = self.authority.clone();
        let replica =
            Self { app, variables, wrapper, storage, logs, bind, authority, metrics, child: None };
        let replica = replica.with("BIND_ADDR", &bind.to_string());
        replica.with("METRICS_ADDR", &metrics.to_string())
    }

    /// The same with another value of a variable, from its next start on.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Gives a variable another value, from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Leaves a variable out, from the next start on.
    pub fn unset(&mut self, name: &str) {
        self.variables.retain(|(known, _)| known != name);
    }

    /// Has a variable name a file with these contents, from the next start on.
    pub fn keep(&mut self, name: &str, contents: &str) {
        let path = self.logs.path().join(name);
        std::fs::write(&path, contents).expect("a file");
        self.set(name, &path.display().to_string());
    }

    /// Has it run by a command, from the next start on, which is given its path and must become it (`exec`).
    pub fn wrap(&mut self, command: &[&str]) {
        self.wrapper = command.iter().map(|&word| word.to_owned()).collect();
    }

    /// The value of a variable, from its next start on.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// From the next start on, its keys come from a file of its own, and gives that.
    pub fn keep_keys_in_a_file(&mut self) -> PathBuf {
        let path = self.logs.path().join("keys");
        let keys = self.get("FERNET_KEYS").expect("keys in the environment").to_owned();
        std::fs::write(&path, keys).expect("a file of keys");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        self.variables.retain(|(name, _)| name != "FERNET_KEYS");
        self.set("FERNET_KEYS_FILE", &path.display().to_string());
        path
    }

    /// Runs a command of its binary, with its settings and in its folder.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(binary(self.app))
            .args(arguments)
            .env_clear()
            .envs(self.variables.iter().cloned())
            .env("RUST_LOG", "warn")
            .current_dir(self.logs.path())
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs")
    }

    /// The same, of a command that must succeed, and gives what it has said.
    #[track_caller]
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}{wrong}");
        said
    }

    /// The same, of a command that must fail, and gives what it has complained about.
    #[track_caller]
    pub fn fail(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {wrong}");
        wrong
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.logs.path().join("log"))
            .expect("a log file");
        let program = binary(self.app).display().to_string();
        let words: Vec<_> = self.wrapper.iter().chain([&program]).collect();
        let child = Command::new(words[0])
            .args(&words[1..])
            .env_clear()
            .envs(self.variables.iter().cloned())
            .current_dir(self.logs.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the binary runs");
        self.child = Some(child);
        let client = self.client();
        eventually("the app is ready", || async {
            let request = client.request(http::Method::GET, "/health/ready");
            let ready = client.try_run(request).await.is_ok_and(|r| r.status.is_success());
            ready.then_some(())
        })
        .await;
    }

    /// Gives it a certificate of its own, from its next start on.
    pub fn show(&mut self, authority: &Arc<Authority>, issued: &Issued) {
        self.authority = Some(authority.clone());
        let (certificate, key) = self.certificate();
        self.replace(issued);
        self.set("TLS_CERT_FILE", &certificate.display().to_string());
        self.set("TLS_KEY_FILE", &key.display().to_string());
    }

    /// Puts another certificate into the place of the one that it shows.
    pub fn replace(&self, issued: &Issued) {
        let (certificate, key) = self.certificate();
        std::fs::write(certificate, &issued.certificate).expect("a file");
        std::fs::write(key, &issued.key).expect("a file");
    }

    fn certificate(&self) -> (PathBuf, PathBuf) {
        (self.logs.path().join("certificate.pem"), self.logs.path().join("key.pem"))
    }

    /// Somebody who may log in.
    pub fn client(&self) -> Client {
        self.client_with(reqwest::Client::builder())
    }

    /// The same, whose connections begin as `http` says, and trust its authority.
    pub fn client_with(&self, http: reqwest::ClientBuilder) -> Client {
        match &self.authority {
            None => Client::with(&format!("http://{}", self.bind), self.app, http),
            Some(authority) => {
                let http = http.tls_certs_only([authority.certificate()]);
                Client::with(&format!("https://{}", self.bind), self.app, http)
            }
        }
    }

    /// Ends it at once, as a power cut would: SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to stop with SIGTERM, waits for its end, and gives whether that was a clean one.
    pub async fn terminate(&mut self) -> bool {
        self.signal("TERM");
        let Some(mut child) = self.child.take() else { return false };
        for _ in 0..3000 {
            if let Ok(Some(status)) = child.try_wait() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(name, self.child.as_ref().map(Child::id));
    }

    /// Makes it stand still, as a machine that is suspended does: SIGSTOP.
    pub fn pause(&self) {
        signal("STOP", self.child.as_ref().map(Child::id));
    }

    /// Lets it go on.
    pub fn resume(&self) {
        signal("CONT", self.child.as_ref().map(Child::id));
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Its process id; 0 if it does not run.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Whether it has logged a text.
    pub fn has_logged(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.log()).contains(text)
    }

    /// A folder of its own beside its database, for what it writes and logs.
    pub fn folder(&self) -> &Path {
        self.logs.path()
    }

    /// The memory that it occupies, in MiB; 0 if that cannot be known.
    pub fn memory(&self) -> usize {
        self.mebibytes("VmRSS:")
    }

    /// The most memory that it has ever occupied, in MiB; 0 if that cannot be known.
    pub fn peak_memory(&self) -> usize {
        self.mebibytes("VmHWM:")
    }

    fn mebibytes(&self, what: &str) -> usize {
        let id = self.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
        kib.unwrap_or(0) / 1024
    }

    /// Where it serves its metrics.
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics
    }

    /// What Prometheus would read.
    pub async fn metrics(&self) -> String {
        let client = Client::new(&format!("http://{}", self.metrics), self.app);
        client.get("/metrics").await.expect(200).text
    }

    /// Everything that it has logged.
    pub fn log(&self) -> Vec<u8> {
        std::fs::read(self.logs.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
