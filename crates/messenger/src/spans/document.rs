//! Spans as JSON, as OTLP 1 has it (opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids in hexadecimal, 64-bit
//! numbers as strings.

use serde::Serialize;
use serde_json::{Value as Json, json};
use shared::address::AppName;

use super::queue::{Place, Span};
use super::what::Value;

/// The number that OTLP has for an error.
const ERROR: u8 = 2;

/// Who tells of spans.
pub(super) struct Resource(Json);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Json>,
    links: Vec<Json>,
    status: Json,
}

impl Resource {
    /// A process of an app.
    pub fn new(app: &AppName) -> Self {
        let instance = uuid::Uuid::from_u128(rand::random()).to_string();
        Self(json!({ "attributes": [
            attribute("service.name", &Value::Text(app.as_str())),
            attribute("service.version", &Value::Text(env!("CARGO_PKG_VERSION"))),
            // Replicas of an app are told apart by it.
            attribute("service.instance.id", &Value::Text(&instance)),
        ] }))
    }

    /// The body of a request to the collector.
    pub fn tell(&self, spans: &[Span]) -> Vec<u8> {
        let lines: Vec<Line> = spans.iter().map(line).collect();
        let scope = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") });
        let all = json!([{ "scope": scope, "spans": lines }]);
        json!({ "resourceSpans": [{ "resource": self.0, "scopeSpans": all }] }).to_string().into()
    }
}

fn line(span: &Span) -> Line {
    let Span { at, parent, link, start, took, what } = span;
    let start = i128::from(start.micros()) * 1000;
    let took = i128::try_from(took.as_nanos()).unwrap_or(0);
    let attributes = what.attributes();
    Line {
        trace_id: at.trace.simple().to_string(),
        span_id: hexadecimal(at.span),
        parent_span_id: parent.map(hexadecimal),
        name: what.name(),
        kind: what.kind(),
        start_time_unix_nano: start.to_string(),
        end_time_unix_nano: (start + took).to_string(),
        attributes: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        links: link.iter().map(to).collect(),
        status: if what.has_failed() { json!({ "code": ERROR }) } else { json!({}) },
    }
}

fn to(place: &Place) -> Json {
    json!({ "traceId": place.trace.simple().to_string(), "spanId": hexadecimal(place.span) })
}

fn hexadecimal(span: u64) -> String {
    format!("{span:016x}")
}

fn attribute(name: &str, value: &Value<'_>) -> Json {
    let value = match value {
        Value::Text(text) => json!({ "stringValue": text }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
    };
    json!({ "key": name, "value": value })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::time::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::spans::What;

    #[test]
    fn a_span_is_written_as_collectors_read_it() {
        let at = Place { trace: Uuid::from_u128(0x4bf9), span: 0xb7 };
        let peer = "app-b".parse().unwrap();
        let span = Span {
            at,
            parent: Some(1),
            link: Some(Place { trace: Uuid::from_u128(2), span: 3 }),
            start: Timestamp::from_micros(1_700_000_000_000_001),
            took: Duration::from_nanos(1500),
            what: What::Sent { peer, events: 3, failure: Some("timeout") },
        };
        let told = Resource::new(&"app-a".parse().unwrap()).tell(&[span]);
        let told: Json = serde_json::from_slice(&told).unwrap();
        let told = &told["resourceSpans"][0];
        assert_eq!(told["resource"]["attributes"][0]["value"]["stringValue"], "app-a");
        let zeros = |text: &str, digits: usize| format!("{text:0>digits$}");
        assert_eq!(
            told["scopeSpans"][0]["spans"][0],
            json!({
                "traceId": zeros("4bf9", 32),
                "spanId": zeros("b7", 16),
                "parentSpanId": zeros("1", 16),
                "name": "relay send",
                "kind": 4,
                "startTimeUnixNano": "1700000000000001000",
                "endTimeUnixNano": "1700000000000002500",
                "attributes": [
                    { "key": "peer.service", "value": { "stringValue": "app-b" } },
                    { "key": "messaging.batch.message_count", "value": { "intValue": "3" } },
                    { "key": "error.type", "value": { "stringValue": "timeout" } },
                ],
                "links": [{ "traceId": zeros("2", 32), "spanId": zeros("3", 16) }],
                "status": { "code": 2 },
            })
        );
    }
}
