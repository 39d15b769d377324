//! Sessions in the memory of this process: gone when it ends, and about 110 bytes each, with every index.
//!
//! Sessions are spread over slabs by id, and over account lists by account. A list runs through the places of its
//! sessions, whichever slab they are in. Two rules keep that sound: a list's lock is taken before a slab's, never after,
//! and at most one slab's is held; and a session is linked, unlinked and freed only under the lock of its account's list.
//! Expiry has no index: the sweep walks the slabs, a chunk at a time.

mod lists;
mod slab;

use std::{
    fmt,
    hash::BuildHasher,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use hashbrown::{DefaultHashBuilder, HashMap};
use parking_lot::{Mutex, MutexGuard};

use self::{
    lists::Lists,
    slab::{NOWHERE, Place, Slab},
};
use super::{DeletionTime, SessionStore, StoreError, Stretch, Vitals, Watermark};
use crate::{
    clock::{Clock, Timestamp},
    ids::{AccountId, AppTag, SessionId},
    method::Method,
    revocation::Position,
    session::{Effect, Record, Write, Written},
};

/// How many slabs and how many parts of the account lists there are: a table that grows holds up a 64th of all.
const SHARDS: usize = 64;
const SHARD_BITS: u32 = SHARDS.trailing_zeros();
/// The most places of a slab, so that slab and place fit 32 bits, and none is [`NOWHERE`].
const MOST: u32 = (1 << (32 - SHARD_BITS)) - 1;

/// Sessions in memory.
pub struct MemorySessions {
    slabs: [Mutex<Slab>; SHARDS],
    lists: [Mutex<Lists>; SHARDS],
    hashes: DefaultHashBuilder,
    held: AtomicUsize,
    limit: usize,
    /// The slab and the chunk where the next sweep goes on.
    swept: Mutex<(usize, usize)>,
    watermark: Mutex<Option<Position>>,
}

/// Where a session stands: its slab in the low bits, its place in the others.
#[derive(Clone, Copy, PartialEq, Eq)]
struct At(u32);

impl At {
    const fn new(slab: usize, place: u32) -> Self {
        Self(place << SHARD_BITS | slab as u32)
    }

    /// The end of a list has none.
    const fn from_link(link: u32) -> Option<Self> {
        if link == NOWHERE { None } else { Some(Self(link)) }
    }

    fn link(at: Option<Self>) -> u32 {
        at.map_or(NOWHERE, |at| at.0)
    }

    const fn slab(self) -> usize {
        self.0 as usize % SHARDS
    }

    const fn place(self) -> u32 {
        self.0 >> SHARD_BITS
    }
}

impl MemorySessions {
    /// An empty store that takes as many sessions as it is given.
    pub fn new() -> Self {
        Self::with_limit(usize::MAX)
    }

    /// An empty store that takes at most `limit` sessions at a time; past that a login gets
    /// [`StoreError::Unavailable`]. No session is dropped to make room.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            slabs: [const { Mutex::new(Slab::new()) }; SHARDS],
            lists: [const { Mutex::new(Lists::new()) }; SHARDS],
            hashes: DefaultHashBuilder::default(),
            held: AtomicUsize::new(0),
            limit,
            swept: Mutex::new((0, 0)),
            watermark: Mutex::new(None),
        }
    }

    /// How many sessions it holds, the expired ones that no sweep has met included.
    pub fn len(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes it has taken from the allocator, all indexes included.
    pub fn bytes(&self) -> usize {
        let slabs: usize = self.slabs.iter().map(|slab| slab.lock().bytes()).sum();
        let lists: usize = self.lists.iter().map(|lists| lists.lock().bytes()).sum();
        size_of::<Self>() + slabs + lists
    }

    fn slab(&self, hash: u64) -> (usize, MutexGuard<'_, Slab>) {
        let number = shard(hash);
        (number, self.slabs[number].lock())
    }

    /// Does something with a linked place; only under the lock of its list.
    fn with<T>(&self, at: At, read: impl FnOnce(&mut Place) -> T) -> T {
        read(self.slabs[at.slab()].lock().at_mut(at.place()))
    }

    fn create(&self, id: SessionId, record: &Record) -> Result<Written, StoreError> {
        let (hash, owner) = (self.hashes.hash_one(id), self.hashes.hash_one(record.account));
        let mut lists = self.lists[shard(owner)].lock();
        let first = lists.first(owner, |at| self.with(at, |place| place.account() == record.account));
        let at = {
            let (number, mut slab) = self.slab(hash);
            if let Some(present) = slab.find(hash, id).and_then(|place| slab.at(place).record()) {
                return Ok(Written::Conflict(present));
            }
            if self.held.fetch_add(1, Ordering::Relaxed) >= self.limit {
                self.held.fetch_sub(1, Ordering::Relaxed);
                return Err(full());
            }
            let Some(place) = slab.insert(&self.hashes, id, record, MOST) else {
                self.held.fetch_sub(1, Ordering::Relaxed);
                return Err(full());
            };
            slab.at_mut(place).set_older(At::link(first));
            At::new(number, place)
        };
        if let Some(first) = first {
            self.with(first, |place| place.set_newer(at.0));
        }
        lists.set_first(owner, first, Some(at));
        Ok(Written::Done(Some(record.clone())))
    }

    /// Removes a session if it is as demanded; whether it did.
    fn remove(&self, id: SessionId, demand: impl Fn(&Place) -> bool) -> bool {
        let hash = self.hashes.hash_one(id);
        let account = {
            let (_, slab) = self.slab(hash);
            slab.find(hash, id).map(|place| slab.at(place).account())
        };
        let Some(account) = account else { return false };
        let owner = self.hashes.hash_one(account);
        let mut lists = self.lists[shard(owner)].lock();
        let (at, removed) = {
            let (number, mut slab) = self.slab(hash);
            match slab.find(hash, id) {
                Some(place) if demand(slab.at(place)) && slab.at(place).account() == account => {
                    (At::new(number, place), slab.remove(hash, place))
                }
                _ => return false,
            }
        };
        self.held.fetch_sub(1, Ordering::Relaxed);
        let (newer, older) = (At::from_link(removed.newer()), At::from_link(removed.older()));
        if let Some(older) = older {
            self.with(older, |place| place.set_newer(At::link(newer)));
        }
        match newer {
            Some(newer) => self.with(newer, |place| place.set_older(At::link(older))),
            None => lists.set_first(owner, Some(at), older),
        }
        true
    }

    /// All but the first and the last write of a session: what they need is one slab.
    fn alter(&self, id: SessionId, write: &Write) -> Written {
        let hash = self.hashes.hash_one(id);
        let (_, mut slab) = self.slab(hash);
        let place = slab.find(hash, id);
        let present = place.and_then(|place| slab.at(place).record());
        let (effect, written) = write.apply(present.as_ref(), || Clock::system().now());
        if let (Effect::Put(record), Some(place)) = (effect, place) {
            slab.update(place, &record);
        }
        written
    }

    fn record_of(&self, id: SessionId) -> Option<Record> {
        let hash = self.hashes.hash_one(id);
        let (_, slab) = self.slab(hash);
        slab.find(hash, id).and_then(|place| slab.at(place).record())
    }

    /// When they began and their ids, those after `before`; newest first.
    fn ids(
        &self,
        account: AccountId,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Vec<(Timestamp, SessionId)> {
        let owner = self.hashes.hash_one(account);
        let mut found = Vec::new();
        {
            let lists = self.lists[shard(owner)].lock();
            let mut next = lists.first(owner, |at| self.with(at, |place| place.account() == account));
            while let Some(at) = next {
                let (row, older) = self.with(at, |place| ((place.created(), place.sid()), place.older()));
                if before.is_none_or(|before| row < before) {
                    found.push(row);
                }
                next = At::from_link(older);
            }
        }
        if found.len() > limit {
            if limit == 0 {
                return Vec::new();
            }
            found.select_nth_unstable_by(limit - 1, |a, b| b.cmp(a));
            found.truncate(limit);
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        found
    }

    /// At most `limit` ids in the next chunk that are over, and whether the walk has come to the end of a slab.
    fn next_expired(&self, now: Timestamp, limit: usize) -> (Vec<SessionId>, bool) {
        let mut swept = self.swept.lock();
        let (number, chunk) = *swept;
        let slab = self.slabs[number].lock();
        let Some(places) = slab.chunk(chunk) else {
            *swept = ((number + 1) % SHARDS, 0);
            return (Vec::new(), true);
        };
        let mut expired = places.filter(|place| place.expires() <= now).map(Place::sid);
        let found = expired.by_ref().take(limit).collect();
        // A chunk that holds more is looked at again.
        if expired.next().is_none() {
            *swept = (number, chunk + 1);
        }
        (found, false)
    }
}

/// Bits of a hash that the tables do not look at for their buckets of any likely size, nor for their tags.
fn shard(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

fn full() -> StoreError {
    StoreError::Unavailable("the memory store holds as many sessions as it may".to_owned())
}

impl Default for MemorySessions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemorySessions({} sessions)", self.len())
    }
}

#[async_trait]
impl SessionStore for MemorySessions {
    async fn read(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        Ok(self.record_of(id))
    }

    async fn write(&self, id: SessionId, write: Write) -> Result<Written, StoreError> {
        match &write {
            Write::Create(record) => self.create(id, record),
            Write::Delete => {
                self.remove(id, |_| true);
                Ok(Written::Done(None))
            }
            _ => Ok(self.alter(id, &write)),
        }
    }

    async fn touch(&self, touches: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
        for (id, at) in touches {
            let _ = self.alter(*id, &Write::Touch(*at));
        }
        Ok(())
    }

    async fn list(
        &self,
        account: AccountId,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let ids = self.ids(account, before, limit);
        // What ended in between is left out.
        Ok(ids.into_iter().filter_map(|(_, id)| self.record_of(id).map(|record| (id, record))).collect())
    }

    async fn sweep(&self, now: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        let (mut removed, mut slabs) = (0, 0);
        // A whole round and a slab, because it begins anywhere in one.
        while removed < limit && slabs <= SHARDS {
            let (expired, end) = self.next_expired(now.moment(), limit - removed);
            for id in expired {
                removed += usize::from(self.remove(id, |place| place.expires() <= now.moment()));
            }
            if end {
                slabs += 1;
                tokio::task::yield_now().await;
            }
        }
        Ok(removed)
    }

    async fn watermark(&self) -> Result<Watermark, StoreError> {
        Ok(Watermark::of(*self.watermark.lock()))
    }

    async fn advance_watermark(&self, _from: &Watermark, to: Position) -> Result<(), StoreError> {
        *self.watermark.lock() = Some(to);
        Ok(())
    }

    /// A place is the number of a slab and that of a chunk in it; a session keeps its own for as long as it lives.
    async fn walk(&self, from: Option<super::Place>, limit: usize) -> Result<Stretch, StoreError> {
        let start = from.and_then(|place| <[u8; 16]>::try_from(place.0).ok()).map_or(0, u128::from_be_bytes);
        let (mut slab, mut chunk) = ((start >> 64) as usize, start as u64 as usize);
        let mut sessions = Vec::new();
        while let Some(present) = self.slabs.get(slab) {
            if sessions.len() >= limit.max(1) {
                let place = ((slab as u128) << 64 | chunk as u128).to_be_bytes();
                return Ok(Stretch { sessions, next: Some(super::Place(place.to_vec())) });
            }
            if let Some(places) = present.lock().chunk(chunk) {
                sessions.extend(places.map(|place| (place.sid(), place.record())));
                chunk += 1;
            } else {
                (slab, chunk) = (slab + 1, 0);
            }
        }
        Ok(Stretch { sessions, next: None })
    }

    async fn count(&self) -> Result<Vec<(AppTag, Method, u64)>, StoreError> {
        let mut counts = HashMap::<(AppTag, Method), u64>::new();
        for slab in &self.slabs {
            let mut chunk = 0;
            while let Some(places) = slab.lock().chunk(chunk) {
                for record in places.filter_map(Place::record) {
                    *counts.entry((record.app, record.method)).or_default() += 1;
                }
                chunk += 1;
            }
            tokio::task::yield_now().await;
        }
        Ok(counts.into_iter().map(|((app, method), n)| (app, method, n)).collect())
    }

    fn vitals(&self) -> Vec<Vitals> {
        vec![Vitals { store: "memory", own: true, disk: None, connections: None, writes: None, reads: None }]
    }
}
