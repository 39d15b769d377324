//! What is bound to a statement.
//!
//! One small type instead of the driver's trait objects: it knows its SQL type, so that no statement needs to be described
//! before it can be sent, and it prints nothing, for the driver writes its parameters into debug logs (F128).

use std::{error::Error, fmt};

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use crate::clock::Timestamp;

/// A bound value.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Bool(bool),
    Small(i16),
    Number(i32),
    Int(i64),
    MaybeInt(Option<i64>),
    Bytes(&'a [u8]),
    Text(&'a str),
    MaybeText(Option<&'a str>),
    Smalls(&'a [i16]),
    Ints(&'a [i64]),
    MaybeInts(&'a [Option<i64>]),
    Blobs(&'a [&'a [u8]]),
    MaybeBlobs(&'a [Option<&'a [u8]>]),
    Texts(&'a [&'a str]),
    MaybeTexts(&'a [Option<&'a str>]),
}

impl Value<'_> {
    /// The SQL type.
    pub(super) const fn kind(&self) -> Type {
        match self {
            Self::Bool(_) => Type::BOOL,
            Self::Small(_) => Type::INT2,
            Self::Number(_) => Type::INT4,
            Self::Int(_) | Self::MaybeInt(_) => Type::INT8,
            Self::Bytes(_) => Type::BYTEA,
            Self::Text(_) | Self::MaybeText(_) => Type::TEXT,
            Self::Smalls(_) => Type::INT2_ARRAY,
            Self::Ints(_) | Self::MaybeInts(_) => Type::INT8_ARRAY,
            Self::Blobs(_) | Self::MaybeBlobs(_) => Type::BYTEA_ARRAY,
            Self::Texts(_) | Self::MaybeTexts(_) => Type::TEXT_ARRAY,
        }
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Int(integer(at.millis()))
    }
}

/// A number as a column holds it; moments, sequences and epochs are all below 2⁶³.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A `LIMIT`.
pub(super) fn at_most(limit: usize) -> Value<'static> {
    Value::Int(i64::try_from(limit).unwrap_or(i64::MAX))
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Bool(value) => value.to_sql(kind, out),
            Self::Small(value) => value.to_sql(kind, out),
            Self::Number(value) => value.to_sql(kind, out),
            Self::Int(value) => value.to_sql(kind, out),
            Self::MaybeInt(value) => value.to_sql(kind, out),
            Self::Bytes(value) => value.to_sql(kind, out),
            Self::Text(value) => value.to_sql(kind, out),
            Self::MaybeText(value) => value.to_sql(kind, out),
            Self::Smalls(value) => value.to_sql(kind, out),
            Self::Ints(value) => value.to_sql(kind, out),
            Self::MaybeInts(value) => value.to_sql(kind, out),
            Self::Blobs(value) => value.to_sql(kind, out),
            Self::MaybeBlobs(value) => value.to_sql(kind, out),
            Self::Texts(value) => value.to_sql(kind, out),
            Self::MaybeTexts(value) => value.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if *kind != self.kind() {
            return Err("a value is bound as another type".into());
        }
        self.to_sql(kind, out)
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F128: the driver prints its parameters where debug logs are on.
    #[test]
    fn a_bound_value_prints_nothing() {
        let values = [Value::Text("sesame"), Value::Bytes(b"sesame"), Value::Int(7351), Value::Blobs(&[b"sesame"])];
        assert_eq!(format!("{values:?}"), "[_, _, _, _]");
    }
}
