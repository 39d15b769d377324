//! What is looked at when the store is opened, and every way to get to a server.

use std::path::Path;

use cloakroom_core::{
    random::Rng,
    session::{Write, Written},
    store::{SessionStore, StoreError, conformance},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::{
    account, log_in, open, refusal,
    server::{Server, add_node, cluster, cluster_name, cluster_url, free_port},
};

/// F069: a server that throws keys with an expiry away when memory is short signs people out at random.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_evict_sessions_is_refused_with_the_remedy() {
    let server = Server::start(&[]);
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-random", "volatile-ttl"] {
        server.ask(&["CONFIG", "SET", "maxmemory-policy", policy]);
        let StoreError::Foreign(told) = refusal(&server.url()).await else { panic!("{policy} is not refused") };
        assert!(told.contains(policy) && told.contains("CONFIG SET maxmemory-policy noeviction"), "{told}");
    }
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    open(&server.url()).await;
    // In a cluster, any one of them.
    let nodes = cluster();
    nodes[2].ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let StoreError::Foreign(told) = refusal(&cluster_url(&nodes)).await else { panic!("a node is not refused") };
    assert!(told.contains(&format!(":{}", nodes[2].port)), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_primary_is_refused_with_the_remedy() {
    let primary = Server::start(&[]);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    let told = refusal(&replica.url()).await.to_string();
    assert!(told.contains("is a replica") && told.contains("redis+sentinel://"), "{told}");
    let told = refusal(&format!("redis+cluster://127.0.0.1:{}", primary.port)).await.to_string();
    assert!(told.contains("without +cluster"), "{told}");
    let nodes = cluster();
    let told = refusal(&nodes[0].url()).await.to_string();
    assert!(told.contains("redis+cluster://"), "{told}");
    let told = refusal(&format!("redis+sentinel://127.0.0.1:{}/main", primary.port)).await.to_string();
    assert!(told.starts_with("the store cannot be reached: "), "{told}");
}

/// F128: a wrong password is in no error.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_and_not_shown() {
    let server = Server::start(&["--requirepass", "right-7351"]);
    for url in [
        server.url(),
        format!("redis://:wrong-7351@127.0.0.1:{}", server.port),
        format!("redis://nobody:right-7351@127.0.0.1:{}", server.port),
    ] {
        let told = format!("{0} {0:?}", refusal(&url).await);
        assert!(told.contains("password") && !told.contains("7351"), "{told}");
    }
    let store = open(&format!("redis://:right-7351@127.0.0.1:{}/3", server.port)).await;
    assert!(!format!("{store:?}").contains("7351"));
    let told = refusal(&format!("redis://:right-7351@127.0.0.1:{}/9999", server.port)).await.to_string();
    assert!(told.contains("database"), "{told}");
}

