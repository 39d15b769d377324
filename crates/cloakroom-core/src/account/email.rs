//! E-mail addresses: parsed once at the border, then only ever compared in their canonical form.
//!
//! One folding rule serves registration, login, allow-lists and limits, so that no two of them can disagree about who
//! somebody is. What this accepts is narrower than RFC 5322 on purpose: every construct by which mail libraries, proxies
//! and databases have been made to read one address as another is refused at entry.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use caseless::Caseless;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// An e-mail address that can receive mail and name an account.
///
/// Two addresses are equal when their [canonical](Self::canonical) forms are: the local part in Unicode NFC and case
/// folded, the domain in the ASCII form of UTS 46. What the person typed is kept beside it, for people to read.
///
/// ```
/// use cloakroom_core::account::EmailAddress;
///
/// let typed = EmailAddress::parse(" Ada@Bücher.Example ")?;
/// assert_eq!(typed.as_typed(), "Ada@Bücher.Example");
/// assert_eq!(typed.canonical(), "ada@xn--bcher-kva.example");
/// assert_eq!(typed, EmailAddress::parse("ADA@xn--bcher-kva.example")?);
/// # Ok::<(), cloakroom_core::account::EmailError>(())
/// ```
#[derive(Clone)]
pub struct EmailAddress {
    typed: Box<str>,
    canonical: Box<str>,
}

impl EmailAddress {
    /// The most bytes an address may have, in either form (RFC 5321 section 4.5.3.1.3, without the angle brackets).
    pub const MAX_BYTES: usize = 254;

    /// The most bytes the part before the `@` may have, in either form (RFC 5321 section 4.5.3.1.1).
    pub const MAX_LOCAL_BYTES: usize = 64;

    /// Reads what somebody typed; outer ASCII white space is dropped, everything else counts.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
        if text.is_empty() {
            return Err(EmailError::Empty);
        }
        // Normalising can shorten a text, but not to a quarter; what is longer is not worth the work.
        if text.len() > Self::MAX_BYTES * 4 {
            return Err(EmailError::TooLong);
        }
        if text.chars().any(turns_into_ascii) {
            return Err(EmailError::LookAlike);
        }
        let typed: String = text.nfc().collect();
        let (local, domain) = typed.split_once('@').ok_or(EmailError::NoAt)?;
        if domain.contains('@') {
            return Err(EmailError::ManyAts);
        }
        check_local(local)?;
        let folded = fold(local);
        check_local(&folded)?;
        let canonical = format!("{folded}@{}", ascii_domain(domain)?);
        if typed.len() > Self::MAX_BYTES || canonical.len() > Self::MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        Ok(Self { typed: typed.into(), canonical: canonical.into() })
    }

    /// An address as a store kept it, from its [typed](Self::as_typed) form.
    ///
    /// It goes through [`Self::parse`] like any other: a row that somebody changed by hand gets no further than a form.
    pub fn from_stored(typed: &str) -> Result<Self, EmailError> {
        Self::parse(typed)
    }

    /// What the person typed, trimmed and in Unicode NFC: for display, and for the envelope of mail.
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// The one form for look-up, uniqueness and limits.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The canonical domain, in ASCII: what an allow-list's `@domain` is compared with.
    pub fn domain(&self) -> &str {
        self.canonical.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        Self::parse(text)
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for EmailAddress {}

impl Hash for EmailAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({})", self.typed)
    }
}

/// Why a text is no e-mail address that is accepted here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmailError {
    /// Nothing was typed.
    #[error("the e-mail address is empty")]
    Empty,
    /// More than 254 bytes in all, or 64 before the `@`, as typed or in canonical form.
    #[error("the e-mail address is too long (254 bytes, 64 before the @)")]
    TooLong,
    /// There is no `@`.
    #[error("the e-mail address has no @")]
    NoAt,
    /// There is more than one `@`: one of them would decide where mail goes, and not every reader picks the same.
    #[error("the e-mail address has more than one @")]
    ManyAts,
    /// The part before the `@` is empty, has a dot at an end or two in a row, or has a character that is refused:
    /// quotes, brackets, commas, white space, control and invisible characters, and what mail systems route by.
    #[error("the part of the e-mail address before the @ is not one that is accepted")]
    LocalPart,
    /// The part after the `@` is no domain name of two labels or more; addresses in numbers are refused too.
    #[error("the part of the e-mail address after the @ is not a domain name")]
    Domain,
    /// A character that only looks like an ASCII one, and that some software turns into it: a full-width `@`, the
    /// Kelvin sign, a ligature. Typed again on the plain keyboard it will do.
    #[error("the e-mail address has a character that only looks like a plain one")]
    LookAlike,
}

impl EmailError {
    /// The stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "email_empty",
            Self::TooLong => "email_too_long",
            Self::NoAt => "email_without_at",
            Self::ManyAts => "email_with_several_ats",
            Self::LocalPart => "email_local_part",
            Self::Domain => "email_domain",
            Self::LookAlike => "email_look_alike",
        }
    }
}

/// Whether compatibility normalisation, which happens somewhere in many a mail library, makes this an ASCII character.
fn turns_into_ascii(c: char) -> bool {
    !c.is_ascii() && std::iter::once(c).nfkc().any(|d| d.is_ascii())
}

fn check_local(local: &str) -> Result<(), EmailError> {
    if local.len() > EmailAddress::MAX_LOCAL_BYTES {
        return Err(EmailError::TooLong);
    }
    // `=?` opens an encoded word (RFC 2047), which some mail software decodes even here, to any character at all.
    if local.split('.').any(str::is_empty) || local.contains("=?") || !local.chars().all(may_stand_in_local) {
        return Err(EmailError::LocalPart);
    }
    Ok(())
}

/// The `atext` of RFC 5322 section 3.2.3 and RFC 6531 section 3.3, without `!` and `%`, by which old relays route mail
/// on to another host, and beyond ASCII only what words are made of.
fn may_stand_in_local(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || ".#$&'*+-/=?^_`{|}~".contains(c);
    }
    (c.is_alphanumeric() || is_combining_mark(c)) && !is_invisible(c)
}

/// Letters and marks that show as nothing (Unicode `Default_Ignorable_Code_Point`).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{034F}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Canonical caseless form (Unicode section 3.13, D145), in NFC. The sharp s stays itself, as it does in domains since
/// IDNA 2008: folded to `ss` it would give two people one address.
fn fold(local: &str) -> String {
    let lower_sharp_s = local.nfd().map(|c| if c == 'ẞ' { 'ß' } else { c });
    let mut folded = String::with_capacity(local.len());
    for c in lower_sharp_s {
        if c == 'ß' {
            folded.push(c);
        } else {
            folded.extend(std::iter::once(c).default_case_fold());
        }
    }
    folded.nfc().collect()
}

fn ascii_domain(domain: &str) -> Result<String, EmailError> {
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map_err(|_| EmailError::Domain)?;
    let (_, top) = ascii.rsplit_once('.').ok_or(EmailError::Domain)?;
    // A last label that begins with a digit makes an IPv4 address of it, for some readers (WHATWG URL, section 3.5).
    if !top.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(EmailError::Domain);
    }
    Ok(ascii.into_owned())
}

#[cfg(test)]
mod tests;
