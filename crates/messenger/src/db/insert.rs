use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::{Conn, Query, Result, Row};

/// Rows per statement, at most; a power of two.
const CHUNK: usize = 128;

/// An `INSERT` of many rows at once.
///
/// To PostgreSQL rows go out in chunks of a power of two, largest first, so that at most eight statements are ever
/// prepared. To SQLite they go one by one: there is no way to save, and a statement of many rows is as large as they.
pub struct Insert {
    into: &'static str,
    columns: usize,
    then: &'static str,
    /// For PostgreSQL, by the logarithm of the number of rows.
    texts: [OnceLock<Arc<str>>; CHUNK.ilog2() as usize + 1],
    /// For SQLite.
    one: OnceLock<Arc<str>>,
}

impl Insert {
    /// `into` is everything before the rows (`INSERT INTO t (a, b) VALUES`), `then` what follows them.
    pub const fn new(into: &'static str, columns: usize, then: &'static str) -> Self {
        let texts = [const { OnceLock::new() }; CHUNK.ilog2() as usize + 1];
        Self { into, columns, then, texts, one: OnceLock::new() }
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
        let (size, text) = if conn.is_postgres() {
            let size = 1usize << rows.len().min(CHUNK).checked_ilog2()?;
            let text = &self.texts[size.ilog2() as usize];
            (size, text.get_or_init(|| self.text(size, '$')))
        } else if rows.is_empty() {
            return None;
        } else {
            (1, self.one.get_or_init(|| self.text(1, '?')))
        };
        let (chunk, rest) = rows.split_at(size);
        let text = AssertSqlSafe(text.clone()).into_sql_str();
        Some((chunk.iter().fold(conn.query(text), bind), rest))
    }

    fn text(&self, rows: usize, mark: char) -> Arc<str> {
        let mut text = String::from(self.into);
        for row in 0..rows {
            text.push_str(if row == 0 { " (" } else { ", (" });
            for column in 1..=self.columns {
                let comma = if column == 1 { "" } else { ", " };
                let _ = write!(text, "{comma}{mark}{}", row * self.columns + column);
            }
            text.push(')');
        }
        text.push(' ');
        text.push_str(self.then);
        text.into()
    }
}
