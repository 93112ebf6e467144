//! The description of the API is complete, sound, and the same as the snapshot in the repository.

use std::collections::HashSet;

use e2e::{Database, Pair};
use messenger::openapi::description;
use serde_json::Value;

fn document() -> Value {
    serde_json::to_value(description()).unwrap()
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    })
}

#[test]
fn the_snapshot_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/messaging.json");
    let snapshot = std::fs::read_to_string(path).unwrap_or_default();
    let current = description().to_pretty_json().unwrap() + "\n";
    assert!(snapshot == current, "openapi/messaging.json is out of date: make openapi writes it");
}

#[test]
fn every_operation_says_what_it_is_and_how_it_fails() {
    let document = document();
    let mut ids = HashSet::new();
    for (name, operation) in operations(&document) {
        assert!(operation["summary"].is_string(), "{name} has no summary");
        assert!(operation["tags"][0].is_string(), "{name} has no tag");
        assert!(ids.insert(operation["operationId"].clone()), "{name} shares its operationId");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status < &"300".to_owned()), "{name} never succeeds");
        assert!(responses.contains_key("500"), "{name} never fails");
        for (status, response) in
            responses.iter().filter(|(status, _)| *status >= &"400".to_owned())
        {
            let problem = response["content"]["application/problem+json"].is_object();
            assert!(problem || response["$ref"].is_string(), "{name}: {status} has no form");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(document: &Value, value: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    let found = document.pointer(target.trim_start_matches('#'));
                    assert!(found.is_some(), "{target} is not there");
                }
                fields.values().for_each(|value| walk(document, value));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(document, value)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

#[tokio::test]
async fn the_page_and_its_parts_come_from_the_app_itself() {
    let pair = Pair::start(Database::Sqlite).await;
    let client = pair.a.client();
    let page = client.get("/api/docs/").await.expect(200);
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
    let parts: Vec<_> =
        page.text.split('"').filter(|part| part.starts_with("/api/docs/")).collect();
    assert_eq!(parts.len(), 4);
    for part in parts {
        let reply = client.get(part).await.expect(200);
        assert!(!reply.text.is_empty(), "{part}");
    }
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    assert_eq!(client.get("/api/schema/").await.expect(200).json, document());
    client.get("/api/docs/index.html").await.expect(404);
    client.get("/api/docs/..%2f..%2fCargo.toml").await.expect(404);
    pair.stop().await;
}
