//! A strict reading of JSON (RFC 8259, I-JSON of RFC 7493): what two parsers could understand differently is refused.
//! No key stands twice in an object, nothing follows the value, everything is UTF-8, and nesting has a bound.

use std::{cell::Cell, collections::HashSet, fmt};

use serde::{
    Deserialize,
    de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};

/// How deep objects and arrays may stand in each other; the outermost counts.
pub const MAX_DEPTH: usize = 16;

/// Why a text is refused. Says nothing of what stands in the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum JsonFault {
    /// It is no JSON, or more than one value, or not UTF-8.
    Syntax,
    /// A key stands twice in one object.
    RepeatedKey,
    /// It is nested more than [`MAX_DEPTH`] deep.
    TooDeep,
    /// It is JSON, but not what is wanted: a field is missing or of another type.
    Shape,
}

impl JsonFault {
    /// A sentence for a developer.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Syntax => "the body is not one JSON value in UTF-8",
            Self::RepeatedKey => "a key stands twice in the body",
            Self::TooDeep => "the body is nested too deeply",
            Self::Shape => "a field of the body is missing or of another type than it must be",
        }
    }
}

/// Reads a value. Fields that the type does not know are ignored.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonFault> {
    check(text)?;
    serde_json::from_slice(text).map_err(|_| JsonFault::Shape)
}

/// Whether a text is JSON in the strict reading.
pub fn check(text: &[u8]) -> Result<(), JsonFault> {
    let fault = Cell::new(JsonFault::Syntax);
    let mut json = serde_json::Deserializer::from_slice(text);
    let walked = Walk { depth: 0, fault: &fault }.deserialize(&mut json);
    walked.and_then(|()| json.end()).map_err(|_| fault.get())
}

/// Walks through a value and keeps nothing but the keys of the objects that it is in.
#[derive(Clone, Copy)]
struct Walk<'c> {
    depth: usize,
    fault: &'c Cell<JsonFault>,
}

impl Walk<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.stop(JsonFault::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn stop<E: Error>(self, fault: JsonFault) -> E {
        self.fault.set(fault);
        E::custom(fault.detail())
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut keys = HashSet::new();
        while let Some(Key(key)) = entries.next_key()? {
            if !keys.insert(key) {
                return Err(self.stop(JsonFault::RepeatedKey));
            }
            entries.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// A key with its escapes undone: `"a"` and `"\u0061"` are the same key.
#[derive(Deserialize)]
struct Key(String);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn json_passes() {
        for text in [
            "{}",
            "[]",
            " {\"a\": {\"b\": 1}, \"b\": [1, -2.5e3, true, null, \"\\u00e4\"]}\n",
            "null",
            "{\"a\":1,\"A\":2}",
            "[{\"a\":1},{\"a\":2}]",
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        for (text, fault) in [
            (&b"{\"a\":1,\"a\":2}"[..], JsonFault::RepeatedKey),
            (b"{\"a\":1,\"\\u0061\":2}", JsonFault::RepeatedKey),
            (b"[0,{\"x\":{\"a\":1,\"b\":0,\"a\":1}}]", JsonFault::RepeatedKey),
            (b"{} {}", JsonFault::Syntax),
            (b"{}x", JsonFault::Syntax),
            (b"{}\0", JsonFault::Syntax),
            (b"", JsonFault::Syntax),
            (b"{\"a\":1,}", JsonFault::Syntax),
            (b"{'a':1}", JsonFault::Syntax),
            (b"{a:1}", JsonFault::Syntax),
            (b"{\"a\":01}", JsonFault::Syntax),
            (b"{\"a\":NaN}", JsonFault::Syntax),
            (b"{\"a\":1e999}", JsonFault::Syntax),
            (b"{\"a\":\"\x01\"}", JsonFault::Syntax),
            (b"{\"a\":\"\xff\"}", JsonFault::Syntax),
            (b"{\"\xc0\xaf\":1}", JsonFault::Syntax),
            (b"{\"a\":\"\\ud800\"}", JsonFault::Syntax),
            (b"\xef\xbb\xbf{}", JsonFault::Syntax),
            (b"{}//c", JsonFault::Syntax),
        ] {
            assert_eq!(check(text), Err(fault), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn nesting_ends_at_its_bound() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(check(nested(MAX_DEPTH).as_bytes()), Ok(()));
        assert_eq!(check(nested(MAX_DEPTH + 1).as_bytes()), Err(JsonFault::TooDeep));
        assert_eq!(check("{\"a\":".repeat(100_000).as_bytes()), Err(JsonFault::TooDeep));
    }

    #[test]
    fn unknown_fields_are_ignored_and_missing_ones_are_not() {
        #[derive(Deserialize, PartialEq, Debug)]
        struct Login {
            email: String,
            app: Option<String>,
        }
        let read = |text: &str| parse::<Login>(text.as_bytes());
        assert_eq!(read("{\"email\":\"a\",\"more\":[]}"), Ok(Login { email: "a".into(), app: None }));
        assert_eq!(read("{\"app\":\"web\"}"), Err(JsonFault::Shape));
        assert_eq!(read("{\"email\":1}"), Err(JsonFault::Shape));
        assert_eq!(read("{\"email\":\"a\",\"x\":1,\"x\":1}"), Err(JsonFault::RepeatedKey));
    }

    proptest! {
        #[test]
        fn checking_never_panics_and_is_never_laxer_than_a_plain_parser(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            text in "[\\[\\]{}:,\"ab1\\\\ ]{0,24}",
        ) {
            for input in [&bytes[..], text.as_bytes()] {
                if check(input).is_ok() {
                    prop_assert!(serde_json::from_slice::<Value>(input).is_ok());
                }
            }
        }
    }
}
