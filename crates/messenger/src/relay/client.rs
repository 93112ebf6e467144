use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use shared::address::{AppName, Username};
use shared::id::UserId;
use shared::problem::Problem;
use shared::relay::{
    Batch, BatchResult, EVENTS_PATH, KEYS_PATH, Keys, MAX_LIST, RECOVERY_PATH, RecoveryRequest,
    SIGNALS_PATH, Signals, USERS_PATH, UserList, UserState,
};
use shared::time::Clock;
use uuid::Uuid;

use super::Cause;
use super::service_token::{BodyDigest, ServiceTokens};
use crate::config::{Config, Peer};
use crate::tls::{self, Current, TlsError};
use crate::users::UserQuery;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a batch may take, from the first byte sent to the last received.
const BATCH: Duration = Duration::from_secs(30);
/// How long a caller waits for a peer to say who somebody is.
const LOOKUP: Duration = Duration::from_secs(3);
/// How long a caller waits for the users that a peer adds to a list, or for a picture.
const SEARCH: Duration = Duration::from_secs(2);
/// Bytes of an answer, at most.
const MAX_ANSWER: usize = 1024 * 1024;
/// Characters of a problem's code, at most.
const MAX_CODE: usize = 40;
/// Users that a peer may say it has, at most.
const MAX_COUNT: i64 = 1_000_000_000;
/// The longest wait that a peer may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(10);

/// Talks to one peer: signed requests, no redirects, no proxy from the environment.
pub struct PeerClient {
    peer: AppName,
    url: Url,
    http: Arc<Current<Client>>,
    tokens: ServiceTokens,
}

/// Why a batch has not been answered. It is sent again, after the wait that the peer asks for if it does.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Delivery {
    /// What kind of failure it is.
    pub cause: Cause,
    /// What happened, for the log.
    pub reason: String,
    /// How long the peer asks to wait.
    pub retry_after: Option<Duration>,
}

impl Delivery {
    /// A failure for which there is nothing to do but to try again.
    pub fn failed(cause: Cause, reason: String) -> Self {
        Self { cause, reason, retry_after: None }
    }

    /// A failure on this side of the wire.
    pub fn internal(error: &impl ToString) -> Self {
        Self::failed(Cause::Internal, error.to_string())
    }

    fn bad_answer(reason: impl Into<String>) -> Self {
        Self::failed(Cause::BadAnswer, reason.into())
    }

    /// There was no answer.
    fn broken(error: &reqwest::Error) -> Self {
        let cause = if error.is_timeout() { Cause::Timeout } else { Cause::Unreachable };
        Self::failed(cause, causes(error))
    }

    /// The answer was another one than the one that was hoped for.
    async fn answered(response: Response) -> Self {
        let (status, retry_after) = (response.status(), retry_after(&response));
        let cause = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Cause::Unauthorized,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Cause::Busy,
            StatusCode::CONFLICT => Cause::StaleStream,
            _ => Cause::Rejected,
        };
        Self { cause, reason: refusal(response).await, retry_after }
    }
}

impl PeerClient {
    /// A client for `peer`, over connections of `http`.
    pub fn new(own: &AppName, peer: &Peer, http: Arc<Current<Client>>, clock: Clock) -> Self {
        let tokens = ServiceTokens::new(own, peer, clock);
        Self { peer: peer.name.clone(), url: peer.url.clone(), http, tokens }
    }

    /// Where the peer is: scheme, host and port.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Sends a batch and gives the peer's answer to it.
    pub async fn deliver(&self, batch: &Batch) -> Result<BatchResult, Delivery> {
        let body = serde_json::to_vec(batch).map_err(|error| Delivery::internal(&error))?;
        let trace = batch.events.iter().find_map(|event| event.trace);
        let request = self.request(&Method::POST, EVENTS_PATH, body, trace);
        let request = request.map_err(|problem| Delivery::internal(&problem))?;
        let response = request.send().await.map_err(|error| Delivery::broken(&error))?;
        if response.status() != StatusCode::OK {
            return Err(Delivery::answered(response).await);
        }
        let answer = read(response).await.map_err(Delivery::bad_answer)?;
        let answer: BatchResult = serde_json::from_slice(&answer).map_err(|_| {
            Delivery::bad_answer("the peer answered 200 with something else than a result")
        })?;
        if answer.stream != batch.stream {
            return Err(Delivery::bad_answer("the peer answered for another stream"));
        }
        Ok(answer)
    }

    /// Tells the peer what is only worth knowing now.
    pub async fn signal(&self, signals: &Signals) -> Result<(), Delivery> {
        let body = serde_json::to_vec(signals).map_err(|error| Delivery::internal(&error))?;
        let response = self.post(SIGNALS_PATH, body).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(Delivery::answered(response).await)
    }

