//! The SQLite store: it keeps the promises of both ports, and is a good guest on its machine.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::{Duration, Instant},
};

use cloakroom_core::{
    account::{Account, AccountState, EmailAddress},
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Generation, SessionId},
    method::Method,
    random::Rng,
    revocation::{Hold, Since},
    session::{AuthMethods, ClientKind, Record, Write, Written},
    store::{
        AccountStore, Creation, EndRequest, NewAccount, SessionStore, StoreError, conformance,
        sqlite::{Options, Sqlite},
    },
};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_hours(24);

fn open(directory: &Path) -> Sqlite {
    Sqlite::open(directory, &Options::default()).unwrap()
}

fn record(account: AccountId, expires: Timestamp) -> Record {
    Record {
        account,
        epoch: Epoch(0),
        app: AppId::parse("web").unwrap().tag(),
        app_epoch: Epoch(0),
        method: Method::Jwt,
        created: NOW,
        last_active: NOW,
        expires,
        generation: Generation(0),
        rotated: NOW,
        auth_time: NOW,
        amr: AuthMethods::PASSWORD,
        client: ClientKind::default(),
    }
}

fn fresh(rng: &Rng) -> (SessionId, Record) {
    (SessionId::from_bytes(rng.bytes()), record(AccountId::generate(NOW, rng), NOW + DAY))
}

async fn log_in(store: &Sqlite, rng: &Rng) -> SessionId {
    let (id, record) = fresh(rng);
    assert!(matches!(store.write(id, Write::Create(record)).await.unwrap(), Written::Done(_)));
    id
}

/// Stores whose directories go when the test ends.
struct Directories(std::sync::Mutex<Vec<TempDir>>);

impl Directories {
    fn new() -> Self {
        Self(std::sync::Mutex::default())
    }

