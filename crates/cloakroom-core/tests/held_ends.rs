//! How long what has ended is known: at servers of other settings, at one that starts later, and for as long as a refresh
//! token lives.

mod lab;

use std::time::Duration;

use cloakroom_core::{
    app::App,
    clock::{Clock, ManualClock, Timestamp},
    engine::{Client, Proof, Which},
    method::OnFeedLoss,
    refusal::{Reason, Refusal},
    revocation::VERIFIERS_HOLD,
    store::{
        Stores,
        sqlite::{Options, Sqlite},
    },
};
use lab::{Lab, PASSWORD};

/// Servers of one store, each with its own settings.
struct Servers {
    dir: tempfile::TempDir,
    stores: Stores,
    clock: Clock,
    hands: ManualClock,
}

impl Servers {
    fn over_one_store() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stores = Sqlite::open(dir.path(), &Options::default()).unwrap().stores();
        let (clock, hands) = Clock::manual(Timestamp::from_secs(1_800_000_000));
        Self { dir, stores, clock, hands }
    }

    async fn start(&self, change: impl Fn(&mut App)) -> Lab {
        let engine = lab::open_on(self.stores.clone(), self.dir.path(), self.clock.clone(), change).await.unwrap();
        let client = Client::new(Some([203, 0, 113, 7].into()), Some("curl/8"));
        Lab { engine, hands: self.hands.clone(), client, dir: tempfile::tempdir().unwrap() }
    }

    /// One whose access tokens live for so many minutes, and that refuses without a lease.
    async fn with_tokens_of(&self, minutes: u64) -> Lab {
        self.start(|app| {
            app.access_token_lifetime = Duration::from_secs(minutes * 60);
            app.on_feed_loss = OnFeedLoss::Refuse;
        })
        .await
    }

    /// Time passes, and each of them hears the log.
    async fn pass(&self, by: Duration, servers: &[&Lab]) {
        self.hands.advance(by);
        for server in servers {
            server.engine.verifier().renew_lease().await.unwrap();
            server.engine.sweep().await.unwrap();
        }
    }
}

async fn refused(server: &Lab, token: &str) -> Option<Reason> {
    server.verify(token).await.err().map(|refusal| refusal.reason)
}

const MINUTE: Duration = Duration::from_secs(60);

/// R15: a rolling restart that raises `access_token_lifetime`. Who ends a session may have short tokens, and who accepts one
/// long ones: it is refused for as long as it lives.
#[tokio::test]
async fn an_end_is_held_for_as_long_as_the_holder_accepts_tokens() {
    let servers = Servers::over_one_store();
    let (short, long) = (servers.with_tokens_of(5).await, servers.with_tokens_of(60).await);
    let ada = long.login("ada", "api").await;
    let everywhere = long.login("eve", "api").await;
    let tokens = [Lab::access(&ada), Lab::access(&everywhere)];
    for token in &tokens {
        assert_eq!(refused(&long, token).await, None);
    }
    servers.pass(Duration::from_secs(1), &[&short, &long]).await;
    assert!(short.engine.sign_out(refresh(&ada), Which::This, &short.client).await.unwrap());
    assert!(short.engine.sign_out(refresh(&everywhere), Which::Everywhere, &short.client).await.unwrap());
    // A token's lifetime is cut by up to a twentieth.
    for _ in 0..56 {
        servers.pass(MINUTE, &[&short, &long]).await;
        let reasons = [refused(&long, &tokens[0]).await, refused(&long, &tokens[1]).await];
        assert_eq!(reasons, [Some(Reason::SessionEnded), Some(Reason::SessionEnded)]);
    }
    servers.pass(MINUTE * 5, &[&long]).await;
    assert_eq!(refused(&long, &tokens[0]).await, Some(Reason::TokenExpired));
    servers.pass(VERIFIERS_HOLD, &[&long]).await;
    assert_eq!(long.engine.verifier().counts().ended, 0, "and for no longer than that");
}

/// R19: who starts later is told of every end that a token could outlive, whoever wrote it.
#[tokio::test]
async fn a_server_that_starts_later_hears_what_has_ended() {
    let servers = Servers::over_one_store();
    let (short, long) = (servers.with_tokens_of(5).await, servers.with_tokens_of(60).await);
    let ada = long.login("ada", "api").await;
    let eve = long.login("eve", "api").await;
    short.engine.sign_out(refresh(&ada), Which::This, &short.client).await.unwrap();
    short.engine.sign_out(refresh(&eve), Which::Everywhere, &short.client).await.unwrap();
    for minute in [10, 30, 56] {
        servers.pass((MINUTE * minute).saturating_sub(servers.clock.now().since(START)), &[&short]).await;
        let later = servers.with_tokens_of(60).await;
        for person in [&ada, &eve] {
            let token = Lab::access(person);
            assert_eq!(refused(&later, &token).await, Some(Reason::SessionEnded), "after {minute} minutes");
        }
    }
}

