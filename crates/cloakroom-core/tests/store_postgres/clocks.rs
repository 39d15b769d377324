//! Servers whose clocks are wrong, beside others on one database: they go by the database's.

use std::time::Duration;

use cloakroom_core::{
    audit::Filter,
    clock::{Timestamp, machine_time},
    engine::{Credentials, Which},
    refusal::Code,
    revocation::Since,
    store::AccountStore,
};
use tempfile::TempDir;

use crate::{DAY, database::Database, lab::Lab};

async fn beside(database: &Database, secret: &TempDir, wall: Timestamp) -> Lab {
    Lab::beside(database.open().await.stores(), secret.path(), wall).await
}

/// R22, R8: of two servers one is a hundred days ahead, and sweeps for 40 s.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_ahead_deletes_nothing() {
    let (database, secret) = (Database::create().await, tempfile::tempdir().unwrap());
    let right = beside(&database, &secret, machine_time()).await;
    let (stays, goes) = (right.login("ada", "web").await, right.login("grace", "stateless").await);
    assert!(right.engine.sign_out(&Lab::access(&goes), Which::This, &right.client).await.unwrap());
    let wrong = beside(&database, &secret, machine_time() + DAY * 100).await;
    for _ in 0..4 {
        wrong.hands.advance(Duration::from_secs(10));
        wrong.engine.sweep().await.unwrap();
        wrong.engine.tend_keys().await;
    }
    let Credentials::Tokens(tokens) = &goes.credentials else { panic!("no tokens") };
    for lab in [&right, &wrong] {
        lab.verify(&Lab::access(&stays)).await.unwrap();
        assert_eq!(lab.renew(tokens.refresh.expose()).await.unwrap_err().code(), Code::SessionRevoked);
    }
    right.engine.flush().await.unwrap();
    assert!(right.engine.stores().accounts.audit_page(&Filter::default(), 100).await.unwrap().len() >= 3);
}

/// R19: what servers with clocks that are far off make is good at each other's, and what they end is refused at one that
/// starts afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn servers_with_wrong_clocks_understand_each_other() {
    let (database, secret) = (Database::create().await, tempfile::tempdir().unwrap());
    let behind = beside(&database, &secret, machine_time() - Duration::from_secs(600)).await;
    let ahead = beside(&database, &secret, machine_time() + DAY * 31).await;
    let mut ended = Vec::new();
    for (here, there) in [(&behind, &ahead), (&ahead, &behind)] {
        for app in ["web", "api", "edge", "stateless"] {
            let signed_in = here.login("ada", app).await;
            there.verify(&Lab::access(&signed_in)).await.unwrap();
            if let Credentials::Tokens(tokens) = &signed_in.credentials {
                there.renew(tokens.refresh.expose()).await.unwrap();
            }
            assert!(here.engine.sign_out(&Lab::access(&signed_in), Which::This, &here.client).await.unwrap());
            ended.push(signed_in);
        }
    }
    let late = beside(&database, &secret, machine_time() + DAY).await;
    for signed_in in &ended {
        assert_eq!(late.verify(&Lab::access(signed_in)).await.unwrap_err().code(), Code::SessionRevoked);
        if let Credentials::Tokens(tokens) = &signed_in.credentials {
            assert_eq!(late.renew(tokens.refresh.expose()).await.unwrap_err().code(), Code::SessionRevoked);
        }
    }
    let now = database.open().await.time(None).await.unwrap();
    for entry in late.engine.ended_since(Since::Ever).await.unwrap().entries {
        assert!(entry.at.is_some_and(|at| at <= now && now.since(at) < Duration::from_secs(120)), "{entry:?}");
    }
}
