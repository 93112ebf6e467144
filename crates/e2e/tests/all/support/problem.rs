//! What every problem must look like (RFC 9457), whatever has gone wrong.

use e2e::Reply;

/// A reply that is to be a problem.
pub trait IsProblem {
    /// The reply, if it is a complete problem with this status and code; panics with the whole of it otherwise.
    fn problem(self, status: u16, code: &str) -> Self;
}

impl IsProblem for Reply {
    #[track_caller]
    fn problem(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("content-type"), Some("application/problem+json"), "{reply:#?}");
        assert_eq!(reply.json["type"], format!("urn:messaging:problem:{code}"), "{reply:#?}");
        assert_eq!(reply.json["code"], code, "{reply:#?}");
        assert_eq!(reply.json["status"], status, "{reply:#?}");
        for text in ["title", "detail", "request_id"] {
            assert!(reply.json[text].as_str().is_some_and(|t| !t.is_empty()), "{text}: {reply:#?}");
        }
        assert!(reply.json["instance"].as_str().is_some_and(|t| t.starts_with('/')), "{reply:#?}");
        assert_eq!(header("x-request-id"), reply.json["request_id"].as_str(), "{reply:#?}");
        assert_eq!(header("x-frame-options"), Some("DENY"), "{reply:#?}");
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{reply:#?}");
        assert!(header("referrer-policy").is_some(), "{reply:#?}");
        assert!(header("content-security-policy").is_some(), "{reply:#?}");
        if status == 401 {
            assert_eq!(header("www-authenticate"), Some("Bearer"), "{reply:#?}");
        }
        if status == 405 {
            assert!(header("allow").is_some_and(|allow| !allow.is_empty()), "{reply:#?}");
        }
        for internal in ["panicked", "sqlx", "serde", "SELECT ", "INSERT ", ".rs:", "struct "] {
            assert!(!reply.text.contains(internal), "{internal}: {reply:#?}");
        }
        reply
    }
}