/// What ended long ago is in no set and no snapshot: not the sign-out of a session without a record either, of which the log
/// is asked at each renewal.
#[tokio::test]
async fn what_no_access_token_outlives_is_held_by_nobody_and_refused_all_the_same() {
    let servers = Servers::over_one_store();
    let server = servers.with_tokens_of(5).await;
    let ada = server.login("ada", "stateless").await;
    server.engine.sign_out(refresh(&ada), Which::This, &server.client).await.unwrap();
    servers.pass(Duration::from_secs(1), &[&server]).await;
    servers.pass(VERIFIERS_HOLD + MINUTE, &[&server]).await;
    let later = servers.with_tokens_of(5).await;
    for server in [&server, &later] {
        assert_eq!(server.engine.verifier().counts().ended, 0);
        // Once from the file, once from what the store remembers of the account.
        for _ in 0..2 {
            assert_eq!(renewal(server, refresh(&ada)).await, Err(Reason::SessionEnded));
        }
    }
}

/// R36: the setting is lowered and raised again. The log keeps the end of a session without a record for as long as its refresh
/// token says that it lives; and where none was shown, for as long as any could.
#[tokio::test]
async fn the_end_of_a_session_without_a_record_outlives_its_refresh_token() {
    for by in [By::RefreshToken, By::AccessToken, By::Id, By::Revocation] {
        let servers = Servers::over_one_store();
        let before = servers.with_tokens_of(5).await;
        let ada = before.login("ada", "stateless").await;
        let other = before.login("ada", "stateless").await;
        let lowered = servers.start(|app| app.absolute_timeout = Duration::from_secs(3600)).await;
        let (engine, client) = (&lowered.engine, &lowered.client);
        match by {
            By::RefreshToken => drop(engine.sign_out(refresh(&ada), Which::This, client).await.unwrap()),
            By::AccessToken => drop(engine.sign_out(&Lab::access(&ada), Which::This, client).await.unwrap()),
            By::Id => engine.revoke(ada.session, client).await.unwrap(),
            By::Revocation => engine.revoke_token(&Lab::access(&ada), client).await.unwrap(),
        }
        servers.pass(DAY * 3, &[&lowered]).await;
        let raised = servers.with_tokens_of(5).await;
        assert_eq!(renewal(&raised, refresh(&ada)).await, Err(Reason::SessionEnded), "{by:?}");
        assert_eq!(renewal(&raised, refresh(&other)).await, Ok(()));
    }
}

#[derive(Clone, Copy, Debug)]
enum By {
    RefreshToken,
    AccessToken,
    Id,
    Revocation,
}

/// Ended once is ended: another line would say nothing, whoever repeats it and how.
#[tokio::test]
async fn a_session_without_a_record_ends_once() {
    let servers = Servers::over_one_store();
    let server = servers.with_tokens_of(5).await;
    let ada = server.login("ada", "stateless").await;
    let (engine, client) = (&server.engine, &server.client);
    engine.sign_out(&Lab::access(&ada), Which::This, client).await.unwrap();
    let head = engine.log_head().await.unwrap();
    for _ in 0..3 {
        engine.sign_out(refresh(&ada), Which::This, client).await.unwrap();
        engine.sign_out(&Lab::access(&ada), Which::This, client).await.unwrap();
        engine.revoke(ada.session, client).await.unwrap();
        servers.pass(VERIFIERS_HOLD + MINUTE, &[&server]).await;
    }
    // After a minute it is written once more, for a log that may have lost it, and then never again.
    assert!(engine.log_head().await.unwrap().sequence <= head.sequence + 1);
}

/// R1: one who signs all others out, time and again, takes one entry of the set; and when that is full nobody else notices.
#[tokio::test]
async fn a_flood_of_ends_is_felt_by_nobody_else() {
    let lab = Lab::start_with_room(50).await;
    let (bob, carol) = (lab.login("bob", "api").await, lab.login("carol", "web").await);
    let mallory = lab.login("mallory", "web").await;
    for _ in 0..50 {
        lab.hands.advance(Duration::from_secs(1));
        let identity = lab.verify(&Lab::access(&mallory)).await.unwrap();
        lab.engine.end_others(&identity, Proof::SignIn, &lab.client).await.unwrap();
    }
    assert_eq!(lab.engine.verifier().counts().ended, 1);

    // With many accounts and sessions he fills it all the same.
    for n in 0..100 {
        let one = lab.login(&format!("mallory{}", n % 4), "stateless").await;
        lab.engine.sign_out(refresh(&one), Which::This, &lab.client).await.unwrap();
        assert_eq!(refused(&lab, &Lab::access(&one)).await, Some(Reason::SessionEnded));
    }
    let counts = lab.engine.verifier().counts();
    assert_eq!((counts.ended, counts.marks), (50, 51));
    assert_eq!(lab.engine.ready().await, []);
    lab.engine.verifier().renew_lease().await.unwrap();
    for _ in 0..5 {
        assert_eq!(refused(&lab, &Lab::access(&bob)).await, None);
        assert_eq!(refused(&lab, &Lab::access(&carol)).await, None);
        lab.renew(refresh(&bob)).await.unwrap();
    }
    assert!(lab.engine.verifier().counts().asked <= 52, "once for each mark, and most are none of theirs");
    assert!(lab.try_login("bob", PASSWORD, "api").await.is_ok());
}

fn refresh(signed_in: &cloakroom_core::engine::SignedIn) -> &str {
    Lab::refresh(signed_in)
}

async fn renewal(server: &Lab, token: &str) -> Result<(), Reason> {
    server.renew(token).await.map(|_| ()).map_err(|refusal: Refusal| refusal.reason)
}

const START: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);
