//! Copying sessions, and looking afterwards whether all of them are there.
//!
//! The copy keeps nothing in mind: done again, it passes by what is there, so a copy that was broken off is simply repeated.
//! It never makes a session older: of two records of one session the later generation, activity and epoch hold.

use futures_util::{StreamExt, TryStreamExt, stream};
use hashbrown::HashMap;

use crate::{
    clock::Timestamp,
    ids::{AppTag, SessionId},
    method::Method,
    revocation::Position,
    session::{Record, Write, Written},
    store::{
        AccountStore, DeletionTime, SessionStore, StoreError, behind, forget_ended,
        moving::{AT_ONCE, STEP},
    },
};

/// How many sessions are compared field by field, about.
const SAMPLES: u64 = 1000;

/// How far a copy of sessions has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Copied {
    /// Sessions that were met in the old store.
    pub met: u64,
    /// Made in the new one.
    pub made: u64,
    /// They were there already, the same or later.
    pub present: u64,
    /// They were there already, and brought up to date.
    pub advanced: u64,
    /// They ended while they were copied, and are in neither.
    pub ended: u64,
    /// They are over, and were left behind.
    pub expired: u64,
    /// They cannot be read, and were left behind.
    pub damaged: u64,
}

/// What became of one session.
enum Fate {
    Made,
    Present,
    Advanced,
    Ended,
}

/// Copies sessions; both stores and the log may be in use. `log`: where the revocation log is that the sessions belong to.
/// In the end, what that log says has ended is deleted in the new store, whoever brought it there.
///
/// # Errors
/// [`StoreError::TooOld`] when one of the stores comes from a time that the log no longer reaches; otherwise as of any store.
/// What has been copied by then stays, and the next call passes it by.
pub async fn sessions(
    from: &dyn SessionStore,
    to: &dyn SessionStore,
    log: &dyn AccountStore,
    now: DeletionTime,
    mut progress: impl FnMut(&Copied),
) -> Result<Copied, StoreError> {
    // What has not seen ends that the log has forgotten holds sessions that nobody knows to have ended.
    let old = behind(from, log, now.moment()).await?;
    let new = behind(to, log, now.moment()).await?;
    // From here on the new one is as new as what is copied into it, also where the copy is broken off.
    forget_ended(to, log, new.line).await?;
    to.advance_watermark(&new.watermark, Position { sequence: old.line, ..old.log.last_line() }).await?;
    let mut copied = Copied::default();
    let mut place = None;
    loop {
        let ahead = Ahead::of(to, from).await?;
        let stretch = from.walk(place, STEP).await?;
        let mut moves = Vec::with_capacity(stretch.sessions.len());
        for (id, record) in stretch.sessions {
            copied.met += 1;
            match record {
                None => copied.damaged += 1,
                Some(record) if record.expires <= now.moment() => copied.expired += 1,
                Some(record) => moves.push(copy_one(from, to, ahead, id, record)),
            }
        }
        let mut fates = stream::iter(moves).buffer_unordered(AT_ONCE);
        while let Some(fate) = fates.try_next().await? {
            match fate {
                Fate::Made => copied.made += 1,
                Fate::Present => copied.present += 1,
                Fate::Advanced => copied.advanced += 1,
                Fate::Ended => copied.ended += 1,
            }
        }
        progress(&copied);
        place = stretch.next;
        if place.is_none() {
            break;
        }
    }
    // Both are read before the walk over the log: everything up to that line is among what is met.
    let (watermark, log_now) = (to.watermark().await?, log.lineage().await?);
    forget_ended(to, log, 0).await?;
    to.advance_watermark(&watermark, log_now.last_line()).await?;
    Ok(copied)
}

/// By how much the clock of one store is ahead of the other's: when a rotation was is noted by the clock of the store that has
/// it, and told by the age that it has there.
#[derive(Clone, Copy)]
struct Ahead {
    millis: i64,
}

impl Ahead {
    /// What may lie between two questions that are asked one after the other.
    const NOTHING: u64 = 1000;

    async fn of(one: &dyn SessionStore, other: &dyn SessionStore) -> Result<Self, StoreError> {
        let (other, one) = (other.time().await?.millis(), one.time().await?.millis());
        let differ = one.abs_diff(other) > Self::NOTHING;
        Ok(Self { millis: if differ { one.cast_signed() - other.cast_signed() } else { 0 } })
    }

    /// A moment by the clock of the one that was noted by the other's.
    fn moment(self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis(at.millis().saturating_add_signed(self.millis))
    }
}

