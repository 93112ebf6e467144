//! Work that keeps a processor busy, off the threads that serve requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shared::problem::Problem;
use tokio::sync::Semaphore;

/// A bounded number of threads, and a bounded queue before them; whoever comes beyond is answered 503.
pub struct Pool {
    threads: Arc<Semaphore>,
    waiting: AtomicUsize,
    places: usize,
    busy: &'static str,
}

impl Pool {
    /// At most `threads` jobs at once and `places` jobs altogether; `busy` is what those beyond are told.
    pub fn new(threads: usize, places: usize, busy: &'static str) -> Self {
        let threads = Arc::new(Semaphore::new(threads));
        Self { threads, waiting: AtomicUsize::new(0), places, busy }
    }

    /// How many jobs there are, and how many there may be.
    pub fn jobs(&self) -> (usize, usize) {
        (self.waiting.load(Ordering::Relaxed), self.places)
    }

    /// Does the work once there is a thread for it. It runs to its end even if the caller goes away.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _place = Place::take(self)?;
        let permit = self.threads.clone().acquire_owned().await.map_err(|_| Problem::internal())?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|_| Problem::internal())
    }
}

/// A place in the queue, given back when it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(pool: &'a Pool) -> Result<Self, Problem> {
        let place = Self(&pool.waiting);
        if pool.waiting.fetch_add(1, Ordering::Relaxed) >= pool.places {
            return Err(Problem::unavailable("busy", pool.busy, 2));
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
