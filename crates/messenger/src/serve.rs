//! Running an app: accept, serve, and stop without losing anything.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use shared::encryption::Keyring;
use shared::time::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tower::util::MapRequest;

use crate::app::{App, StartError};
use crate::config::Config;
use crate::db::Db;
use crate::http::{Explained, RemoteAddress};
use crate::idempotency;
use crate::monitoring;
use crate::realtime;
use crate::receipts;
use crate::relay;
use crate::router::{Service, Stack, router};
use crate::search;
use crate::settings;
use crate::spans;
use crate::tls::{self, Current, ShownCertificate};

/// Headers of a request, at most.
const MAX_HEADERS: usize = 100;
/// Bytes of the headers of a request, at most.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Connections open at once, at most; those beyond wait to be accepted.
const MAX_CONNECTIONS: usize = 20_000;
/// How long requests under way may take after the app has been told to stop.
const DRAIN: Duration = Duration::from_secs(20);
/// How long sockets may take to say goodbye once requests are done.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long to wait after the system has refused a connection, for want of file descriptors perhaps.
const REFUSED: Duration = Duration::from_millis(100);

/// Opens the database, serves on `listener` until `stopping` is cancelled, and then drains.
pub async fn serve(
    config: &Config,
    stack: Stack,
    listener: TcpListener,
    stopping: CancellationToken,
) -> Result<(), StartError> {
    if config.metrics.is_some() {
        monitoring::install();
    }
    let clock = Clock::system();
    let certificate = tls::server(&config.tls)?.map(Arc::new);
    let keyring = Arc::new(Keyring::parse(config.fernet_keys.expose())?);
    let db = Db::open(config.database_url.expose()).await?;
    let app = App::new(config, db.clone(), clock).await?;
    let missing = search::without_terms(&mut db.read().await?).await?;
    if missing > 0 {
        tracing::warn!(
            missing,
            "some messages cannot be found by a search; the command reindex changes that"
        );
    }
    let service = router(app.clone(), keyring.clone(), stack);
    let relaying = CancellationToken::new();
    let metrics = match config.metrics {
        Some(address) => {
            let listening = monitoring::listen(app.clone(), address, relaying.clone()).await;
            Some(listening.map_err(|error| StartError::Metrics(address, error))?)
        }
        None => None,
    };
    let telling = CancellationToken::new();
    let teller = spans::start(config, &app.spans, telling.clone())?;
    let workers = relay::start(&app, config.give_up_after, &relaying);
    if let Ok(address) = listener.local_addr() {
        let tls = certificate.is_some();
        tracing::info!(app = %config.app, %address, tls, keys = ?keyring.key_ids(), "serving");
    }

    let watchers = realtime::start(&app, &relaying);
    let mut housekeeping = vec![
        tokio::spawn(receipts::flush_regularly(app.clone(), relaying.clone())),
        tokio::spawn(settings::follow(app.clone(), relaying.clone())),
        tokio::spawn(idempotency::forget_regularly(app.clone(), relaying.clone())),
        tokio::spawn(app.relay.follow_certificates(relaying.clone())),
    ];
    if let Some(certificate) = &certificate {
        housekeeping.push(tokio::spawn(certificate.clone().follow(relaying.clone())));
    }

    let door = Door { certificate, service, within: config.header_timeout };
    accept(listener, door, &stopping, || app.realtime.stop()).await;
    if tokio::time::timeout(FAREWELL, app.realtime.stopped()).await.is_err() {
        tracing::warn!("some sockets were still open and are cut off");
    }

    // Requests are done; what they have left in the outbox will be sent by the next process.
    relaying.cancel();
    for worker in workers.into_iter().chain(watchers).chain(housekeeping).chain(metrics) {
        if let Err(error) = worker.await {
            tracing::error!(%error, "a background task failed");
        }
    }
    // Nothing is done any more that could be told.
    telling.cancel();
    if let Some(teller) = teller
        && let Err(error) = teller.await
    {
        tracing::error!(%error, "spans could not be sent to the end");
    }
    db.close().await;
    tracing::info!(app = %config.app, "stopped");
    Ok(())
}

/// How those who connect are served.
#[derive(Clone)]
struct Door {
    /// What is shown to them; plain HTTP without it.
    certificate: Option<Arc<Current<TlsAcceptor>>>,
    service: Service,
    /// How long the handshake, and then the headers of a request, may take.
    within: Duration,
}

/// Accepts connections until `stopping` is cancelled; then calls `stop`, and waits for the requests under way.
async fn accept(
    listener: TcpListener,
    door: Door,
    stopping: &CancellationToken,
    stop: impl FnOnce(),
) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = stopping.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, remote)) => {
                let (door, stopping) = (door.clone(), stopping.clone());
                connections.spawn(async move {
                    let _place = place;
                    let opened = tokio::select! {
                        biased;
                        opened = open(stream, &door) => opened,
                        () = stopping.cancelled() => return,
                    };
                    let Some((stream, shown)) = opened else { return };
                    let connection = connection(stream, remote, shown, door);
                    if let Err(error) = until_done(connection, &stopping).await {
                        tracing::debug!(%error, "a connection broke");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(REFUSED).await;
            }
        }
    }
    drop(listener);
    stop();
    connections.close();
    if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
        tracing::warn!("some requests were still under way and are cut off");
    }
}

/// Either of the two that HTTP is spoken over.
type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// A connection over which HTTP can be spoken, and what its other end has shown; `None` if no TLS comes about, or not
/// in time. What is no TLS is never answered in the clear.
async fn open(stream: TcpStream, door: &Door) -> Option<(Stream, Option<ShownCertificate>)> {
    // Small answers must not wait for each other.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let Some(certificate) = &door.certificate else { return Some((Either::Left(stream), None)) };
    let handshake = certificate.get().accept(stream);
    match tokio::time::timeout(door.within, handshake).await {
        Ok(Ok(stream)) => {
            let shown = tls::shown(stream.get_ref().1);
            Some((Either::Right(stream), shown))
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a handshake took too long");
            None
        }
    }
}

/// Serves a connection to its end, or, once `stopping` is cancelled, to that of the request under way.
async fn until_done<F>(connection: Connection<F>, stopping: &CancellationToken) -> hyper::Result<()>
where
    F: Fn(http::Request<Incoming>) -> axum::extract::Request + Clone + Send + 'static,
{
    let mut connection = pin!(connection);
    tokio::select! {
        done = connection.as_mut() => return done,
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

type Connection<F> = http1::UpgradeableConnection<
    TokioIo<Explained<Stream>>,
    TowerToHyperService<MapRequest<Service, F>>,
>;

fn connection(
    stream: Stream,
    remote: SocketAddr,
    shown: Option<ShownCertificate>,
    door: Door,
) -> Connection<impl Fn(http::Request<Incoming>) -> axum::extract::Request + Clone> {
    let remote = RemoteAddress(remote.ip());
    let into = move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(remote);
        if let Some(shown) = shown {
            request.extensions_mut().insert(shown);
        }
        request.map(axum::body::Body::new)
    };
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(door.within)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(
            TokioIo::new(Explained::new(stream)),
            TowerToHyperService::new(door.service.map_request(into)),
        )
        // Sockets begin as requests.
        .with_upgrades()
}
