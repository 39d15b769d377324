//! Exchanges between several engines, over stores that are slow, fail, or stand apart: one old session has one successor,
//! nobody is lost, and what ends the old session ends what took its place.

mod exchanging;
mod lab;

use std::{sync::Arc, time::Duration};

use cloakroom_core::{
    audit::{Filter, Kind},
    engine::{Credentials, Engine, Proof, SignedIn, Which},
    method::Method,
    refusal::{Code, Refusal},
    store::Moving,
    verify::Activity,
};
use exchanging::{Lab, Moment, Sessions, access, long_lived};

/// What is at hand to end a session, by whoever may.
#[derive(Clone, Copy, Debug)]
enum End {
    SignOut,
    AccessToken,
    Device,
    Operator,
    Service,
    Theft,
    NewSignIn,
    Everywhere,
}

const ENDS: [End; 8] = [
    End::SignOut,
    End::AccessToken,
    End::Device,
    End::Operator,
    End::Service,
    End::Theft,
    End::NewSignIn,
    End::Everywhere,
];

/// Ends a `jwt` session at an engine, and says whether that was acknowledged. `first`: its refresh token of generation 0.
async fn end(lab: &Lab, engine: &Arc<Engine>, how: End, old: &SignedIn, first: &str) -> bool {
    let (client, token, id) = (&lab.client, access(old), old.session);
    match how {
        End::SignOut => engine.sign_out(first, Which::This, client).await.unwrap(),
        End::AccessToken => engine.sign_out(&token, Which::This, client).await.unwrap(),
        End::Device => {
            let other = lab.verify(engine, &access(&lab.login_over(engine, &[]).await)).await.unwrap();
            engine.end_own(&other, id, Proof::SignIn, client).await.unwrap()
        }
        End::Operator => engine.revoke(id, client).await.map(|()| true).unwrap(),
        End::Service => engine.revoke_token(first, client).await.map(|()| true).unwrap(),
        End::Theft => lab.renew(engine, first).await.unwrap_err().code() == Code::TokenReused,
        End::NewSignIn => {
            lab.login_over(engine, &[first]).await;
            true
        }
        End::Everywhere => engine.end_account(old.account.id, client).await.map(|()| true).unwrap(),
    }
}

async fn is_refused(lab: &Lab, engine: &Arc<Engine>, credential: &SignedIn) {
    let refused = |refusal: Refusal| assert_ne!(refusal.code(), Code::StoreUnavailable, "{refusal:?}");
    refused(lab.verify(engine, &access(credential)).await.expect_err("it has ended"));
    if matches!(credential.credentials, Credentials::Tokens(_)) {
        refused(lab.renew(engine, &long_lived(credential)).await.expect_err("it has ended"));
    }
}

/// R16: another server ends the old session, in whatever way, while the exchange is being written: nothing of it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_beside_an_exchange_leaves_no_successor() {
    for to in [Method::Session, Method::Jwt, Method::JwtStateless] {
        for how in ENDS {
            let from = if to == Method::Jwt { Method::Phantom } else { Method::Jwt };
            if from == Method::Phantom && matches!(how, End::AccessToken | End::Theft) {
                continue;
            }
            let lab = Lab::apart(from).await;
            let (old, first) = lab.log_in_and_rotate().await;
            let [a, b] = [lab.engine(to).await, lab.engine(to).await];
            // A record takes long to be made: where one is made, the end falls into that moment.
            lab.sessions.hold_creations(Moment::Before);
            let exchanging = lab.exchange_beside(&a, long_lived(&old));
            lab.sessions.until_held_or(&exchanging).await;
            lab.hands.advance(Duration::from_millis(1));
            lab.sessions.let_others_through();
            let acknowledged = end(&lab, &b, how, &old, &first).await;
            lab.hands.advance(Duration::from_millis(1));
            lab.sessions.let_go();
            let exchanged = exchanging.await.unwrap();
            lab.hear(&[&a, &b]).await;
            for engine in [&a, &b] {
                match &exchanged {
                    Ok(new) if acknowledged => is_refused(&lab, engine, new).await,
                    Ok(new) => lab.lives(engine, new).await,
                    Err(refusal) => assert!(acknowledged, "{how:?} to {to}: {refusal:?}"),
                }
            }
        }
    }
}

