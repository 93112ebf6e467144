//! A second way into the database of an app, beside the app.

use e2e::Storage;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};

/// A connection to the database of an app.
pub enum Sql {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Sql {
    pub async fn open(storage: &Storage) -> Self {
        if storage.url.starts_with("sqlite:") {
            let connection = SqliteConnection::connect(&storage.url).await;
            Self::Sqlite(connection.expect("the database of the app"))
        } else {
            let connection = PgConnection::connect(&storage.url).await;
            Self::Postgres(connection.expect("the database of the app"))
        }
    }

    /// Runs a statement that must change exactly one row.
    pub async fn change(&mut self, sql: &str) {
        let sql_text = AssertSqlSafe(sql.to_owned());
        let changed = match self {
            Self::Sqlite(db) => {
                sqlx::query(sql_text).execute(db).await.map(|done| done.rows_affected())
            }
            Self::Postgres(db) => {
                sqlx::query(sql_text).execute(db).await.map(|done| done.rows_affected())
            }
        };
        assert_eq!(changed.expect("a sound statement"), 1, "rows changed by {sql}");
    }

    /// Runs a statement.
    pub async fn run(&mut self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(db) => sqlx::raw_sql(sql).execute(db).await.map(|_| ()),
            Self::Postgres(db) => sqlx::raw_sql(sql).execute(db).await.map(|_| ()),
        }
        .expect("a sound statement");
    }

    /// The only value of a query, which must be a text.
    pub async fn text(&mut self, sql: &str) -> String {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(db) => sqlx::query(sql).fetch_one(db).await.map(|row| row.get(0)),
            Self::Postgres(db) => sqlx::query(sql).fetch_one(db).await.map(|row| row.get(0)),
        }
        .expect("one row")
    }

    /// An id as it is written in a statement.
    pub fn id(&self, uuid: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("x'{}'", uuid.replace('-', "")),
            Self::Postgres(_) => format!("'{uuid}'"),
        }
    }

    /// How many rows there are of everything that a user can make.
    pub async fn size(&mut self) -> String {
        let count = |table| format!("CAST((SELECT count(*) FROM {table}) AS TEXT)");
        let tables = ["users", "accounts", "sessions", "conversations", "participants", "messages"];
        let counts = tables.map(count).join(" || ' ' || ");
        self.text(&format!("SELECT {counts}")).await
    }
}
