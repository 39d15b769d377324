//! Which databases are taken, and which are refused with a word about why.

use cloakroom_core::store::{AccountStore, StoreError, postgres::Postgres};
use tokio::task::JoinSet;

use crate::database::Database;

async fn refusal(database: &Database, options: &str) -> String {
    match Postgres::open(&database.url(options)).await {
        Err(StoreError::Foreign(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_at_once_make_the_tables_once() {
    let database = Database::create().await;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let url = database.url("pool_size=2&listen=off");
        tasks.spawn(async move { Postgres::open(&url).await.unwrap().installation().await.unwrap().id });
    }
    let ids = tasks.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]));
}

/// F071: an upgrade adds, and servers of this release go on beside it.
#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_later_release_are_used_as_long_as_that_release_allows_it() {
    let database = Database::create().await;
    let store = database.open().await;
    let tool = database.tool().await;
    tool.batch_execute("UPDATE cloakroom_schema SET version = 99; ALTER TABLE cloakroom_sessions ADD COLUMN more text")
        .await
        .unwrap();
    let beside = database.open().await;
    assert_eq!(beside.installation().await.unwrap(), store.installation().await.unwrap());
    tool.batch_execute("UPDATE cloakroom_schema SET min_reader = 99").await.unwrap();
    let why = refusal(&database, "").await;
    assert!(why.contains("later release") && why.contains("99"), "{why}");
    // A server that runs already notices with its next connection.
    tool.batch_execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )
    .await
    .unwrap();
    let error = loop {
        if let Err(StoreError::Foreign(why)) = store.log_head().await {
            break why;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!(error, why);
    assert_eq!(tool.query("SELECT 1 FROM cloakroom_installation", &[]).await.unwrap().len(), 1, "nothing is touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_not_ours_are_left_alone() {
    let database = Database::create().await;
    let tool = database.tool().await;
    tool.batch_execute("CREATE TABLE cloakroom_accounts (mine text); INSERT INTO cloakroom_accounts VALUES ('x')")
        .await
        .unwrap();
    let why = refusal(&database, "").await;
    assert!(why.contains("cannot be made"), "{why}");
    assert_eq!(tool.query("SELECT mine FROM cloakroom_accounts", &[]).await.unwrap().len(), 1);
    let made = tool.query("SELECT 1 FROM pg_class WHERE relname = 'cloakroom_log'", &[]).await.unwrap();
    assert!(made.is_empty(), "all of the tables are made, or none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_ones_own_is_found_by_the_search_path() {
    let database = Database::create().await;
    let tool = database.tool().await;
    tool.batch_execute("CREATE SCHEMA coats").await.unwrap();
    let options = "options=-c%20search_path%3Dcoats";
    let store = Postgres::open(&database.url(options)).await.unwrap();
    let id = store.installation().await.unwrap().id;
    drop(store);
    let there = tool.query("SELECT 1 FROM coats.cloakroom_installation", &[]).await.unwrap();
    assert_eq!(there.len(), 1);
    assert_eq!(Postgres::open(&database.url(options)).await.unwrap().installation().await.unwrap().id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_the_right_to_make_tables_is_told_which_it_needs() {
    let database = Database::create().await;
    for schema in ["nowhere", "pg_catalog"] {
        let why = refusal(&database, &format!("options=-c%20search_path%3D{schema}")).await;
        assert!(why.contains("GRANT CREATE"), "{why}");
    }
}

/// F125: what PostgreSQL would acknowledge and lose is refused, or put right where that is ours to do.
#[tokio::test(flavor = "multi_thread")]
async fn commits_that_do_not_wait_for_the_disk_are_refused_where_they_cannot_be_changed() {
    let database = Database::create().await;
    let name = database.text().rsplit_once('/').unwrap().1.to_owned();
    let alter = format!("ALTER DATABASE {name} SET synchronous_commit = off");
    database.tool().await.batch_execute(&alter).await.unwrap();
    Postgres::open(&database.url("")).await.unwrap();
    match Postgres::open(&database.pooled("")).await {
        Err(StoreError::Foreign(why)) => assert!(why.contains("SET synchronous_commit = on"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_encoding_is_refused() {
    let database = Database::create().await;
    let name = format!("{}_latin", database.text().rsplit_once('/').unwrap().1);
    let tool = database.tool().await;
    let create = format!("CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    tool.batch_execute(&create).await.unwrap();
    let server = database.text().rsplit_once('/').unwrap().0;
    let url = cloakroom_core::store::postgres::Url::parse(&format!("{server}/{name}")).unwrap();
    let refused = Postgres::open(&url).await;
    tool.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    match refused {
        Err(StoreError::Foreign(why)) => assert!(why.contains("LATIN1") && why.contains("UTF8"), "{why}"),
        other => panic!("{other:?}"),
    }
}
