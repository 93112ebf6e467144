//! What an admin changes while the app runs: typed, bounded, stored in the database, and the same on every replica.
//!
//! All settings stand in one table ([`TABLE`]). Their values are read from the database twice a second, and from
//! memory wherever they are used, so no request waits for them. The environment may set other defaults, under the
//! same names.

mod change;
mod list;
mod store;
mod table;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::db::{Db, Result};

pub use table::{Definition, Kind, LONGEST_ACCESS, Setting, TABLE};

/// How often the stored values are read; a change is in effect everywhere within twice that.
const READ_EVERY: Duration = Duration::from_millis(450);

/// The routes under `/api/admin/settings`.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(list::list, change::change))
}

/// The values in effect.
pub struct Settings {
    values: [AtomicI64; TABLE.len()],
    defaults: [i64; TABLE.len()],
    /// Held from reading to believing, so that what is older never comes after what is newer.
    reading: Mutex<()>,
}

impl Settings {
    /// The defaults, but for those that the environment sets otherwise.
    pub fn new(set: &[(Setting, i64)]) -> Self {
        let mut defaults = TABLE.map(|definition| definition.default);
        for (setting, value) in set {
            defaults[*setting as usize] = *value;
        }
        Self { values: defaults.map(AtomicI64::new), defaults, reading: Mutex::default() }
    }

    /// The value of a setting; of a switch, 1 or 0.
    pub fn get(&self, setting: Setting) -> i64 {
        self.values[setting as usize].load(Ordering::Relaxed)
    }

    /// Whether a switch is on.
    pub fn is_on(&self, setting: Setting) -> bool {
        self.get(setting) != 0
    }

    /// The value of a setting that is a number of seconds.
    pub fn seconds(&self, setting: Setting) -> Duration {
        Duration::from_secs(self.get(setting).unsigned_abs())
    }

    fn default(&self, setting: Setting) -> i64 {
        self.defaults[setting as usize]
    }

    /// Reads the stored values. One that a later release no longer takes counts as not set.
    pub async fn load(&self, db: &Db) -> Result<()> {
        let _turn = self.reading.lock().await;
        let stored = store::all(&mut db.read().await?).await?;
        for &setting in Setting::ALL {
            let found = stored.iter().find(|(name, _)| name == setting.definition().name);
            let found = found.map(|(_, value)| *value);
            let sound = found.filter(|value| setting.read(&setting.show(*value)).is_ok());
            let value = sound.unwrap_or_else(|| self.default(setting));
            self.values[setting as usize].store(value, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Follows what other replicas change, until `stopping` is cancelled.
pub async fn follow(app: AppState, stopping: CancellationToken) {
    let mut failing = false;
    while stopping.run_until_cancelled(tokio::time::sleep(READ_EVERY)).await.is_some() {
        let read = app.settings.load(&app.db).await;
        if let Err(error) = &read
            && !failing
        {
            tracing::warn!(%error, "the settings cannot be read; those of before count");
        }
        failing = read.is_err();
    }
}
