use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tempfile::TempDir;

/// Which kind of database an app runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file of its own.
    Sqlite,
    /// A database of its own on the server that `TEST_POSTGRES_URL` names.
    Postgres,
}

/// One fresh database, removed when it is dropped.
pub struct Storage {
    /// What `DATABASE_URL` is set to.
    pub url: String,
    folder: TempDir,
}

impl Database {
    /// Whether tests are to run on it. `make test` starts a server; where there can be none, and only there, it sets
    /// `TEST_POSTGRES=skip` and says so.
    pub fn is_to_be_tested(self) -> bool {
        match self {
            Self::Sqlite => true,
            Self::Postgres => std::env::var("TEST_POSTGRES").as_deref() != Ok("skip"),
        }
    }

    /// A fresh database.
    pub async fn fresh(self) -> Storage {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = match self {
            Self::Sqlite => format!("sqlite://{}/app.db", folder.path().display()),
            Self::Postgres => create().await,
        };
        Storage { url, folder }
    }
}

impl Storage {
    /// The folder of its files, for SQLite.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Everything that it holds, as bytes to search in: the files of SQLite with the WAL, or every row of PostgreSQL.
    pub async fn dump(&self) -> Vec<u8> {
        if self.url.starts_with("sqlite:") {
            let mut bytes = Vec::new();
            for entry in std::fs::read_dir(self.folder()).expect("the folder is there") {
                bytes.extend(std::fs::read(entry.expect("an entry").path()).expect("a file"));
            }
            return bytes;
        }
        let mut connection = PgConnection::connect(&self.url).await.expect("the database");
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
        let tables = connection.fetch_all(tables).await.expect("the tables");
        let mut text = String::new();
        for table in tables {
            let rows = format!("SELECT t::text FROM {} t", table.get::<String, _>(0));
            for row in connection.fetch_all(AssertSqlSafe(rows)).await.expect("the rows") {
                text.push_str(&row.get::<String, _>(0));
                text.push('\n');
            }
        }
        text.into_bytes()
    }
}

async fn create() -> String {
    let server = std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL server; `make test` starts one");
    let name = format!("test_{:032x}", rand::random::<u128>());
    let mut connection = PgConnection::connect(&server).await.expect("the PostgreSQL server");
    let create = format!("CREATE DATABASE {name}");
    connection.execute(AssertSqlSafe(create)).await.expect("a new database");
    let (base, _) = server.rsplit_once('/').expect("a URL with a database");
    format!("{base}/{name}")
}
