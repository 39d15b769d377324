//! R16, R7: an exchange and an end that come to the head of the log at the same time. Whichever is first, nothing lives that
//! somebody was told had ended.

use std::sync::Arc;

use cloakroom_core::{
    account::EmailAddress,
    clock::Clock,
    credential::LoginPassword,
    engine::{Client, Credentials, Engine, LoginRequest, Others, Proof, SignedIn, Which},
    method::Method,
    refusal::{Code, Refusal},
    store::postgres::Postgres,
    verify::{Activity, Question},
};
use tokio::task::JoinHandle;
use tokio_postgres::Client as Tool;

use crate::{
    NOW,
    database::Database,
    lab::{self, PASSWORD},
};

/// Who ends the old session.
#[derive(Clone, Copy, Debug)]
enum Ender {
    Person,
    AccessToken,
    OtherDevice,
    Operator,
    Service,
    App,
}

const ENDERS: [Ender; 6] =
    [Ender::Person, Ender::AccessToken, Ender::OtherDevice, Ender::Operator, Ender::Service, Ender::App];

/// Two servers of an app that was `jwt` and is `session`.
struct Rig {
    servers: [Arc<Engine>; 2],
    old: SignedIn,
    /// Another device of the same person, by the old method.
    other: SignedIn,
    client: Client,
    tool: Tool,
    _secret: tempfile::TempDir,
    _database: Database,
}

impl Rig {
    async fn start() -> Self {
        Self::start_by(Clock::manual(NOW).0).await
    }

    async fn start_by(clock: Clock) -> Self {
        let database = Database::create().await;
        let secret = tempfile::tempdir().unwrap();
        let server = async |method, migrate_from: Vec<Method>| {
            let store = Postgres::open(&database.url("pool_size=4")).await.unwrap();
            let change = |app: &mut cloakroom_core::app::App| {
                if app.id.as_str() == "web" {
                    app.method = method;
                    app.migrate_from.clone_from(&migrate_from);
                }
            };
            lab::open_on(store.stores(), secret.path(), clock.clone(), change).await.unwrap()
        };
        let client = Client::new(Some([203, 0, 113, 7].into()), Some("curl/8"));
        let before = server(Method::Jwt, Vec::new()).await;
        let email = EmailAddress::parse("ada@example.org").unwrap();
        before.make_account(email, Some(PASSWORD.to_owned().into()), None, &client).await.unwrap();
        let login = async || {
            let request = LoginRequest {
                email: "ada@example.org".to_owned(),
                password: LoginPassword::parse(PASSWORD.to_owned()),
                app: Arc::clone(before.app(Some("web")).unwrap()),
                present: vec![],
                others: Others::GoOn,
            };
            before.login(request, &client).await.unwrap()
        };
        let (old, other) = (login().await, login().await);
        let servers =
            [server(Method::Session, vec![Method::Jwt]).await, server(Method::Session, vec![Method::Jwt]).await];
        let tool = database.tool().await;
        Self { servers, old, other, client, tool, _secret: secret, _database: database }
    }

    /// The old refresh token.
    fn refresh(&self) -> String {
        let Credentials::Tokens(tokens) = &self.old.credentials else { panic!("it is a jwt") };
        tokens.refresh.expose().to_owned()
    }

    fn begin_exchange(&self) -> JoinHandle<Result<SignedIn, Refusal>> {
        let (engine, client, refresh) = (Arc::clone(&self.servers[0]), self.client.clone(), self.refresh());
        tokio::spawn(async move { engine.exchange(&refresh, engine.app(Some("web")).unwrap(), &client).await })
    }

