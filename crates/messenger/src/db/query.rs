use std::cell::Cell;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use futures::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    Arguments, AssertSqlSafe, Decode, Encode, Postgres, Row as _, SqlSafeStr, SqlStr, Sqlite, Type,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::remote::WITHIN;
use super::{Error, Remote, Result};

/// A connection to either database.
pub enum Conn {
    /// To SQLite.
    Sqlite(PoolConnection<Sqlite>),
    /// To PostgreSQL.
    Postgres(Remote),
}

enum Args {
    Sqlite(SqliteArguments),
    Postgres(PgArguments),
}

/// What both databases can store.
pub trait Bind:
    for<'q> Encode<'q, Sqlite> + Type<Sqlite> + for<'q> Encode<'q, Postgres> + Type<Postgres>
{
}

impl<T> Bind for T where
    T: for<'q> Encode<'q, Sqlite> + Type<Sqlite> + for<'q> Encode<'q, Postgres> + Type<Postgres>
{
}

/// What both databases can give back.
pub trait Load:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Load for T where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

/// Runs one expression against whichever connection or row is there.
macro_rules! either {
    ($enum:ident, $value:expr, $inner:pat => $run:expr) => {
        match $value {
            $enum::Sqlite($inner) => $run,
            $enum::Postgres($inner) => $run,
        }
    };
}

impl Conn {
    /// A statement with `$1`, `$2`, … for the values that [`Query::bind`] adds.
    pub fn sql(&mut self, text: &'static str) -> Query<'_> {
        self.query(text.into_sql_str())
    }

    /// A statement with `$1` and so on for `before`, and with `{}` for the placeholders of `list`.
    ///
    /// The list is padded to a power of two with its last value, so that few distinct statements are prepared.
    pub fn sql_in(&mut self, text: &'static str, before: &[Uuid], list: &[Uuid]) -> Query<'_> {
        let padded = list.len().next_power_of_two();
        let first = before.len() + 1;
        let mut places = String::with_capacity(padded * 5);
        for number in first..first + padded {
            let _ = write!(places, "{}${number}", if number == first { "" } else { "," });
        }
        let text = text.replacen("{}", &places, 1);
        let mut query = self.query(AssertSqlSafe(text).into_sql_str());
        let padding = list.last().into_iter().cycle().take(padded - list.len());
        before.iter().chain(list).chain(padding).for_each(|&id| query.add(id));
        query
    }

    /// A statement that has been put together from fixed parts, with its values bound as in [`Conn::sql`].
    pub fn sql_built(&mut self, text: String) -> Query<'_> {
        self.query(AssertSqlSafe(text).into_sql_str())
    }

    /// Whether it is a connection to PostgreSQL, for the few statements that differ.
    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    fn query(&mut self, text: SqlStr) -> Query<'_> {
        let args = match self {
            Self::Sqlite(_) => Args::Sqlite(SqliteArguments::default()),
            Self::Postgres(_) => Args::Postgres(PgArguments::default()),
        };
        Query { conn: self, text, args, failed: None }
    }

    pub(super) async fn run(&mut self, text: &'static str) -> Result<()> {
        match self {
            Self::Sqlite(conn) => {
                sqlx::raw_sql(text).execute(&mut **conn).await?;
            }
            Self::Postgres(remote) => {
                let answer = timeout(WITHIN, sqlx::raw_sql(text).execute(remote.live()?)).await;
                remote.heard(answer)?;
            }
        }
        Ok(())
    }
}

/// A statement and the values bound to it.
pub struct Query<'c> {
    conn: &'c mut Conn,
    text: SqlStr,
    args: Args,
    failed: Option<sqlx::error::BoxDynError>,
}

