use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use shared::time::Clock;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::pem::Pem;
use super::{Expiry, TlsError};

/// How often the files are looked at.
const LOOKING: Duration = Duration::from_secs(2);
/// How often it is said in the log how long a certificate is still good.
const REMINDING: Duration = Duration::from_hours(24);
/// Bytes of a file, at most; a chain of certificates has a few thousand.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Something that is made of files, and made anew when they change or a SIGHUP says so.
pub struct Current<T> {
    what: &'static str,
    files: Vec<PathBuf>,
    /// Which of the files holds a certificate that is shown, and what that is called among the metrics.
    shown: Option<Shown>,
    make: Make<T>,
    state: RwLock<State<T>>,
}

struct State<T> {
    /// Of what it was last made, or was to be made; `None` if that could not be read.
    seen: Option<Vec<[u8; 32]>>,
    value: T,
    /// Until when the certificate is good of which it was made.
    expiry: Option<Expiry>,
}

/// A certificate among the files.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    /// Its place.
    pub file: usize,
    /// What it is called among the metrics.
    pub name: &'static str,
}

type Make<T> = Box<dyn Fn(&[Pem<'_>]) -> Result<T, TlsError> + Send + Sync>;
type Contents = Vec<Zeroizing<Vec<u8>>>;

impl<T: Clone + Send + Sync + 'static> Current<T> {
    /// Makes it for the first time, of the contents of these files in their order.
    pub(super) fn load(
        what: &'static str,
        files: Vec<PathBuf>,
        shown: Option<Shown>,
        make: impl Fn(&[Pem<'_>]) -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let contents = read(&files)?;
        let pems = pems(&files, &contents);
        let (value, expiry) = (make(&pems)?, expiry(&pems, shown));
        let state = State { seen: Some(digests(&contents)), value, expiry };
        Ok(Self { what, files, shown, make: Box::new(make), state: RwLock::new(state) })
    }

    /// What it is now.
    pub fn get(&self) -> T {
        self.state.read().unwrap_or_else(PoisonError::into_inner).value.clone()
    }

    /// Keeps it current until `stopping` is cancelled.
    pub async fn follow(self: Arc<Self>, stopping: CancellationToken) {
        if self.files.is_empty() {
            return;
        }
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                tracing::error!(%error, "SIGHUP cannot be heard");
                return;
            }
        };
        self.tell_expiry();
        let mut told_at = Instant::now();
        loop {
            if told_at.elapsed() >= REMINDING {
                self.tell_expiry();
                told_at = Instant::now();
            }
            let told = tokio::select! {
                () = stopping.cancelled() => return,
                _ = hangup.recv() => true,
                () = tokio::time::sleep(LOOKING) => false,
            };
            let this = self.clone();
            // Files and keys are work for a thread that may wait.
            if let Err(error) = tokio::task::spawn_blocking(move || this.look(told)).await {
                tracing::error!(%error, "certificates cannot be looked at");
            }
        }
    }

    /// Makes it anew if the files have changed, or if `told` to in any case.
    fn look(&self, told: bool) {
        let contents = read(&self.files);
        let seen = contents.as_ref().ok().map(digests);
        let before = self.state.read().unwrap_or_else(PoisonError::into_inner).seen.clone();
        if seen == before && !told {
            return;
        }
        let made = contents.and_then(|contents| {
            let pems = pems(&self.files, &contents);
            Ok(((self.make)(&pems)?, expiry(&pems, self.shown)))
        });
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.seen = seen;
        match made {
            Ok((value, expiry)) => {
                (state.value, state.expiry) = (value, expiry);
                drop(state);
                tracing::info!(what = self.what, "certificates were read anew");
                self.tell_expiry();
            }
            Err(error) => {
                let error = error.to_string();
                tracing::error!(
                    what = self.what,
                    error,
                    "new certificates are not sound; those of before stay"
                );
            }
        }
    }

    /// Says in the log and to the metrics until when the certificate is good.
    fn tell_expiry(&self) {
        let expiry = self.state.read().unwrap_or_else(PoisonError::into_inner).expiry;
        let (Some(Shown { name, .. }), Some(expiry)) = (self.shown, expiry) else { return };
        metrics::gauge!("messaging_certificate_expires_timestamp_seconds", "certificate" => name)
            .set(expiry.seconds());
        expiry.log(self.what, Clock::system().wall());
    }
}

fn expiry(files: &[Pem<'_>], shown: Option<Shown>) -> Option<Expiry> {
    Expiry::of_pem(files.get(shown?.file)?)
}

pub(super) fn read(files: &[PathBuf]) -> Result<Contents, TlsError> {
    use std::io::Read;
    let read = |path: &PathBuf| {
        let mut bytes = Zeroizing::new(Vec::new());
        let opened = std::fs::File::open(path);
        opened.and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes)).map(|_| bytes)
    };
    files
        .iter()
        .map(|path| read(path).map_err(|error| TlsError::Unreadable { path: path.clone(), error }))
        .collect()
}

fn pems<'a>(files: &'a [PathBuf], contents: &'a Contents) -> Vec<Pem<'a>> {
    files.iter().zip(contents).map(|(path, bytes)| Pem { path, bytes }).collect()
}

fn digests(contents: &Contents) -> Vec<[u8; 32]> {
    contents.iter().map(|bytes| Sha256::digest(bytes).into()).collect()
}