async fn copy_one(
    from: &dyn SessionStore,
    to: &dyn SessionStore,
    ahead: Ahead,
    id: SessionId,
    record: Record,
) -> Result<Fate, StoreError> {
    let copy = Record { rotated: ahead.moment(record.rotated), ..record.clone() };
    let mut fate = match to.write(id, Write::Create(copy.clone())).await? {
        Written::Conflict(present) if advance(to, id, &present, &copy).await? => Fate::Advanced,
        Written::Conflict(_) => Fate::Present,
        _ => Fate::Made,
    };
    // Whatever changed it in the old store before the copy was made is seen now; whoever changes it later finds the copy.
    match from.read(id).await? {
        None => {
            let _ = to.write(id, Write::Delete).await?;
            fate = Fate::Ended;
        }
        Some(later) if later != record => {
            if let Some(present) = to.read(id).await? {
                let later = Record { rotated: ahead.moment(later.rotated), ..later };
                advance(to, id, &present, &later).await?;
            }
        }
        Some(_) => {}
    }
    Ok(fate)
}

/// Brings a session in a store up to what another record of it says; whether anything was to be done.
async fn advance(to: &dyn SessionStore, id: SessionId, present: &Record, later: &Record) -> Result<bool, StoreError> {
    let (mut present, mut done) = (present.clone(), false);
    loop {
        let write = if later.generation > present.generation {
            Write::Rotate { from: present.generation, to: later.generation, at: Some(later.rotated), active: None }
        } else if later.epoch > present.epoch {
            Write::CarryOver { from: present.epoch, to: later.epoch }
        } else if later.last_active > present.last_active {
            Write::Touch(later.last_active)
        } else {
            return Ok(done);
        };
        done = true;
        match to.write(id, write).await? {
            Written::Done(Some(now)) | Written::Conflict(now) => present = now,
            Written::Done(None) | Written::Absent => return Ok(done),
        }
    }
}

/// How many sessions of an app and method are in each store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    /// The app.
    pub app: AppTag,
    /// The method.
    pub method: Method,
    /// In the old store, those that are over left out.
    pub from: u64,
    /// In the new one.
    pub to: u64,
}

/// What a comparison of two stores of sessions has come to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verified {
    /// By app and method.
    pub counts: Vec<Count>,
    /// How many sessions were compared field by field.
    pub samples: u64,
    /// Sessions of the old store that the new one lacks, or holds otherwise.
    pub wrong: Vec<SessionId>,
}

impl Verified {
    /// Whether the new store has all that the old one has.
    pub fn is_whole(&self) -> bool {
        self.wrong.is_empty() && self.counts.iter().all(|count| count.to >= count.from)
    }
}

/// Compares two stores after a copy: all sessions by number, and some field by field. Both may be in use, as long as new
/// sessions begin in the new one only: then the old one never has more.
///
/// # Errors
/// As of any store.
pub async fn verify_sessions(
    from: &dyn SessionStore,
    to: &dyn SessionStore,
    now: DeletionTime,
) -> Result<Verified, StoreError> {
    let mut counts = HashMap::<_, (u64, u64)>::new();
    // The new one first: what ends in between is missing in the old one then, and not the other way round.
    let mut total = 0;
    for (app, method, n) in to.count().await? {
        counts.entry((app, method)).or_default().1 = n;
        total += n;
    }
    let mut verified = Verified::default();
    let mut place = None;
    loop {
        let stretch = from.walk(place, STEP).await?;
        let mut looks = Vec::new();
        for (id, record) in stretch.sessions.into_iter().filter_map(|(id, record)| Some((id, record?))) {
            if record.expires <= now.moment() {
                continue;
            }
            counts.entry((record.app, record.method)).or_default().0 += 1;
            if is_sample(id, total) {
                looks.push(async move { agrees(from, to, id).await.map(|agrees| (id, agrees)) });
            }
        }
        let looked: Vec<_> = stream::iter(looks).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        verified.samples += looked.len() as u64;
        verified.wrong.extend(looked.into_iter().filter(|(_, agrees)| !agrees).map(|(id, _)| id));
        place = stretch.next;
        if place.is_none() {
            break;
        }
    }
    verified.counts = counts.into_iter().map(|((app, method), (from, to))| Count { app, method, from, to }).collect();
    verified.counts.sort_unstable_by_key(|count| (count.app, count.method));
    Ok(verified)
}

/// Whether a session is one of those that are compared: ids are as good as random.
fn is_sample(id: SessionId, of: u64) -> bool {
    let [a, b, c, d, ..] = *id.bytes();
    u64::from(u32::from_be_bytes([a, b, c, d])) * of.max(1) < SAMPLES << 32
}

/// Whether the new store has a session as the old one has it, or later; or it has ended.
async fn agrees(from: &dyn SessionStore, to: &dyn SessionStore, id: SessionId) -> Result<bool, StoreError> {
    // The old one first: what changes in between is only later in the new one.
    let Some(original) = from.read(id).await? else { return Ok(true) };
    let Some(copy) = to.read(id).await? else { return Ok(from.read(id).await?.is_none()) };
    let later = copy.generation >= original.generation
        && copy.epoch >= original.epoch
        && copy.last_active >= original.last_active;
    let same = Record {
        generation: original.generation,
        rotated: original.rotated,
        epoch: original.epoch,
        last_active: original.last_active,
        ..copy
    };
    Ok(later && same == original)
}
