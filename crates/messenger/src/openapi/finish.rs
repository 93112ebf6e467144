//! What every route has in common, added to what the handlers say of themselves.

use serde_json::{Value, json};
use shared::problem::Problem;
use std::collections::BTreeSet;
use utoipa::PartialSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::server::Server;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, OpenApiVersion, Ref, RefOr, Response, ResponseBuilder,
    Schema,
};

use crate::limits::Bucket;

/// Problems that many routes share: status, name of the component, when it is met, an example of code and detail.
const PROBLEMS: [(&str, &str, &str, &str, &str); 11] = [
    (
        "400",
        "Invalid",
        "The request is malformed, or fields of it are not valid; `errors` names them.",
        "invalid",
        "Some fields are not valid; see errors.",
    ),
    (
        "401",
        "Unauthenticated",
        "There are no credentials, or none that count.",
        "not_authenticated",
        "Log in and send the access token as a Bearer token.",
    ),
    ("403", "Forbidden", "The caller may not do this.", "forbidden", "You may not do this."),
    (
        "404",
        "NotFound",
        "There is no such thing, or the caller may not know about it.",
        "not_found",
        "There is nothing here for you.",
    ),
    (
        "405",
        "MethodNotAllowed",
        "`Allow` names the methods of this path.",
        "method_not_allowed",
        "This path does not take that method; the Allow header names those it takes.",
    ),
    (
        "409",
        "Conflict",
        "The state of things does not allow it.",
        "conflict",
        "The state of things does not allow it.",
    ),
    (
        "413",
        "TooLarge",
        "The body is too large.",
        "too_large",
        "The body is larger than the 262144 bytes that are accepted here.",
    ),
    (
        "415",
        "UnsupportedMediaType",
        "The body is not JSON in UTF-8, or has a content encoding.",
        "unsupported_media_type",
        "Send the body as application/json in UTF-8, without a content encoding.",
    ),
    (
        "429",
        "TooManyRequests",
        "A rate limit is reached; `Retry-After` says when to go on.",
        "rate_limited",
        "There have been too many requests; try again later.",
    ),
    (
        "500",
        "Internal",
        "Our fault; the request id finds the reason in the log.",
        "internal",
        "Something went wrong on our side; the request id finds it in the log.",
    ),
    (
        "503",
        "Unavailable",
        "Not now; `Retry-After` says when to try again.",
        "unavailable",
        "The service is busy.",
    ),
];

/// The tags, in the order in which a newcomer meets them.
const TAGS: [(&str, &str); 10] = [
    (
        "Accounts",
        "Registration, sessions and the own profile. Every route but registration, log-in and refresh wants an access token.",
    ),
    (
        "Users",
        "Who is who, here and at the peers. Wherever a user is named, an id, a bare username or an address will do.",
    ),
    ("Conversations", "Direct ones, of which there is one for each pair of people, and groups."),
    (
        "Messages",
        "What people write. `content` is sealed before anything else sees it, and opened for those who may read it.",
    ),
    ("Real time", "News as they happen, over a WebSocket."),
    ("Admin", "For accounts with the role `admin`."),
    ("Aliases", "Older names of some routes."),
    ("Health", "For who runs the app."),
    ("Description", "This document."),
    ("Relay", "Between the apps, for peers alone."),
];

const ABOUT: &str = "Two apps, AppA and AppB, serve this same API to their own users, who write to each other \
as if they were on one system.

Paths end in a slash; without it they answer the same. Bodies are JSON in UTF-8, moments are RFC 3339 in UTC. \
Every answer has an `X-Request-Id`; every error is a problem (RFC 9457) with a stable `code`.

To begin: register, log in, press *Authorize* with the `access_token`, and send a message to `bob@app-b`.";

