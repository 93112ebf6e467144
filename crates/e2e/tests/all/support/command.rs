//! The command line of a binary, with settings of its own and nothing from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Settings with which an app would start.
pub fn sound() -> Vec<(&'static str, String)> {
    let key = shared::encryption::Keyring::generate_key;
    vec![
        ("FERNET_KEYS", key()),
        ("JWT_SECRET", key()),
        ("RELAY_SECRET", key()),
        ("PEERS", "app-b=http://127.0.0.1:1".to_owned()),
        ("BIND_ADDR", "127.0.0.1:0".to_owned()),
    ]
}

/// What `app-a` says in an empty folder.
pub fn run(arguments: &[&str], variables: &[(&str, String)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), arguments, variables)
}

/// What `app-a` says in a folder.
pub fn run_in(folder: &Path, arguments: &[&str], variables: &[(&str, String)]) -> Output {
    let test = std::env::current_exe().unwrap();
    let binary: PathBuf = test.ancestors().nth(2).unwrap().join("app-a");
    assert!(binary.exists(), "run `cargo build --workspace --bins` first");
    let mut command = Command::new(binary);
    command.args(arguments).env_clear().envs(variables.iter().cloned()).current_dir(folder);
    command.output().unwrap()
}

/// What it has written to standard output, as JSON.
pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}
