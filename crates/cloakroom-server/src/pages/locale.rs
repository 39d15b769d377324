//! Which language a person reads: English or Korean, by what the browser asks for.

use std::cmp::Reverse;

/// A language that the pages speak.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Locale {
    /// English; also for whoever asks for nothing that we speak.
    #[default]
    English,
    /// Korean.
    Korean,
}

impl Locale {
    /// Every language, the default one first.
    pub const ALL: [Self; 2] = [Self::English, Self::Korean];

    /// The best language for an `Accept-Language` header (RFC 9110 section 12.5.4). A range matches by its primary
    /// language (`ko-KR` is Korean); at equal weight the one named first wins. What cannot be read is passed over, and
    /// only the first 32 ranges count.
    ///
    /// ```
    /// use cloakroom_server::pages::Locale;
    /// assert_eq!(Locale::negotiate(Some("ko-KR,ko;q=0.9,en;q=0.8")), Locale::Korean);
    /// assert_eq!(Locale::negotiate(Some("fr")), Locale::English);
    /// ```
    pub fn negotiate(accept_language: Option<&str>) -> Self {
        let ranges: Vec<Range<'_>> =
            accept_language.unwrap_or_default().split(',').take(MAX_RANGES).filter_map(Range::parse).collect();
        let rank = |locale: Self| {
            let of = |language: &str| {
                let matching = ranges.iter().enumerate().filter(|(_, r)| r.language.eq_ignore_ascii_case(language));
                matching.map(|(place, r)| (r.weight, Reverse(place))).max()
            };
            of(locale.tag()).or_else(|| of("*")).filter(|(weight, _)| *weight > 0)
        };
        // `max_by_key` keeps the last of equals: the default language must stand there.
        Self::ALL.into_iter().rev().max_by_key(|locale| rank(*locale)).unwrap_or_default()
    }

    /// Its name in `lang` attributes and headers (BCP 47).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }
}

/// One entry of the header: the primary language asked for, and how much, in thousandths.
struct Range<'a> {
    language: &'a str,
    weight: u16,
}

impl<'a> Range<'a> {
    fn parse(entry: &'a str) -> Option<Self> {
        let mut parts = entry.split(';').map(|part| part.trim_matches([' ', '\t']));
        let mut subtags = parts.next()?.split('-');
        let language = subtags.next()?;
        let is_subtag = |s: &str| (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric());
        if !(language == "*" || is_subtag(language)) || !subtags.all(|s| s == "*" || is_subtag(s)) {
            return None;
        }
        let weight = match parts.next() {
            None => 1000,
            Some(text) => weight(text)?,
        };
        parts.next().is_none().then_some(Self { language, weight })
    }
}

/// `q=0.8` as 800; at most three digits and at most one (RFC 9110 section 12.4.2).
fn weight(text: &str) -> Option<u16> {
    let (name, value) = text.split_once('=')?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if !name.eq_ignore_ascii_case("q") || fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

const MAX_RANGES: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_heaviest_language_that_we_speak_wins() {
        for (header, locale) in [
            ("ko", Locale::Korean),
            ("ko-KR", Locale::Korean),
            ("KO-kr , EN;q=0.9", Locale::Korean),
            ("ko-Kore-KR", Locale::Korean),
            ("en-GB, ko;q=0.9", Locale::English),
            ("ko;q=0.5, en;q=0.8", Locale::English),
            ("en;q=0.5, ko;q=0.501", Locale::Korean),
            ("fr, de;q=0.9, ko;q=0.1", Locale::Korean),
            ("ko, en", Locale::Korean),
            ("en, ko", Locale::English),
            ("ko;q=1.000\t, en;Q=1.0", Locale::Korean),
            ("ko;q=0", Locale::English),
            ("en;q=0, *", Locale::Korean),
            ("*, en;q=0.3", Locale::Korean),
            ("*", Locale::English),
            ("ko;q=0, *;q=0", Locale::English),
        ] {
            assert_eq!(Locale::negotiate(Some(header)), locale, "{header}");
        }
    }

    #[test]
    fn nothing_and_garbage_mean_english_and_do_not_spoil_the_rest() {
        assert_eq!(Locale::negotiate(None), Locale::English);
        for bad in ["", ",,,", "kor", "korean", "ko;q=2", "ko;q=0.1234", "ko;q=-1", "ko;q=", "ko;level=1", "k o", "ko-"]
        {
            assert_eq!(Locale::negotiate(Some(bad)), Locale::English, "{bad}");
            assert_eq!(Locale::negotiate(Some(&format!("{bad},ko;q=0.2"))), Locale::Korean, "{bad}");
        }
    }

    #[test]
    fn a_header_without_end_is_read_only_at_its_beginning() {
        assert_eq!(Locale::negotiate(Some(&("fr,".repeat(31) + "ko"))), Locale::Korean);
        assert_eq!(Locale::negotiate(Some(&("fr,".repeat(32) + "ko"))), Locale::English);
    }

    proptest! {
        #[test]
        fn no_header_breaks_the_negotiation(header in ".{0,200}") {
            let _ = Locale::negotiate(Some(&header));
        }
    }
}