/// Completes the description.
pub fn finish(mut api: OpenApi) -> OpenApi {
    api.openapi = OpenApiVersion::Version31;
    api.info = InfoBuilder::new()
        .title("Messaging API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .build();
    api.servers = Some(vec![Server::new("/")]);
    let tag = |(name, about): &(&str, &str)| {
        TagBuilder::new().name(*name).description(Some(*about)).build()
    };
    api.tags = Some(TAGS.iter().map(tag).collect());
    let scheme = |name| SecurityRequirement::new::<_, [&str; 0], &str>(name, []);
    api.security = Some(vec![scheme("bearer"), scheme("cookie")]);
    let paths = std::mem::take(&mut api.paths.paths);
    let mut names = BTreeSet::new();
    for (path, mut item) in paths {
        for (method, operation) in operations(&mut item) {
            complete(operation, method);
            limits(operation, method, &path);
            if is_alias(&path) {
                operation.tags = Some(vec!["Aliases".to_owned()]);
            }
            name(operation, method, &mut names);
        }
        api.paths.paths.insert(canonical(path), item);
    }
    let components = api.components.get_or_insert_default();
    components.schemas.insert("Problem".into(), problem());
    // All of a user is a card as well, so it is not one alone of the two.
    if let Some(RefOr::T(schema)) = components.schemas.get_mut("ShownUser")
        && let Schema::OneOf(one) = schema
    {
        let either = one.items.iter().cloned().fold(AnyOfBuilder::new(), AnyOfBuilder::item);
        *schema = either.description(one.description.clone()).into();
    }
    if let Some(RefOr::T(Schema::Object(message))) = components.schemas.get_mut("Message") {
        message.properties.insert("content_error".into(), content_error());
    }
    components.responses.extend(PROBLEMS.map(|(status, name, when, code, detail)| {
        (name.to_owned(), RefOr::T(response(status, when, code, detail)))
    }));
    components
        .security_schemes
        .extend(security_schemes().map(|(name, scheme)| (name, RefOr::T(scheme))));
    api
}

/// Whether it is an older name of an account route.
fn is_alias(path: &str) -> bool {
    ["/api/register", "/api/login", "/api/refresh", "/api/logout", "/api/me", "/api/token"]
        .iter()
        .any(|alias| {
            path == *alias || path.strip_prefix(alias).is_some_and(|rest| rest.starts_with('/'))
        })
}

/// A path as it is documented.
fn canonical(path: String) -> String {
    let slash = !path.ends_with('/') && !path.starts_with("/health");
    if slash { path + "/" } else { path }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Adds the problems that a request of this kind may meet, and their form to those the handler names itself.
fn complete(operation: &mut Operation, method: &str) {
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        let known = PROBLEMS.iter().find(|(known, ..)| known == status);
        let (code, detail) = known.map_or(("code", "What went wrong."), |known| (known.3, known.4));
        if let RefOr::T(own) = response
            && status.as_str() >= "400"
            && own.content.is_empty()
        {
            let when = own.description.clone();
            *own = self::response(status, &when, &first_code(&when, code), detail);
        }
    }
    let public = operation.security.as_ref().is_some_and(|security| {
        security.iter().all(|requirement| *requirement == SecurityRequirement::default())
    });
    let takes_input = operation.parameters.is_some() || operation.request_body.is_some();
    let is_page = |parameter: &RefOr<_>| matches!(parameter, RefOr::T(Parameter { name, .. }) if name == "page");
    let paged = operation.parameters.iter().flatten().any(is_page);
    let expected = [
        ("400", takes_input),
        ("401", !public),
        // Of a browser's cookies, whose CSRF token is missing.
        ("403", !public && method != "get" && !is_service(operation.security.as_deref())),
        // Past the last page.
        ("404", paged),
        ("413", operation.request_body.is_some()),
        ("415", operation.request_body.is_some()),
        ("429", true),
        ("500", true),
        ("503", true),
    ];
    for (status, _) in expected.into_iter().filter(|(_, met)| *met) {
        let known = PROBLEMS.iter().find(|(known, ..)| *known == status);
        if let Some((_, name, ..)) = known {
            let shared = RefOr::Ref(Ref::from_response_name(*name));
            responses.entry(status.to_owned()).or_insert(shared);
        }
    }
}

/// Says from which bucket a route takes, and which headers tell what is left.
fn limits(operation: &mut Operation, method: &str, path: &str) {
    let method = http::Method::from_bytes(method.to_ascii_uppercase().as_bytes());
    let Some(bucket) = method.ok().and_then(|method| Bucket::of(&method, path)) else { return };
    let about = operation.description.take().unwrap_or_default();
    let name = bucket.name();
    operation.description = Some(format!("{about} Rate limit: `{name}`."));
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with('2') {
            for (header, about) in [
                (
                    "RateLimit",
                    format!(
                        "What is left: `\"{name}\";r=9;t=3`, requests and seconds until all are back."
                    ),
                ),
                (
                    "RateLimit-Policy",
                    format!("The limit: `\"{name}\";q=10;w=60`, requests and seconds."),
                ),
            ] {
                let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build();
                let value =
                    HeaderBuilder::new().schema(Some(text)).description(Some(about)).build();
                response.headers.insert(header.to_owned(), RefOr::T(value));
            }
        }
    }
}

