use shared::relay::{EVENTS_PATH, KEYS_PATH, REACH_PATH, RECOVERY_PATH, SIGNALS_PATH, USERS_PATH};
use uuid::Uuid;

/// What a request to a peer is a part of.
#[derive(Clone, Copy)]
pub(super) struct Within {
    /// The trace.
    pub trace: Uuid,
    /// The span in it, if it is told of.
    pub span: Option<u64>,
}

impl Within {
    /// Nothing: a trace of its own.
    pub fn alone() -> Self {
        Self { trace: Uuid::from_u128(rand::random()), span: None }
    }
}

/// The path of a target, without its query and the ids that it may have.
pub(super) fn template(target: &str) -> &'static str {
    const PICTURE: &str = "/relay/v1/users/{id}/picture/";
    let path = target.split('?').next().unwrap_or_default();
    let known = [EVENTS_PATH, SIGNALS_PATH, RECOVERY_PATH, USERS_PATH, REACH_PATH, KEYS_PATH];
    known.into_iter().find(|known| *known == path).unwrap_or(PICTURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_template_has_a_name_or_an_id() {
        assert_eq!(template(&format!("{USERS_PATH}?username=anna")), USERS_PATH);
        assert_eq!(template(EVENTS_PATH), EVENTS_PATH);
        let picture = template(&format!("{USERS_PATH}{}/picture/", Uuid::max()));
        assert_eq!(picture, "/relay/v1/users/{id}/picture/");
    }
}