/// R16: what ends the old session later ends what took its place, and what took the place of that.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_the_old_session_later_ends_its_successors() {
    for how in ENDS {
        for after in [1, 31, 3600] {
            let lab = Lab::apart(Method::Jwt).await;
            let (old, first) = lab.log_in_and_rotate().await;
            let [a, b] = [lab.engine(Method::Session).await, lab.engine(Method::JwtStateless).await];
            let second = lab.exchange(&a, &long_lived(&old)).await.unwrap();
            let third = lab.exchange(&b, &long_lived(&second)).await.unwrap();
            lab.hands.advance(Duration::from_secs(after));
            lab.upkeep().await;
            if end(&lab, &a, how, &old, &first).await {
                lab.hear(&[&a, &b]).await;
                is_refused(&lab, &a, &second).await;
                is_refused(&lab, &b, &third).await;
            } else {
                assert!(matches!(how, End::Device | End::Theft), "{how:?} is acknowledged");
                lab.renew(&b, &long_lived(&third)).await.expect("what was not acknowledged ended nothing");
            }
        }
    }
}

/// Where an exchange is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Its client hangs up before or after the successor's record is made.
    HungUp(Moment),
    /// The store of sessions fails after so many writes.
    Failed(usize),
}

const CUTS: [Cut; 4] = [Cut::HungUp(Moment::Before), Cut::HungUp(Moment::After), Cut::Failed(0), Cut::Failed(1)];

/// Begins an exchange at an engine, and cuts it; the successor, if it came that far.
async fn cut(lab: &Lab, engine: &Arc<Engine>, how: Cut, old: &SignedIn) -> Option<SignedIn> {
    match how {
        Cut::HungUp(when) => lab.sessions.hold_creations(when),
        Cut::Failed(after) => lab.sessions.fail_after(after),
    }
    let exchanging = lab.exchange_beside(engine, long_lived(old));
    if lab.sessions.until_held_or(&exchanging).await {
        exchanging.abort();
    }
    let exchanged = exchanging.await.ok().and_then(Result::ok);
    lab.sessions.work();
    exchanged
}

/// R16: an exchange is cut between its writes. Whoever asks again gets the successor, at another server too, and of the old
/// session nothing lives.
#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_is_cut_loses_nobody_and_forks_nothing() {
    for to in [Method::Session, Method::Phantom, Method::JwtStateless] {
        for how in CUTS {
            let lab = Lab::apart(Method::Jwt).await;
            let (old, _) = lab.log_in_and_rotate().await;
            let [a, b] = [lab.engine(to).await, lab.engine(to).await];
            let first = cut(&lab, &a, how, &old).await;
            lab.hands.advance(Duration::from_secs(20));
            let new = lab.exchange(&b, &long_lived(&old)).await.expect("a repeat within the grace period");
            if let Some(first) = first {
                assert_eq!(long_lived(&first), long_lived(&new));
            }
            lab.hear(&[&a, &b]).await;
            for engine in [&a, &b] {
                lab.lives(engine, &new).await;
                lab.verify(engine, &access(&old)).await.expect_err("the old one has ended");
                lab.renew(engine, &long_lived(&old)).await.expect_err("the old one has ended");
            }
            // Signing out by the new one leaves nothing of either.
            assert!(b.sign_out(&long_lived(&new), Which::This, &lab.client).await.unwrap());
            lab.hear(&[&a, &b]).await;
            for engine in [&a, &b] {
                is_refused(&lab, engine, &new).await;
                lab.renew(engine, &long_lived(&old)).await.expect_err("the old one has ended");
                lab.exchange(engine, &long_lived(&old)).await.expect_err("there is no way back");
            }
        }
    }
}

/// R16: nobody asks for it again in time. Then the old session has ended, or it can still be exchanged.
#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_is_cut_leaves_no_session_that_lives_and_cannot_be_exchanged() {
    for how in CUTS {
        let lab = Lab::apart(Method::Jwt).await;
        let (old, _) = lab.log_in_and_rotate().await;
        let [a, b] = [lab.engine(Method::Session).await, lab.engine(Method::Session).await];
        cut(&lab, &a, how, &old).await;
        lab.hands.advance(Duration::from_secs(60));
        lab.hear(&[&a, &b]).await;
        for engine in [&a, &b] {
            if lab.exchange(engine, &long_lived(&old)).await.is_err() {
                lab.renew(engine, &long_lived(&old)).await.expect_err("it has ended");
            }
        }
    }
}