impl Query<'_> {
    /// Binds the next value.
    #[must_use]
    pub fn bind<T: Bind>(mut self, value: T) -> Self {
        self.add(value);
        self
    }

    fn add<T: Bind>(&mut self, value: T) {
        let added = match &mut self.args {
            Args::Sqlite(args) => Arguments::add(args, value),
            Args::Postgres(args) => args.add(value),
        };
        if let Err(error) = added {
            self.failed.get_or_insert(error);
        }
    }

    /// Runs it and gives the number of rows that it changed.
    pub async fn execute(self) -> Result<u64> {
        self.sound()?;
        Ok(match (self.conn, self.args) {
            (Conn::Sqlite(conn), Args::Sqlite(args)) => {
                sqlx::query_with(self.text, args).execute(&mut **conn).await?.rows_affected()
            }
            (Conn::Postgres(remote), Args::Postgres(args)) => {
                let query = sqlx::query_with(self.text, args);
                let answer = timeout(WITHIN, query.execute(remote.live()?)).await;
                remote.heard(answer)?.rows_affected()
            }
            _ => return Err(Error::Closed),
        })
    }

    /// Runs it and gives every row, as `map` reads it.
    pub async fn all<T>(self, map: impl Fn(&Row) -> Result<T>) -> Result<Vec<T>> {
        self.sound()?;
        match (self.conn, self.args) {
            (Conn::Sqlite(conn), Args::Sqlite(args)) => {
                let rows = sqlx::query_with(self.text, args).fetch_all(&mut **conn).await?;
                rows.into_iter().map(|row| map(&Row::new(Inner::Sqlite(row)))).collect()
            }
            (Conn::Postgres(remote), Args::Postgres(args)) => {
                let query = sqlx::query_with(self.text, args);
                let answer = timeout(WITHIN, query.fetch_all(remote.live()?)).await;
                let rows = remote.heard(answer)?;
                rows.into_iter().map(|row| map(&Row::new(Inner::Postgres(row)))).collect()
            }
            _ => Err(Error::Closed),
        }
    }

    /// Runs it and hands each row to `take` as it comes, without holding more than one, until that gives `false`.
    pub async fn each(self, mut take: impl FnMut(&Row) -> Result<bool>) -> Result<()> {
        self.sound()?;
        match (self.conn, self.args) {
            (Conn::Sqlite(conn), Args::Sqlite(args)) => {
                let mut rows = sqlx::query_with(self.text, args).fetch(&mut **conn);
                while let Some(row) = rows.try_next().await? {
                    if !take(&Row::new(Inner::Sqlite(row)))? {
                        break;
                    }
                }
            }
            (Conn::Postgres(remote), Args::Postgres(args)) => {
                let mut rows = sqlx::query_with(self.text, args).fetch(remote.live()?);
                loop {
                    let next = match timeout(WITHIN, rows.try_next()).await {
                        Ok(next) => next?,
                        Err(elapsed) => {
                            drop(rows);
                            return remote.heard(Err(elapsed));
                        }
                    };
                    let Some(row) = next else { break };
                    if !take(&Row::new(Inner::Postgres(row)))? {
                        break;
                    }
                }
            }
            _ => return Err(Error::Closed),
        }
        Ok(())
    }

    /// Runs it and gives its first row, if there is one.
    pub async fn optional<T>(self, map: impl Fn(&Row) -> Result<T>) -> Result<Option<T>> {
        Ok(self.all(map).await?.into_iter().next())
    }

    /// Runs it and gives its first row.
    pub async fn one<T>(self, map: impl Fn(&Row) -> Result<T>) -> Result<T> {
        self.optional(map).await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    fn sound(&self) -> Result<()> {
        match &self.failed {
            Some(error) => Err(Error::Value(error.to_string())),
            None => Ok(()),
        }
    }
}

enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A row, read column by column from the left.
pub struct Row {
    inner: Inner,
    next: Cell<usize>,
}

impl Row {
    fn new(inner: Inner) -> Self {
        Self { inner, next: Cell::new(0) }
    }

    /// The next column.
    pub fn take<T: Load>(&self) -> Result<T> {
        let index = self.next.get();
        self.next.set(index + 1);
        Ok(either!(Inner, &self.inner, row => row.try_get(index)?))
    }

