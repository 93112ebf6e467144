use axum::extract::MatchedPath;
use http::{Method, StatusCode};
use shared::address::AppName;

/// What a span tells. Everything in it is a number, or one of few words that this code or the operator has chosen.
#[derive(Clone)]
pub enum What {
    /// A request was answered.
    Answered {
        /// How.
        method: Method,
        /// The template of its path, if a route has matched it.
        route: Option<MatchedPath>,
        /// With what.
        status: StatusCode,
    },
    /// A peer was asked something.
    Asked {
        /// How.
        method: Method,
        /// The template of the path.
        route: &'static str,
        /// Whom.
        peer: AppName,
        /// What it answered, or the code of the failure.
        outcome: Result<StatusCode, &'static str>,
    },
    /// A batch was sent, over again if need be.
    Sent {
        /// To whom.
        peer: AppName,
        /// Its events.
        events: usize,
        /// The code of the failure, if it was one.
        failure: Option<&'static str>,
    },
    /// A batch was taken in.
    TakenIn {
        /// From whom.
        peer: AppName,
        /// Its events.
        events: usize,
        /// The code of the failure, if it was one.
        failure: Option<&'static str>,
    },
}

/// A value of an attribute.
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(u64),
}

/// The numbers that OTLP has for kinds of spans.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const PRODUCER: u8 = 4;
const CONSUMER: u8 = 5;

impl What {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Answered { method, route: Some(route), .. } => {
                format!("{} {}", known(method), route.as_str())
            }
            Self::Answered { method, route: None, .. } => known(method).to_owned(),
            Self::Asked { method, route, .. } => format!("{} {route}", known(method)),
            Self::Sent { .. } => "relay send".to_owned(),
            Self::TakenIn { .. } => "relay receive".to_owned(),
        }
    }

    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Answered { .. } => SERVER,
            Self::Asked { .. } => CLIENT,
            Self::Sent { .. } => PRODUCER,
            Self::TakenIn { .. } => CONSUMER,
        }
    }

    /// Whether it is to be shown as an error: for the one who answers, what is not the caller's fault.
    pub(super) fn has_failed(&self) -> bool {
        match self {
            Self::Answered { status, .. } => status.is_server_error(),
            Self::Asked { outcome, .. } => !outcome.is_ok_and(|status| status.as_u16() < 400),
            Self::Sent { failure, .. } | Self::TakenIn { failure, .. } => failure.is_some(),
        }
    }

    /// Its attributes, under the names of the semantic conventions.
    pub(super) fn attributes(&self) -> Vec<(&'static str, Value<'_>)> {
        const METHOD: &str = "http.request.method";
        const STATUS: &str = "http.response.status_code";
        const PEER: &str = "peer.service";
        const FAILURE: &str = "error.type";
        let status = |status: &StatusCode| (STATUS, Value::Number(status.as_u16().into()));
        match self {
            Self::Answered { method, route, status: code } => {
                let route = route.iter().map(|route| ("http.route", Value::Text(route.as_str())));
                [(METHOD, Value::Text(known(method))), status(code)]
                    .into_iter()
                    .chain(route)
                    .collect()
            }
            Self::Asked { method, route, peer, outcome } => vec![
                (METHOD, Value::Text(known(method))),
                ("url.template", Value::Text(route)),
                (PEER, Value::Text(peer.as_str())),
                match outcome {
                    Ok(code) => status(code),
                    Err(failure) => (FAILURE, Value::Text(failure)),
                },
            ],
            Self::Sent { peer, events, failure } | Self::TakenIn { peer, events, failure } => {
                let events = u64::try_from(*events).unwrap_or(u64::MAX);
                let failure = failure.iter().map(|failure| (FAILURE, Value::Text(failure)));
                [
                    (PEER, Value::Text(peer.as_str())),
                    ("messaging.batch.message_count", Value::Number(events)),
                ]
                .into_iter()
                .chain(failure)
                .collect()
            }
        }
    }
}

/// The name of a method; a caller may have made up any.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_somebody_has_made_up_is_not_told() {
        let method = Method::from_bytes(b"CANARY").unwrap();
        let what = What::Answered { method, route: None, status: StatusCode::NOT_FOUND };
        assert_eq!(what.name(), "_OTHER");
        assert!(!what.has_failed());
    }
}