/// The code that a description begins with, as in "`taken`: ...".
fn first_code(description: &str, otherwise: &str) -> String {
    let code = description.strip_prefix('`').and_then(|rest| rest.split('`').next());
    code.unwrap_or(otherwise).to_owned()
}

/// Gives an operation a name of its own, whatever the handlers are called.
fn name(operation: &mut Operation, method: &str, names: &mut BTreeSet<String>) {
    let tag = operation.tags.iter().flatten().next().map_or("api", String::as_str);
    let own = operation.operation_id.take().unwrap_or_default();
    let base = format!("{}_{own}", tag.to_lowercase().replace(' ', "_"));
    let name = if names.contains(&base) { format!("{base}_{method}") } else { base };
    names.insert(name.clone());
    operation.operation_id = Some(name);
}

fn response(status: &str, when: &str, code: &str, detail: &str) -> Response {
    let mut document: Value = serde_json::from_slice(
        &Problem::of_status(http::StatusCode::OK).document(Some("/api/auth/me/"), Some(EXAMPLE_ID)),
    )
    .unwrap_or_default();
    let status = status.parse().ok().and_then(|status| http::StatusCode::from_u16(status).ok());
    let status = status.unwrap_or_default();
    for (field, value) in [
        ("type", json!(format!("urn:messaging:problem:{code}"))),
        ("title", json!(status.canonical_reason())),
        ("status", json!(status.as_u16())),
        ("detail", json!(detail)),
        ("code", json!(code)),
    ] {
        document[field] = value;
    }
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .example(Some(document))
        .build();
    let mut response = ResponseBuilder::new()
        .description(when)
        .content("application/problem+json", content)
        .build();
    let header = match status.as_u16() {
        401 => Some(("WWW-Authenticate", "`Bearer`.", Type::String)),
        405 => Some(("Allow", "The methods that this path takes.", Type::String)),
        429 | 503 => Some(("Retry-After", "Seconds to wait before the next try.", Type::Integer)),
        _ => None,
    };
    if let Some((name, about, kind)) = header {
        let schema = ObjectBuilder::new().schema_type(SchemaType::Type(kind)).build();
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build();
        response.headers.insert(name.to_owned(), RefOr::T(header));
    }
    response
}

const EXAMPLE_ID: &str = "0198c5a1-7d3e-7c11-8a55-2f6f9f6f0b11";

fn problem() -> RefOr<Schema> {
    let text =
        |about: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(about));
    let list = utoipa::openapi::ArrayBuilder::new().items(String::schema());
    let errors = ObjectBuilder::new()
        .description(Some("What is wrong, by field."))
        .additional_properties(Some(list));
    ObjectBuilder::new()
        .description(Some("An error (RFC 9457)."))
        .property("type", text("A URN that ends in the code."))
        .property("title", text("What the status says."))
        .property("status", ObjectBuilder::new().schema_type(Type::Integer))
        .property("detail", text("What happened, for people."))
        .property("instance", text("The path of the request."))
        .property("code", text("What happened, for programs; it never changes."))
        .property("request_id", text("Finds the request in the log."))
        .property("errors", errors)
        .required("type")
        .required("title")
        .required("status")
        .required("detail")
        .required("code")
        .into()
}

/// What the response layer writes beside a content that does not open.
fn content_error() -> RefOr<Schema> {
    let codes = ["moved", "tampered", "unknown_key", "unsupported_version"];
    let text = || ObjectBuilder::new().schema_type(Type::String);
    ObjectBuilder::new()
        .description(Some("Why `content` is null, where it cannot be opened."))
        .property("code", text().enum_values(Some(codes)))
        .property("key", text().description(Some("The name of the key that sealed it.")))
        .required("code")
        .into()
}

/// Whether an operation is for peers alone.
fn is_service(security: Option<&[SecurityRequirement]>) -> bool {
    let service = SecurityRequirement::new::<_, [&str; 0], &str>("service", []);
    security.is_some_and(|security| security.contains(&service))
}

fn security_schemes() -> [(String, SecurityScheme); 3] {
    let bearer = |about: &str| {
        let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        SecurityScheme::Http(http.description(Some(about)).build())
    };
    let cookie = ApiKeyValue::with_description(
        "__Host-Authentication",
        "The cookie of a log-in with `session: \"cookie\"`; the operator may have given it another name. Requests that \
         are not GET or HEAD need the header `X-CSRFToken` as well, equal to the CSRF cookie.",
    );
    [
        ("bearer".into(), bearer("The `access_token` of a log-in or a refresh.")),
        ("cookie".into(), SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
        ("service".into(), bearer("What one app signs for each request to the other.")),
    ]
}
