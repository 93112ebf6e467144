//! Why a peer has not taken a batch.

/// The kinds of failures of a delivery. Each is met by trying again; what differs is what an operator looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no connection, or it broke.
    Unreachable,
    /// The peer did not answer in time.
    Timeout,
    /// The peer does not accept the signature.
    Unauthorized,
    /// The peer asks to wait.
    Busy,
    /// The batch is larger than what the peer takes, or something before it.
    TooLarge,
    /// The peer answered another status than 200.
    Rejected,
    /// The peer answered 200 with something that is no result of a batch.
    BadAnswer,
    /// The peer knows a newer stream of this app.
    StaleStream,
    /// It failed on this side, before or after the request.
    Internal,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Unauthorized,
        Self::Busy,
        Self::TooLarge,
        Self::Rejected,
        Self::BadAnswer,
        Self::StaleStream,
        Self::Internal,
    ];

    /// The stable, machine-readable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Busy => "busy",
            Self::TooLarge => "too_large",
            Self::Rejected => "rejected",
            Self::BadAnswer => "bad_answer",
            Self::StaleStream => "stale_stream",
            Self::Internal => "internal",
        }
    }

    /// One sentence for an operator, with what to look at.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Unreachable => {
                "There is no connection to the peer, or it broke: is it up, is its URL in PEERS right, and, over https, is its certificate sound?"
            }
            Self::Timeout => "The peer did not answer in time.",
            Self::Unauthorized => {
                "The peer does not accept what this app signs: compare RELAY_SECRET, PEERS and the clocks of both; or it wants a certificate, PEER_CLIENT_CERT_FILE."
            }
            Self::Busy => "The peer asks to wait.",
            Self::TooLarge => {
                "What is sent is too large for what answers there: a proxy before the peer should take bodies of 8 MiB (client_max_body_size)."
            }
            Self::Rejected => {
                "The peer answered with an error, or it is not the peer that answers: look at its log."
            }
            Self::BadAnswer => {
                "The answer is not that of a peer: is its URL in PEERS right, and is a proxy between the two?"
            }
            Self::StaleStream => {
                "The peer has had events that this app does not know of: one of the two was restored from a backup."
            }
            Self::Internal => "It failed on this side: look at the log of this app.",
        }
    }

    /// The cause with this code.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.code() == code)
    }
}
