//! Two stores of sessions as one, while sessions are moved from one to the other and servers serve.
//!
//! New sessions begin in `main`; those that are not there are looked for in `other`, whichever of the two is the old one. So
//! servers can change over one by one: first all of them learn to look into the new store too, then all of them begin to
//! write there. [`copy::sessions`](super::copy::sessions) brings over what began before.
//!
//! Nothing is taken out of either for being moved, and every change of a session is made in both, wherever it stands. The copy
//! makes a session in one and then reads the other again; here `main` is brought up to what was done in `other`. Of the two, one
//! comes last and sees what the other did: so no change is lost that was made while a session was copied. An end
//! deletes in `other` before and after `main`, for the same reason: either the copy finds the session gone, or a deletion
//! finds the copy. A record that two servers make of one exchange, each in its own `main`, is the same in both. Both stores must
//! answer.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{DeletionTime, Place, SessionStore, StoreError, Stretch, Vitals, Watermark};
use crate::{
    clock::Timestamp,
    ids::{AccountId, AppTag, SessionId},
    method::Method,
    revocation::{Lineage, Position},
    session::{Found, Record, Write, Written},
};

/// Sessions in two stores, one of which is being left.
#[derive(Clone)]
pub struct Moving {
    main: Arc<dyn SessionStore>,
    other: Arc<dyn SessionStore>,
}

impl Moving {
    /// Sessions begin in `main` and are looked for in `other` too.
    pub fn new(main: Arc<dyn SessionStore>, other: Arc<dyn SessionStore>) -> Self {
        Self { main, other }
    }

    async fn alter(&self, id: SessionId, write: Write) -> Result<Written, StoreError> {
        let here = self.main.write(id, write.clone()).await?;
        let there = self.other.write(id, write.clone()).await?;
        let Written::Done(Some(done)) = &there else { return Ok(both(here, there)) };
        // A copy in `main` may be of before the change, or may just be being made.
        let mut copy = match &here {
            Written::Conflict(copy) => Some(copy.clone()),
            Written::Absent => self.main.read(id).await?,
            Written::Done(_) => None,
        };
        let mut overtaken = false;
        while let Some(behind) = &copy
            && let Some(step) = onward(&write, behind, done)
        {
            overtaken = true;
            copy = match self.main.write(id, step).await? {
                Written::Conflict(other) => Some(other),
                Written::Done(_) | Written::Absent => None,
            };
        }
        Ok(match here {
            Written::Conflict(here) if overtaken => Written::Done(Some(here.latest(done))),
            here => both(here, there),
        })
    }
}

/// The write that makes of a copy which is behind what was made of the session itself.
fn onward(write: &Write, behind: &Record, done: &Record) -> Option<Write> {
    match write {
        Write::Rotate { at, active, .. } if done.generation > behind.generation => {
            Some(Write::Rotate { from: behind.generation, to: done.generation, at: *at, active: *active })
        }
        Write::CarryOver { .. } if done.epoch > behind.epoch => {
            Some(Write::CarryOver { from: behind.epoch, to: done.epoch })
        }
        Write::Touch(_) if done.last_active > behind.last_active => Some(write.clone()),
        _ => None,
    }
}

/// What became of a write that was made in both stores.
fn both(here: Written, there: Written) -> Written {
    match (here, there) {
        (Written::Done(Some(here)), Written::Done(Some(there)) | Written::Conflict(there)) => {
            Written::Done(Some(here.latest(&there)))
        }
        (Written::Conflict(here), Written::Done(Some(there)) | Written::Conflict(there)) => {
            Written::Conflict(here.latest(&there))
        }
        (Written::Absent, there) => there,
        (here, _) => here,
    }
}

#[async_trait]
impl SessionStore for Moving {
    async fn read(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        // A copy that is just being made may be a moment behind.
        Ok(match (self.main.read(id).await?, self.other.read(id).await?) {
            (Some(here), Some(there)) => Some(here.latest(&there)),
            (here, there) => here.or(there),
        })
    }

    async fn find(&self, id: SessionId, at: Option<Timestamp>) -> Result<Option<Found>, StoreError> {
        Ok(match (self.main.find(id, at).await?, self.other.find(id, at).await?) {
            (Some(here), Some(there)) => {
                // Of the later generation's rotation.
                let ahead = there.record.generation > here.record.generation;
                let since_rotation = if ahead { there.since_rotation } else { here.since_rotation };
                Some(Found { record: here.record.latest(&there.record), since_rotation })
            }
            (here, there) => here.or(there),
        })
    }

    async fn time(&self) -> Result<Timestamp, StoreError> {
        self.main.time().await
    }

