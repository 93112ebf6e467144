use std::cell::Cell;
use std::fmt::Write;

use futures::TryStreamExt;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, AssertSqlSafe, Row as _, SqlSafeStr, SqlStr};
use tokio::time::timeout;
use uuid::Uuid;

use super::remote::WITHIN;
use super::sqlite::{Lent, Link};
use super::value::{Array, Bind, Load, Value};
use super::{Error, Remote, Result};

/// A connection to either database.
pub enum Conn {
    /// The one that writes to SQLite, on a thread of its own.
    SqliteWriter(Link),
    /// One of those that read SQLite.
    SqliteReader(Lent),
    /// To PostgreSQL.
    Postgres(Remote),
}

enum Args {
    Sqlite(Vec<Value>),
    Postgres(PgArguments),
}

impl Conn {
    /// A statement with `$1`, `$2`, … for the values that [`Query::bind`] adds.
    pub fn sql(&mut self, text: &'static str) -> Query<'_> {
        let text = self.spelled(text.into_sql_str());
        self.query(text)
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
        let text = self.spelled(AssertSqlSafe(text).into_sql_str());
        let mut query = self.query(text);
        let padding = list.last().into_iter().cycle().take(padded - list.len());
        before.iter().chain(list).chain(padding).for_each(|&id| query.add(id));
        query
    }

    /// A statement that has been put together from fixed parts, with its values bound as in [`Conn::sql`].
    pub fn sql_built(&mut self, text: String) -> Query<'_> {
        let text = self.spelled(AssertSqlSafe(text).into_sql_str());
        self.query(text)
    }

    /// Whether it is a connection to PostgreSQL, for the few statements that differ.
    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// A statement as this database spells it. To SQLite `$1` is a name, and `?1` the number.
    fn spelled(&self, text: SqlStr) -> SqlStr {
        if self.is_postgres() {
            return text;
        }
        AssertSqlSafe(text.as_str().replace('$', "?")).into_sql_str()
    }

    pub(super) fn query(&mut self, text: SqlStr) -> Query<'_> {
        let args = match self {
            Self::SqliteWriter(_) | Self::SqliteReader(_) => Args::Sqlite(Vec::new()),
            Self::Postgres(_) => Args::Postgres(PgArguments::default()),
        };
        Query { conn: self, text, args, failed: None }
    }

    /// Runs what only begins, ends or divides a transaction.
    pub(super) async fn run(&mut self, text: &'static str) -> Result<()> {
        match self {
            Self::Postgres(remote) => {
                let answer = timeout(WITHIN, sqlx::raw_sql(text).execute(remote.live()?)).await;
                remote.heard(answer)?;
            }
            Self::SqliteWriter(link) => {
                link.execute(text, &[])?;
            }
            Self::SqliteReader(lent) => {
                lent.link()?.execute(text, &[])?;
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
        match &mut self.args {
            Args::Sqlite(values) => values.push(value.value()),
            Args::Postgres(args) => {
                if let Err(error) = args.add(value) {
                    self.failed.get_or_insert(error);
                }
            }
        }
    }

    /// Binds all values for SQLite at once.
    pub(super) fn bind_row(mut self, values: Vec<Value>) -> Self {
        self.args = Args::Sqlite(values);
        self
    }

    /// Binds the next value for PostgreSQL, which is an array.
    pub(super) fn bind_column(mut self, column: Array) -> Self {
        if let Args::Postgres(args) = &mut self.args
            && let Err(error) = column.add_to(args)
        {
            self.failed.get_or_insert(error);
        }
        self
    }

    /// Runs it and gives the number of rows that it changed.
    pub async fn execute(self) -> Result<u64> {
        self.sound()?;
        let text = self.text;
        match (self.conn, self.args) {
            (Conn::Postgres(remote), Args::Postgres(args)) => {
                let query = sqlx::query_with(text, args);
                let answer = timeout(WITHIN, query.execute(remote.live()?)).await;
                Ok(remote.heard(answer)?.rows_affected())
            }
            (Conn::SqliteWriter(link), Args::Sqlite(values)) => {
                link.execute(text.as_str(), &values)
            }
            (Conn::SqliteReader(lent), Args::Sqlite(values)) => {
                lent.link()?.execute(text.as_str(), &values)
            }
            _ => Err(Error::Closed),
        }
    }

    /// Runs it and gives every row, as `map` reads it.
    pub async fn all<T>(self, map: impl Fn(&Row) -> Result<T>) -> Result<Vec<T>> {
        self.sound()?;
        let text = self.text;
        match (self.conn, self.args) {
            (Conn::Postgres(remote), Args::Postgres(args)) => {
                let query = sqlx::query_with(text, args);
                let answer = timeout(WITHIN, query.fetch_all(remote.live()?)).await;
                let rows = remote.heard(answer)?;
                rows.iter().map(|row| map(&row.into())).collect()
            }
            (Conn::SqliteWriter(link), Args::Sqlite(values)) => {
                link.rows(text.as_str(), &values, map)
            }
            (Conn::SqliteReader(lent), Args::Sqlite(values)) => {
                lent.link()?.read(text.as_str(), &values, map)
            }
            _ => Err(Error::Closed),
        }
    }

    /// Runs it and hands each row to `take` as it comes, without holding more than one, until that gives `false`.
    pub async fn each(self, mut take: impl FnMut(&Row) -> Result<bool>) -> Result<()> {
        self.sound()?;
        let text = self.text;
        match (self.conn, self.args) {
            (Conn::SqliteWriter(link), Args::Sqlite(values)) => {
                link.each(text.as_str(), &values, take)
            }
            (Conn::SqliteReader(lent), Args::Sqlite(values)) => {
                lent.link()?.read_each(text.as_str(), &values, take)
            }
            (Conn::Postgres(remote), Args::Postgres(args)) => {
                let mut rows = sqlx::query_with(text, args).fetch(remote.live()?);
                loop {
                    let next = match timeout(WITHIN, rows.try_next()).await {
                        Ok(next) => next?,
                        Err(elapsed) => {
                            drop(rows);
                            return remote.heard(Err(elapsed));
                        }
                    };
                    let Some(row) = next else { return Ok(()) };
                    if !take(&Row::from(&row))? {
                        return Ok(());
                    }
                }
            }
            _ => Err(Error::Closed),
        }
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

enum Inner<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r PgRow),
}

/// A row, read column by column from the left.
pub struct Row<'r> {
    inner: Inner<'r>,
    next: Cell<usize>,
}

impl<'r> From<&'r rusqlite::Row<'r>> for Row<'r> {
    fn from(row: &'r rusqlite::Row<'r>) -> Self {
        Self { inner: Inner::Sqlite(row), next: Cell::new(0) }
    }
}

impl<'r> From<&'r PgRow> for Row<'r> {
    fn from(row: &'r PgRow) -> Self {
        Self { inner: Inner::Postgres(row), next: Cell::new(0) }
    }
}

impl Row<'_> {
    /// The next column.
    pub fn take<T: Load>(&self) -> Result<T> {
        let index = self.next.get();
        self.next.set(index + 1);
        match self.inner {
            Inner::Postgres(row) => Ok(row.try_get(index)?),
            Inner::Sqlite(row) => T::load(row.get_ref(index)?)
                .ok_or_else(|| Error::Value(format!("column {index} is of another type"))),
        }
    }

    /// Leaves some columns out.
    pub fn skip(&self, columns: usize) {
        self.next.set(self.next.get() + columns);
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
