//! Boots both apps on free ports, wired to each other through a [`Wire`] that can record and disturb what passes,
//! over a real database of either kind.
//!
//! [`Pair`] runs both routers in this process, [`Process`] the real binaries, for tests that kill them.

mod authority;
mod client;
mod database;
mod pair;
mod postgres;
mod process;
mod redis;
mod socket;
mod wire;

pub use authority::{Authority, Issued};
pub use client::{Client, PASSWORD, Reply};
pub use database::{Database, Storage};
pub use pair::{Instance, Pair};
pub use postgres::{Frozen, Postgres};
pub use process::{Process, ProcessPair};
pub use redis::Redis;
pub use socket::{Heard, Socket};
pub use wire::{Disturbance, Wire};

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a thing that must happen may take, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Sends processes a signal; those that are gone do not count.
fn signal(name: &str, processes: impl IntoIterator<Item = u32>) {
    let processes = processes.into_iter().map(|id| id.to_string());
    let kill = std::process::Command::new("kill")
        .arg(format!("-{name}"))
        .args(processes)
        .stderr(std::process::Stdio::null())
        .status();
    kill.expect("kill runs");
}

/// Waits until `check` gives a value, and gives it. Panics, naming `what`, if it does not within [`PATIENCE`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut check: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "this did not happen within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Makes, of `async fn name(database: Database)`, a test for each database.
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::Database::Sqlite).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if $crate::Database::Postgres.is_to_be_tested() {
                    super::$name($crate::Database::Postgres).await;
                }
            })*
        }
    };
}
