//! Reading a query: `application/x-www-form-urlencoded` (URL standard, section 5.1).

use std::{borrow::Cow, str::Split};

/// The parameters of a query, decoded, in their order.
///
/// ```
/// use cloakroom_verify::query::parameters;
///
/// let read: Vec<_> = parameters("app=web&to=%2Fa+b").collect();
/// assert_eq!(read, [("app".into(), "web".into()), ("to".into(), "/a b".into())]);
/// ```
pub fn parameters(query: &str) -> Parameters<'_> {
    Parameters(if query.bytes().any(|b| matches!(b, b'%' | b'+')) {
        Form::Encoded(form_urlencoded::parse(query.as_bytes()))
    } else {
        Form::Plain(query.split('&'))
    })
}

/// The value of the first parameter of a name.
pub fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<Cow<'q, str>> {
    parameters(query?).find(|(its, _)| its == name).map(|(_, value)| value)
}

/// What [`parameters`] reads.
pub struct Parameters<'q>(Form<'q>);

/// Every check of a credential reads a query several times, and hardly any query has something to decode.
enum Form<'q> {
    Plain(Split<'q, char>),
    Encoded(form_urlencoded::Parse<'q>),
}

impl<'q> Iterator for Parameters<'q> {
    type Item = (Cow<'q, str>, Cow<'q, str>);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Form::Plain(pairs) => {
                let pair = pairs.find(|pair| !pair.is_empty())?;
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((name.into(), value.into()))
            }
            Form::Encoded(pairs) => pairs.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_query_is_read_as_the_library_reads_it(query in "[a-z=&%+2F ]{0,24}|\\PC{0,24}") {
            let read: Vec<_> = parameters(&query).collect();
            let by_library: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
            prop_assert_eq!(read, by_library);
        }
    }
}
