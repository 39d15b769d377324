//! What was put in during the last while: each key once, and let go of in the order in which it came.
//!
//! A verifier holds millions of ends where somebody floods it, so an entry takes some 30 bytes: the queue in which entries
//! wait to be let go of holds them, and a table finds them there.

use std::{collections::VecDeque, hash::BuildHasher, hash::Hash, time::Duration};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::clock::Boot;

/// A queue of entries with a table of what is in it.
#[derive(Clone, Debug)]
pub(super) struct Recent<K, V> {
    /// The number of each key's entry, counted from the first that ever was and starting over after 2³² of them.
    table: HashTable<u32>,
    entries: VecDeque<Entry<K, V>>,
    /// The number of the entry at the front.
    front: u32,
    hasher: DefaultHashBuilder,
}

#[derive(Clone, Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    /// When it came, in whole seconds.
    came: u32,
}

/// Entries that were replaced wait in the queue like others, until they are as many as those that were not.
const REPLACED: usize = 1024;

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    pub(super) fn new() -> Self {
        Self { table: HashTable::new(), entries: VecDeque::new(), front: 0, hasher: DefaultHashBuilder::default() }
    }

    /// How many keys it holds.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    #[inline]
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.find(key).map(|number| &self.entry(number).value)
    }

    #[inline]
    pub(super) fn contains(&self, key: &K) -> bool {
        self.find(key).is_some()
    }

    /// Puts a key in, last of all; an entry that it had before is replaced.
    pub(super) fn put(&mut self, key: K, value: V, now: Boot) {
        let number = self.number_of(self.entries.len());
        let (entries, front, hasher) = (&self.entries, self.front, &self.hasher);
        let of = |number: u32| &entries[number.wrapping_sub(front) as usize];
        let hash = hasher.hash_one(&key);
        match self.table.find_mut(hash, |number| of(*number).key == key) {
            Some(held) => *held = number,
            None => {
                self.table.insert_unique(hash, number, |number| hasher.hash_one(&of(*number).key));
            }
        }
        self.entries.push_back(Entry { key, value, came: seconds(now) });
        if self.entries.len() - self.table.len() > self.table.len().max(REPLACED) {
            self.drop_replaced();
        }
    }

    /// Lets go of what came longer ago than `hold`: of at most so many, because somebody waits for that to end.
    pub(super) fn expire(&mut self, now: Boot, hold: Duration, at_most: usize) {
        // Both are rounded so that nothing goes early.
        let (now, hold) = (now.millis() / 1000, hold.as_secs() + 1);
        for _ in 0..at_most {
            if self.entries.front().is_none_or(|first| u64::from(first.came) + hold > now) {
                break;
            }
            if let Some(first) = self.entries.pop_front() {
                let (number, hash) = (self.front, self.hasher.hash_one(&first.key));
                self.front = self.front.wrapping_add(1);
                if let Ok(held) = self.table.find_entry(hash, |held| *held == number) {
                    held.remove();
                }
            }
        }
        if self.entries.is_empty() && self.entries.capacity() > 0 {
            // A flood is over: its memory goes back.
            *self = Self::new();
        }
    }

    /// Each key with its value and the second in which it came, in that order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V, u32)> {
        let held =
            self.entries.iter().enumerate().filter(|(at, entry)| self.find(&entry.key) == Some(self.number_of(*at)));
        held.map(|(_, entry)| (&entry.key, &entry.value, entry.came))
    }

    #[inline]
    fn find(&self, key: &K) -> Option<u32> {
        if self.table.is_empty() {
            return None;
        }
        self.table.find(self.hasher.hash_one(key), |number| self.entry(*number).key == *key).copied()
    }

    #[inline]
    fn entry(&self, number: u32) -> &Entry<K, V> {
        &self.entries[number.wrapping_sub(self.front) as usize]
    }

    const fn number_of(&self, place: usize) -> u32 {
        self.front.wrapping_add(place as u32)
    }

    fn drop_replaced(&mut self) {
        let all = std::mem::take(&mut self.entries);
        let mut kept = VecDeque::with_capacity(self.table.len() * 2);
        for (place, entry) in all.into_iter().enumerate() {
            let (number, hash) = (self.front.wrapping_add(place as u32), self.hasher.hash_one(&entry.key));
            if let Some(held) = self.table.find_mut(hash, |held| *held == number) {
                *held = self.front.wrapping_add(kept.len() as u32);
                kept.push_back(entry);
            }
        }
        self.entries = kept;
    }
}

fn seconds(now: Boot) -> u32 {
    u32::try_from(now.millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
