use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments, Decode, Encode, Postgres, Type};
use uuid::Uuid;

/// A value as SQLite holds it.
#[derive(Debug)]
pub enum Value {
    Null,
    Integer(i64),
    /// Sixteen bytes, which most often are an id.
    Id([u8; 16]),
    Text(String),
    Bytes(Vec<u8>),
}

/// What both databases can store.
pub trait Bind: for<'q> Encode<'q, Postgres> + Type<Postgres> + 'static {
    /// The value for SQLite.
    fn value(self) -> Value;
    /// An empty array of such values for PostgreSQL.
    fn array() -> Array;
}

/// The values that PostgreSQL is given for one column of many rows.
#[derive(Debug)]
pub enum Array {
    Bool(Vec<Option<bool>>),
    Small(Vec<Option<i16>>),
    Int(Vec<Option<i32>>),
    Big(Vec<Option<i64>>),
    Id(Vec<Option<Uuid>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Array {
    /// Adds a value of the type that the array is for.
    pub fn push(&mut self, value: Value) {
        match (self, value) {
            (Self::Bool(all), Value::Integer(number)) => all.push(Some(number != 0)),
            (Self::Small(all), Value::Integer(number)) => all.push(number.try_into().ok()),
            (Self::Int(all), Value::Integer(number)) => all.push(number.try_into().ok()),
            (Self::Big(all), Value::Integer(number)) => all.push(Some(number)),
            (Self::Id(all), Value::Id(id)) => all.push(Some(Uuid::from_bytes(id))),
            (Self::Text(all), Value::Text(text)) => all.push(Some(text)),
            (Self::Bytes(all), Value::Bytes(bytes)) => all.push(Some(bytes)),
            // All that is left is `NULL`, as a type has values of one kind alone.
            (Self::Bool(all), _) => all.push(None),
            (Self::Small(all), _) => all.push(None),
            (Self::Int(all), _) => all.push(None),
            (Self::Big(all), _) => all.push(None),
            (Self::Id(all), _) => all.push(None),
            (Self::Text(all), _) => all.push(None),
            (Self::Bytes(all), _) => all.push(None),
        }
    }

    /// Adds the array to the values of a statement.
    pub fn add_to(self, args: &mut PgArguments) -> Result<(), BoxDynError> {
        match self {
            Self::Bool(all) => args.add(all),
            Self::Small(all) => args.add(all),
            Self::Int(all) => args.add(all),
            Self::Big(all) => args.add(all),
            Self::Id(all) => args.add(all),
            Self::Text(all) => args.add(all),
            Self::Bytes(all) => args.add(all),
        }
    }
}

/// What both databases can give back.
pub trait Load: for<'r> Decode<'r, Postgres> + Type<Postgres> + 'static {
    /// What a value of SQLite stands for; `None` if it is of another type.
    fn load(value: ValueRef) -> Option<Self>;
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Id(id) => ValueRef::Blob(id),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

macro_rules! integers {
    ($($type:ty: $array:ident),*) => {$(
        impl Bind for $type {
            fn value(self) -> Value {
                Value::Integer(self.into())
            }

            fn array() -> Array {
                Array::$array(Vec::new())
            }
        }

        impl Load for $type {
            fn load(value: ValueRef) -> Option<Self> {
                match value {
                    ValueRef::Integer(number) => number.try_into().ok(),
                    _ => None,
                }
            }
        }
    )*};
}

integers!(i16: Small, i32: Int, i64: Big);

impl Bind for bool {
    fn value(self) -> Value {
        Value::Integer(self.into())
    }

    fn array() -> Array {
        Array::Bool(Vec::new())
    }
}

impl Load for bool {
    fn load(value: ValueRef) -> Option<Self> {
        i64::load(value).map(|number| number != 0)
    }
}

impl Bind for &'static str {
    fn value(self) -> Value {
        Value::Text(self.to_owned())
    }

    fn array() -> Array {
        Array::Text(Vec::new())
    }
}

impl Bind for String {
    fn value(self) -> Value {
        Value::Text(self)
    }

    fn array() -> Array {
        Array::Text(Vec::new())
    }
}

impl Load for String {
    fn load(value: ValueRef) -> Option<Self> {
        value.as_str().ok().map(str::to_owned)
    }
}

impl Bind for Vec<u8> {
    fn value(self) -> Value {
        Value::Bytes(self)
    }

    fn array() -> Array {
        Array::Bytes(Vec::new())
    }
}

impl Load for Vec<u8> {
    fn load(value: ValueRef) -> Option<Self> {
        value.as_blob().ok().map(<[u8]>::to_vec)
    }
}

impl Bind for Uuid {
    fn value(self) -> Value {
        Value::Id(self.into_bytes())
    }

    fn array() -> Array {
        Array::Id(Vec::new())
    }
}

impl Load for Uuid {
    fn load(value: ValueRef) -> Option<Self> {
        Self::from_slice(value.as_blob().ok()?).ok()
    }
}

impl<T: Bind> Bind for Option<T> {
    fn value(self) -> Value {
        self.map_or(Value::Null, T::value)
    }

    fn array() -> Array {
        T::array()
    }
}

impl<T: Load> Load for Option<T> {
    fn load(value: ValueRef) -> Option<Self> {
        match value {
            ValueRef::Null => Some(None),
            value => T::load(value).map(Some),
        }
    }
}
