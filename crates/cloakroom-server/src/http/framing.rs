//! A watch on the bytes of HTTP/1 before they are parsed: what a proxy before the server could frame in another way than
//! the server does is refused, so that no request hides inside another (F132).
//!
//! The parser behind it (hyper 1.12) refuses a signed or spaced `Content-Length`, lengths that differ,
//! `Transfer-Encoding` in HTTP/1.0, folded lines and space before a colon. It takes what is caught here: a bare LF as the
//! end of a line, `Content-Length` beside `Transfer-Encoding`, either of them twice, and codings before `chunked`. A
//! [`Watch`] follows where each head and body ends. At a violation the parser gets [`SPOILT`] instead of what the client
//! sent, which it can accept nowhere, so that the client gets the parser's own 400 and the connection is closed. HTTP/2
//! has lengths of its own and passes.

/// Ends a head or a chunk in a way that no parser accepts.
pub const SPOILT: &[u8] = b"\0\r\n\r\n";

/// Follows the bytes of one connection.
#[derive(Debug, Default)]
pub struct Watch {
    state: State,
    /// The part of a line that came before the bytes at hand.
    carry: Vec<u8>,
    head: Head,
    heads: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// Between messages, or in empty lines before a request line (RFC 9112 section 2.2).
    #[default]
    Start,
    /// In a head, behind its request line.
    Fields,
    /// In a body of known length.
    Sized(u64),
    /// Before the line with a chunk's size.
    ChunkSize,
    /// In a chunk and the line end behind it.
    Chunk(u64),
    /// In the fields behind the last chunk.
    Trailers,
    /// HTTP/2: not watched.
    Passing,
    /// Nothing more is let through.
    Refused,
}

/// What the lines of a head said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    old: bool,
    length: Option<u64>,
    chunked: bool,
}

struct Violation;

impl Watch {
    /// Looks at the next bytes of the connection, and says how many of them may go on to the parser. If not all may,
    /// nothing that comes later may either.
    #[must_use]
    pub fn see(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Passing => return bytes.len(),
                State::Refused => return at,
                State::Sized(left) => {
                    let taken = skip(&mut at, left, bytes.len());
                    self.state = if left == taken { State::Start } else { State::Sized(left - taken) };
                }
                State::Chunk(left) => {
                    let taken = skip(&mut at, left, bytes.len());
                    self.state = if left == taken { State::ChunkSize } else { State::Chunk(left - taken) };
                }
                State::Start | State::Fields | State::ChunkSize | State::Trailers => {
                    let Some(length) = bytes[at..].iter().position(|b| *b == b'\n') else {
                        // The parser gives up on longer lines by itself.
                        if self.carry.len() + bytes.len() - at > MAX_LINE {
                            self.state = State::Refused;
                            continue;
                        }
                        self.carry.extend_from_slice(&bytes[at..]);
                        return bytes.len();
                    };
                    let end = at + length;
                    let carry = std::mem::take(&mut self.carry);
                    let seen = if carry.is_empty() {
                        self.line(&bytes[at..end])
                    } else {
                        let whole = [&carry[..], &bytes[at..end]].concat();
                        self.line(&whole)
                    };
                    if seen.is_err() {
                        self.state = State::Refused;
                        return end;
                    }
                    at = end + 1;
                }
            }
        }
        bytes.len()
    }

    /// Whether there was a violation.
    pub fn has_refused(&self) -> bool {
        self.state == State::Refused
    }

    /// The number of the head that has begun and not ended, if one has.
    pub fn head(&self) -> Option<u64> {
        let begun = self.state == State::Fields || (self.state == State::Start && !self.carry.is_empty());
        begun.then_some(self.heads)
    }

    /// A line without its LF.
    fn line(&mut self, line: &[u8]) -> Result<(), Violation> {
        let line = line.strip_suffix(b"\r").ok_or(Violation)?;
        self.state = match (self.state, line.is_empty()) {
            (State::Start, false) if line == b"PRI * HTTP/2.0" => State::Passing,
            (State::Start, false) => {
                self.head = Head { old: !line.ends_with(b" HTTP/1.1"), ..Head::default() };
                State::Fields
            }
            (State::Fields, false) => {
                self.head.field(line)?;
                State::Fields
            }
            (State::Fields, true) => {
                self.heads += 1;
                self.head.body()
            }
            (State::ChunkSize, _) => match chunk_size(line)? {
                0 => State::Trailers,
                // The data, and the line end behind it.
                size => State::Chunk(size.checked_add(2).ok_or(Violation)?),
            },
            (State::Trailers, true) => State::Start,
            (state, _) => state,
        };
        Ok(())
    }
}

