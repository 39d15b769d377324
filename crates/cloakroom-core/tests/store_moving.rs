//! Sessions that move from one store to another while they are used: nothing that was acknowledged is lost, and nothing that
//! has ended comes back.

use std::{collections::HashMap, sync::Arc, time::Duration};

use cloakroom_core::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Generation, SessionId},
    method::Method,
    random::Rng,
    revocation::Hold,
    session::{AuthMethods, ClientKind, Record, Write, Written},
    store::{
        AccountStore, EndRequest, Moving, SessionStore, StoreError, conformance,
        copy::{Copied, sessions, verify_sessions},
        memory::MemorySessions,
        sqlite::{Options, Sqlite},
    },
};
use tempfile::TempDir;
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_hours(24);

/// Two stores of sessions, and a third with the log.
struct Lab {
    old: Arc<dyn SessionStore>,
    new: Arc<dyn SessionStore>,
    log: Sqlite,
    _directories: [TempDir; 3],
}

impl Lab {
    fn new() -> Self {
        let directories = [(); 3].map(|()| TempDir::new().unwrap());
        let [old, new, log] = directories.each_ref().map(|d| Sqlite::open(d.path(), &Options::default()).unwrap());
        Self { old: Arc::new(old), new: Arc::new(new), log, _directories: directories }
    }

    /// As servers have it once all begin sessions in the new store.
    fn moving(&self) -> Moving {
        Moving::new(Arc::clone(&self.new), Arc::clone(&self.old))
    }

    async fn copy(&self) -> Result<Copied, StoreError> {
        sessions(&*self.old, &*self.new, &self.log, conformance::deletion_at(NOW), |_| {}).await
    }

    async fn end(&self, store: &dyn SessionStore, id: SessionId) {
        self.log.end(&[(EndRequest::Session(id), Hold::lasting(DAY))], Some(NOW)).await.unwrap();
        let _ = store.write(id, Write::Delete).await.unwrap();
    }
}

fn fresh(rng: &Rng) -> (SessionId, Record) {
    let record = Record {
        account: AccountId::generate(NOW, rng),
        epoch: Epoch(0),
        app: AppId::parse("web").unwrap().tag(),
        app_epoch: Epoch(0),
        method: Method::Jwt,
        created: NOW,
        last_active: NOW,
        expires: NOW + DAY * 30,
        generation: Generation(0),
        rotated: NOW,
        auth_time: NOW,
        amr: AuthMethods::PASSWORD,
        client: ClientKind::default(),
    };
    (SessionId::from_bytes(rng.bytes()), record)
}

