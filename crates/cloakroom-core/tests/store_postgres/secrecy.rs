//! What stands in the database, and what is told of it.

use aws_lc_rs::digest::{SHA256, digest};
use cloakroom_core::{
    ids::{AccountId, SessionId},
    random::Rng,
    revocation::Hold,
    session::{Write, Written},
    store::{AccountStore, Basis, EndRequest, Service, SessionStore, StoreError, conformance::deletion_at},
};

use crate::{DAY, NOW, database::Database, fresh, record, register};

/// F123: what stands in the tables is no credential. A session is there under its id, which is a hash of the secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_holds_no_secret() {
    let database = Database::create().await;
    let store = database.open().await;
    let rng = Rng::seeded(1);
    let secret = rng.bytes::<16>();
    let id: [u8; 16] = digest(&SHA256, &secret).as_ref()[..16].try_into().unwrap();
    let (_, record) = fresh(&rng);
    let _ = store.write(SessionId::from_bytes(id), Write::Create(record)).await.unwrap();
    store.end(&[(EndRequest::Session(SessionId::from_bytes(id)), Hold::lasting(DAY))], Some(NOW)).await.unwrap();
    let tool = database.tool().await;
    let tables = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname LIKE 'cloakroom%'";
    let mut dump = String::new();
    for table in tool.query(tables, &[]).await.unwrap() {
        let rows = format!("SELECT t::text FROM {} AS t", table.get::<_, &str>(0));
        for row in tool.query(&rows, &[]).await.unwrap() {
            dump.push_str(row.get(0));
        }
    }
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    assert!(dump.contains(&hex(&id)));
    assert!(!dump.contains(&hex(&secret[..8])) && !dump.contains(&hex(&secret[8..])));
}

/// F128: what a failed statement was bound to, and the statement itself, are in no error; PostgreSQL's own text has both.
#[tokio::test(flavor = "multi_thread")]
async fn no_error_holds_a_bound_value() {
    let database = Database::create().await;
    let store = database.open().await;
    let tool = database.tool().await;
    tool.batch_execute("ALTER TABLE cloakroom_accounts ADD CHECK (typed NOT LIKE 'sesame%')").await.unwrap();
    let rng = Rng::seeded(1);
    let service = Service { id: "sesame-7351".into(), name: "sesame".into(), secret_hash: rng.bytes(), created: NOW };
    store.add_service(service.clone()).await.unwrap();
    let id = AccountId::generate(NOW, &rng);
    let email = cloakroom_core::account::EmailAddress::parse("sesame@example.com").unwrap();
    let account = cloakroom_core::account::Account {
        id,
        email,
        name: None,
        state: cloakroom_core::account::AccountState::Active,
        epoch: cloakroom_core::ids::Epoch(0),
        created: NOW,
    };
    let mut failures = vec![
        store.add_service(service).await.unwrap_err(),
        store.create(cloakroom_core::store::NewAccount { account, password: None }).await.unwrap_err(),
    ];
    tool.batch_execute("ALTER TABLE cloakroom_accounts RENAME TO others").await.unwrap();
    failures.push(store.login("sesame@example.com").await.unwrap_err());
    failures.push(
        store.end(&[(EndRequest::Account(id, Basis::Operator), Hold::lasting(DAY))], Some(NOW)).await.unwrap_err(),
    );
    for failure in failures {
        let text = format!("{failure} {failure:?}");
        assert!(text.contains("SQLSTATE"), "{text}");
        assert!(!text.contains("sesame") && !text.contains("SELECT") && !text.contains("cloakroom_"), "{text}");
    }
}

/// F007: a damaged record counts as no session, can be deleted, and does not take the list or the sweep with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_record_counts_as_none() {
    let database = Database::create().await;
    let store = database.open().await;
    let rng = Rng::seeded(1);
    let account = register(&store, "ada@example.com", &rng).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let id = SessionId::from_bytes(rng.bytes());
        let _ = store.write(id, Write::Create(record(account, NOW + DAY))).await.unwrap();
        ids.push(id);
    }
    let tool = database.tool().await;
    for (id, broken) in ids.iter().zip(["method = 99", "app = ''", "client = '\\x01020304'", "generation = -1"]) {
        let break_it = format!("UPDATE cloakroom_sessions SET {broken} WHERE sid = $1");
        tool.execute(&break_it, &[&&id.bytes()[..]]).await.unwrap();
    }
    for id in &ids[..4] {
        assert_eq!(store.read(*id).await.unwrap(), None);
        assert_eq!(store.write(*id, Write::Touch(NOW + DAY)).await.unwrap(), Written::Absent);
    }
    let listed = store.list(account, None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids[4..]);
    assert_eq!(store.write(ids[0], Write::Delete).await.unwrap(), Written::Done(None));
    assert_eq!(store.sweep(deletion_at(NOW + DAY), 10).await.unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_in_no_debug_form_of_the_store() {
    let database = Database::create().await;
    let store = database.open().await;
    let password = database.text().split([':', '@']).nth(2).unwrap();
    assert!(password.len() > 20);
    for text in [format!("{store:?}"), format!("{:?}", database.url("")), database.url("").to_string()] {
        assert!(!text.contains(password), "{text}");
    }
    let wrong = database.text().replace(password, "sesame-7351");
    let url = cloakroom_core::store::postgres::Url::parse(&wrong).unwrap();
    let Err(StoreError::Unavailable(why)) = cloakroom_core::store::postgres::Postgres::open(&url).await else {
        panic!("a wrong password opens nothing")
    };
    assert!(why.contains("password") && !why.contains("sesame"), "{why}");
}
