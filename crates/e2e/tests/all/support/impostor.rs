//! An HTTP server that is no peer, in the place of one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;

/// Something that stands in the place of a peer: it answers as it is told, and knows when it was asked for what.
#[derive(Clone)]
pub struct Impostor {
    pub address: SocketAddr,
    state: Arc<Mutex<Says>>,
}

/// Names and values.
pub type Headers = Vec<(&'static str, String)>;

#[derive(Default)]
struct Says {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
    asked: Vec<(String, Instant)>,
}

impl Impostor {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<Says>>::default();
        let router = Router::new().fallback(Self::answer).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    async fn answer(State(says): State<Arc<Mutex<Says>>>, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
        let mut says = says.lock().unwrap();
        says.asked.push((path, Instant::now()));
        let mut response = Response::builder().status(says.status);
        for (name, value) in &says.headers {
            response = response.header(*name, value);
        }
        response.body(Body::from(says.body.clone())).unwrap()
    }

    /// Answers like this from now on.
    pub fn say(&self, status: u16, headers: &[(&'static str, &str)], body: impl Into<Vec<u8>>) {
        let mut says = self.state.lock().unwrap();
        says.status = status;
        says.headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        says.body = body.into();
    }

    /// When it was asked to take events.
    pub fn asked(&self) -> Vec<Instant> {
        let says = self.state.lock().unwrap();
        let events = says.asked.iter().filter(|(path, _)| path == "/relay/v1/events/");
        events.map(|(_, at)| *at).collect()
    }

    /// Whether it was asked for anything at all.
    pub fn was_asked(&self) -> bool {
        !self.state.lock().unwrap().asked.is_empty()
    }
}