async fn log_in(store: &dyn SessionStore, rng: &Rng) -> (SessionId, Record) {
    let (id, record) = fresh(rng);
    assert!(matches!(store.write(id, Write::Create(record.clone())).await.unwrap(), Written::Done(_)));
    (id, record)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_as_one_keep_the_promises_of_the_session_port() {
    let directories = std::sync::Mutex::new(Vec::new());
    conformance::sessions(async || {
        let directory = TempDir::new().unwrap();
        let other = Sqlite::open(directory.path(), &Options::default()).unwrap();
        directories.lock().unwrap().push(directory);
        Moving::new(Arc::new(MemorySessions::new()), Arc::new(other))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_either_store_is_found_changed_listed_and_ended() {
    let (lab, rng) = (Lab::new(), Rng::seeded(1));
    let moving = lab.moving();
    let (old, record) = log_in(&*lab.old, &rng).await;
    let (new, _) = log_in(&moving, &rng).await;
    assert!(lab.new.read(new).await.unwrap().is_some(), "a new session begins in the new store");
    assert_eq!(moving.read(old).await.unwrap(), Some(record.clone()));
    // Told as one, to a server that is one step behind too.
    let behind = Moving::new(Arc::clone(&lab.old), Arc::clone(&lab.new));
    assert!(behind.read(new).await.unwrap().is_some());
    let write = Write::Rotate { from: Generation(0), to: Generation(1), at: Some(NOW + DAY), active: Some(NOW + DAY) };
    let Written::Done(Some(rotated)) = moving.write(old, write.clone()).await.unwrap() else { panic!() };
    assert_eq!(rotated.generation, Generation(1));
    assert!(matches!(moving.write(old, write).await.unwrap(), Written::Conflict(_)));
    assert_eq!(moving.list(rotated.account, None, 10).await.unwrap(), [(old, rotated)]);
    // What two servers make of one exchange, one step apart, is one session.
    let (both, record) = fresh(&rng);
    for server in [&moving, &behind] {
        assert!(matches!(server.write(both, Write::Create(record.clone())).await.unwrap(), Written::Done(_)));
    }
    assert_eq!(moving.list(record.account, None, 10).await.unwrap(), [(both, record)]);
    assert_eq!(moving.count().await.unwrap()[0].2, 3);
    lab.copy().await.unwrap();
    assert_eq!(moving.count().await.unwrap()[0].2, 3, "what is in both counts once");
    for id in [old, new, both] {
        assert_eq!(moving.write(id, Write::Delete).await.unwrap(), Written::Done(None));
        assert_eq!((lab.old.read(id).await.unwrap(), lab.new.read(id).await.unwrap()), (None, None));
        assert_eq!(moving.write(id, Write::Touch(NOW + DAY)).await.unwrap(), Written::Absent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_brings_over_what_lives_and_can_be_repeated() {
    let (lab, rng) = (Lab::new(), Rng::seeded(2));
    let mut living = Vec::new();
    for _ in 0..700 {
        living.push(log_in(&*lab.old, &rng).await);
    }
    let (over, mut record) = fresh(&rng);
    record.expires = NOW;
    let _ = lab.old.write(over, Write::Create(record)).await.unwrap();
    let copied = lab.copy().await.unwrap();
    assert_eq!((copied.met, copied.made, copied.expired, copied.present), (701, 700, 1, 0));
    for (id, record) in &living {
        assert_eq!(lab.new.read(*id).await.unwrap().as_ref(), Some(record));
    }
    let verified = verify_sessions(&*lab.old, &*lab.new, conformance::deletion_at(NOW)).await.unwrap();
    assert!(verified.is_whole() && verified.samples == 700, "{verified:?}");
    // What went on in the old store since is brought over, and what is later in the new one stays.
    let (rotated, carried, ahead) = (living[0].0, living[1].0, living[2].0);
    let rotate =
        |to| Write::Rotate { from: Generation(0), to: Generation(to), at: Some(NOW + DAY), active: Some(NOW + DAY) };
    for (store, id, write) in [
        (&lab.old, rotated, rotate(2)),
        (&lab.old, carried, Write::CarryOver { from: Epoch(0), to: Epoch(3) }),
        (&lab.new, ahead, rotate(1)),
    ] {
        assert!(matches!(store.write(id, write).await.unwrap(), Written::Done(_)));
    }
    let again = lab.copy().await.unwrap();
    assert_eq!((again.made, again.advanced, again.present), (0, 2, 698));
    for id in [rotated, carried] {
        assert_eq!(lab.new.read(id).await.unwrap(), lab.old.read(id).await.unwrap());
    }
    assert_eq!(lab.new.read(ahead).await.unwrap().unwrap().generation, Generation(1));
}

/// A session that was read, then ended, and then written by the copy would live again: the log says that it does not.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_not_brought_back_by_a_copy() {
    let (lab, rng) = (Lab::new(), Rng::seeded(3));
    let (id, record) = log_in(&*lab.old, &rng).await;
    lab.copy().await.unwrap();
    // By a server that knows the old store only.
    lab.end(&*lab.old, id).await;
    lab.copy().await.unwrap();
    assert_eq!(lab.new.read(id).await.unwrap(), None);
    // And by a copy that was killed between reading and looking again.
    let _ = lab.new.write(id, Write::Create(record)).await.unwrap();
    lab.copy().await.unwrap();
    assert_eq!(lab.new.read(id).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_lacks_a_session_or_holds_another_one_is_told() {
    let (lab, rng) = (Lab::new(), Rng::seeded(4));
    let (lost, _) = log_in(&*lab.old, &rng).await;
    let (other, record) = log_in(&*lab.old, &rng).await;
    lab.copy().await.unwrap();
    let _ = lab.new.write(lost, Write::Delete).await.unwrap();
    let verified = verify_sessions(&*lab.old, &*lab.new, conformance::deletion_at(NOW)).await.unwrap();
    assert_eq!((verified.is_whole(), verified.wrong, verified.counts[0].to), (false, vec![lost], 1));
    lab.copy().await.unwrap();
    let _ = lab.new.write(other, Write::Delete).await.unwrap();
    let different = Record { auth_time: NOW + DAY, ..record };
    let _ = lab.new.write(other, Write::Create(different)).await.unwrap();
    assert_eq!(verify_sessions(&*lab.old, &*lab.new, conformance::deletion_at(NOW)).await.unwrap().wrong, [other]);
}

/// Logins, rotations, 'all others' and ends by several servers at once, and one copy beside them: afterwards the new store
/// alone knows all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_and_nothing_comes_back_while_servers_serve() {
    const SERVERS: u64 = 6;
    let mut gone = 0;
    for round in 0..8 {
        let lab = Arc::new(Lab::new());
        let mut began = Vec::new();
        for number in 0..SERVERS {
            let (rng, mut living) = (Rng::seeded(round * 100 + number), HashMap::new());
            for _ in 0..40 {
                let (id, record) = log_in(&*lab.old, &rng).await;
                living.insert(id, record);
            }
            began.push((rng, living));
        }
        let mut servers = JoinSet::new();
        for (rng, living) in began {
            servers.spawn(serve(Arc::clone(&lab), rng, living));
        }
        lab.copy().await.unwrap();
        for (living, ended) in servers.join_all().await {
            for (id, record) in &living {
                assert_eq!(lab.new.read(*id).await.unwrap().as_ref(), Some(record), "round {round}");
            }
            for id in &ended {
                assert_eq!(lab.new.read(*id).await.unwrap(), None, "an ended session came back in round {round}");
            }
            gone += ended.len();
        }
        assert!(verify_sessions(&*lab.old, &*lab.new, conformance::deletion_at(NOW)).await.unwrap().is_whole());
    }
    assert!(gone > 50, "{gone}");
}

/// What one server does with the sessions of its people, and what lives and what has ended then.
async fn serve(
    lab: Arc<Lab>,
    rng: Rng,
    mut living: HashMap<SessionId, Record>,
) -> (HashMap<SessionId, Record>, Vec<SessionId>) {
    let (moving, mut ended) = (lab.moving(), Vec::new());
    for step in 1..60 {
        let id = *living.keys().nth(rng.below(living.len() as u64) as usize).unwrap();
        let known = &living[&id];
        let write = match rng.below(10) {
            0 => {
                let (id, record) = log_in(&moving, &rng).await;
                living.insert(id, record);
                continue;
            }
            1 | 2 => {
                lab.end(&moving, id).await;
                living.remove(&id);
                ended.push(id);
                // As the engine reads: a copy may bring an ended session back for a moment, and the log knows better.
                let told = lab.log.ended_sessions(0, usize::MAX).await.unwrap().sessions;
                assert!(told.iter().any(|(_, session)| *session == id));
                continue;
            }
            3..6 => Write::CarryOver { from: known.epoch, to: known.epoch.next() },
            _ => {
                let to = Generation(known.generation.0 + 1);
                Write::Rotate {
                    from: known.generation,
                    to,
                    at: Some(NOW + Duration::from_secs(step)),
                    active: Some(NOW + Duration::from_secs(step)),
                }
            }
        };
        let Written::Done(Some(record)) = moving.write(id, write).await.unwrap() else { panic!("a session was lost") };
        assert_eq!(moving.read(id).await.unwrap().as_ref(), Some(&record));
        living.insert(id, record);
    }
    (living, ended)
}
