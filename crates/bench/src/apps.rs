use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use shared::encryption::Keyring;
use tempfile::TempDir;

use crate::database::Databases;
use crate::error::{Error, Result};
use crate::machine;
use crate::process::{Process, free_addresses};

/// Both apps, each other's peers, and the bare server that they are compared with.
pub struct Apps {
    /// Whose users send.
    pub a: Process,
    /// Whose users receive.
    pub b: Process,
    /// The bare server.
    pub bare: Process,
    /// Where the databases and the logs are.
    pub folder: TempDir,
    databases: Databases,
}

impl Apps {
    /// Starts all three with fresh secrets and empty databases, and waits until they are ready.
    pub async fn start(postgres: Option<&str>) -> Result<Self> {
        let folder = folder()?;
        let databases = Databases::create(postgres).await?;
        match launch(&databases, folder.path()).await {
            Ok([a, b, bare]) => Ok(Self { a, b, bare, folder, databases }),
            Err(error) => {
                databases.remove().await;
                Err(error)
            }
        }
    }

    /// Which database they run on.
    pub fn database(&self) -> &'static str {
        self.databases.name()
    }

    /// Ends all three and takes their databases away.
    pub async fn stop(&mut self) {
        for process in [&mut self.a, &mut self.b, &mut self.bare] {
            process.stop().await;
        }
        self.databases.remove().await;
    }
}

async fn launch(databases: &Databases, folder: &Path) -> Result<[Process; 3]> {
    let [a, b, bare] = free_addresses()?;
    let key = Keyring::generate_key;
    let (ring, relay) = (key(), key());
    let variables = |own: &str, address: SocketAddr, peer: &str, there: SocketAddr| {
        vec![
            ("BIND_ADDR", address.to_string()),
            ("DATABASE_URL", databases.url(own, folder)),
            ("DATA_DIR", folder.join(own).display().to_string()),
            ("FERNET_KEYS", ring.clone()),
            ("JWT_SECRET", key()),
            ("PEERS", format!("{peer}=http://{there}")),
            ("RELAY_SECRET", relay.clone()),
            ("RUST_LOG", "info".to_owned()),
            // A few people do what a city does; the limits are still counted.
            ("RATE_LIMIT_LOOKUP", "1000000".to_owned()),
            ("RATE_LIMIT_REGISTER", "1000000".to_owned()),
            ("RATE_LIMIT_RELAY", "1000000".to_owned()),
            ("RATE_LIMIT_SEND", "1000000".to_owned()),
        ]
    };
    let bin = program_folder()?;
    let start = |name: &'static str, variables: &[(&str, String)], address| {
        Process::start(name, &bin.join(name), &[], variables, folder, address)
    };
    let mut processes = [
        start("app-a", &variables("a", a, "app-b", b), a)?,
        start("app-b", &variables("b", b, "app-a", a), b)?,
        Process::start(
            "baseline-server",
            &std::env::current_exe()?,
            &["baseline-server".to_owned(), bare.to_string()],
            &[],
            folder,
            bare,
        )?,
    ];
    for process in &mut processes {
        process.ready("/health/ready").await?;
    }
    Ok(processes)
}

/// Where this program is, and the apps beside it.
fn program_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().map(Path::to_owned);
    folder.ok_or_else(|| Error::Failed("the program is in no folder".to_owned()))
}

/// The folder that cargo builds into, two above this program.
pub fn target_folder() -> Result<PathBuf> {
    let bin = program_folder()?;
    Ok(bin.parent().unwrap_or(&bin).to_owned())
}

/// A fresh folder on a disk: in the target folder, or else in that for temporary files.
fn folder() -> Result<TempDir> {
    let target = target_folder()?.join("bench");
    std::fs::create_dir_all(&target)?;
    for place in [target, std::env::temp_dir()] {
        if machine::file_system(&place) != "tmpfs" {
            return Ok(tempfile::Builder::new().prefix("run-").tempdir_in(place)?);
        }
    }
    Err(Error::Failed("there is no folder on a disk; set TMPDIR to one".to_owned()))
}