/// What docs/configuration.md tells operators to allow.
const RULE: &str = "on >p%40ss:w0rd/7351 ~cr:* resetchannels -@all +ping +select +role +info +get +set +getdel +unlink +del \
                    +exists +setrange +eval +evalsha +time +zadd +zrem +zcard +zrandmember +zrevrangebyscore +pttl +pexpire \
                    +scan +cluster|slots +asking";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_do_only_what_sessions_need_is_enough_by_tls_with_certificates() {
    let files = TempDir::new().unwrap();
    certificates(files.path());
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let tls = free_port().to_string();
    let mut arguments = vec!["--tls-port", &tls, "--tls-auth-clients", "yes"];
    let (ca, certificate, key) = (path("ca.pem"), path("server.pem"), path("server.key"));
    arguments.extend(["--tls-ca-cert-file", &ca, "--tls-cert-file", &certificate, "--tls-key-file", &key]);
    let server = Server::start(&arguments);
    let mut rule = vec!["ACL", "SETUSER", "cloakroom"];
    rule.extend(RULE.split_whitespace());
    server.ask(&rule);

    let own = format!("cert={}&key={}", path("client.pem"), path("client.key"));
    // In a URL the characters that mean something there are written with a percent sign.
    let login = "cloakroom:p%2540ss%3Aw0rd%2F7351";
    let url = format!("rediss://{login}@127.0.0.1:{tls}/?ca={ca}&{own}");
    conformance::expiring_sessions(async || {
        server.ask(&["FLUSHALL"]);
        open(&url).await
    })
    .await;

    for wrong in [
        format!("rediss://{login}@127.0.0.1:{tls}/?ca={ca}"),
        format!("rediss://{login}@127.0.0.1:{tls}/?ca={}&{own}", path("client.pem")),
        format!("rediss://{login}@localhost:{tls}/?ca={ca}&{own}"),
        format!("rediss://{login}@127.0.0.1:{tls}/?ca={}&{own}", path("none.pem")),
        format!("rediss://{login}@127.0.0.1:{}/?ca={ca}&{own}", server.port),
        format!("redis://{login}@127.0.0.1:{tls}"),
    ] {
        let error = refusal(&wrong).await;
        assert!(matches!(error, StoreError::Unavailable(_)) && !error.to_string().contains("7351"), "{wrong}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_may_not_look_at_is_told() {
    let server = Server::start(&[]);
    let mut rule = vec!["ACL", "SETUSER", "cloakroom"];
    rule.extend(RULE.split_whitespace());
    rule.push("-info");
    server.ask(&rule);
    let url = format!("redis://cloakroom:p%2540ss%3Aw0rd%2F7351@127.0.0.1:{}", server.port);
    let store = open(&url).await;
    assert!(store.warnings()[0].contains("maxmemory-policy"), "{:?}", store.warnings());
    log_in(&store, account(&Rng::seeded(1)), &Rng::seeded(2)).await;
    server.ask(&["ACL", "SETUSER", "cloakroom", "+config|get"]);
    assert!(!open(&url).await.warnings()[0].contains("maxmemory-policy"));
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    assert!(matches!(refusal(&url).await, StoreError::Foreign(_)));
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    // R24: without the time nobody could tell how long ago a session was renewed.
    server.ask(&["ACL", "SETUSER", "cloakroom", "-time"]);
    let StoreError::Foreign(told) = refusal(&url).await else { panic!("it starts without the time") };
    assert!(told.contains("+time") && told.contains("ACL SETUSER"), "{told}");
    server.ask(&["ACL", "SETUSER", "cloakroom", "+time"]);
    // And one that may not do what is needed is told what is missing when it matters.
    server.ask(&["ACL", "SETUSER", "cloakroom", "-set"]);
    let written = store.write(super::session(&Rng::seeded(3)), Write::Create(super::record(account(&Rng::seeded(4)))));
    let told = written.await.unwrap_err().to_string();
    assert!(told.contains("NOPERM") && told.contains("docs/configuration.md"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_nothing_is_warned_of() {
    let server = Server::start(&[]);
    let store = open(&server.url()).await;
    assert!(store.warnings()[0].contains("append-only file"), "{:?}", store.warnings());
    let lasting = Server::lasting();
    assert_eq!(open(&lasting.url()).await.warnings(), Vec::<String>::new());
    let replica = Server::start(&["--replicaof", "127.0.0.1", &server.port.to_string()]);
    super::server::until("the replica follows", || server.info("connected_slaves") == "1");
    assert_eq!(open(&server.url()).await.warnings(), Vec::<String>::new());
    drop(replica);
}

/// What is not seen when it is lost is told: a node must have enough slots to hold a mark.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_few_slots_is_warned_of() {
    let mut nodes = cluster();
    add_node(&mut nodes);
    let name = cluster_name(&nodes[3]);
    let few = |warnings: &[String]| warnings.iter().filter(|warning| warning.contains("slots")).count();
    assert_eq!(few(open(&cluster_url(&nodes)).await.warnings()), 0);
    for node in [&nodes[3], &nodes[0], &nodes[1], &nodes[2]] {
        node.ask(&["CLUSTER", "SETSLOT", "0", "NODE", &name]);
    }
    let store = open(&cluster_url(&nodes)).await;
    assert_eq!(few(store.warnings()), 1, "{:?}", store.warnings());
    assert_eq!(store.primaries().await.unwrap().len(), 4);
}

/// Two installations may share a server, by number or by prefix.
#[tokio::test(flavor = "multi_thread")]
async fn databases_and_prefixes_keep_installations_apart() {
    let server = Server::start(&[]);
    let rng = Rng::seeded(1);
    let stores = [
        open(&server.url()).await,
        open(&format!("{}/1", server.url())).await,
        open(&format!("{}/0?prefix=shop:", server.url())).await,
    ];
    let id = super::session(&rng);
    for store in &stores {
        let written = store.write(id, Write::Create(super::record(account(&rng)))).await.unwrap();
        assert!(matches!(written, Written::Done(_)));
        assert_eq!(store.count().await.unwrap()[0].2, 1);
    }
}

/// An authority, a server's certificate and a client's, as files.
fn certificates(directory: &Path) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Not that of the others: who has signed himself is looked for elsewhere.
    authority.distinguished_name.push(DnType::CommonName, "Authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(directory.join("ca.pem"), authority.as_ref().pem()).unwrap();
    for (name, of) in [("server", "127.0.0.1"), ("client", "cloakroom.example")] {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([of.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}
