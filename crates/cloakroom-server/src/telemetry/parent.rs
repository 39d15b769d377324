//! The caller's place in its own trace: `traceparent` (W3C Trace Context, level 1).

use axum::http::HeaderMap;

/// A caller's span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parent {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    /// Whether the caller keeps its own part.
    pub(super) is_sampled: bool,
}

/// The parent that a request names, if it names one and rightly.
pub(super) fn of(headers: &HeaderMap) -> Option<Parent> {
    let mut values = headers.get_all("traceparent").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    parse(value.to_str().ok()?)
}

fn parse(text: &str) -> Option<Parent> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let [version] = hex::<1>(version)?;
    // A later version may say more behind what this one knows; this one may not.
    if version == 0xff || version == 0 && parts.next().is_some() {
        return None;
    }
    let (trace, span, [flags]) = (hex::<16>(trace)?, hex::<8>(span)?, hex::<1>(flags)?);
    (trace != [0; 16] && span != [0; 8]).then_some(Parent { trace, span, is_sampled: flags & 1 == 1 })
}

/// Lower-case only (section 3.2).
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let length = data_encoding::HEXLOWER.decode_len(text.len()).ok()?;
    if length != N {
        return None;
    }
    data_encoding::HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parent_is_read_as_strictly_as_the_standard_asks() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let parent = parse(&format!("00-{trace}-b7ad6b7169203331-01")).unwrap();
        assert_eq!((parent.trace[0], parent.span[7], parent.is_sampled), (0x0a, 0x31, true));
        assert!(!parse(&format!("00-{trace}-b7ad6b7169203331-00")).unwrap().is_sampled);
        assert!(parse(&format!("cc-{trace}-b7ad6b7169203331-01-what-else")).is_some());
        for wrong in [
            format!("00-{trace}-b7ad6b7169203331-01-more"),
            format!("ff-{trace}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-b7ad6b7169203331-01", trace.to_uppercase()),
            format!("00-{trace}-b7ad6b7169203331"),
            format!("00-{trace}-b7ad6b71692033-01"),
            String::new(),
        ] {
            assert_eq!(parse(&wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,80}") {
            let _ = parse(&text);
        }
    }
}
