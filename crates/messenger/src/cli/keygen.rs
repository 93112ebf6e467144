use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use shared::encryption::Keyring;
use zeroize::Zeroizing;

/// Prints a Fernet key, or a `.env` file with fresh secrets with which both apps run on this machine.
pub fn run(env: bool) -> ExitCode {
    let key = Keyring::generate_key;
    let text = if env {
        format!(
            "# Made by `app-a keygen --env`; .env.example says what else can be set.\n\
             # What begins with APP_A_ or APP_B_ counts for that app alone.\n\
             FERNET_KEYS={}\n\
             RELAY_SECRET={}\n\
             APP_A_JWT_SECRET={}\n\
             APP_B_JWT_SECRET={}\n\
             APP_A_PEERS=app-b=http://127.0.0.1:8002\n\
             APP_B_PEERS=app-a=http://127.0.0.1:8001\n\
             DEBUG=true\n",
            key(),
            key(),
            key(),
            key()
        )
    } else {
        format!("{}\n", key())
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Writes a fresh key to each of the files that is not there yet, for the first start of what has no shell.
pub fn to_files(files: &[String], for_group: bool) -> ExitCode {
    for file in files {
        let (path, text) = file.split_once('=').unwrap_or((file, "{}"));
        let text = Zeroizing::new(text.replace("{}", &Keyring::generate_key()));
        let said = match create(Path::new(path), text.as_bytes(), for_group) {
            Ok(true) => writeln!(std::io::stdout(), "{path}: made"),
            Ok(false) => writeln!(std::io::stdout(), "{path}: is there, and stays as it is"),
            Err(error) => {
                eprintln!("{path} cannot be written: {error}");
                return ExitCode::FAILURE;
            }
        };
        if said.is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Makes a file, whole or not at all; `false` if it is there already, whoever has made it.
fn create(path: &Path, text: &[u8], for_group: bool) -> Result<bool> {
    if fs::exists(path)? {
        return Ok(false);
    }
    let mut half = path.as_os_str().to_owned();
    half.push(format!(".{:016x}", rand::random::<u64>()));
    let half = PathBuf::from(half);
    let mode = if for_group { 0o640 } else { 0o600 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&half)?;
    let written = file.write_all(text).and_then(|()| file.sync_all());
    // Unlike a rename, a link never takes the place of a file that somebody else has made meanwhile.
    let linked = match written.and_then(|()| fs::hard_link(&half, path)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    };
    fs::remove_file(&half)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    linked
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_for_its_owner_and_the_group_if_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let (key, url) = (folder.path().join("key"), folder.path().join("url"));
        let files = [key.display().to_string(), format!("{}=redis://:{{}}@host", url.display())];
        assert_eq!(to_files(&files[..1], false), ExitCode::SUCCESS);
        let first = fs::read_to_string(&key).unwrap();
        assert!(Keyring::parse(&first).is_ok());
        assert_eq!(to_files(&files, true), ExitCode::SUCCESS);
        assert_eq!(fs::read_to_string(&key).unwrap(), first, "it stays as it is");
        let second = fs::read_to_string(&url).unwrap();
        let secret = second.strip_prefix("redis://:").unwrap().strip_suffix("@host").unwrap();
        assert!(Keyring::parse(secret).is_ok() && secret != first);
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&key), mode(&url) & 0o737), (0o600, 0o600));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing half is left");
        assert_eq!(to_files(&["/nowhere/at/all".to_owned()], false), ExitCode::FAILURE);
    }
}
