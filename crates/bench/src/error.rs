use hyper::StatusCode;
use tokio_tungstenite::tungstenite;

/// Why a measurement ends without a result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, a process or a socket.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A connection broke.
    #[error("a connection broke: {0}")]
    Http(#[from] hyper::Error),
    /// A request cannot be built.
    #[error(transparent)]
    Request(#[from] hyper::http::Error),
    /// An answer has another form than it should.
    #[error("an answer cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// A WebSocket cannot be opened, or broke.
    #[error("a socket broke: {0}")]
    Socket(#[from] Box<tungstenite::Error>),
    /// A database that is filled directly.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The system refuses something.
    #[error(transparent)]
    System(#[from] rustix::io::Errno),
    /// An answer that should have been another.
    #[error("{what} was answered {status}: {body}")]
    Answer {
        /// What was asked.
        what: String,
        /// The answer's status.
        status: StatusCode,
        /// The start of its body.
        body: String,
    },
    /// A program that is not installed here.
    #[error("{0}")]
    Missing(String),
    /// Something else, said in a sentence.
    #[error("{0}")]
    Failed(String),
    /// The person at the keyboard has had enough.
    #[error("interrupted")]
    Interrupted,
}

impl From<tungstenite::Error> for Error {
    fn from(error: tungstenite::Error) -> Self {
        Self::Socket(Box::new(error))
    }
}

/// The result of a step of the benchmark.
pub type Result<T, E = Error> = std::result::Result<T, E>;
