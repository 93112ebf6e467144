//! How many requests there are, how long they take and what comes of them, for each route.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::MatchedPath;
use http::{Method, StatusCode};
use metrics::{Gauge, Histogram};

use super::RouteSlot;

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// What the path of a request that no route has matched is called, whatever it is.
const UNMATCHED: &str = "unmatched";

/// The histograms of all routes, made when they are first needed.
pub struct Requests {
    routes: RwLock<HashMap<Box<str>, Arc<Route>>>,
    in_flight: Gauge,
    is_on: bool,
}

#[derive(Default)]
struct Route([[OnceLock<Histogram>; CLASSES.len()]; METHODS.len()]);

/// A request under way; it counts as such until this is dropped.
pub struct Watched<'a> {
    requests: &'a Requests,
    started: Instant,
    slot: RouteSlot,
    method: usize,
}

impl Requests {
    /// Counts from now on, if there is a recorder.
    pub fn register() -> Self {
        let in_flight = metrics::gauge!("messaging_http_requests_in_flight");
        let is_on = super::recorder().is_some();
        Self { routes: RwLock::default(), in_flight, is_on }
    }

    /// Whether anything is counted.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Begins to watch a request, whose route will stand in `slot`.
    pub fn watch(&self, method: &Method, slot: Option<&RouteSlot>) -> Option<Watched<'_>> {
        let slot = slot.filter(|_| self.is_on)?.clone();
        self.in_flight.increment(1);
        Some(Watched { requests: self, started: Instant::now(), slot, method: number(method) })
    }

    fn count(&self, path: &str, method: usize, class: usize, took: Duration) {
        let known = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        // The templates of paths are as many as there are routes.
        let route = known.unwrap_or_else(|| {
            let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
            routes.entry(path.into()).or_default().clone()
        });
        let histogram = route.0[method][class].get_or_init(|| {
            metrics::histogram!(
                "messaging_http_request_duration_seconds",
                "method" => METHODS[method],
                "route" => path.to_owned(),
                "status" => CLASSES[class],
            )
        });
        histogram.record(took);
    }
}

impl Watched<'_> {
    /// There is an answer.
    pub fn answered(self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        let path = self.slot.path().map_or(UNMATCHED, MatchedPath::as_str);
        self.requests.count(path, self.method, class, self.started.elapsed());
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.requests.in_flight.decrement(1);
    }
}

fn number(method: &Method) -> usize {
    let known = METHODS.iter().position(|name| *name == method.as_str());
    known.unwrap_or(METHODS.len() - 1)
}
