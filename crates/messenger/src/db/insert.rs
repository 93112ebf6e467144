use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::value::{Array, Bind, Value};
use super::{Conn, Query, Result, Row};

/// A statement that takes many rows at once, most often an `INSERT`.
///
/// To PostgreSQL they go as one array for each column, so that it is one statement and one answer however many they
/// are. To SQLite they go one by one: there is no way to save, and a statement of many rows is as large as they.
pub struct Insert {
    into: &'static str,
    columns: usize,
    then: &'static str,
    postgres: OnceLock<Arc<str>>,
    sqlite: OnceLock<Arc<str>>,
}

/// The values of a row on their way into a statement.
#[derive(Default)]
pub struct Cells {
    row: Vec<Value>,
    /// For each column of PostgreSQL what the rows before have in it.
    columns: Vec<Array>,
}

impl Cells {
    /// Adds the value of the next column.
    #[must_use]
    pub fn bind<T: Bind>(mut self, value: T) -> Self {
        if self.columns.len() == self.row.len() {
            self.columns.push(T::array());
        }
        self.row.push(value.value());
        self
    }

    /// Puts the row below those before.
    fn end_row(&mut self) {
        for (value, column) in self.row.drain(..).zip(&mut self.columns) {
            column.push(value);
        }
    }
}

impl Insert {
    /// `into` is everything before the rows (`INSERT INTO t (a, b)`), `then` what follows them.
    pub const fn new(into: &'static str, columns: usize, then: &'static str) -> Self {
        Self { into, columns, then, postgres: OnceLock::new(), sqlite: OnceLock::new() }
    }

    /// Inserts `rows`, each as `bind` adds its columns, and gives the number of rows written.
    pub async fn all<T>(
        &'static self,
        conn: &mut Conn,
        mut rows: &[T],
        bind: impl Fn(Cells, &T) -> Cells,
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
        bind: impl Fn(Cells, &T) -> Cells,
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
        bind: impl Fn(Cells, &T) -> Cells,
    ) -> Option<(Query<'c>, &'t [T])> {
        let (first, rest) = rows.split_first()?;
        if !conn.is_postgres() {
            let text = self.sqlite.get_or_init(|| self.text(false)).clone();
            let query = conn.query(AssertSqlSafe(text).into_sql_str());
            return Some((query.bind_row(bind(Cells::default(), first).row), rest));
        }
        let mut cells = Cells::default();
        for row in rows {
            cells = bind(cells, row);
            cells.end_row();
        }
        let text = self.postgres.get_or_init(|| self.text(true)).clone();
        let query = conn.query(AssertSqlSafe(text).into_sql_str());
        Some((cells.columns.into_iter().fold(query, Query::bind_column), &[]))
    }

    fn text(&self, postgres: bool) -> Arc<str> {
        let mark = if postgres { '$' } else { '?' };
        let mut places = String::new();
        for column in 1..=self.columns {
            let comma = if column == 1 { "" } else { ", " };
            let _ = write!(places, "{comma}{mark}{column}");
        }
        let rows = if postgres { "SELECT * FROM unnest(" } else { "VALUES (" };
        format!("{} {rows}{places}) {}", self.into, self.then).into()
    }
}
