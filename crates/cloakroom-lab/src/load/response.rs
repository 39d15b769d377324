//! As much of HTTP/1.1 answers as the load needs: status, length, end. Anything else is an error, not a guess.

use std::io;

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its status.
    pub status: u16,
    /// Bytes until the body begins.
    pub body_at: usize,
    /// Bytes until it ends.
    pub end: usize,
}

/// Reads the head at the beginning of `bytes`; `None` while it is not complete.
pub fn parse_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let mut lines = bytes[..end].split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = lines.next().and_then(|line| line.strip_prefix(b"HTTP/1.1 ")).and_then(|rest| rest.get(..3));
    let status = status.and_then(number).ok_or_else(|| broken("no status line"))? as u16;
    let mut length = None;
    for line in lines {
        let Some(colon) = line.iter().position(|b| *b == b':') else { return Err(broken("no header")) };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            length = Some(number(value).ok_or_else(|| broken("no length"))?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(broken("an answer without a length"));
        }
    }
    let body = match (status, length) {
        (204 | 304, _) => 0,
        (_, Some(length)) => length,
        (_, None) => return Err(broken("an answer without a length")),
    };
    Ok(Some(Head { status, body_at: end + 4, end: end + 4 + body }))
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?.parse().ok()
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server answered with {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nContent-Length:  5\r\n\r\nhelloHTTP/1.1";
        let head = Head { status: 200, body_at: 65, end: 70 };
        for cut in 0..answer.len() {
            let expected = if cut < head.body_at { None } else { Some(head) };
            assert_eq!(parse_head(&answer[..cut]).unwrap(), expected, "{cut}");
        }
    }

    #[test]
    fn an_answer_without_a_body_needs_no_length() {
        let head = parse_head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.status, head.end - head.body_at), (204, 0));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for answer in [
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
        ] {
            assert!(parse_head(answer.as_bytes()).is_err(), "{answer:?}");
        }
    }
}
