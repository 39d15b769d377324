//! TLS towards PostgreSQL: what each `sslmode` lets through.

use std::fs;

use cloakroom_core::store::{AccountStore, StoreError, postgres::Postgres};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::cluster::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn each_sslmode_demands_what_its_name_says() {
    let mut cluster = Cluster::start(&["ssl = off"]).await;
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let file = |name: &str| cluster.path().join(name);
    let (root, chain, secret) = (file("root.pem"), file("server.pem"), file("server.key"));
    fs::write(&root, authority.pem()).unwrap();
    fs::write(&chain, certificate.pem()).unwrap();
    fs::write(&secret, key.serialize_pem()).unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    Cluster::hand_over(cluster.path());

    let open = async |cluster: &Cluster, host: &str, options: &str| {
        let port = cluster.port();
        let url = format!("postgres://cloakroom@{host}:{port}/postgres?hostaddr=127.0.0.1&listen=off&{options}");
        Postgres::open(&cloakroom_core::store::postgres::Url::parse(&url).unwrap()).await
    };
    let why = |opened: Result<Postgres, StoreError>| match opened {
        Err(StoreError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(open(&cluster, "localhost", "sslmode=prefer").await.is_ok(), "without TLS where there is none");
    let no_tls = why(open(&cluster, "localhost", "sslmode=require").await);
    assert!(no_tls.contains("sslmode=disable"), "{no_tls}");

    let (socket, port) = (cluster.path().display(), cluster.port());
    let socket = format!("postgres://cloakroom@/postgres?host={socket}&port={port}");
    let by_socket = Postgres::open(&cloakroom_core::store::postgres::Url::parse(&socket).unwrap()).await;
    by_socket.expect("a socket needs no TLS").log_head().await.unwrap();

    let tool = cluster.connect().await.unwrap();
    for (name, path) in [("ssl_cert_file", &chain), ("ssl_key_file", &secret)] {
        tool.batch_execute(&format!("ALTER SYSTEM SET {name} = '{}'", path.display())).await.unwrap();
    }
    tool.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    cluster.kill();
    cluster.run().await;
    let known = format!("sslrootcert={}", root.display());
    for (host, options, opens) in [
        ("localhost", "sslmode=disable".to_owned(), true),
        ("localhost", "sslmode=prefer".to_owned(), true),
        ("localhost", "sslmode=require".to_owned(), true),
        ("localhost", format!("sslmode=verify-full&{known}"), true),
        ("db.example", format!("sslmode=verify-ca&{known}"), true),
        ("db.example", format!("sslmode=verify-full&{known}"), false),
        ("localhost", "sslmode=verify-full".to_owned(), false),
        ("localhost", "sslmode=verify-ca".to_owned(), false),
    ] {
        let opened = open(&cluster, host, &options).await;
        assert_eq!(opened.is_ok(), opens, "{host} {options}: {opened:?}");
        match opened {
            Ok(store) => drop(store.log_head().await.unwrap()),
            Err(error) => assert!(error.to_string().contains("TLS"), "{error}"),
        }
    }
    let nowhere = why(open(&cluster, "localhost", "sslmode=verify-full&sslrootcert=/nowhere.pem").await);
    assert!(nowhere.contains("/nowhere.pem"), "{nowhere}");
}
