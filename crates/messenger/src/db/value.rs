use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::{Decode, Encode, Postgres, Type};
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
    ($($type:ty),*) => {$(
        impl Bind for $type {
            fn value(self) -> Value {
                Value::Integer(self.into())
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

integers!(i16, i32, i64);

impl Bind for bool {
    fn value(self) -> Value {
        Value::Integer(self.into())
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
}

impl Bind for String {
    fn value(self) -> Value {
        Value::Text(self)
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
}

impl<T: Load> Load for Option<T> {
    fn load(value: ValueRef) -> Option<Self> {
        match value {
            ValueRef::Null => Some(None),
            value => T::load(value).map(Some),
        }
    }
}
