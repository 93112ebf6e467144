use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to connections from now on; when it changes, those that are open are cut, but for those that are
/// stalled, and those whose answers are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// Nothing.
    None,
    /// They are closed as soon as they are opened.
    Down,
    /// Requests arrive, and their answers are lost.
    AnswersLost,
    /// Requests arrive, and their answers wait until it changes.
    AnswersHeld,
    /// They are opened, and nothing passes any more, nor ever will on those that are open now.
    Stalled,
}

/// The wire between two apps, or between an app and what it needs: passes bytes on, keeps a copy, and can be disturbed.
#[derive(Clone)]
pub struct Wire {
    /// Where to connect to.
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    target: Mutex<SocketAddr>,
    disturbance: tokio::sync::watch::Sender<Disturbance>,
    recorded: Mutex<Vec<u8>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    /// A wire to `target`.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (disturbance, _) = tokio::sync::watch::channel(Disturbance::None);
        let state = State { target: Mutex::new(target), disturbance, recorded: Mutex::default() };
        let wire = Self { address, state: Arc::new(state) };
        let shared = wire.state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, shared.clone()));
            }
        });
        wire
    }

    /// Disturbs it from now on.
    pub fn disturb(&self, disturbance: Disturbance) {
        self.state.disturbance.send_replace(disturbance);
    }

    /// Leads to another target from now on; connections that are open are cut.
    pub fn lead_to(&self, target: SocketAddr) {
        *lock(&self.state.target) = target;
        self.disturb(Disturbance::None);
    }

    /// Everything that has passed, in both directions.
    pub fn recorded(&self) -> Vec<u8> {
        lock(&self.state.recorded).clone()
    }
}

async fn pass(mut client: TcpStream, state: Arc<State>) {
    let mut changes = state.disturbance.subscribe();
    let mut disturbance = *changes.borrow_and_update();
    let target = *lock(&state.target);
    match disturbance {
        Disturbance::Down => return,
        Disturbance::Stalled => return stall(client).await,
        Disturbance::None | Disturbance::AnswersLost | Disturbance::AnswersHeld => {}
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let (mut from_client, mut from_server) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        let (bytes, to) = tokio::select! {
            _ = changes.changed() => {
                if *changes.borrow() == Disturbance::Stalled {
                    stall((client, server)).await;
                }
                return;
            }
            read = client.read(&mut from_client) => match read {
                Ok(count) if count > 0 => (&from_client[..count], &mut server),
                _ => return,
            },
            read = server.read(&mut from_server) => match read {
                // The peer has done its work by now; its answer goes no further.
                Ok(_) if disturbance == Disturbance::AnswersLost => return,
                Ok(count) if count > 0 => {
                    if disturbance == Disturbance::AnswersHeld {
                        let _ = changes.changed().await;
                        disturbance = *changes.borrow_and_update();
                    }
                    (&from_server[..count], &mut client)
                }
                _ => return,
            },
        };
        lock(&state.recorded).extend_from_slice(bytes);
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// Keeps connections open until the test is over.
async fn stall<T>(connections: T) {
    std::future::pending::<()>().await;
    drop(connections);
}
