//! Whole servers over a store that stands still: what is counted meanwhile.

#[path = "../../cloakroom-core/tests/lab/mod.rs"]
mod lab;

use cloakroom_core::{
    engine::{Client, FINISHING, SignedIn},
    store::sqlite::{Options, Sqlite},
};
use lab::held::{Held, Moment};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

use super::*;
use crate::config::Sources;

/// A server whose accounts can be held up.
struct Lab {
    core: lab::Lab,
    accounts: Arc<Held>,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
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
        tokio::spawn(server.run(async { drop(stopped.await) }));
        let core = lab::Lab { engine, hands, client: Client::default(), dir };
        Self { core, accounts, address, _stop: stop }
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
