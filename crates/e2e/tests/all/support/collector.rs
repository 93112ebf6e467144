//! A collector of traces, as OpenTelemetry has them, that keeps what it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use e2e::eventually;
use http::HeaderMap;
use serde_json::Value;

/// A collector on a free port.
pub struct Collector {
    pub address: SocketAddr,
    told: Told,
}

type Told = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A span that it has been told of.
#[derive(Debug)]
pub struct Span {
    /// The app that has told of it.
    pub service: String,
    /// All of it, as OTLP has it.
    pub json: Value,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Told::default();
        let keep = async |State(told): State<Told>, headers: HeaderMap, body: Bytes| {
            told.lock().unwrap().push((headers, body));
            "{}"
        };
        let router = Router::new().route("/v1/traces", post(keep)).with_state(told.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, told }
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<(HeaderMap, Bytes)> {
        self.told.lock().unwrap().clone()
    }

    /// Every span of a trace so far.
    pub fn trace(&self, trace: &str) -> Vec<Span> {
        let mut spans = Vec::new();
        for (_, body) in self.requests() {
            let told: Value = serde_json::from_slice(&body).unwrap();
            for resource in told["resourceSpans"].as_array().unwrap() {
                let service = attribute(&resource["resource"], "service.name").unwrap();
                let scopes = resource["scopeSpans"].as_array().unwrap();
                let all = scopes.iter().flat_map(|scope| scope["spans"].as_array().unwrap());
                let of = all.filter(|span| span["traceId"] == trace).cloned();
                spans.extend(of.map(|json| Span { service: service.clone(), json }));
            }
        }
        spans
    }

    /// Waits for a span of a trace, told of by an app, with a name.
    pub async fn span(&self, trace: &str, service: &str, name: &str) -> Span {
        let what = format!("{service} tells of {name}");
        eventually(&what, || async {
            let mut spans = self.trace(trace).into_iter();
            spans.find(|span| span.service == service && span.json["name"] == name)
        })
        .await
    }
}

impl Span {
    pub fn id(&self) -> &str {
        self.json["spanId"].as_str().unwrap()
    }

    pub fn parent(&self) -> Option<&str> {
        self.json["parentSpanId"].as_str()
    }

    /// The value of an attribute, a number as a text.
    pub fn attribute(&self, name: &str) -> Option<String> {
        attribute(&self.json, name)
    }
}

fn attribute(of: &Value, name: &str) -> Option<String> {
    let all = of["attributes"].as_array().unwrap();
    let value = &all.iter().find(|one| one["key"] == name)?["value"];
    let value = value["stringValue"].as_str().or(value["intValue"].as_str());
    Some(value.unwrap().to_owned())
}