    async fn write(&self, id: SessionId, write: Write) -> Result<Written, StoreError> {
        match write {
            Write::Create(_) => self.main.write(id, write).await,
            Write::Delete => {
                let _ = self.other.write(id, Write::Delete).await?;
                let _ = self.main.write(id, Write::Delete).await?;
                self.other.write(id, Write::Delete).await
            }
            write => self.alter(id, write).await,
        }
    }

    async fn touch(&self, touches: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
        self.other.touch(touches).await?;
        self.main.touch(touches).await
    }

    async fn list(
        &self,
        account: AccountId,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let mut found = self.main.list(account, before, limit).await?;
        let known: HashSet<_> = found.iter().map(|(id, _)| *id).collect();
        let others = self.other.list(account, before, limit).await?;
        found.extend(others.into_iter().filter(|(id, _)| !known.contains(id)));
        found.sort_unstable_by(|(a, one), (b, another)| (another.created, b).cmp(&(one.created, a)));
        found.truncate(limit);
        Ok(found)
    }

    async fn sweep(&self, now: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        let removed = self.other.sweep(now, limit).await?;
        Ok(removed + self.main.sweep(now, limit.saturating_sub(removed)).await?)
    }

    async fn watermark(&self) -> Result<Watermark, StoreError> {
        let (main, other) = (self.main.watermark().await?, self.other.watermark().await?);
        Ok(Watermark::Both(Box::new(main), Box::new(other)))
    }

    async fn advance_watermark(&self, from: &Watermark, to: Position) -> Result<(), StoreError> {
        let Watermark::Both(main, other) = from else {
            return Err(StoreError::Foreign("the watermark of one store is not that of two".to_owned()));
        };
        self.other.advance_watermark(other, to).await?;
        self.main.advance_watermark(main, to).await
    }

    async fn holds_unseen(&self, log: &Lineage, before: Timestamp) -> Result<bool, StoreError> {
        Ok(self.main.holds_unseen(log, before).await? || self.other.holds_unseen(log, before).await?)
    }

    async fn forget(&self, ids: &[SessionId]) -> Result<(), StoreError> {
        self.other.forget(ids).await?;
        self.main.forget(ids).await
    }

    /// A place is one in `main`, and then one in `other`; what is in both is met twice.
    async fn walk(&self, from: Option<Place>, limit: usize) -> Result<Stretch, StoreError> {
        const MAIN: u8 = 0;
        const OTHER: u8 = 1;
        let (part, from) = match from.as_ref().and_then(|place| place.0.split_first()) {
            None => (MAIN, None),
            Some((part, rest)) => (*part, (!rest.is_empty()).then(|| Place(rest.to_vec()))),
        };
        let store = if part == MAIN { &self.main } else { &self.other };
        let Stretch { sessions, next } = store.walk(from, limit).await?;
        let onward = |part: u8, place: &[u8]| Place([&[part], place].concat());
        let next = match next {
            Some(place) => Some(onward(part, &place.0)),
            None => (part == MAIN).then(|| onward(OTHER, &[])),
        };
        Ok(Stretch { sessions, next })
    }

    /// What stands in both counts once; for that all of the other one is looked up.
    async fn count(&self) -> Result<Vec<(AppTag, Method, u64)>, StoreError> {
        let mut counts: HashMap<_, _> =
            self.main.count().await?.into_iter().map(|(app, method, n)| ((app, method), n)).collect();
        let mut place = None;
        loop {
            let stretch = self.other.walk(place, STEP).await?;
            let looks = stretch.sessions.into_iter().filter_map(|(id, record)| Some((id, record?)));
            let looks =
                looks.map(|(id, record)| async move { self.main.read(id).await.map(|here| (record, here.is_some())) });
            let looked: Vec<_> = stream::iter(looks).buffer_unordered(AT_ONCE).try_collect().await?;
            for (record, _) in looked.into_iter().filter(|(_, here)| !here) {
                *counts.entry((record.app, record.method)).or_default() += 1;
            }
            place = stretch.next;
            if place.is_none() {
                return Ok(counts.into_iter().map(|((app, method), n)| (app, method, n)).collect());
            }
        }
    }

    /// Of the one that can be taken over; where both can, of the one in which sessions begin.
    fn takeovers(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        self.main.takeovers().or_else(|| self.other.takeovers())
    }

    fn vitals(&self) -> Vec<Vitals> {
        [&self.main, &self.other].into_iter().flat_map(|store| store.vitals()).collect()
    }
}

/// How many sessions are one step of a walk.
pub(super) const STEP: usize = 500;
/// How many requests of an operator's are under way at once.
pub(super) const AT_ONCE: usize = 128;
