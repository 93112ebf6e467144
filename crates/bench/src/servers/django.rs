use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use shared::encryption::Keyring;
use tokio::process::Command;
use tokio::time::timeout;

use super::apps::{Apps, folder, target_folder, which};
use super::database::Databases;
use super::process::{Launch, free_addresses};
use super::site::Site;
use crate::error::{Error, Result};

/// The files of the Django pair, by path.
const FILES: [(&str, &str); 11] = [
    ("requirements.txt", include_str!("../../django/requirements.txt")),
    ("settings.py", include_str!("../../django/settings.py")),
    ("urls.py", include_str!("../../django/urls.py")),
    ("wsgi.py", include_str!("../../django/wsgi.py")),
    ("chat/__init__.py", ""),
    ("chat/encryption.py", include_str!("../../django/chat/encryption.py")),
    ("chat/hashers.py", include_str!("../../django/chat/hashers.py")),
    ("chat/models.py", include_str!("../../django/chat/models.py")),
    ("chat/pages.py", include_str!("../../django/chat/pages.py")),
    ("chat/relay.py", include_str!("../../django/chat/relay.py")),
    ("chat/views.py", include_str!("../../django/chat/views.py")),
];
/// How long the packages may take to be installed.
const INSTALLING: Duration = Duration::from_mins(10);
/// Threads of each gunicorn process: while one waits for the peer, others work.
const THREADS: usize = 4;

/// The pair that is written with Django, ready to be started.
pub struct Django {
    python: PathBuf,
}

/// Why there is no such pair here, for people.
#[derive(Debug)]
pub struct Unavailable(pub String);

impl Django {
    /// Makes a virtual environment in the target folder, unless it is there.
    pub async fn install() -> Result<Self, Unavailable> {
        let why = |error: &dyn std::fmt::Display| Unavailable(error.to_string());
        let target = target_folder().map_err(|error| why(&error))?.join("bench/django");
        let python = target.join("bin/python");
        let requirements = target.join("requirements.txt");
        // It is written when everything is installed.
        if std::fs::read_to_string(&requirements).is_ok_and(|text| text == FILES[0].1) {
            return Ok(Self { python });
        }
        let system =
            which("python3").ok_or_else(|| Unavailable("Python 3 is not installed".to_owned()))?;
        eprintln!("installing Django and its companions");
        std::fs::create_dir_all(&target).map_err(|error| why(&error))?;
        run(Command::new(system).args(["-m", "venv", "--clear"]).arg(&target)).await?;
        let wanted = target.join("wanted.txt");
        std::fs::write(&wanted, FILES[0].1).map_err(|error| why(&error))?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        run(pip.arg(&wanted)).await?;
        std::fs::rename(&wanted, &requirements).map_err(|error| why(&error))?;
        Ok(Self { python })
    }

    /// Starts both services with fresh secrets and empty databases, and waits until they are ready.
    pub async fn start(&self) -> Result<Apps> {
        let folder = folder()?;
        let addresses = free_addresses(2)?;
        let (of_a, of_b) = (addresses[0], addresses[1]);
        for (path, text) in FILES {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
            std::fs::write(path, text)?;
        }
        let (fernet, relay) = (Keyring::generate_key(), Keyring::generate_key());
        let service = |own: (&'static str, SocketAddr), peer: (&'static str, SocketAddr)| {
            let database = folder.path().join(format!("{}.db", own.0));
            let variables = vec![
                ("DJANGO_SETTINGS_MODULE", "settings".to_owned()),
                ("APP_NAME", own.0.to_owned()),
                ("PEER_NAME", peer.0.to_owned()),
                ("PEER_URL", format!("http://{}", peer.1)),
                ("DATABASE", database.display().to_string()),
                ("FERNET_KEY", fernet.clone()),
                ("RELAY_SECRET", relay.clone()),
                ("SECRET_KEY", Keyring::generate_key()),
            ];
            self.launch(own, variables, folder.path())
        };
        let a = service(("app-a", of_a), ("app-b", of_b));
        let b = service(("app-b", of_b), ("app-a", of_a));
        for launch in [&a, &b] {
            let mut migrate = Command::new(&launch.program);
            migrate.args(["-m", "django", "migrate", "--run-syncdb", "--verbosity", "0"]);
            migrate.env_clear().envs(launch.variables.iter().map(|(name, value)| (name, value)));
            let migrated = run(migrate.current_dir(&launch.folder)).await;
            migrated.map_err(|Unavailable(why)| Error::Failed(why))?;
        }
        let a = Site::start(vec![a], "/health/ready").await?;
        let b = Site::start(vec![b], "/health/ready").await?;
        Ok(Apps { a, b, redis: None, databases: Databases::Sqlite, folder })
    }

    fn launch(
        &self,
        (name, address): (&str, SocketAddr),
        variables: Vec<(&'static str, String)>,
        folder: &Path,
    ) -> Launch {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let arguments = format!(
            "-m gunicorn wsgi --bind {address} --worker-class gthread --workers {} --threads {THREADS} \
             --keep-alive 75 --log-level warning",
            cores + 1
        );
        Launch {
            name: name.to_owned(),
            program: self.python.clone(),
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
            variables,
            folder: folder.to_owned(),
            address,
        }
    }
}

/// Runs a program to its end; what it has said is the reason if it fails.
async fn run(command: &mut Command) -> Result<(), Unavailable> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(INSTALLING, output).await;
    let output = output.map_err(|_| Unavailable("it takes too long".to_owned()))?;
    let output = output.map_err(|error| Unavailable(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().next_back().unwrap_or("Python fails without a word");
    Err(Unavailable(last.to_owned()))
}
