//! How much may wait for the stores at once, and who goes without first.
//!
//! A store that is slow or gone must not collect requests until memory is full, nor keep those from it that matter most. So
//! sign-ins and refreshes have a few places each, a short queue and little patience, and are told to come back; what is
//! read to verify a session is bounded by the verifier, and far later. A warm verification asks nobody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    credential::{MAX_WAITING, PoolSettings},
    refusal::{Reason, Refusal},
    seats::Seats,
};

/// Sign-ins at once, beside those whose password is being checked or waits to be. A half of these can be waiting to hear
/// whether somebody else's guess was right.
pub const SIGN_INS: usize = 128;
const _: () = assert!(SIGN_INS >= 2 * MAX_WAITING, "who waits for others' guesses must leave places");
/// Refreshes at once.
pub const REFRESHES: usize = 64;
/// Sign-ins that may wait for a place; past that they are refused at once.
pub const SIGN_INS_WAITING: usize = 1024;
/// Refreshes that may wait for a place.
pub const REFRESHES_WAITING: usize = 2048;
/// Ends at once. Nobody's end waits for other kinds of work: when there is too much of that, ends are what helps.
pub const ENDS: usize = 512;
/// Ends that may wait for a place.
pub const ENDS_WAITING: usize = 4096;
/// How long anything waits for a place.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The places of an engine.
pub(super) struct Places {
    /// Whatever checks a password or begins a session.
    pub(super) sign_ins: Room,
    pub(super) refreshes: Room,
    /// Whatever ends sessions.
    pub(super) ends: Room,
}

/// Work of one kind, now and since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occupancy {
    /// Which: `sign_in`, `refresh` or `end`.
    pub kind: &'static str,
    /// How much is under way.
    pub under_way: usize,
    /// How much waits for a place.
    pub waiting: usize,
    /// How often somebody was turned away for want of a place.
    pub turned_away: u64,
}

impl Places {
    pub(super) fn new(passwords: &PoolSettings) -> Self {
        let hashing = passwords.threads.get().saturating_add(passwords.queue);
        Self {
            sign_ins: Room::new("sign_in", SIGN_INS.saturating_add(hashing), SIGN_INS_WAITING),
            refreshes: Room::new("refresh", REFRESHES, REFRESHES_WAITING),
            ends: Room::new("end", ENDS, ENDS_WAITING),
        }
    }

    pub(super) fn occupancy(&self) -> [Occupancy; 3] {
        [self.sign_ins.occupancy(), self.refreshes.occupancy(), self.ends.occupancy()]
    }
}

/// Places for work of one kind.
pub(super) struct Room {
    kind: &'static str,
    size: usize,
    places: Arc<Semaphore>,
    waiting: Seats,
    turned_away: AtomicU64,
}

impl Room {
    fn new(kind: &'static str, size: usize, most_waiting: usize) -> Self {
        let size = size.min(Semaphore::MAX_PERMITS);
        let waiting = Seats::new(most_waiting);
        Self { kind, size, places: Arc::new(Semaphore::new(size)), waiting, turned_away: AtomicU64::new(0) }
    }

    /// A place, which is free again when this is dropped.
    ///
    /// # Errors
    /// `overloaded`: there is none, and none became free.
    pub(super) async fn enter(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        if let Some(_seat) = self.waiting.take()
            && let Ok(Ok(place)) = timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await
        {
            return Ok(place);
        }
        self.turned_away.fetch_add(1, Ordering::Relaxed);
        Err(Refusal::from(Reason::Busy).retry_after(PATIENCE))
    }

    fn occupancy(&self) -> Occupancy {
        Occupancy {
            kind: self.kind,
            under_way: self.size - self.places.available_permits(),
            waiting: self.waiting.taken(),
            turned_away: self.turned_away.load(Ordering::Relaxed),
        }
    }
}
