//! Where records lie in memory: packed, in chunks that never move, found by session id.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::{
    clock::Timestamp,
    ids::{AccountId, AppTag, Epoch, Generation, SessionId},
    method::Method,
    session::{AuthMethods, ClientKind, Record},
};

/// How many places a chunk has: enough that its own upkeep is nothing, few enough that what lies free is little.
const CHUNK: usize = 64;

/// The number of a place within its slab; what no place has ends lists.
pub(super) const NOWHERE: u32 = u32::MAX;

/// A session in memory. Bytes only, so that nothing is lost to alignment.
#[derive(Clone, Copy)]
pub(super) struct Place {
    sid: [u8; 16],
    account: [u8; 16],
    times: [[u8; 6]; 4],
    auth_time: [u8; 4],
    epoch: [u8; 4],
    app_epoch: [u8; 4],
    generation: [u8; 4],
    app: [u8; 4],
    /// The method's code; 0 in a free place.
    method: u8,
    amr: u8,
    client: [u8; 2],
    newer: [u8; 4],
    /// In a free place: the next free one.
    older: [u8; 4],
}

impl Place {
    pub(super) const SIZE: usize = size_of::<Self>();

    const FREE: Self = Self {
        sid: [0; 16],
        account: [0; 16],
        times: [[0; 6]; 4],
        auth_time: [0; 4],
        epoch: [0; 4],
        app_epoch: [0; 4],
        generation: [0; 4],
        app: [0; 4],
        method: 0,
        amr: 0,
        client: [0; 2],
        newer: NOWHERE.to_ne_bytes(),
        older: NOWHERE.to_ne_bytes(),
    };

    fn put(&mut self, record: &Record) {
        self.account = *record.account.bytes();
        self.times = [record.created, record.last_active, record.expires, record.rotated].map(pack);
        self.auth_time = (record.auth_time.secs() as u32).to_ne_bytes();
        self.epoch = record.epoch.0.to_ne_bytes();
        self.app_epoch = record.app_epoch.0.to_ne_bytes();
        self.generation = record.generation.0.to_ne_bytes();
        self.app = record.app.0;
        self.method = record.method.properties().code;
        self.amr = record.amr.0;
        self.client = record.client.codes();
    }

    /// The record that stands here; `None` in a free place.
    pub(super) fn record(&self) -> Option<Record> {
        let [created, last_active, expires, rotated] = self.times.map(unpack);
        Some(Record {
            method: Method::from_code(self.method)?,
            account: self.account(),
            epoch: Epoch(u32::from_ne_bytes(self.epoch)),
            app: AppTag(self.app),
            app_epoch: Epoch(u32::from_ne_bytes(self.app_epoch)),
            created,
            last_active,
            expires,
            generation: Generation(u32::from_ne_bytes(self.generation)),
            rotated,
            auth_time: Timestamp::from_secs(u32::from_ne_bytes(self.auth_time).into()),
            amr: AuthMethods(self.amr),
            client: ClientKind::from_codes(self.client),
        })
    }

    pub(super) fn sid(&self) -> SessionId {
        SessionId::from_bytes(self.sid)
    }

    pub(super) fn account(&self) -> AccountId {
        AccountId::from_bytes(self.account)
    }

    pub(super) fn created(&self) -> Timestamp {
        unpack(self.times[0])
    }

    pub(super) fn expires(&self) -> Timestamp {
        unpack(self.times[2])
    }

    pub(super) fn newer(&self) -> u32 {
        u32::from_ne_bytes(self.newer)
    }

    pub(super) fn older(&self) -> u32 {
        u32::from_ne_bytes(self.older)
    }

    pub(super) fn set_newer(&mut self, place: u32) {
        self.newer = place.to_ne_bytes();
    }

    pub(super) fn set_older(&mut self, place: u32) {
        self.older = place.to_ne_bytes();
    }
}

fn pack(moment: Timestamp) -> [u8; 6] {
    let mut bytes = [0; 6];
    bytes.copy_from_slice(&moment.millis().to_be_bytes()[2..]);
    bytes
}

fn unpack(bytes: [u8; 6]) -> Timestamp {
    let mut all = [0; 8];
    all[2..].copy_from_slice(&bytes);
    Timestamp::from_millis(u64::from_be_bytes(all))
}

/// Some of the sessions.
pub(super) struct Slab {
    chunks: Vec<Box<[Place]>>,
    /// Places that have been used so far; all beyond are free.
    used: u32,
    /// The first of the freed places.
    free: u32,
    by_sid: HashTable<u32>,
}

impl Slab {
    pub(super) const fn new() -> Self {
        Self { chunks: Vec::new(), used: 0, free: NOWHERE, by_sid: HashTable::new() }
    }

    /// Bytes that it has taken from the allocator.
    pub(super) fn bytes(&self) -> usize {
        let chunks = self.chunks.len() * CHUNK * Place::SIZE + self.chunks.capacity() * size_of::<Box<[Place]>>();
        chunks + self.by_sid.allocation_size()
    }

    pub(super) fn find(&self, hash: u64, id: SessionId) -> Option<u32> {
        self.by_sid.find(hash, |place| self.at(*place).sid == *id.bytes()).copied()
    }

    pub(super) fn at(&self, place: u32) -> &Place {
        &self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    pub(super) fn at_mut(&mut self, place: u32) -> &mut Place {
        &mut self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    /// Puts another record where one stands.
    pub(super) fn update(&mut self, place: u32, record: &Record) {
        self.at_mut(place).put(record);
    }

    /// Puts a new session in a free place below `limit`; `None`: there is none.
    pub(super) fn insert(
        &mut self,
        hashes: &DefaultHashBuilder,
        id: SessionId,
        record: &Record,
        limit: u32,
    ) -> Option<u32> {
        let place = if self.free == NOWHERE {
            if self.used >= limit {
                return None;
            }
            if self.used as usize == self.chunks.len() * CHUNK {
                self.chunks.push(vec![Place::FREE; CHUNK].into_boxed_slice());
            }
            self.used += 1;
            self.used - 1
        } else {
            let place = self.free;
            self.free = self.at(place).older();
            place
        };
        let new = self.at_mut(place);
        *new = Place { sid: *id.bytes(), ..Place::FREE };
        new.put(record);
        let chunks = &self.chunks;
        self.by_sid.insert_unique(hashes.hash_one(id), place, |place| {
            hashes.hash_one(chunks[*place as usize / CHUNK][*place as usize % CHUNK].sid())
        });
        Some(place)
    }

    /// Frees a place; what stood there.
    pub(super) fn remove(&mut self, hash: u64, place: u32) -> Place {
        if let Ok(entry) = self.by_sid.find_entry(hash, |other| *other == place) {
            entry.remove();
        }
        let free = self.free;
        let removed = std::mem::replace(self.at_mut(place), Place::FREE);
        self.at_mut(place).set_older(free);
        self.free = place;
        removed
    }

    /// The places of one chunk that are not free, and whether there is such a chunk.
    pub(super) fn chunk(&self, number: usize) -> Option<impl Iterator<Item = &Place>> {
        self.chunks.get(number).map(|chunk| chunk.iter().filter(|place| place.method != 0))
    }
}
