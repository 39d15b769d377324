//! Token buckets for any number of keys in bounded memory.
//!
//! A bucket is one number: the moment at which it will be full again. A full bucket says nothing, so it is forgotten, and
//! only keys with recent attempts take room. Forgetting goes along with remembering, a few slots at a time: there is no
//! sweep that would hold everybody up. At the bound, keys that are not in the table share one bucket.

use std::time::Duration;

use hashbrown::HashTable;

use super::{Empty, Outcome, Rate};
use crate::clock::Boot;

/// A key as it stands in a table: 128 bits of a keyed hash.
pub(super) type Key = (u64, u64);

pub(super) struct Table {
    rate: Rate,
    /// What keys that find no room share: as much as [`SHARES`] buckets together.
    overflow_rate: Rate,
    overflow: Bucket,
    slots: Vec<Slot>,
    /// Numbers of slots, by key.
    index: HashTable<u32>,
    free: Vec<u32>,
    capacity: usize,
    hand: usize,
}

struct Slot {
    key: Key,
    bucket: Bucket,
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    /// When all tokens will be back.
    full_at: Boot,
    /// Tokens of attempts that are not decided yet, and that may come back early.
    undecided: u32,
}

/// A token taken from a bucket; it must be [settled](Table::settle).
pub(super) struct Token {
    slot: Option<u32>,
    /// When this token would be back by itself, at the latest.
    back_at: Boot,
}

impl Table {
    pub(super) fn new(rate: Rate, capacity: usize) -> Self {
        let capacity = capacity.clamp(1, u32::MAX as usize);
        Self {
            rate,
            overflow_rate: rate.shared_by(SHARES),
            overflow: Bucket::default(),
            // All of it now: growing would copy everything while others wait. What is not touched takes no memory.
            slots: Vec::with_capacity(capacity),
            index: HashTable::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
            capacity,
            hand: 0,
        }
    }

    /// Takes a token that will be [settled](Self::settle).
    pub(super) fn take(&mut self, key: Key, now: Boot) -> Result<Token, Empty> {
        let slot = self.slot(key, now);
        let spent = self.spend_from(slot, now);
        let (bucket, _) = self.bucket(slot);
        match spent {
            Ok(back_at) => {
                bucket.undecided += 1;
                Ok(Token { slot, back_at })
            }
            Err(_) if bucket.undecided > 0 => Err(Empty::Undecided),
            Err(wait) => Err(Empty::Until(wait)),
        }
    }

    pub(super) fn settle(&mut self, token: &Token, outcome: Outcome, now: Boot) {
        let (bucket, rate) = self.bucket(token.slot);
        bucket.undecided = bucket.undecided.saturating_sub(1);
        if outcome == Outcome::GivenBack {
            // No more than is still missing of it: the rest has come back by itself, and may be another's by now.
            let missing = rate.every().min(token.back_at.since(now));
            bucket.full_at = Boot::from_millis(bucket.full_at.millis().saturating_sub(missing.as_millis() as u64));
        }
    }

    /// Keys that take room.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    fn spend_from(&mut self, slot: Option<u32>, now: Boot) -> Result<Boot, Duration> {
        let (bucket, rate) = self.bucket(slot);
        let full_at = bucket.full_at.max(now) + rate.every();
        match full_at.since(now).checked_sub(rate.capacity()) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                bucket.full_at = full_at;
                Ok(full_at)
            }
        }
    }

    /// The slot of a key, or `None` for the bucket that is shared.
    fn slot(&mut self, key: Key, now: Boot) -> Option<u32> {
        self.find(key).or_else(|| self.insert(key, now))
    }

    fn bucket(&mut self, slot: Option<u32>) -> (&mut Bucket, Rate) {
        match slot {
            Some(slot) => (&mut self.slots[slot as usize].bucket, self.rate),
            None => (&mut self.overflow, self.overflow_rate),
        }
    }

    fn find(&self, key: Key) -> Option<u32> {
        self.index.find(key.0, |&slot| self.slots[slot as usize].key == key).copied()
    }

    fn insert(&mut self, key: Key, now: Boot) -> Option<u32> {
        for _ in 0..STEPS {
            self.forget_at_hand(now);
        }
        let new = Slot { key, bucket: Bucket::default() };
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = new;
            slot
        } else if self.slots.len() < self.capacity {
            self.slots.push(new);
            (self.slots.len() - 1) as u32
        } else {
            return None;
        };
        self.index.insert_unique(key.0, slot, |&slot| self.slots[slot as usize].key.0);
        Some(slot)
    }

    /// Looks at one slot more, and forgets it when its bucket is full and nobody holds a token of it.
    fn forget_at_hand(&mut self, now: Boot) {
        if self.slots.is_empty() {
            return;
        }
        self.hand = (self.hand + 1) % self.slots.len();
        let slot = &self.slots[self.hand];
        if slot.bucket.undecided == 0 && slot.bucket.full_at <= now {
            let hand = self.hand as u32;
            // A slot that is free already stands no longer in the index.
            if let Ok(entry) = self.index.find_entry(slot.key.0, |&slot| slot == hand) {
                entry.remove();
                self.free.push(hand);
            }
        }
    }
}

