//! What a wrong clock costs a server that has its stores for itself: their time is the machine's.

mod lab;

use std::time::Duration;

use cloakroom_core::{
    audit::Filter,
    clock::Timestamp,
    engine::{Credentials, SignedIn, Which},
    refusal::Code,
};
use lab::{Lab, START};

const DAY: Duration = Duration::from_hours(24);

/// Somebody who is signed in, and somebody who has signed out of what keeps no record.
async fn two_people(lab: &Lab) -> (SignedIn, SignedIn) {
    let (stays, goes) = (lab.login("ada", "web").await, lab.login("grace", "stateless").await);
    assert!(lab.engine.sign_out(&Lab::access(&goes), Which::This, &lab.client).await.unwrap());
    (stays, goes)
}

/// The first is still known, and the second still refused.
async fn nothing_was_lost(lab: &Lab, (stays, goes): &(SignedIn, SignedIn)) {
    lab.verify(&Lab::access(stays)).await.unwrap();
    let Credentials::Tokens(tokens) = &goes.credentials else { panic!("no tokens") };
    assert_eq!(lab.renew(tokens.refresh.expose()).await.unwrap_err().code(), Code::SessionRevoked);
    lab.engine.flush().await.unwrap();
    let events = lab.engine.stores().accounts.audit_page(&Filter::default(), 100).await.unwrap();
    assert!(events.len() >= 3, "{events:?}");
}

/// Forty seconds of a server's upkeep.
async fn serve_for_a_while(lab: &Lab) {
    for _ in 0..4 {
        lab.hands.advance(Duration::from_secs(10));
        lab.engine.verifier().renew_lease().await.unwrap();
        lab.engine.sweep().await.unwrap();
    }
}

async fn set_wall(lab: &Lab, to: Timestamp) {
    lab.hands.set_wall(to);
    lab.engine.verifier().renew_lease().await.unwrap();
}

/// R8: the clock is a hundred days ahead for a while, and is set right.
#[tokio::test]
async fn a_clock_that_leaps_ahead_deletes_nothing() {
    let lab = Lab::start().await;
    let people = two_people(&lab).await;
    set_wall(&lab, START + DAY * 100).await;
    assert_eq!(lab.verify(&Lab::access(&people.0)).await.unwrap_err().code(), Code::SessionExpired);
    serve_for_a_while(&lab).await;
    set_wall(&lab, START + Duration::from_secs(40)).await;
    nothing_was_lost(&lab, &people).await;
    serve_for_a_while(&lab).await;
    nothing_was_lost(&lab, &people).await;
}

/// R8: a server is started with a clock that is a hundred days ahead, and again with the right one; the same where this is
/// the first start of a release that has a clock of deletion.
#[tokio::test]
async fn a_start_with_a_clock_that_is_ahead_deletes_nothing() {
    for upgraded in [false, true] {
        let lab = Lab::start().await;
        let people = two_people(&lab).await;
        lab.engine.flush().await.unwrap();
        if upgraded {
            let accounts = &lab.engine.stores().accounts;
            let stands = accounts.deletion_clock(None).await.unwrap().stands;
            assert!(accounts.move_deletion_clock(stands, Timestamp::default()).await.unwrap());
        }
        let wrong = lab.restart(START + DAY * 100).await;
        serve_for_a_while(&wrong).await;
        let lab = wrong.restart(START + Duration::from_secs(60)).await;
        nothing_was_lost(&lab, &people).await;
        serve_for_a_while(&lab).await;
        nothing_was_lost(&lab, &people).await;
    }
}

/// R8: a clock that was ahead when the store was made keeps nobody out who signs in later, and one that was behind is not
/// waited for.
#[tokio::test]
async fn a_store_that_was_made_by_a_wrong_clock_is_of_use() {
    for wrong in [START + DAY * 100, Timestamp::from_secs(5)] {
        let lab = Lab::start().await.restart(wrong).await;
        let accounts = &lab.engine.stores().accounts;
        let stands = accounts.deletion_clock(None).await.unwrap().stands;
        assert!(accounts.move_deletion_clock(stands, wrong).await.unwrap());
        let lab = lab.restart(START).await;
        let signed_in = lab.login("ada", "web").await;
        serve_for_a_while(&lab).await;
        lab.verify(&Lab::access(&signed_in)).await.unwrap();
        lab.hands.advance(DAY * 31);
        lab.engine.verifier().renew_lease().await.unwrap();
        lab.engine.sweep().await.unwrap();
        assert_eq!(lab.engine.stores().sessions.read(signed_in.session).await.unwrap(), None, "{wrong:?}");
    }
}

/// What is over goes by and by after a long pause: twice as fast as time passes, until nothing is left over.
#[tokio::test]
async fn a_server_that_was_off_for_long_catches_up() {
    let lab = Lab::start().await;
    let signed_in = lab.login("ada", "web").await;
    lab.engine.flush().await.unwrap();
    let lab = lab.restart(START + DAY * 40).await;
    let there = async |lab: &Lab| lab.engine.stores().sessions.read(signed_in.session).await.unwrap().is_some();
    lab.engine.sweep().await.unwrap();
    assert!(there(&lab).await);
    for day in 1..=15 {
        lab.hands.advance(DAY);
        lab.engine.sweep().await.unwrap();
        assert_eq!(there(&lab).await, day < 15, "{day}");
    }
}
