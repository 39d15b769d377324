//! Handlers that stand still: what was good when it was sent is no theft because an answer took long.

mod lab;

use std::{sync::Arc, time::Duration};

use cloakroom_core::{
    clock::{Clock, Timestamp},
    engine::{Client, Credentials, SignedIn},
    refusal::Reason,
    store::{
        SessionStore, Stores,
        sqlite::{Options, Sqlite},
    },
};
use lab::{Lab, open_on, socket::Socket};

const GRACE: Duration = Duration::from_secs(30);

async fn start() -> (Lab, Socket) {
    let (clock, hands) = Clock::manual(Timestamp::from_secs(1_800_000_000));
    let dir = tempfile::tempdir().unwrap();
    let (accounts, socket) = (Sqlite::open(dir.path(), &Options::default()).unwrap(), Socket::new());
    let stores = Stores { accounts: Arc::new(accounts), sessions: Arc::new(socket.clone()), end_deletes: false };
    let engine = open_on(stores, dir.path(), clock, |app| app.refresh_grace = GRACE).await.unwrap();
    (Lab { engine, hands, client: Client::new(None, None), dir }, socket)
}

fn refresh_token(signed_in: &SignedIn) -> String {
    let Credentials::Tokens(tokens) = &signed_in.credentials else { panic!("it has no tokens") };
    tokens.refresh.expose().to_owned()
}

/// R24: two tabs hold one token. One renews; the other's request stood in a server that stood still, and is judged after the
/// grace period. Nobody is signed out for that; a real thief is found out all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_stood_still_takes_nobody_for_a_thief() {
    for (stood, reason) in [
        (Duration::ZERO, Reason::GenerationReused),
        (Duration::from_secs(20), Reason::GenerationReused),
        (Duration::from_secs(21), Reason::StoreDown),
        (GRACE * 4, Reason::StoreDown),
    ] {
        let (lab, socket) = start().await;
        let signed_in = lab.login("ada", "api").await;
        let token = refresh_token(&signed_in);
        lab.hands.advance(GRACE);
        let renewed = lab.renew(&token).await.unwrap();
        lab.hands.advance(GRACE);
        let (hands, mut once) = (lab.hands.clone(), Some(stood));
        socket.before_find(move || hands.advance(once.take().unwrap_or_default()));
        assert_eq!(lab.renew(&token).await.unwrap_err().reason, reason, "after {stood:?}");
        let lives = reason == Reason::StoreDown;
        assert_eq!(socket.read(signed_in.session).await.unwrap().is_some(), lives, "after {stood:?}");
        assert_eq!(lab.renew(renewed.tokens.refresh.expose()).await.is_ok(), lives, "after {stood:?}");
        // Asked again by who moves, it is what it is.
        let again = if lives { Reason::GenerationReused } else { Reason::SessionEnded };
        assert_eq!(lab.renew(&token).await.unwrap_err().reason, again, "after {stood:?}");
    }
}
