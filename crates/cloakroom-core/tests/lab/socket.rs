//! A store of sessions that tests put into a server, take out again, and hear of.

use std::sync::Arc;

use async_trait::async_trait;
use cloakroom_core::{
    clock::Timestamp,
    ids::{AccountId, AppTag, SessionId},
    method::Method,
    revocation::Position,
    session::{Found, Record, Write, Written},
    store::{DeletionTime, Place, SessionStore, StoreError, Stretch, Watermark, memory::MemorySessions},
};
use parking_lot::{Mutex, RwLock};

/// A place for a store that another one can take, as where a Redis is restarted on an old file.
#[derive(Clone)]
pub(crate) struct Socket(Arc<Inner>);

struct Inner {
    store: RwLock<Arc<MemorySessions>>,
    before_find: Mutex<Box<dyn FnMut() + Send>>,
}

impl Socket {
    pub(crate) fn new() -> Self {
        let store = RwLock::new(Arc::new(MemorySessions::new()));
        Self(Arc::new(Inner { store, before_find: Mutex::new(Box::new(|| {})) }))
    }

    pub(crate) fn store(&self) -> Arc<MemorySessions> {
        Arc::clone(&self.0.store.read())
    }

    pub(crate) fn put(&self, store: &Arc<MemorySessions>) -> Arc<MemorySessions> {
        std::mem::replace(&mut *self.0.store.write(), Arc::clone(store))
    }

    /// Has something happen whenever a session is looked for to be renewed.
    pub(crate) fn before_find(&self, happens: impl FnMut() + Send + 'static) {
        *self.0.before_find.lock() = Box::new(happens);
    }

    /// A copy of what is in it, with its mark.
    pub(crate) async fn copy(&self) -> Arc<MemorySessions> {
        let (from, to) = (self.store(), MemorySessions::new());
        for (id, record) in from.walk(None, 1000).await.unwrap().sessions {
            let _ = to.write(id, Write::Create(record.unwrap())).await.unwrap();
        }
        let mark = from.watermark().await.unwrap().parts().next().unwrap().first().copied();
        if let Some(mark) = mark {
            to.advance_watermark(&Watermark::of(None), mark).await.unwrap();
        }
        Arc::new(to)
    }
}

#[async_trait]
impl SessionStore for Socket {
    async fn read(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        self.store().read(id).await
    }

    async fn find(&self, id: SessionId, at: Option<Timestamp>) -> Result<Option<Found>, StoreError> {
        (self.0.before_find.lock())();
        self.store().find(id, at).await
    }

    async fn write(&self, id: SessionId, write: Write) -> Result<Written, StoreError> {
        self.store().write(id, write).await
    }

    async fn touch(&self, touches: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
        self.store().touch(touches).await
    }

    async fn list(
        &self,
        account: AccountId,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.store().list(account, before, limit).await
    }

    async fn sweep(&self, now: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        self.store().sweep(now, limit).await
    }

    async fn watermark(&self) -> Result<Watermark, StoreError> {
        self.store().watermark().await
    }

    async fn advance_watermark(&self, from: &Watermark, to: Position) -> Result<(), StoreError> {
        self.store().advance_watermark(from, to).await
    }

    async fn walk(&self, from: Option<Place>, limit: usize) -> Result<Stretch, StoreError> {
        self.store().walk(from, limit).await
    }

    async fn count(&self) -> Result<Vec<(AppTag, Method, u64)>, StoreError> {
        self.store().count().await
    }
}
