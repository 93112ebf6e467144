use uuid::Uuid;

use super::{Conn, Query};

/// The values of a statement that is put together from fixed parts; no value ever becomes part of its text.
#[derive(Default)]
pub struct Statement(Vec<Value>);

enum Value {
    Id(Uuid),
    Number(i64),
}

impl Statement {
    /// The placeholder of an id.
    pub fn id(&mut self, id: Uuid) -> String {
        self.add(Value::Id(id))
    }

    /// The placeholder of a number.
    pub fn number(&mut self, number: i64) -> String {
        self.add(Value::Number(number))
    }

    fn add(&mut self, value: Value) -> String {
        self.0.push(value);
        format!("${}", self.0.len())
    }

    /// The statement with its values bound.
    pub fn run(self, conn: &mut Conn, text: String) -> Query<'_> {
        let query = conn.sql_built(text);
        self.0.into_iter().fold(query, |query, value| match value {
            Value::Id(id) => query.bind(id),
            Value::Number(number) => query.bind(number),
        })
    }
}