    /// The next column as an identifier.
    pub fn id<T: From<uuid::Uuid>>(&self) -> Result<T> {
        self.take::<uuid::Uuid>().map(T::from)
    }

    /// The next column as a moment.
    pub fn time(&self) -> Result<shared::time::Timestamp> {
        self.take().map(shared::time::Timestamp::from_micros)
    }

    /// The next column as a moment that may be absent.
    pub fn maybe_time(&self) -> Result<Option<shared::time::Timestamp>> {
        Ok(self.take::<Option<i64>>()?.map(shared::time::Timestamp::from_micros))
    }

    /// The next column as a number that stands for something.
    pub fn number<T: TryFrom<i16, Error = i16>>(&self) -> Result<T> {
        T::try_from(self.take::<i16>()?).map_err(|number| Error::Value(number.to_string()))
    }

    /// The next column as a text that has a form.
    pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(&self) -> Result<T> {
        self.take::<String>()?.parse().map_err(|error: T::Err| Error::Value(error.to_string()))
    }
}

/// Rows per statement, at most; a power of two.
const CHUNK: usize = 128;

/// An `INSERT` of many rows at once.
///
/// Rows go out in chunks of a power of two, largest first, so that at most eight statements are ever prepared.
pub struct Insert {
    into: &'static str,
    columns: usize,
    then: &'static str,
    texts: [OnceLock<Arc<str>>; CHUNK.ilog2() as usize + 1],
}

impl Insert {
    /// `into` is everything before the rows (`INSERT INTO t (a, b) VALUES`), `then` what follows them.
    pub const fn new(into: &'static str, columns: usize, then: &'static str) -> Self {
        Self { into, columns, then, texts: [const { OnceLock::new() }; CHUNK.ilog2() as usize + 1] }
    }

    /// Inserts `rows`, each as `bind` adds its columns, and gives the number of rows written.
    pub async fn all<T>(
        &'static self,
        conn: &mut Conn,
        mut rows: &[T],
        bind: impl for<'q> Fn(Query<'q>, &T) -> Query<'q>,
    ) -> Result<u64> {
        let mut written = 0;
        while let Some((query, rest)) = self.next(conn, rows, &bind) {
            written += query.execute().await?;
            rows = rest;
        }
        Ok(written)
    }

    /// The same with a `RETURNING`, and gives what `map` reads of it.
    pub async fn returning<T, R>(
        &'static self,
        conn: &mut Conn,
        mut rows: &[T],
        bind: impl for<'q> Fn(Query<'q>, &T) -> Query<'q>,
        map: impl Fn(&Row) -> Result<R>,
    ) -> Result<Vec<R>> {
        let mut returned = Vec::new();
        while let Some((query, rest)) = self.next(conn, rows, &bind) {
            returned.extend(query.all(&map).await?);
            rows = rest;
        }
        Ok(returned)
    }

    /// The statement for the first rows, with their values bound, and the rows that are left.
    fn next<'c, 't, T>(
        &'static self,
        conn: &'c mut Conn,
        rows: &'t [T],
        bind: impl for<'q> Fn(Query<'q>, &T) -> Query<'q>,
    ) -> Option<(Query<'c>, &'t [T])> {
        let size = 1usize << rows.len().min(CHUNK).checked_ilog2()?;
        let (chunk, rest) = rows.split_at(size);
        let text = AssertSqlSafe(self.text(size)).into_sql_str();
        Some((chunk.iter().fold(conn.query(text), bind), rest))
    }

    fn text(&self, rows: usize) -> Arc<str> {
        let build = || {
            let mut text = String::from(self.into);
            for row in 0..rows {
                text.push_str(if row == 0 { " (" } else { ", (" });
                for column in 1..=self.columns {
                    let comma = if column == 1 { "" } else { ", " };
                    let _ = write!(text, "{comma}${}", row * self.columns + column);
                }
                text.push(')');
            }
            text.push(' ');
            text.push_str(self.then);
            text.into()
        };
        self.texts[rows.ilog2() as usize].get_or_init(build).clone()
    }
}
