use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use reqwest::redirect::Policy;
use reqwest::tls::TlsInfo;
use reqwest::{Client, Response, Url};
use shared::address::{AppName, Username};
use shared::id::UserId;
use shared::problem::Problem;
use shared::relay::{
    Batch, BatchResult, EVENTS_PATH, KEYS_PATH, Keys, MAX_LIST, REACH_PATH, RECOVERY_PATH, Reach,
    RecoveryRequest, SIGNALS_PATH, Signals, USERS_PATH, UserList, UserState,
};
use shared::time::Clock;

use super::Cause;
use super::service_token::{BodyDigest, Refusal, ServiceTokens, Signature, Skew};
use super::within::{Within, template};
use crate::config::{Config, Peer};
use crate::spans::{Spans, What};
use crate::tls::{self, Current, Expiry, TlsError};
use crate::users::UserQuery;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a batch may take, from the first byte sent to the last received.
const BATCH: Duration = Duration::from_secs(30);
/// How long a caller waits for a peer to say who somebody is.
const LOOKUP: Duration = Duration::from_secs(3);
/// How long a caller waits for the users that a peer adds to a list, or for a picture.
const SEARCH: Duration = Duration::from_secs(2);
/// Where every app says that it lives.
const LIVE_PATH: &str = "/health/live";
/// Bytes of an answer, at most.
const MAX_ANSWER: usize = 1024 * 1024;
/// Users that a peer may say it has, at most.
const MAX_COUNT: i64 = 1_000_000_000;
/// The longest wait that a peer may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(10);

/// In which a receiver says what time it is there, when it refuses a signature of another time.
pub(super) const TIME: HeaderName = HeaderName::from_static("relay-time");

/// Talks to one peer: signed requests, no redirects, no proxy from the environment.
pub struct PeerClient {
    peer: AppName,
    url: Url,
    http: Arc<Current<Client>>,
    tokens: ServiceTokens,
    spans: Spans,
    clock: Clock,
    /// When the certificate ends that the peer has shown last, in microseconds; 0 if it has shown none yet.
    certificate_ends: AtomicI64,
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

/// What a peer has answered to a request that anybody may make.
pub struct Probe {
    /// Whether it says that it lives.
    pub alive: bool,
    /// Its status.
    pub status: StatusCode,
    /// What its clock shows, as the header `Date` says it.
    pub date: Option<String>,
    /// Until when its certificate is good, if it has shown one.
    pub expiry: Option<Expiry>,
}

/// Why a peer has not said whether it reaches this app.
pub enum Unreached {
    /// It does not take this app's signature.
    Signature,
    /// It is of a release that does not know.
    Unknown,
    /// Something else, in words.
    Failed(String),
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
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let cause = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Cause::Unauthorized,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Cause::Busy,
            StatusCode::CONFLICT => Cause::StaleStream,
            StatusCode::PAYLOAD_TOO_LARGE => Cause::TooLarge,
            _ => Cause::Rejected,
        };
        Self { cause, reason: refusal(response).await, retry_after }
    }
}

impl PeerClient {
    /// A client for `peer`, over connections of `http`.
    pub fn new(own: &AppName, peer: &Peer, http: Arc<Current<Client>>, clock: Clock) -> Self {
        let tokens = ServiceTokens::new(own, peer, clock.clone());
        let (name, url, spans) = (peer.name.clone(), peer.url.clone(), Spans::default());
        Self { peer: name, url, http, tokens, spans, clock, certificate_ends: AtomicI64::new(0) }
    }

    /// The same, that tells a collector of traces what it asks.
    #[must_use]
    pub fn tell(mut self, spans: &Spans) -> Self {
        self.spans = spans.clone();
        self
    }

    /// Where the peer is: scheme, host and port.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Sends a batch and gives the peer's answer to it.
    pub async fn deliver(&self, batch: &Batch) -> Result<BatchResult, Delivery> {
        let traces = || batch.events.iter().filter_map(|event| event.trace);
        let trace = traces().next().unwrap_or_else(|| Within::alone().trace);
        let told = self.spans.begin(trace, None);
        let within = Within { trace, span: told.as_ref().map(|told| told.at().span) };
        let answer = self.exchange(batch, within).await;
        if let Some(told) = told {
            let (peer, events) = (self.peer.clone(), batch.events.len());
            let failure = answer.as_ref().err().map(|delivery| delivery.cause.code());
            told.end_in(traces(), What::Sent { peer, events, failure });
        }
        answer
    }

