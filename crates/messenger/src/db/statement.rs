use uuid::Uuid;

use super::{Conn, Query};

/// The values of a statement that is put together from fixed parts; no value ever becomes part of its text.
pub struct Statement {
    values: Vec<Value>,
    is_postgres: bool,
}

enum Value {
    Id(Uuid),
    Number(i64),
    Text(String),
}

impl Statement {
    /// One for a connection.
    pub fn on(conn: &Conn) -> Self {
        Self { values: Vec::new(), is_postgres: conn.is_postgres() }
    }

    /// Whether it is for PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.is_postgres
    }

    /// The placeholder of an id.
    pub fn id(&mut self, id: Uuid) -> String {
        self.add(Value::Id(id))
    }

    /// The placeholder of a number.
    pub fn number(&mut self, number: i64) -> String {
        self.add(Value::Number(number))
    }

    /// The placeholder of a text.
    pub fn text(&mut self, text: String) -> String {
        self.add(Value::Text(text))
    }

    fn add(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// The statement with its values bound.
    pub fn run(self, conn: &mut Conn, text: String) -> Query<'_> {
        let query = conn.sql_built(text);
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Id(id) => query.bind(id),
            Value::Number(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
        })
    }
}