    fn begin_end(&self, who: Ender) -> JoinHandle<bool> {
        let (engine, client, refresh) = (Arc::clone(&self.servers[1]), self.client.clone(), self.refresh());
        let (access, other, id) = (lab::Lab::access(&self.old), lab::Lab::access(&self.other), self.old.session);
        tokio::spawn(async move {
            match who {
                Ender::Person => engine.sign_out(&refresh, Which::This, &client).await.unwrap(),
                Ender::AccessToken => engine.sign_out(&access, Which::This, &client).await.unwrap(),
                Ender::OtherDevice => {
                    let question = Question { credential: &other, app: None, activity: Activity::Active };
                    let identity = engine.verifier().verify(question).await.unwrap();
                    engine.end_own(&identity, id, Proof::SignIn, &client).await.unwrap()
                }
                Ender::Operator => engine.revoke(id, &client).await.map(|()| true).unwrap(),
                Ender::Service => engine.revoke_token(&refresh, &client).await.map(|()| true).unwrap(),
                Ender::App => {
                    let app = engine.app(Some("web")).unwrap();
                    engine.end_app(app, Some(Method::Jwt), &client).await.map(|()| true).unwrap()
                }
            }
        })
    }

    /// Waits until so many wait for the head of the log, or one of them has come to its end without.
    async fn until_waiting<T>(&self, count: i64, task: &JoinHandle<T>) {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let made = "SELECT count(*) FROM cloakroom_sessions";
        while self.count(waiting).await < count && self.count(made).await < 3 && !task.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    async fn count(&self, query: &str) -> i64 {
        self.tool.query_one(query, &[]).await.unwrap().get(0)
    }

    async fn hold_head(&self) {
        self.tool.batch_execute("BEGIN; SELECT 1 FROM cloakroom_log_head FOR UPDATE").await.unwrap();
    }

    async fn let_go(&self) {
        self.tool.batch_execute("COMMIT").await.unwrap();
    }

    async fn is_dead(&self, new: &SignedIn) {
        let credential = lab::Lab::access(new);
        for engine in &self.servers {
            engine.verifier().renew_lease().await.unwrap();
            let question = Question { credential: &credential, app: None, activity: Activity::Active };
            let refusal = engine.verifier().verify(question).await.expect_err("it has ended");
            assert_eq!(refusal.code(), Code::SessionRevoked);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_behind_an_end_is_refused() {
    for who in ENDERS {
        let rig = Rig::start().await;
        rig.hold_head().await;
        let ending = rig.begin_end(who);
        rig.until_waiting(1, &ending).await;
        let exchanging = rig.begin_exchange();
        rig.until_waiting(2, &exchanging).await;
        rig.let_go().await;
        assert!(ending.await.unwrap(), "{who:?}");
        let refusal = exchanging.await.unwrap().expect_err("the old session had ended");
        assert_eq!(refusal.code(), Code::SessionRevoked, "{who:?}");
        assert_eq!(rig.count("SELECT count(*) FROM cloakroom_log").await, 1, "{who:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_behind_an_exchange_ends_what_took_the_sessions_place() {
    for who in ENDERS.into_iter().filter(|who| !matches!(who, Ender::App)) {
        let rig = Rig::start().await;
        rig.hold_head().await;
        let exchanging = rig.begin_exchange();
        rig.until_waiting(1, &exchanging).await;
        let ending = rig.begin_end(who);
        rig.until_waiting(2, &ending).await;
        rig.let_go().await;
        assert!(ending.await.unwrap(), "{who:?}");
        // It was handed out, and lives no longer than the lag.
        rig.is_dead(&exchanging.await.unwrap().expect("it was first")).await;
        assert_eq!(rig.count("SELECT count(*) FROM cloakroom_sessions").await, 1, "{who:?}");
    }
}

/// The age of an exchange is the database's to tell: no server's clock makes it longer or shorter.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_given_the_successor_for_as_long_as_the_grace_period_is_by_the_databases_clock() {
    let rig = Rig::start_by(Clock::system()).await;
    let first = rig.begin_exchange().await.unwrap().unwrap();
    rig.tool.batch_execute("UPDATE cloakroom_log SET at = at - 25000").await.unwrap();
    assert_eq!(rig.begin_exchange().await.unwrap().unwrap().session, first.session);
    rig.tool.batch_execute("UPDATE cloakroom_log SET at = at - 5000").await.unwrap();
    assert_eq!(rig.begin_exchange().await.unwrap().unwrap_err().code(), Code::SessionRevoked);
}
