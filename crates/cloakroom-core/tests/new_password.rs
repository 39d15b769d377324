//! A new password is a new session, and nothing that existed before leads to it.

mod lab;

use std::{collections::HashSet, sync::Arc, time::Duration};

use cloakroom_core::{
    app::App,
    clock::Clock,
    credential::LoginPassword,
    engine::{Client, Engine, SignedIn, Which},
    method::Method,
    store::{
        Stores,
        memory::MemorySessions,
        sqlite::{Options, Sqlite},
    },
    verify::Activity,
};
use lab::{Lab, PASSWORD, START};
use tokio::task::JoinSet;

const ROUNDS: usize = 50;
/// Before, beside and after each change of a password.
const TRIES: [usize; 3] = [40, 80, 80];

/// What is tried with an old refresh token, by turns; what that gave, if anything.
async fn attempt(engine: &Arc<Engine>, number: usize, token: String, client: Client) -> Option<String> {
    match number % 3 {
        0 => engine
            .renew(&token, None, Activity::Active, &client)
            .await
            .ok()
            .map(|new| new.tokens.refresh.expose().to_owned()),
        1 => {
            let exchanged = engine.exchange(&token, engine.app(Some("api")).unwrap(), &client).await;
            exchanged.ok().map(|new| Lab::refresh(&new).to_owned())
        }
        _ => engine.sign_out(&token, Which::This, &client).await.ok().and(None),
    }
}

/// F064, R6: 10,000 repeats, exchanges and sign-outs with what there was before, while passwords are changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_before_leads_to_the_session_of_a_new_password_or_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let accounts = Sqlite::open(dir.path(), &Options::default()).unwrap().stores().accounts;
    let stores = Stores { accounts, sessions: Arc::new(MemorySessions::new()), end_deletes: false };
    let (clock, hands) = Clock::manual(START);
    let engine = lab::open_on(stores.clone(), dir.path(), clock.clone(), |_| {}).await.unwrap();
    // The app's sessions are being exchanged.
    let exchanges = |app: &mut App| {
        if app.id.as_str() == "api" {
            (app.method, app.migrate_from) = (Method::Session, vec![Method::Jwt]);
        }
    };
    let other = lab::open_on(stores, dir.path(), clock, exchanges).await.unwrap();
    let lab = Lab { engine, hands, client: Client::default(), dir };
    let (mut tried, mut changed) = (0, 0);
    for round in 0..ROUNDS {
        let name = format!("ada{round}");
        // What the last one has failed at counts no more.
        lab.hands.advance(Duration::from_secs(60));
        let mut old: Vec<SignedIn> = Vec::new();
        for _ in 0..3 {
            old.push(lab.login(&name, "api").await);
        }
        let asks = lab.verify(&Lab::access(&old[0])).await.unwrap();
        let mut given = HashSet::new();
        let mut try_all = |tries: usize, first: usize| {
            let mut tasks = JoinSet::new();
            for number in 0..tries {
                // The one that asks for the new password is tried beside that and after it.
                let token = Lab::refresh(&old[first + number % (old.len() - first)]).to_owned();
                let (engine, client) = (Arc::clone([&lab.engine, &other][number % 2]), lab.client.clone());
                tasks.spawn(async move { attempt(&engine, number, token, client).await });
            }
            tried += tries;
            tasks
        };
        given.extend(try_all(TRIES[0], 1).join_all().await.into_iter().flatten());
        let beside = try_all(TRIES[1], round % 2);
        let new = format!("seven unlikely otters juggle {round}");
        let current = LoginPassword::parse(PASSWORD.to_owned());
        let anew = lab.engine.change_password(&asks, current, new.into(), &lab.client).await;
        given.extend(beside.join_all().await.into_iter().flatten());
        given.extend(try_all(TRIES[2], 0).join_all().await.into_iter().flatten());
        for engine in [&lab.engine, &other] {
            engine.verifier().renew_lease().await.unwrap();
        }
        // One that was signed out meanwhile changes nothing.
        let Ok(anew) = anew else { continue };
        changed += 1;
        assert!(!given.contains(Lab::refresh(&anew)), "it was given to who had an old one");
        for token in given {
            assert!(lab.verify(&token).await.is_err(), "something of before goes on");
            assert!(lab.renew(&token).await.is_err(), "something of before goes on");
            assert!(other.exchange(&token, other.app(Some("api")).unwrap(), &lab.client).await.is_err());
        }
        lab.verify(&Lab::access(&anew)).await.expect("it goes on");
        lab.renew(Lab::refresh(&anew)).await.expect("it goes on");
    }
    assert_eq!(tried, 10_000);
    assert!(changed >= ROUNDS / 2, "{changed}");
}
