//! The engine at its face, on real SQLite: login, renewal, endings, by each method.

mod lab;

use std::time::Duration;

use cloakroom_core::{
    engine::{Credentials, Which},
    method::Method,
    refusal::Code,
    verify::Activity,
};
use lab::Lab;

#[tokio::test]
async fn a_person_signs_in_by_each_method_and_is_known() {
    let lab = Lab::start().await;
    for app in ["web", "api", "stateless", "edge"] {
        let signed_in = lab.login("ada", app).await;
        let credential = Lab::access(&signed_in);
        let identity = lab.verify(&credential).await.unwrap();
        assert_eq!(identity.account(), signed_in.account.id);
        assert_eq!(identity.session(), signed_in.session);
        assert_eq!(identity.app_id().as_str(), app);
        assert_eq!(identity.method(), signed_in.method);
    }
}

#[tokio::test]
async fn an_ended_session_is_refused_at_once_and_for_good() {
    let lab = Lab::start().await;
    for app in ["web", "api", "stateless", "edge"] {
        let signed_in = lab.login("ada", app).await;
        let credential = Lab::access(&signed_in);
        lab.verify(&credential).await.unwrap();
        assert!(lab.engine.sign_out(&credential, Which::This, &lab.client).await.unwrap());
        assert_eq!(lab.verify(&credential).await.unwrap_err().code(), Code::SessionRevoked, "{app}");
        if let Credentials::Tokens(tokens) = &signed_in.credentials {
            let again = lab.engine.renew(tokens.refresh.expose(), None, Activity::Active, &lab.client).await;
            assert_eq!(again.unwrap_err().code(), Code::SessionRevoked, "{app}");
        }
    }
}

/// F058, F060: everything of an account ends by its epoch, and what begins afterwards lives.
/// R13: an old ticket that signs out time and again writes a line, a second one if that may be needed, and no third.
#[tokio::test]
async fn a_sign_out_that_is_repeated_does_not_fill_the_log() {
    let lab = Lab::start().await;
    for (number, app) in (0..).zip(["web", "api", "stateless"]) {
        let credential = Lab::access(&lab.login("ada", app).await);
        let mut lines = Vec::new();
        for pause in [0, 0, 30, 40, 0, 100, 3600] {
            lab.hands.advance(Duration::from_secs(pause));
            assert!(lab.engine.sign_out(&credential, Which::This, &lab.client).await.unwrap());
            lines.push(lab.engine.log_head().await.unwrap().sequence - number * 2);
        }
        assert_eq!(lines, [1, 1, 1, 2, 2, 2, 2], "{app}");
    }
}

#[tokio::test]
async fn ending_everywhere_ends_every_method_and_a_new_login_lives() {
    let lab = Lab::start().await;
    let mut credentials = vec![];
    for app in ["web", "api", "stateless", "edge"] {
        credentials.push(Lab::access(&lab.login("ada", app).await));
    }
    for credential in &credentials {
        lab.verify(credential).await.unwrap();
    }
    assert!(lab.engine.sign_out(&credentials[0], Which::Everywhere, &lab.client).await.unwrap());
    for credential in &credentials {
        assert_eq!(lab.verify(credential).await.unwrap_err().code(), Code::SessionRevoked);
    }
    let anew = Lab::access(&lab.login("ada", "web").await);
    lab.verify(&anew).await.unwrap();
}

/// F048, F049: repeats within the grace period get the same successor, and nobody is signed out.
#[tokio::test]
async fn a_repeated_refresh_gets_the_same_successor() {
    let lab = Lab::start().await;
    let signed_in = lab.login("ada", "api").await;
    let Credentials::Tokens(tokens) = &signed_in.credentials else { panic!("no tokens") };
    lab.hands.advance(Duration::from_secs(60));
    let mut successors = vec![];
    for _ in 0..3 {
        successors.push(lab.renew(tokens.refresh.expose()).await.unwrap().tokens.refresh.expose().to_owned());
    }
    assert_ne!(successors[0], tokens.refresh.expose());
    assert!(successors.iter().all(|s| *s == successors[0]));
    lab.hands.advance(Duration::from_secs(31));
    assert_eq!(lab.renew(tokens.refresh.expose()).await.unwrap_err().code(), Code::TokenReused);
    assert_eq!(lab.renew(&successors[0]).await.unwrap_err().code(), Code::SessionRevoked);
}

/// Whether a token was spent before an exchange is looked up where it is refused, once, and nowhere else.
#[tokio::test]
async fn only_a_refused_refresh_is_held_against_exchanges() {
    let lab = Lab::start().await;
    let signed_in = lab.login("ada", "api").await;
    let asked = || {
        let operations = lab.engine.store_operations();
        operations.iter().find(|asked| asked.operation == "past_exchange").map_or(0, |asked| asked.times.count)
    };
    for pause in [0, 60, 10] {
        lab.hands.advance(Duration::from_secs(pause));
        lab.renew(Lab::refresh(&signed_in)).await.unwrap();
    }
    assert_eq!(asked(), 0);
    lab.engine.sign_out(Lab::refresh(&signed_in), Which::This, &lab.client).await.unwrap();
    for times in 1..4 {
        assert_eq!(lab.renew(Lab::refresh(&signed_in)).await.unwrap_err().code(), Code::SessionRevoked);
        assert_eq!(asked(), times);
    }
}

/// F048: of 100 parallel refreshes with one token one rotates, and all get the same successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_refreshes_leave_one_successor() {
    let lab = Lab::start().await;
    let signed_in = lab.login("ada", "api").await;
    let Credentials::Tokens(tokens) = signed_in.credentials else { panic!("no tokens") };
    lab.hands.advance(Duration::from_secs(60));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (engine, client, token) = (lab.engine.clone(), lab.client.clone(), tokens.refresh.clone());
        tasks.spawn(async move { engine.renew(token.expose(), None, Activity::Active, &client).await });
    }
    let successors: std::collections::BTreeSet<_> =
        tasks.join_all().await.into_iter().map(|r| r.unwrap().tokens.refresh.expose().to_owned()).collect();
    assert_eq!(successors.len(), 1);
    let record = lab.engine.stores().sessions.read(signed_in.session).await.unwrap().unwrap();
    assert_eq!(record.generation.0, 1);
}

#[tokio::test]
async fn methods_report_themselves() {
    let lab = Lab::start().await;
    assert_eq!(lab.login("ada", "stateless").await.method, Method::JwtStateless);
}
