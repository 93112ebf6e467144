use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use shared::encryption::Keyring;
use tempfile::TempDir;

use super::database::Databases;
use super::process::{Launch, Process, free_addresses};
use super::site::Site;
use crate::error::{Error, Result};
use crate::machine;

/// The path at which an app says that it is ready.
const HEALTH: &str = "/health/ready";

/// Two apps, each other's peers. What is dropped first stands first: the processes, then what they write to.
pub struct Apps {
    /// Whose users send.
    pub a: Site,
    /// Whose users receive.
    pub b: Site,
    /// Their Redis, where there is one.
    pub redis: Option<Process>,
    /// Their databases.
    pub databases: Databases,
    /// Where files and logs are.
    pub folder: TempDir,
}

/// Which apps, on which database.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// The folder of the programs `app-a` and `app-b`.
    pub programs: &'a Path,
    /// The PostgreSQL server; without one it is SQLite.
    pub postgres: Option<&'a str>,
    /// Processes of each app; where they are several, they share a Redis.
    pub replicas: usize,
}

impl Apps {
    /// Starts both with fresh secrets and empty databases, and waits until they are ready.
    pub async fn start(setup: Setup<'_>) -> Result<Self> {
        let folder = folder()?;
        let databases = Databases::create(setup.postgres).await?;
        let addresses = free_addresses(2 * setup.replicas + 1)?;
        let (of_redis, addresses) = (addresses[0], &addresses[1..]);
        let (of_a, of_b) = addresses.split_at(setup.replicas);
        let redis = match setup.replicas {
            1 => None,
            _ => Some(redis(of_redis, folder.path()).await?),
        };
        let key = Keyring::generate_key;
        let (ring, relay) = (key(), key());
        let launches = |app: &str, own: &[SocketAddr], peer: &str, there: SocketAddr| {
            let suffix = app.trim_start_matches("app-");
            let mut variables = vec![
                ("DATABASE_URL", databases.url(suffix, folder.path())),
                ("DATA_DIR", folder.path().join(suffix).display().to_string()),
                ("FERNET_KEYS", ring.clone()),
                ("JWT_SECRET", key()),
                ("PEERS", format!("{peer}=http://{there}")),
                ("RELAY_SECRET", relay.clone()),
                ("RUST_LOG", "info".to_owned()),
            ];
            // A few people do what a city does; the limits are still counted.
            variables.extend(LIMITS.map(|name| (name, "1000000".to_owned())));
            if redis.is_some() {
                variables.push(("REDIS_URL", format!("redis://{of_redis}")));
            }
            let launch = |(number, &address): (usize, &SocketAddr)| Launch {
                name: format!("{app}-{}", number + 1),
                program: setup.programs.join(app),
                arguments: Vec::new(),
                variables: [variables.clone(), vec![("BIND_ADDR", address.to_string())]].concat(),
                folder: folder.path().to_owned(),
                address,
            };
            own.iter().enumerate().map(launch).collect()
        };
        let a = Site::start(launches("app-a", of_a, "app-b", of_b[0]), HEALTH).await?;
        let b = Site::start(launches("app-b", of_b, "app-a", of_a[0]), HEALTH).await?;
        Ok(Self { a, b, redis, databases, folder })
    }

    /// Ends all processes; databases and files go when this is dropped.
    pub async fn stop(&mut self) {
        self.a.stop().await;
        self.b.stop().await;
        if let Some(redis) = &mut self.redis {
            redis.stop().await;
        }
    }
}

/// The settings that bound how much one user, address or peer may do.
const LIMITS: [&str; 7] = [
    "RATE_LIMIT_LOGIN",
    "RATE_LIMIT_LOGIN_ACCOUNT",
    "RATE_LIMIT_LOOKUP",
    "RATE_LIMIT_REGISTER",
    "RATE_LIMIT_RELAY",
    "RATE_LIMIT_SEND",
    "RATE_LIMIT_SOCKET",
];

async fn redis(address: SocketAddr, folder: &Path) -> Result<Process> {
    let program = which("redis-server")
        .ok_or_else(|| Error::Missing("redis-server is not installed".to_owned()))?;
    let arguments = [
        "--port",
        &address.port().to_string(),
        "--bind",
        &address.ip().to_string(),
        "--save",
        "",
        "--appendonly",
        "no",
    ];
    let mut process = Process::start(Launch {
        name: "redis".to_owned(),
        program,
        arguments: arguments.map(str::to_owned).to_vec(),
        variables: Vec::new(),
        folder: folder.to_owned(),
        address,
    })?;
    process.listens().await?;
    Ok(process)
}

/// The program that a shell would find.
pub fn which(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Where this program is, and the apps beside it.
pub fn program_folder() -> Result<PathBuf> {
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
pub fn folder() -> Result<TempDir> {
    let target = target_folder()?.join("bench");
    std::fs::create_dir_all(&target)?;
    for place in [target, std::env::temp_dir()] {
        if machine::file_system(&place) != "tmpfs" {
            return Ok(tempfile::Builder::new().prefix("run-").tempdir_in(place)?);
        }
    }
    Err(Error::Failed("there is no folder on a disk; set TMPDIR to one".to_owned()))
}
