use std::time::Duration;

use super::Result;

/// How often is tried what the database does not take: the app that is serving may be busy with it.
const ATTEMPTS: u32 = 10;
/// How long to wait in between.
const WAIT: Duration = Duration::from_secs(1);

/// Tries an operation of a command that runs beside the app again, while the database does not take it.
pub async fn patiently<T>(mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the database does not take it now; trying again");
                tokio::time::sleep(WAIT).await;
            }
            done => return done,
        }
    }
    attempt().await
}
