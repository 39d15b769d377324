//! Where each account's list of sessions begins.

use hashbrown::HashTable;

use super::At;

/// The lists of some of the accounts.
pub(super) struct Lists(HashTable<Head>);

/// The newest session of an account; all others follow from it.
struct Head {
    /// A part of the account's hash: tells most accounts apart, and lets the table grow without a look at any session.
    print: u32,
    at: At,
}

impl Lists {
    pub(super) const fn new() -> Self {
        Self(HashTable::new())
    }

    /// Bytes that it has taken from the allocator.
    pub(super) fn bytes(&self) -> usize {
        self.0.allocation_size()
    }

    /// The first session of the account with that hash; `is_its` tells it from others of the same print.
    pub(super) fn first(&self, hash: u64, is_its: impl Fn(At) -> bool) -> Option<At> {
        let print = hash as u32;
        self.0.find(spread(print), |head| head.print == print && is_its(head.at)).map(|head| head.at)
    }

    /// Sets where a list begins that began at `from`.
    pub(super) fn set_first(&mut self, hash: u64, from: Option<At>, to: Option<At>) {
        let print = hash as u32;
        match (from, to) {
            (Some(from), to) => {
                let Ok(mut head) = self.0.find_entry(spread(print), |head| head.at == from) else { return };
                match to {
                    Some(to) => head.get_mut().at = to,
                    None => drop(head.remove()),
                }
            }
            (None, Some(at)) => {
                self.0.insert_unique(spread(print), Head { print, at }, |head| spread(head.print));
            }
            (None, None) => {}
        }
    }
}

/// The table's hash of a print: its high bits count too.
fn spread(print: u32) -> u64 {
    u64::from(print).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
