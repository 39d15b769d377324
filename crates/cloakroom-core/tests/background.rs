//! What runs beside the requests of an engine, when what it rests on panics or stands still.

mod lab;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use cloakroom_core::{
    clock::{Clock, Timestamp},
    health::{Part, Whose},
    ids::{AccountId, AppTag, SessionId},
    method::Method,
    revocation::Position,
    session::{Record, Write, Written},
    store::{
        DeletionTime, Place, SessionStore, StoreError, Stretch, Watermark,
        memory::MemorySessions,
        sqlite::{Options, Sqlite},
    },
};

/// Sessions in a store that is sick when it is told to be.
struct Sickly {
    inner: MemorySessions,
    /// Its reads panic.
    mad: AtomicBool,
    /// It answers nothing.
    mute: AtomicBool,
}

#[async_trait]
impl SessionStore for Sickly {
    async fn read(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        assert!(!self.mad.load(Ordering::Relaxed), "the store is mad");
        if self.mute.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.inner.read(id).await
    }

    async fn write(&self, id: SessionId, write: Write) -> Result<Written, StoreError> {
        self.inner.write(id, write).await
    }

    async fn touch(&self, touches: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
        self.inner.touch(touches).await
    }

    async fn list(
        &self,
        account: AccountId,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.inner.list(account, before, limit).await
    }

    async fn sweep(&self, now: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        self.inner.sweep(now, limit).await
    }

    async fn walk(&self, from: Option<Place>, limit: usize) -> Result<Stretch, StoreError> {
        self.inner.walk(from, limit).await
    }

    async fn watermark(&self) -> Result<Watermark, StoreError> {
        self.inner.watermark().await
    }

    async fn advance_watermark(&self, from: &Watermark, to: Position) -> Result<(), StoreError> {
        self.inner.advance_watermark(from, to).await
    }

    async fn count(&self) -> Result<Vec<(AppTag, Method, u64)>, StoreError> {
        self.inner.count().await
    }
}

async fn until(what: &str, probe: impl AsyncFn() -> bool) {
    let begun = std::time::Instant::now();
    while !probe().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// R34: a task that keeps dying makes this server not ready and is named, and all is well again by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_keeps_dying_is_named_by_readiness_until_it_is_well() {
    let dir = tempfile::tempdir().unwrap();
    let sickly = Arc::new(Sickly { inner: MemorySessions::new(), mad: false.into(), mute: false.into() });
    let mut stores = Sqlite::open(dir.path(), &Options::default()).unwrap().stores();
    stores.sessions = Arc::clone(&sickly) as _;
    stores.end_deletes = false;
    let engine = lab::open_on(stores, dir.path(), Clock::system(), |_| {}).await.unwrap();
    let background = engine.spawn();
    assert_eq!(engine.ready().await, []);
    sickly.mad.store(true, Ordering::Relaxed);
    until("the task is named", async || {
        let troubles = engine.health().troubles();
        troubles.iter().any(|t| (t.whose, t.part, t.name.as_ref()) == (Whose::Own, Part::Task, "look"))
    })
    .await;
    sickly.mad.store(false, Ordering::Relaxed);
    until("it is well again", async || engine.health().troubles().is_empty()).await;
    background.stop().await;
}

/// R29: a store that answers nothing is told within the second that a probe has, and is nobody's own fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_answers_nothing_is_told_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let sickly = Arc::new(Sickly { inner: MemorySessions::new(), mad: false.into(), mute: true.into() });
    let mut stores = Sqlite::open(dir.path(), &Options::default()).unwrap().stores();
    stores.sessions = Arc::clone(&sickly) as _;
    stores.end_deletes = false;
    let engine = lab::open_on(stores, dir.path(), Clock::system(), |_| {}).await.unwrap();
    let begun = std::time::Instant::now();
    let troubles = engine.ready().await;
    assert!(begun.elapsed() < Duration::from_millis(950), "{:?}", begun.elapsed());
    let told: Vec<_> = troubles.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["shared: store sessions: it does not answer"]);
    sickly.mute.store(false, Ordering::Relaxed);
    assert_eq!(engine.ready().await, []);
}
