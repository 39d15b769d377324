//! Sessions that stand apart from the log of what has ended. An end is two writes there, and other servers know nothing of the
//! session's record: whatever an end leaves behind, the next server that meets the session completes it.

mod lab;

use std::{sync::Arc, time::Duration};

use cloakroom_core::{
    clock::{Clock, Timestamp},
    engine::{Client, Credentials, SignedIn, Which},
    ids::SessionId,
    refusal::Reason,
    revocation::Hold,
    store::{
        AccountStore, EndRequest, SessionStore, Stores,
        memory::MemorySessions,
        sqlite::{Options, Sqlite},
    },
};
use lab::{Lab, open_on};
use tempfile::TempDir;

/// Longer than any verifier holds an end.
const LATER: Duration = Duration::from_hours(2);

/// Two servers that share their accounts; each one has its sessions for itself.
struct Pair {
    here: Lab,
    there: Lab,
    accounts: Sqlite,
    _shared: TempDir,
}

/// Where a server keeps its own sessions.
#[derive(Clone, Copy, Debug)]
enum Kept {
    InMemory,
    InSqlite,
}

impl Kept {
    const ALL: [Self; 2] = [Self::InMemory, Self::InSqlite];

    fn open(self, dir: &TempDir) -> Arc<dyn SessionStore> {
        match self {
            Self::InMemory => Arc::new(MemorySessions::new()),
            Self::InSqlite => Arc::new(Sqlite::open(&dir.path().join("sessions"), &Options::default()).unwrap()),
        }
    }
}

impl Pair {
    async fn start(kept: Kept) -> Self {
        let (clock, hands) = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let shared = tempfile::tempdir().unwrap();
        let accounts = Sqlite::open(shared.path(), &Options::default()).unwrap();
        let server = async || {
            let dir = tempfile::tempdir().unwrap();
            let sessions = kept.open(&dir);
            let stores = Stores { accounts: Arc::new(accounts.clone()), sessions, end_deletes: false };
            let engine = open_on(stores, shared.path(), clock.clone(), |_| {}).await.unwrap();
            Lab { engine, hands: hands.clone(), client: Client::new(None, None), dir }
        };
        let (here, there) = (server().await, server().await);
        Self { here, there, accounts, _shared: shared }
    }

    async fn is_stored(&self, signed_in: &SignedIn) -> bool {
        self.here.engine.stores().sessions.read(signed_in.session).await.unwrap().is_some()
    }

    /// An end that was cut between its line and the deletion of the record, as by a crash.
    async fn cut_end(&self, session: SessionId) {
        let ends = [(EndRequest::Session(session), Hold::lasting(Duration::from_secs(340)))];
        self.accounts.end(&ends, self.here.engine.clock().by_hand()).await.unwrap();
    }
}

/// R21: the server that keeps a session is not the one that ended it.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_ended_is_not_forgotten_here() {
    for kept in Kept::ALL {
        let pair = Pair::start(kept).await;
        let (ended, goes_on) = (pair.here.login("ada", "web").await, pair.here.login("ada", "web").await);
        let credential = Lab::access(&ended);
        assert!(pair.there.engine.sign_out(&credential, Which::This, &pair.there.client).await.unwrap());
        pair.here.hands.advance(LATER);
        let refused = pair.here.verify(&credential).await.unwrap_err();
        assert_eq!(refused.reason, Reason::SessionEnded, "{kept:?}");
        assert!(!pair.is_stored(&ended).await, "{kept:?}");
        pair.here.verify(&Lab::access(&goes_on)).await.unwrap();
    }
}

/// R4, R21: of an end that was cut in half, the half that was written counts.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_cut_is_completed_by_whoever_meets_the_session() {
    for kept in Kept::ALL {
        let pair = Pair::start(kept).await;
        for app in ["web", "api"] {
            let cut = pair.here.login("ada", app).await;
            pair.cut_end(cut.session).await;
            pair.here.hands.advance(LATER);
            assert!(pair.is_stored(&cut).await, "{kept:?}");
            let reason = match &cut.credentials {
                Credentials::Ticket(ticket) => pair.here.verify(ticket.expose()).await.unwrap_err().reason,
                Credentials::Tokens(tokens) => pair.here.renew(tokens.refresh.expose()).await.unwrap_err().reason,
            };
            assert_eq!(reason, Reason::SessionEnded, "{kept:?}, {app}");
            assert!(!pair.is_stored(&cut).await, "{kept:?}, {app}");
        }
    }
}

/// R4, R21: the log may forget an end as soon as its session is gone everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn ends_are_given_to_the_store_again_though_nobody_asks_for_the_session() {
    for kept in Kept::ALL {
        let pair = Pair::start(kept).await;
        let (cut, goes_on) = (pair.here.login("ada", "web").await, pair.here.login("eve", "web").await);
        pair.cut_end(cut.session).await;
        assert_eq!(pair.here.engine.assert_ends().await.unwrap(), 1, "{kept:?}");
        assert!(!pair.is_stored(&cut).await, "{kept:?}");
        assert!(pair.is_stored(&goes_on).await, "{kept:?}");
        assert_eq!(pair.here.engine.assert_ends().await.unwrap(), 0, "{kept:?}: all of it is known to be done");
    }
}
