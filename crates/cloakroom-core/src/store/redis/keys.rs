//! The names of keys, and the slot of a cluster that each is in.
//!
//! Names are short and binary, because every session has one: a prefix, a letter, the 16 bytes of an id.

use super::address::Address;
use crate::ids::{AccountId, SessionId};

/// How many slots a cluster has.
pub(super) const SLOTS: u16 = 16_384;
/// How many keys hold the watermark. Spread over all slots evenly, so that every primary with 1/64 of them in one piece
/// holds at least one.
const MARKS: u16 = 64;

/// Makes the names of keys.
pub(super) struct Keys {
    prefix: Vec<u8>,
    marks: Vec<Vec<u8>>,
}

impl Keys {
    pub(super) fn new(address: &Address) -> Self {
        let prefix = address.prefix.clone().into_bytes();
        // Every server finds the same names: of each stretch of slots, the first number whose key is in it.
        let mut marks = vec![Vec::new(); usize::from(MARKS)];
        let mut missing = marks.len();
        for number in 0u32.. {
            let key = [&prefix[..], b"w", number.to_string().as_bytes()].concat();
            let mark = &mut marks[usize::from(slot(&key) / (SLOTS / MARKS))];
            if mark.is_empty() {
                *mark = key;
                missing -= 1;
            }
            if missing == 0 {
                break;
            }
        }
        Self { prefix, marks }
    }

    /// A session's record.
    pub(super) fn session(&self, id: SessionId) -> Vec<u8> {
        [&self.prefix[..], b"s", id.bytes()].concat()
    }

    /// The session that a key is of, if it is one's.
    pub(super) fn session_of(&self, key: &[u8]) -> Option<SessionId> {
        let id = key.strip_prefix(&self.prefix[..])?.strip_prefix(b"s")?;
        id.try_into().ok().map(SessionId::from_bytes)
    }

    /// A pattern for `SCAN` that finds all sessions; a prefix has no character that means something in one.
    pub(super) fn every_session(&self) -> Vec<u8> {
        [&self.prefix[..], b"s*"].concat()
    }

    /// The list of an account's devices.
    pub(super) fn devices(&self, account: AccountId) -> Vec<u8> {
        [&self.prefix[..], b"d", account.bytes()].concat()
    }

    /// The number of the mark that is where a session is.
    pub(super) fn stretch(&self, id: SessionId) -> usize {
        usize::from(slot(&self.session(id)) / (SLOTS / MARKS))
    }

    /// The keys that hold the watermark.
    pub(super) fn marks(&self) -> &[Vec<u8>] {
        &self.marks
    }
}

/// The slot of a key: CRC-16/XMODEM of what stands between the first `{` and the next `}`, or of the whole key where
/// there is nothing between such. An id has these bytes by chance too.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|b| *b == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|b| *b == b'}').filter(|length| *length > 0).map(|length| &rest[..length])
    });
    let crc = tag.unwrap_or(key).iter().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot(b"123456789"), 0x31c3 % SLOTS);
        assert_eq!(slot(b"foo"), 12182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{}{bar}"), 8363);
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
        assert_eq!(slot(b"foo{bar}{zap}"), slot(b"bar"));
        assert_eq!(slot(b""), 0);
    }

    #[test]
    fn the_watermark_is_in_every_64th_of_the_slots() {
        let keys = Keys::new(&Address::parse("redis://h").unwrap());
        for (n, key) in keys.marks().iter().enumerate() {
            assert_eq!(usize::from(slot(key) / 256), n);
        }
        assert_eq!(
            keys.session_of(&keys.session(SessionId::from_bytes([7; 16]))),
            Some(SessionId::from_bytes([7; 16]))
        );
        assert_eq!(keys.session_of(b"cr:s"), None);
        assert_eq!(keys.session_of(&keys.devices(AccountId::from_bytes([7; 16]))), None);
    }
}
