//! What the revocation log keeps of an exchange: the session that took another's place.

use super::record::{BrokenRecord, Record};
use crate::ids::{Generation, SessionId};

/// The successor of a session that was exchanged, as its line in the log holds it: some 75 bytes, and never its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Succession {
    /// The successor.
    pub session: SessionId,
    /// The generation at which the old session's refresh token was exchanged. What comes back from before it is theft.
    pub spent: Generation,
    /// The successor's record as it was at first, also of one whose method keeps none.
    pub record: Record,
}

const SPENT: usize = 4;

impl Succession {
    /// The stored form; the first 16 bytes are the successor's id, by which stores find the line.
    pub fn encode(&self) -> Vec<u8> {
        [&self.session.bytes()[..], &self.spent.0.to_be_bytes(), &self.record.encode()].concat()
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, BrokenRecord> {
        let (session, rest) = bytes.split_first_chunk().ok_or(BrokenRecord)?;
        let (spent, record) = rest.split_first_chunk::<SPENT>().ok_or(BrokenRecord)?;
        Ok(Self {
            session: SessionId::from_bytes(*session),
            spent: Generation(u32::from_be_bytes(*spent)),
            record: Record::decode(record)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::record::tests::any_record;

    proptest! {
        #[test]
        fn a_stored_succession_reads_back(session: [u8; 16], spent: u32, record in any_record(), cut: prop::sample::Index) {
            let session = SessionId::from_bytes(session);
            let succession = Succession { session, spent: Generation(spent), record };
            let bytes = succession.encode();
            prop_assert_eq!(&bytes[..16], session.bytes());
            prop_assert!(bytes.len() <= 16 + 4 + 68);
            prop_assert_eq!(Succession::decode(&bytes[..cut.index(bytes.len())]), Err(BrokenRecord));
            prop_assert_eq!(Succession::decode(&bytes), Ok(succession));
        }
    }
}
