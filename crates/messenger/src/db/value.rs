use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::{Decode, Encode, Postgres, Type};
use uuid::Uuid;

use super::{Error, Result};

/// A value as SQLite holds it.
#[derive(Debug, Default)]
pub enum Value {
    #[default]
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
    fn load(value: Value) -> Option<Self>;
}

impl Value {
    pub(super) fn read(value: ValueRef) -> Result<Self> {
        let text = |text: &[u8]| {
            String::from_utf8(text.to_vec()).map_err(|error| Error::Value(error.to_string()))
        };
        Ok(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Text(bytes) => Self::Text(text(bytes)?),
            ValueRef::Blob(bytes) => match bytes.try_into() {
                Ok(id) => Self::Id(id),
                Err(_) => Self::Bytes(bytes.to_vec()),
            },
            ValueRef::Real(_) => return Err(Error::Value("a fraction".to_owned())),
        })
    }
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
            fn load(value: Value) -> Option<Self> {
                match value {
                    Value::Integer(number) => number.try_into().ok(),
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
    fn load(value: Value) -> Option<Self> {
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
    fn load(value: Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Bind for Vec<u8> {
    fn value(self) -> Value {
        Value::Bytes(self)
    }
}

impl Load for Vec<u8> {
    fn load(value: Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Id(id) => Some(id.to_vec()),
            _ => None,
        }
    }
}

impl Bind for Uuid {
    fn value(self) -> Value {
        Value::Id(self.into_bytes())
    }
}

impl Load for Uuid {
    fn load(value: Value) -> Option<Self> {
        match value {
            Value::Id(id) => Some(Self::from_bytes(id)),
            _ => None,
        }
    }
}

impl<T: Bind> Bind for Option<T> {
    fn value(self) -> Value {
        self.map_or(Value::Null, T::value)
    }
}

impl<T: Load> Load for Option<T> {
    fn load(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::load(value).map(Some),
        }
    }
}