    /// Asks the peer to tell again what has happened since the backup that this app was restored from; `false` if it
    /// does not know of such a request.
    pub async fn recover(&self, request: &RecoveryRequest) -> Result<bool, Delivery> {
        let body = serde_json::to_vec(request).map_err(|error| Delivery::internal(&error))?;
        let response = self.post(RECOVERY_PATH, body).await?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(Delivery::answered(response).await),
        }
    }

    /// Sends what is answered with a status and nothing else.
    async fn post(&self, target: &str, body: Vec<u8>) -> Result<Response, Delivery> {
        let request = self.request(&Method::POST, target, body, None);
        let request = request.map_err(|problem| Delivery::internal(&problem))?;
        let response = request.timeout(LOOKUP).send().await;
        response.map_err(|error| Delivery::broken(&error))
    }

    /// The peer's user with a name. 503 if the peer cannot be asked.
    pub async fn user(&self, username: &Username) -> Result<Option<UserState>, Problem> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("username", username.as_str())
            .finish();
        let target = format!("{USERS_PATH}?{query}");
        let request = self.request(&Method::GET, &target, Vec::new(), None)?;
        let answer = async {
            let response = request.timeout(LOOKUP).send().await.map_err(|error| causes(&error))?;
            match response.status() {
                StatusCode::OK => {
                    let card = serde_json::from_slice(&read(response).await?);
                    card.map(Some).map_err(|_| "the answer is not a user".to_owned())
                }
                StatusCode::NOT_FOUND => Ok(None),
                status => Err(format!("the peer answered {status}")),
            }
        };
        answer.await.map_err(|reason| {
            tracing::warn!(peer = %self.peer, reason, "the peer cannot be asked for a user");
            Problem::unavailable("peer_unavailable", "The other app cannot be reached just now.", 5)
        })
    }

    /// Those of the peer's active users that a query finds; `None` if the peer does not answer in time, or with
    /// anything else than a list of its own users.
    pub async fn search(&self, query: &UserQuery) -> Option<UserList> {
        let parameters = form_urlencoded::Serializer::new(String::new())
            .append_pair("search", &query.search)
            .append_pair("ordering", &query.order.to_string())
            .finish();
        let answer = async {
            let body = self.ask(&format!("{USERS_PATH}?{parameters}")).await?;
            let mut list: UserList = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
            let theirs = |state: &UserState| state.user.app == self.peer && state.is_active;
            if list.results.len() > MAX_LIST || !list.results.iter().all(theirs) {
                return Err("the answer lists others than active users of the peer".to_owned());
            }
            let listed = i64::try_from(list.results.len()).unwrap_or(0);
            list.count = list.count.clamp(listed, MAX_COUNT);
            Ok(list)
        };
        let failed = |reason| {
            tracing::warn!(peer = %self.peer, reason, "the peer cannot be asked for its users");
        };
        answer.await.map_err(failed).ok()
    }

    /// The picture of one of the peer's users, as bytes that may be anything; `None` if the peer does not answer.
    pub async fn picture(&self, user: UserId) -> Option<Vec<u8>> {
        let answer = self.ask(&format!("{USERS_PATH}{user}/picture/")).await;
        let failed = |reason| {
            tracing::warn!(peer = %self.peer, %user, reason, "the peer cannot be asked for a picture");
        };
        answer.map_err(failed).ok()
    }

    /// Which keys the peer holds; why that cannot be known, if it cannot.
    pub async fn keys(&self) -> Result<Keys, String> {
        let body = self.ask(KEYS_PATH).await?;
        serde_json::from_slice(&body).map_err(|_| "the answer names no keys".to_owned())
    }

    /// The body of the answer to a `GET` that is answered 200.
    async fn ask(&self, target: &str) -> Result<Vec<u8>, String> {
        let request = self.request(&Method::GET, target, Vec::new(), None);
        let request = request.map_err(|problem| problem.to_string())?.timeout(SEARCH);
        let response = request.send().await.map_err(|error| causes(&error))?;
        match response.status() {
            StatusCode::OK => read(response).await,
            status => Err(format!("the peer answered {status}")),
        }
    }

    /// The digest that the body of a request from this peer must have, if the peer has signed the request.
    pub(super) fn verify(&self, token: &str, method: &Method, target: &str) -> Option<BodyDigest> {
        self.tokens.verify(token, method, target)
    }

    fn request(
        &self,
        method: &Method,
        target: &str,
        body: Vec<u8>,
        trace: Option<Uuid>,
    ) -> Result<reqwest::RequestBuilder, Problem> {
        let token = self.tokens.sign(method, target, &body)?;
        let url = self.url.join(target).map_err(|_| Problem::internal())?;
        let trace = trace.unwrap_or_else(|| Uuid::from_u128(rand::random()));
        let span = rand::random::<u64>() | 1;
        Ok(self
            .http
            .get()
            .request(method.clone(), url)
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(CONTENT_TYPE, "application/json")
            .header("traceparent", format!("00-{}-{span:016x}-01", trace.simple()))
            .body(body))
    }
}

/// What all peers are asked with: connections, and the certificates that they begin with.
pub fn connections(config: &Config) -> Result<Current<Client>, TlsError> {
    tls::peers(&config.tls, &config.peers, http_client)
}

fn http_client(tls: rustls::ClientConfig) -> Result<Client, TlsError> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .timeout(BATCH)
        .tcp_nodelay(true)
        .http1_only()
        .user_agent(concat!("messenger/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| TlsError::Refused(format!("an HTTP client cannot be made: {error}")))
}

/// The body of a response, up to what an answer may have.
async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| causes(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err("the answer is too long".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a peer has answered instead of a result, with the code of its problem if it names one.
async fn refusal(response: Response) -> String {
    let status = response.status();
    let document = read(response).await.unwrap_or_default();
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap_or_default();
    // What a peer says goes into the log only where it cannot be anything but a code.
    let is_code = |code: &&str| {
        code.len() <= MAX_CODE && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    match document["code"].as_str().filter(is_code) {
        Some(code) => format!("the peer answered {status}, {code}"),
        None => format!("the peer answered {status}"),
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// An error with all its causes, as the outer one rarely says what happened.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