/// R16: the store of sessions has lost the successor's record, or never got it: whoever shows the successor's credential soon
/// gets it made from the log, unless it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_successor_without_a_record_is_made_from_the_log_for_half_a_minute() {
    for (from, to) in [(Method::Jwt, Method::Session), (Method::Session, Method::Jwt)] {
        for (after, ended, lives) in [(0, false, true), (29, false, true), (30, false, false), (1, true, false)] {
            let lab = Lab::apart(from).await;
            let (old, _) = lab.log_in_and_rotate().await;
            let [a, b] = [lab.engine(to).await, lab.engine(to).await];
            let new = lab.exchange(&a, &long_lived(&old)).await.unwrap();
            if ended {
                assert!(a.sign_out(&long_lived(&new), Which::This, &lab.client).await.unwrap());
            }
            lab.sessions.lose(new.session).await;
            lab.hands.advance(Duration::from_secs(after));
            lab.hear(&[&b]).await;
            if lives {
                lab.lives(&b, &new).await;
                lab.hands.advance(Duration::from_secs(3600));
                lab.lives(&b, &new).await;
            } else if to == Method::Session {
                lab.verify(&b, &long_lived(&new)).await.unwrap_err();
            } else {
                lab.renew(&b, &long_lived(&new)).await.unwrap_err();
            }
        }
    }
}

/// R26: two servers that are one step apart in a move of sessions exchange at once: both hand out the same session, and it lives.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_move_sessions_exchange_for_one_that_lives() {
    for to in [Method::Session, Method::Phantom] {
        let lab = Lab::apart(Method::Jwt).await;
        let (old, _) = lab.log_in_and_rotate().await;
        let others = Sessions::new();
        let a = lab.engine_over(to, Arc::new(Moving::new(lab.sessions.clone(), others.clone()))).await;
        let b = lab.engine_over(to, Arc::new(Moving::new(others.clone(), lab.sessions.clone()))).await;
        for sessions in [&lab.sessions, &others] {
            sessions.hold_creations(Moment::Before);
        }
        let asks = [&a, &b].map(|engine| lab.exchange_beside(engine, long_lived(&old)));
        for (sessions, ask) in [&lab.sessions, &others].into_iter().zip(&asks) {
            sessions.until_held_or(ask).await;
        }
        let mut got = Vec::new();
        for (sessions, ask) in [&lab.sessions, &others].into_iter().zip(asks) {
            sessions.let_go();
            got.push(ask.await.unwrap().expect("a tab is not signed out by another one"));
        }
        assert_eq!(long_lived(&got[0]), long_lived(&got[1]));
        lab.hear(&[&a, &b]).await;
        for engine in [&a, &b] {
            lab.lives(engine, &got[0]).await;
        }
    }
}

/// R16: a refresh token from before the one that was exchanged is theft, after the exchange too, whatever it is shown for: what
/// took its session's place ends, and what took the place of that.
#[tokio::test(flavor = "multi_thread")]
async fn a_spent_token_ends_what_took_the_place_of_its_session() {
    for after in [1, 60] {
        for shown_for in ["an exchange", "a renewal", "a page"] {
            let lab = Lab::apart(Method::Jwt).await;
            let (old, first) = lab.log_in_and_rotate().await;
            let last = lab.rotate(&long_lived(&old)).await;
            let [a, b] = [lab.engine(Method::Session).await, lab.engine(Method::JwtStateless).await];
            let second = lab.exchange(&a, &last).await.unwrap();
            let third = lab.exchange(&b, &long_lived(&second)).await.unwrap();
            lab.hands.advance(Duration::from_secs(after));
            let shown = async |token: &str| match shown_for {
                "an exchange" => lab.exchange(&a, token).await.unwrap_err().code(),
                "a renewal" => lab.renew(&a, token).await.unwrap_err().code(),
                _ => a.look(token, None, Activity::Active, &lab.client).await.unwrap_err().code(),
            };
            // A slow tab is one rotation behind, and no thief.
            if shown_for != "an exchange" {
                assert_eq!(shown(&long_lived(&old)).await, Code::SessionRevoked, "{shown_for}, {after} s later");
                lab.lives(&b, &third).await;
            }
            assert_eq!(shown(&first).await, Code::TokenReused, "{shown_for}, {after} s later");
            lab.hear(&[&a, &b]).await;
            is_refused(&lab, &a, &second).await;
            is_refused(&lab, &b, &third).await;
            a.flush().await.unwrap();
            let thefts = Filter { kind: Some(Kind::Theft), session: Some(old.session), ..Filter::default() };
            assert_eq!(a.stores().accounts.audit_page(&thefts, 10).await.unwrap().len(), 1, "{shown_for}");
        }
    }
}