impl Head {
    fn field(&mut self, line: &[u8]) -> Result<(), Violation> {
        let colon = line.iter().position(|b| *b == b':').ok_or(Violation)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            if self.length.is_some() || self.chunked {
                return Err(Violation);
            }
            self.length = Some(decimal(value).ok_or(Violation)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.old || self.chunked || self.length.is_some() || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Violation);
            }
            self.chunked = true;
        }
        Ok(())
    }

    const fn body(self) -> State {
        match (self.chunked, self.length) {
            (true, _) => State::ChunkSize,
            (false, Some(length)) if length > 0 => State::Sized(length),
            (false, _) => State::Start,
        }
    }
}

/// RFC 9112 section 7.1: hexadecimal digits, and perhaps extensions, which nobody needs and which are ignored.
fn chunk_size(line: &[u8]) -> Result<u64, Violation> {
    let digits = line.split(|b| *b == b';').next().unwrap_or(line).trim_ascii();
    if digits.is_empty() || digits.len() > 16 || line.len() > MAX_CHUNK_LINE {
        return Err(Violation);
    }
    digits.iter().try_fold(0, |size, b| {
        let digit = char::from(*b).to_digit(16).ok_or(Violation)?;
        Ok(size << 4 | u64::from(digit))
    })
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn skip(at: &mut usize, left: u64, end: usize) -> u64 {
    let taken = left.min((end - *at) as u64);
    *at += taken as usize;
    taken
}

/// Beyond the bound of a whole head, so that its own answer (431) comes first.
const MAX_LINE: usize = 256 * 1024;
const MAX_CHUNK_LINE: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many bytes go on to the parser, where they come in pieces.
    fn watched(input: &[u8], piece: usize) -> (usize, Watch) {
        let mut watch = Watch::default();
        let good = input.chunks(piece).map(|bytes| watch.see(bytes)).sum();
        (good, watch)
    }

    fn passes(input: &str) -> bool {
        let whole = watched(input.as_bytes(), usize::MAX).0;
        for piece in 1..9 {
            assert_eq!(watched(input.as_bytes(), piece).0, whole, "{input:?} in pieces of {piece}");
        }
        whole == input.len()
    }

    #[test]
    fn requests_pass_one_behind_another() {
        let (state, input) = (
            State::Start,
            [
                "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\t5 \r\n\r\na\nb\r\n",
                "POST / HTTP/1.1\r\ntransfer-ENCODING: Chunked\r\n\r\n5\r\na\nb\r\n\r\n1f;x=y\r\n0123456789012345678901234567890\r\n0\r\nX: y\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
                "GET / HTTP/1.0\r\n\r\n",
            ],
        );
        let input = input.concat();
        assert!(passes(&input));
        let (_, watch) = watched(input.as_bytes(), 3);
        assert_eq!(watch.state, state);
        assert_eq!(watch.head(), None);
    }

    #[test]
    fn a_head_is_known_to_have_begun() {
        for (input, expected) in [
            ("", false),
            ("\r\n", false),
            ("G", true),
            ("GET / HTTP/1.1\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r", true),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", false),
        ] {
            assert_eq!(watched(input.as_bytes(), 1).1.head().is_some(), expected, "{input:?}");
        }
    }

    /// F132: what could be framed in two ways is refused.
    #[test]
    fn ambiguous_framing_is_refused() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 5 0\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding:\r\n",
            "X: y\n",
            "X: y\n\r\n",
            "X: y\r\n\n",
            "no colon\r\n",
        ] {
            assert!(!passes(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")), "{fields:?}");
        }
        assert!(!passes("GET / HTTP/1.1\nHost: a\r\n\r\n"));
        assert!(!passes("\nGET / HTTP/1.1\r\n\r\n"));
        assert!(!passes("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"));
    }

    #[test]
    fn ambiguous_chunks_are_refused() {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for chunks in
            ["5\nabcde\r\n", "+5\r\n", "0x5\r\n", "\r\n", "5 5\r\n", "11111111111111111\r\n", "0\r\nX: y\n\r\n"]
        {
            assert!(!passes(&format!("{head}{chunks}")), "{chunks:?}");
        }
    }

    #[test]
    fn nothing_behind_a_violation_gets_through() {
        let input = b"GET / HTTP/1.1\r\nX: y\nHost: a\r\n\r\nGET /admin HTTP/1.1\r\n\r\n";
        let (good, watch) = watched(input, 7);
        assert_eq!(good, 20);
        assert!(watch.has_refused());
    }

    #[test]
    fn http_2_is_left_alone() {
        assert!(passes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\0\x01anything\n"));
    }

    proptest! {
        #[test]
        fn watching_never_panics_and_pieces_do_not_matter(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            text in "(GET / HTTP/1\\.[01]\r?\n|Content-Length: [0-9]{1,2}\r\n|Transfer-Encoding: chunked\r\n|\r\n|[0-9a-f]\r\n|X){0,12}",
            piece in 1_usize..20,
        ) {
            for input in [&bytes[..], text.as_bytes()] {
                prop_assert_eq!(watched(input, piece).0, watched(input, usize::MAX).0);
            }
        }
    }
}
