//! Whole servers over a store that stands still: what is counted meanwhile, and what a stop waits for.

#[path = "../../cloakroom-core/tests/lab/mod.rs"]
mod lab;

use std::{fs::File, time::Instant};

use cloakroom_core::{
    audit::{Filter, Kind},
    engine::{Client, FINISHING, SignedIn},
    store::sqlite::{Options, Sqlite},
};
use lab::held::{Held, Moment};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

use super::*;
use crate::config::Sources;

/// A server whose accounts can be held up.
struct Lab {
    core: lab::Lab,
    accounts: Arc<Held>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Lab {
    async fn start(connections: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (stores, accounts) = Held::over(Sqlite::open(dir.path(), &Options::default()).unwrap().stores());
        let (clock, hands) = Clock::manual(lab::START);
        let engine = lab::open_on(stores, dir.path(), clock, |_| {}).await.unwrap();
        let text = format!(
            "listen = '127.0.0.1:0'\ndata_dir = '{}'\n[[app]]\nid = 'web'\nmethod = 'session'",
            dir.path().display()
        );
        let config = Config::load(Sources::new().text("cloakroom.toml", text)).unwrap();
        let listener = listen(config.listen).await.unwrap();
        let mut server = Server::over(Arc::clone(&engine), config, listener, None).await.unwrap();
        server.limits.connections = connections;
        let address = server.address().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async { drop(stopped.await) }));
        let core = lab::Lab { engine, hands, client: Client::default(), dir };
        Self { core, accounts, address, stop: Some(stop), running }
    }

    /// Sends a sign-out over a connection of its own, and hangs up when it is the `times`th that is held up.
    async fn sign_out_and_hang_up(&self, signed_in: &SignedIn, times: usize) {
        let stream = self.sign_out(signed_in).await;
        self.accounts.until_waiting(times).await;
        drop(stream);
    }

    async fn sign_out(&self, signed_in: &SignedIn) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "POST /v1/logout HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\n\r\n",
            self.address,
            lab::Lab::access(signed_in)
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn signed_out(&self) -> usize {
        let filter = Filter { kind: Some(Kind::SignedOut), ..Filter::default() };
        self.core.engine.stores().accounts.audit_page(&filter, 10).await.unwrap().len()
    }
}

/// What comes back in time.
async fn answer(stream: &mut TcpStream, patience: Duration) -> Option<String> {
    let mut bytes = [0; 4096];
    let read = timeout(patience, stream.read(&mut bytes)).await.ok()?.unwrap();
    Some(String::from_utf8_lossy(&bytes[..read]).into_owned())
}

/// Who hangs up and comes again has as many connections as have begun what is not finished.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_counts_until_what_it_began_is_finished() {
    let lab = Lab::start(3).await;
    let signed_in = lab.core.login("ada", "web").await;
    lab.accounts.hold("end", Moment::Before);
    for times in 1..=3 {
        lab.sign_out_and_hang_up(&signed_in, times).await;
    }
    let mut one_more = lab.sign_out(&signed_in).await;
    assert_eq!(answer(&mut one_more, Duration::from_millis(300)).await, None, "it is not accepted");
    assert_eq!(lab.core.engine.occupancy().map(|kind| kind.under_way).iter().sum::<usize>(), 3);
    lab.accounts.let_go();
    assert!(answer(&mut one_more, FINISHING).await.expect("there is room again").starts_with("HTTP/1.1 204"));
}

/// R4: a stop waits for an end whose client has hung up.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_what_has_begun() {
    let mut lab = Lab::start(3).await;
    let signed_in = lab.core.login("ada", "web").await;
    lab.accounts.hold("end", Moment::Before);
    lab.sign_out_and_hang_up(&signed_in, 1).await;
    drop(lab.stop.take());
    let waiting = timeout(Duration::from_secs(1), &mut lab.running).await;
    assert!(waiting.is_err(), "an operation is under way");
    lab.accounts.let_go();
    timeout(Duration::from_secs(5), &mut lab.running).await.expect("nothing is under way any more").unwrap();
    assert_eq!(lab.signed_out().await, 1);
    let session = lab.core.engine.stores().sessions.read(signed_in.session).await.unwrap();
    assert_eq!(session, None);
}

/// R4: what stands still is cut ten seconds after a stop, and the log says so.
#[tokio::test]
async fn a_stop_that_waits_in_vain_says_what_it_cuts() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writer = Arc::new(File::options().append(true).open(log.path()).unwrap());
    let _log =
        tracing::subscriber::set_default(tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish());
    let mut lab = Lab::start(3).await;
    let signed_in = lab.core.login("ada", "web").await;
    lab.accounts.hold("end", Moment::Before);
    lab.sign_out_and_hang_up(&signed_in, 1).await;
    let began = Instant::now();
    drop(lab.stop.take());
    timeout(FINISHING * 2, &mut lab.running).await.expect("it ends anyway").unwrap();
    assert!(began.elapsed() >= FINISHING, "{:?}", began.elapsed());
    assert_eq!(lab.signed_out().await, 0);
    let told = std::fs::read_to_string(log.path()).unwrap();
    assert!(told.contains("operations were still under way when the server stopped operations=1"), "{told}");
}