/// Slots looked at for each new key: more than one, so that forgetting gets ahead.
const STEPS: usize = 4;

/// Buckets' worth of tokens that the keys without room share.
const SHARES: u32 = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVERY: Duration = Duration::from_mins(1);

    impl Table {
        /// Takes a token for good, or says when there will be one.
        fn spend(&mut self, key: Key, now: Boot) -> Result<(), Duration> {
            match self.take(key, now) {
                Ok(token) => self.settle(&token, Outcome::Spent, now),
                Err(Empty::Until(wait)) => return Err(wait),
                Err(Empty::Undecided) => panic!("all are decided"),
            }
            Ok(())
        }
    }

    fn table(burst: u32, capacity: usize) -> Table {
        Table::new(Rate::new(burst, EVERY), capacity)
    }

    fn key(n: u64) -> Key {
        (n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n)
    }

    fn at(secs: u64) -> Boot {
        Boot::from_millis(1_000_000 + secs * 1000)
    }

    #[test]
    fn a_burst_and_then_one_each_time() {
        let mut table = table(3, 10);
        for _ in 0..3 {
            table.spend(key(1), at(0)).unwrap();
        }
        assert_eq!(table.spend(key(1), at(0)), Err(EVERY));
        assert_eq!(table.spend(key(1), at(45)), Err(Duration::from_secs(15)));
        table.spend(key(2), at(45)).unwrap();
        table.spend(key(1), at(60)).unwrap();
        assert_eq!(table.spend(key(1), at(60)), Err(EVERY));
        // Nothing is for ever, and nothing piles up.
        for _ in 0..3 {
            table.spend(key(1), at(86_400)).unwrap();
        }
        table.spend(key(1), at(86_400)).unwrap_err();
    }

    /// F118: at the bound memory stays as it is, and keys without room are counted together.
    #[test]
    fn at_the_bound_unknown_keys_share_a_bucket() {
        let mut table = table(2, 1000);
        let memory = |table: &Table| (table.slots.capacity(), table.free.capacity(), table.index.allocation_size());
        let before = memory(&table);
        let passed = (0..200_000).filter(|&n| table.spend(key(n), at(0)).is_ok()).count();
        assert_eq!(passed, 1000 + 2 * SHARES as usize);
        assert_eq!((table.len(), memory(&table)), (1000, before));
        // Who is in the table is not concerned.
        table.spend(key(0), at(0)).unwrap();
    }

    #[test]
    fn full_buckets_make_room() {
        let mut table = table(2, 1000);
        for round in 0..10 {
            let now = at(round * 60);
            let passed = (0..1000).filter(|&n| table.spend(key(round * 1000 + n), now).is_ok()).count();
            assert_eq!(passed, 1000);
        }
        assert_eq!(table.len(), 1000);
    }

    #[test]
    fn a_bucket_with_an_undecided_token_is_not_forgotten() {
        let mut table = table(2, 1);
        let token = table.take(key(1), at(0)).ok().unwrap();
        table.spend(key(2), at(600)).unwrap();
        assert_eq!(table.find(key(2)), None, "it went to the shared bucket");
        table.settle(&token, Outcome::Spent, at(600));
        table.spend(key(2), at(600)).unwrap();
        assert!(table.find(key(2)).is_some());
    }

    #[test]
    fn a_token_that_came_back_by_itself_is_not_given_back_again() {
        let mut table = table(1, 10);
        let token = table.take(key(1), at(0)).ok().unwrap();
        table.spend(key(1), at(90)).unwrap();
        table.settle(&token, Outcome::GivenBack, at(91));
        assert_eq!(table.spend(key(1), at(91)), Err(Duration::from_secs(59)));
    }

    proptest! {
        #[test]
        fn a_key_with_room_of_its_own_is_limited_exactly(times in proptest::collection::vec(0u64..100, 1..100)) {
            let mut table = table(3, 10);
            let (mut now, mut spent): (u64, Vec<u64>) = (0, Vec::new());
            for passed in times {
                now += passed;
                if table.spend(key(1), at(now)).is_ok() {
                    spent.push(now);
                }
            }
            for (n, first) in spent.iter().enumerate() {
                for (m, last) in spent.iter().enumerate().skip(n) {
                    prop_assert!((m - n + 1) as u64 <= 3 + (last - first) / 60);
                }
            }
        }
    }
}