    async fn exchange(&self, batch: &Batch, within: Within) -> Result<BatchResult, Delivery> {
        let body = serde_json::to_vec(batch).map_err(|error| Delivery::internal(&error))?;
        let response = self.send(&Method::POST, EVENTS_PATH, body, within, BATCH).await?;
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
        let response =
            self.send(&Method::POST, SIGNALS_PATH, body, Within::alone(), LOOKUP).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(Delivery::answered(response).await)
    }

    /// Asks the peer to tell again what has happened since the backup that this app was restored from; `false` if it
    /// does not know of such a request.
    pub async fn recover(&self, request: &RecoveryRequest) -> Result<bool, Delivery> {
        let body = serde_json::to_vec(request).map_err(|error| Delivery::internal(&error))?;
        let response =
            self.send(&Method::POST, RECOVERY_PATH, body, Within::alone(), LOOKUP).await?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(Delivery::answered(response).await),
        }
    }

    /// The peer's user with a name. 503 if the peer cannot be asked.
    pub async fn user(&self, username: &Username) -> Result<Option<UserState>, Problem> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("username", username.as_str())
            .finish();
        let target = format!("{USERS_PATH}?{query}");
        let answer = async {
            let response =
                self.send(&Method::GET, &target, Vec::new(), Within::alone(), LOOKUP).await;
            let response = response.map_err(|failure| failure.reason)?;
            match response.status() {
                StatusCode::OK => {
                    let card = serde_json::from_slice(&read(response).await?);
                    card.map(Some).map_err(|_| "the answer is not a user".to_owned())
                }
                StatusCode::NOT_FOUND => Ok(None),
                _ => Err(refusal(response).await),
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

    /// Whether somebody answers at the peer's address, and what their clock shows.
    pub async fn probe(&self) -> Result<Probe, String> {
        let url = self.url.join(LIVE_PATH).map_err(|error| error.to_string())?;
        let http = self.http.get();
        let response = http.get(url).timeout(LOOKUP).send().await.map_err(|e| causes(&e))?;
        let status = response.status();
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.map(str::to_owned);
        let expiry = expiry(&response);
        // Whatever else has taken the address would hardly answer with that.
        let body: Option<serde_json::Value> =
            read(response).await.ok().and_then(|body| serde_json::from_slice(&body).ok());
        let alive = status == StatusCode::OK && body.is_some_and(|body| body["status"] == "ok");
        Ok(Probe { alive, status, date, expiry })
    }

    /// Fails unless the peer takes a signed request.
    pub async fn knock(&self) -> Result<(), String> {
        // It does not matter whether there is such a user.
        let target = format!("{USERS_PATH}?username=nobody");
        let response = self.send(&Method::GET, &target, Vec::new(), Within::alone(), SEARCH).await;
        match response.map_err(|failure| failure.reason)?.status() {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            status => Err(format!("the peer answered {status}")),
        }
    }

    /// Whether the peer reaches this app, as the peer says.
    pub async fn reach(&self) -> Result<Reach, Unreached> {
        let response =
            self.send(&Method::GET, REACH_PATH, Vec::new(), Within::alone(), CONNECT).await;
        let response = response.map_err(|failure| Unreached::Failed(failure.reason))?;
        match response.status() {
            StatusCode::OK => {
                let body = read(response).await.map_err(Unreached::Failed)?;
                let reach = serde_json::from_slice(&body);
                reach.map_err(|_| Unreached::Failed("the answer says nothing of it".to_owned()))
            }
            StatusCode::UNAUTHORIZED => Err(Unreached::Signature),
            StatusCode::NOT_FOUND => Err(Unreached::Unknown),
            status => Err(Unreached::Failed(format!("the peer answered {status}"))),
        }
    }

    /// Which keys the peer holds; why that cannot be known, if it cannot.
    pub async fn keys(&self) -> Result<Keys, String> {
        let body = self.ask(KEYS_PATH).await?;
        serde_json::from_slice(&body).map_err(|_| "the answer names no keys".to_owned())
    }

    /// The body of the answer to a `GET` that is answered 200.
    async fn ask(&self, target: &str) -> Result<Vec<u8>, String> {
        let response = self.send(&Method::GET, target, Vec::new(), Within::alone(), SEARCH).await;
        let response = response.map_err(|failure| failure.reason)?;
        match response.status() {
            StatusCode::OK => read(response).await,
            _ => Err(refusal(response).await),
        }
    }

    /// The digest that the body of a request from this peer must have, if the peer has signed the request.
    pub(super) fn verify(
        &self,
        token: &str,
        method: &Method,
        target: &str,
    ) -> Result<BodyDigest, Refusal> {
        self.tokens.verify(token, method, target)
    }

    /// What time it is here, for the peer, whose signature is of another time.
    pub(super) fn time(&self, skew: &Skew) -> Result<String, Problem> {
        self.tokens.time(skew)
    }

    /// Sends a request, and once more if the peer says that it has another time there.
    async fn send(
        &self,
        method: &Method,
        target: &str,
        body: Vec<u8>,
        within: Within,
        patience: Duration,
    ) -> Result<Response, Delivery> {
        let body = Bytes::from(body);
        let first = self
            .tokens
            .sign(method, target, &body)
            .map_err(|problem| Delivery::internal(&problem))?;
        let response = self.attempt(method, target, body.clone(), within, patience, &first).await?;
        let time = response.headers().get(TIME).and_then(|time| time.to_str().ok());
        if response.status() != StatusCode::UNAUTHORIZED
            || !time.is_some_and(|time| self.tokens.set(&first, time))
        {
            return Ok(response);
        }
        let second = self
            .tokens
            .sign(method, target, &body)
            .map_err(|problem| Delivery::internal(&problem))?;
        self.attempt(method, target, body, within, patience, &second).await
    }

    async fn attempt(
        &self,
        method: &Method,
        target: &str,
        body: Bytes,
        within: Within,
        patience: Duration,
        signature: &Signature,
    ) -> Result<Response, Delivery> {
        let url = self.url.join(target).map_err(|error| Delivery::internal(&error))?;
        let Within { trace, span } = within;
        let told = self.spans.begin(trace, span);
        let span = told.as_ref().map_or_else(|| rand::random::<u64>() | 1, |told| told.at().span);
        let request = self
            .http
            .get()
            .request(method.clone(), url)
            .header(AUTHORIZATION, format!("Bearer {}", signature.token))
            .header(CONTENT_TYPE, "application/json")
            .header("traceparent", format!("00-{}-{span:016x}-01", trace.simple()))
            .timeout(patience)
            .body(body);
        let answer = request.send().await.map_err(|error| Delivery::broken(&error));
        if let Some(told) = told {
            let outcome = match &answer {
                Ok(response) => Ok(response.status()),
                Err(delivery) => Err(delivery.cause.code()),
            };
            let (method, peer) = (method.clone(), self.peer.clone());
            told.end(What::Asked { method, route: template(target), peer, outcome });
        }
        if let Ok(response) = &answer {
            self.note_certificate(response);
        }
        answer
    }

    /// Notes until when the certificate is good that the peer has shown, and says so if it is another one.
    fn note_certificate(&self, response: &Response) {
        let Some(expiry) = expiry(response) else { return };
        let before = self.certificate_ends.swap(expiry.at().micros(), Ordering::Relaxed);
        if before != expiry.at().micros() {
            let name = self.peer.to_string();
            metrics::gauge!("messaging_peer_certificate_expires_timestamp_seconds", "peer" => name)
                .set(expiry.seconds());
            expiry.log(self.peer.as_str(), self.clock.wall());
        }
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
        .tcp_nodelay(true)
        .http1_only()
        // Says with each answer which certificate the peer has shown.
        .tls_info(true)
        .user_agent(concat!("messenger/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| TlsError::Refused(format!("an HTTP client cannot be made: {error}")))
}

/// Until when the certificate is good that the other end has shown.
fn expiry(response: &Response) -> Option<Expiry> {
    Expiry::of(response.extensions().get::<TlsInfo>()?.peer_certificate()?)
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

/// What a peer that refuses a request has said: the status, and the code of its problem if it is one of ours.
async fn refusal(response: Response) -> String {
    let status = response.status();
    let body = read(response).await.unwrap_or_default();
    let problem = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default();
    let is_code = |code: &&str| {
        (1..=40).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    match problem["code"].as_str().filter(is_code) {
        Some(code) => format!("the peer answered {status}: {code}"),
        None => format!("the peer answered {status}"),
    }
}

/// How long a peer asks to wait, in seconds or as a moment by its own clock (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let asked = text(RETRY_AFTER)?;
    let wait = if let Ok(seconds) = asked.parse() {
        Duration::from_secs(seconds)
    } else {
        let moment = |text| httpdate::parse_http_date(text).ok();
        moment(asked)?.duration_since(moment(text(DATE)?)?).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// An error with all its causes, as the outer one rarely says what happened.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_waited_for_as_it_asks_but_not_for_ever() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (asked, seconds) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("99999999999", Some(600)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(600)),
            ("-1", None),
            ("99999999999999999999999", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = [(RETRY_AFTER, asked), (DATE, date)];
            let headers = headers.map(|(name, value)| (name, value.parse().unwrap()));
            let wait = retry_after(&headers.into_iter().collect());
            assert_eq!(wait, seconds.map(Duration::from_secs), "{asked}");
        }
    }
}
