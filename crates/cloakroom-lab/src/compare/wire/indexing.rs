//! The smallest that a client sends by HTTP/2 which lets HPACK remember its credential, as browsers do (RFC 7541 section 2.3.2). The
//! `hyper` client, like others, never lets credentials be remembered.
//!
//! One connection, requests one after the other, without Huffman coding: only the second request is counted, in which every field is a
//! place in a table.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
/// `END_STREAM` and `END_HEADERS`.
const WHOLE: u8 = 5;
const ACK: u8 = 1;
/// `:status: 200`, by its place in the static table.
const STATUS_200: u8 = 0x80 | 8;

/// A header field as it is sent: by its name's place in the static table (RFC 7541 appendix A).
struct Field<'f> {
    name: u8,
    value: &'f str,
}

/// The length of the second and every further request with this credential; the server has answered 200 to both.
pub(super) fn warm_request(
    address: SocketAddr,
    authority: &str,
    path: &str,
    credential: Option<(&str, &str)>,
) -> io::Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(PREFACE)?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    let credential = credential.map(|(name, value)| Field { name: if name == "cookie" { 32 } else { 23 }, value });
    let fields = [Some(Field { name: 1, value: authority }), credential];
    let fields: Vec<Field<'_>> = fields.into_iter().flatten().collect();
    let (mut warm, mut stream_id) = (0, 1);
    for first in [true, false] {
        let request = frame(HEADERS, WHOLE, stream_id, &block(path, &fields, first)?);
        stream.write_all(&request)?;
        let status_is_200 = answer(&mut stream, stream_id)?;
        if fields.len() > 1 && !status_is_200 {
            return Err(io::Error::other("a request by HTTP/2 was not answered 200"));
        }
        warm = request.len() as u64;
        stream_id += 2;
    }
    Ok(warm)
}

/// `:method: GET`, `:scheme: https`, the path, which is another one each time, and the fields.
fn block(path: &str, fields: &[Field<'_>], first: bool) -> io::Result<Vec<u8>> {
    let mut block = vec![0x80 | 2, 0x80 | 7, 4];
    text(&mut block, path)?;
    // The last one that was added has the first place behind the 61 static ones.
    for (number, field) in fields.iter().enumerate() {
        if first {
            block.push(0x40 | field.name.min(0x3f));
            text(&mut block, field.value)?;
        } else {
            let place = 62 + fields.len() - 1 - number;
            block.push(0x80 | u8::try_from(place).map_err(io::Error::other)?);
        }
    }
    Ok(block)
}

/// A string without Huffman coding: its length with a prefix of 7 bits (RFC 7541 section 5.1).
fn text(block: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let mut length = text.len();
    if length < 127 {
        block.push(u8::try_from(length).map_err(io::Error::other)?);
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(0x80 | (length % 128) as u8);
            length /= 128;
        }
        block.push(length as u8);
    }
    block.extend_from_slice(text.as_bytes());
    Ok(())
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME_HEAD + payload.len());
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Reads until a stream's header block came; whether it begins with `:status: 200`.
fn answer(stream: &mut TcpStream, wanted: u32) -> io::Result<bool> {
    loop {
        let mut head = [0; FRAME_HEAD];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload)?;
        match head[3] {
            SETTINGS if head[4] & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            HEADERS if id == wanted => return Ok(payload.first() == Some(&STATUS_200)),
            _ => {}
        }
    }
}