    fn store(&self) -> Sqlite {
        let directory = TempDir::new().unwrap();
        let store = open(directory.path());
        self.0.lock().unwrap().push(directory);
        store
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_promises_of_the_session_port() {
    let directories = Directories::new();
    conformance::sessions(async || directories.store()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_promises_of_the_account_port() {
    let directories = Directories::new();
    conformance::accounts(async || directories.store()).await;
}

/// F125: in one process; a killed one is another test's.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_has_acknowledged_lasts() {
    let directory = TempDir::new().unwrap();
    conformance::sessions_last(async || open(directory.path())).await;
    let directory = TempDir::new().unwrap();
    conformance::accounts_last(async || open(directory.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_takes_the_record_with_it() {
    conformance::one_database(Directories::new().store().stores()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_knows_what_it_was_called_before() {
    let directories = Directories::new();
    let store = directories.store();
    conformance::former_incarnations(store.clone(), async || store.new_incarnation().await.unwrap()).await;
}

#[tokio::test]
async fn a_second_server_is_kept_out() {
    let directory = TempDir::new().unwrap();
    let first = open(directory.path());
    let again = Sqlite::open(directory.path(), &Options::default()).unwrap_err();
    let StoreError::InUse(text) = again else { panic!("{again}") };
    assert!(text.contains(&format!("pid {}", std::process::id())), "{text}");
    assert!(text.contains(directory.path().to_str().unwrap()), "{text}");
    drop(first.clone());
    assert!(Sqlite::open(directory.path(), &Options::default()).is_err(), "a clone is not the store");
    drop(first);
    open(directory.path());
    assert!(!directory.path().join("cloakroom.db-wal").exists(), "a closed store is one file");
}

#[tokio::test]
async fn nobody_else_can_read_the_files() {
    let directory = TempDir::new().unwrap();
    let inner = directory.path().join("a/b");
    let store = open(&inner);
    log_in(&store, &Rng::seeded(1)).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    let mut files = 0;
    for file in fs::read_dir(&inner).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
        files += 1;
    }
    assert_eq!(files, 4, "database, write-ahead log, its index, lock");
}

#[tokio::test]
async fn a_store_of_a_later_release_is_refused_untouched() {
    let directory = TempDir::new().unwrap();
    drop(open(directory.path()));
    let file = directory.path().join(Sqlite::FILE);
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&file).unwrap();
    let error = Sqlite::open(directory.path(), &Options::default()).unwrap_err();
    assert!(matches!(&error, StoreError::Foreign(text) if text.contains("later release")), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_not_a_store_is_refused_untouched() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join(Sqlite::FILE);
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE orders (id)").unwrap();
    let before = fs::read(&file).unwrap();
    let error = Sqlite::open(directory.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, StoreError::Foreign(_)), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
    fs::write(&file, "This is no database, and long enough to be looked at. ".repeat(100)).unwrap();
    let error = Sqlite::open(directory.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    let error = Sqlite::open(&file, &Options::default()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "a directory is needed: {error}");
}

/// F121: logins, rotations, sweeps, ends, reads, all at once: nobody is told that the database is locked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_at_once_never_find_the_store_locked() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let mut tasks = JoinSet::new();
    for n in 0..64 {
        let store = store.clone();
        tasks.spawn(async move {
            let rng = Rng::seeded(n);
            for generation in 0..10 {
                let email = EmailAddress::parse(&format!("p{n}x{generation}@example.com")).unwrap();
                let id = AccountId::generate(NOW, &rng);
                let account =
                    Account { id, email, name: None, state: AccountState::Active, epoch: Epoch(0), created: NOW };
                assert_eq!(store.create(NewAccount { account, password: None }).await.unwrap(), Creation::Made);
                let session = log_in(&store, &rng).await;
                let from = Generation(0);
                let rotate = Write::Rotate { from, to: from.next(), at: Some(NOW), active: Some(NOW) };
                assert!(matches!(store.write(session, rotate).await.unwrap(), Written::Done(Some(_))));
                assert!(store.read(session).await.unwrap().is_some(), "an acknowledged login is seen at once");
                store.sweep(conformance::deletion_at(NOW), 10).await.unwrap();
                store.touch(&[(session, NOW + DAY)]).await.unwrap();
                assert_eq!(
                    store.end(&[(EndRequest::Session(session), Hold::lasting(DAY))], Some(NOW)).await.unwrap().len(),
                    1
                );
                assert_eq!(store.read(session).await.unwrap(), None, "and so is an end");
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(store.log_head().await.unwrap().sequence, 640);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

/// F122: an operator's tool that holds the file for a second makes others wait, not fail.
#[tokio::test(flavor = "multi_thread")]
async fn another_program_that_writes_is_waited_for() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let tool = Connection::open(directory.path().join(Sqlite::FILE)).unwrap();
    tool.execute_batch("BEGIN IMMEDIATE; UPDATE installation SET pruned = 0").unwrap();
    let begun = Instant::now();
    let held = Duration::from_millis(700);
    let release = std::thread::spawn(move || {
        std::thread::sleep(held);
        tool.execute_batch("COMMIT").unwrap();
    });
    let rng = Rng::seeded(1);
    assert_eq!(store.read(SessionId::from_bytes(rng.bytes())).await.unwrap(), None, "reads do not wait");
    assert!(begun.elapsed() < held);
    log_in(&store, &rng).await;
    assert!(begun.elapsed() >= held);
    release.join().unwrap();
}

/// F123: what stands in the file is no credential. A session is there under its id, which is a hash of the secret.
#[tokio::test]
async fn a_dump_of_the_file_holds_no_secret() {
    use aws_lc_rs::digest::{SHA256, digest};
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let rng = Rng::seeded(1);
    let secret = rng.bytes::<16>();
    let id: [u8; 16] = digest(&SHA256, &secret).as_ref()[..16].try_into().unwrap();
    let (_, record) = fresh(&rng);
    let _ = store.write(SessionId::from_bytes(id), Write::Create(record)).await.unwrap();
    drop(store);
    let file = fs::read(directory.path().join(Sqlite::FILE)).unwrap();
    let holds = |bytes: &[u8]| file.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(&id));
    assert!(!holds(&secret[..8]) && !holds(&secret[8..]));
}

/// F007: a damaged record counts as no session, can be deleted, and does not take the list or the sweep with it.
#[tokio::test]
async fn a_broken_record_counts_as_none() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let rng = Rng::seeded(1);
    let account = AccountId::generate(NOW, &rng);
    let mut ids = Vec::new();
    for _ in 0..5 {
        let id = SessionId::from_bytes(rng.bytes());
        let _ = store.write(id, Write::Create(record(account, NOW + DAY))).await.unwrap();
        ids.push(id);
    }
    let tool = Connection::open(directory.path().join(Sqlite::FILE)).unwrap();
    for (id, broken) in ids.iter().zip([&b""[..], b"\x01", b"\x02rubbish rubbish", &[0xff; 200]]) {
        tool.execute("UPDATE sessions SET record = ?2 WHERE sid = ?1", (id.bytes(), broken)).unwrap();
    }
    for id in &ids[..4] {
        assert_eq!(store.read(*id).await.unwrap(), None);
        assert_eq!(store.write(*id, Write::Touch(NOW + DAY)).await.unwrap(), Written::Absent);
    }
    let listed = store.list(account, None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids[4..]);
    assert_eq!(store.count().await.unwrap().len(), 1);
    assert_eq!(store.write(ids[0], Write::Delete).await.unwrap(), Written::Done(None));
    let rows = || tool.query_row("SELECT count(*) FROM sessions", [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(rows(), 4);
    assert_eq!(store.sweep(conformance::deletion_at(NOW + DAY), 10).await.unwrap(), 4);
    assert_eq!(rows(), 0);
}

/// What a full disk refuses is told so, and what was acknowledged beside it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_loses_none() {
    let directory = TempDir::new().unwrap();
    let options = Options { max_pages: Some(120), ..Options::default() };
    let store = Sqlite::open(directory.path(), &options).unwrap();
    let refused = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for n in 0..32 {
        let (store, refused) = (store.clone(), Arc::clone(&refused));
        tasks.spawn(async move {
            let rng = Rng::seeded(n);
            let mut acknowledged = Vec::new();
            for _ in 0..200 {
                let (id, record) = fresh(&rng);
                match store.write(id, Write::Create(record)).await {
                    Ok(written) => {
                        assert!(matches!(written, Written::Done(_)));
                        acknowledged.push(id);
                    }
                    Err(error) => {
                        assert_eq!(error, StoreError::Full);
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            acknowledged
        });
    }
    let acknowledged: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert!(refused.load(Ordering::Relaxed) > 0);
    assert!(acknowledged.len() > 100);
    let check = async |store: &Sqlite| {
        for id in &acknowledged {
            assert!(store.read(*id).await.unwrap().is_some());
        }
        assert_eq!(store.count().await.unwrap()[0].2, acknowledged.len() as u64, "what was refused is not there");
    };
    check(&store).await;
    drop(store);
    let store = Sqlite::open(directory.path(), &options).unwrap();
    check(&store).await;
    while store.sweep(conformance::deletion_at(NOW + DAY), 100).await.unwrap() > 0 {}
    log_in(&store, &Rng::seeded(99)).await;
}

/// The file is as large as what lives in it, not as all that ever did.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_stays_as_large_as_the_living_sessions_need() {
    const LIVING: usize = 3000;
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let mut sizes = Vec::new();
    for round in 0..8u32 {
        let rng = Rng::seeded(u64::from(round));
        let mut tasks = JoinSet::new();
        for _ in 0..LIVING {
            let store = store.clone();
            let (id, mut record) = fresh(&rng);
            record.expires = NOW + DAY * (round + 1);
            tasks.spawn(async move { drop(store.write(id, Write::Create(record)).await.unwrap()) });
        }
        tasks.join_all().await;
        while store.sweep(conformance::deletion_at(NOW + DAY * round), 500).await.unwrap() > 0 {}
        sizes.push(fs::metadata(directory.path().join(Sqlite::FILE)).unwrap().len());
    }
    let pages = |count: u64| count * 4096;
    // The last round's sessions, its predecessor's places, and what is kept for the next logins.
    let bound = pages(LIVING as u64 * 2 * 250 / 4096 + 256 + 64);
    assert!(sizes.iter().all(|size| *size <= bound), "{sizes:?} over {bound}");
    while store.sweep(conformance::deletion_at(NOW + DAY * 100), 500).await.unwrap() > 0 {}
    drop(store);
    let size = fs::metadata(directory.path().join(Sqlite::FILE)).unwrap().len();
    assert!(size <= pages(256 + 64), "{size} when empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_whole_and_has_a_log_of_its_own() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let rng = Rng::seeded(1);
    let (gone, kept) = (log_in(&store, &rng).await, log_in(&store, &rng).await);
    let entries = store.end(&[(EndRequest::Session(gone), Hold::lasting(DAY))], Some(NOW)).await.unwrap();
    let elsewhere = TempDir::new().unwrap();
    let copy = elsewhere.path().join(Sqlite::FILE);
    store.backup(&copy).await.unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1, "a backup is one file");
    assert!(matches!(store.backup(&copy).await, Err(StoreError::Unavailable(_))), "no file is overwritten");
    let late = log_in(&store, &rng).await;

    let restored = open(elsewhere.path());
    assert_eq!(restored.check().await.unwrap(), Vec::<String>::new());
    assert!(restored.read(kept).await.unwrap().is_some());
    assert_eq!((restored.read(gone).await.unwrap(), restored.read(late).await.unwrap()), (None, None));
    let (old, new) = (store.log_head().await.unwrap(), restored.log_head().await.unwrap());
    assert_ne!(new.incarnation, old.incarnation, "whoever followed the old log must not go on with this one");
    assert_eq!(restored.log_since(Since::Line(old), Some(NOW)).await.unwrap().entries, entries);
    assert!(restored.log_since(Since::Line(old), Some(NOW)).await.unwrap().snapshot);
    assert_eq!(restored.installation().await.unwrap(), store.installation().await.unwrap());
    assert!(store.size().unwrap() > 0);
}
