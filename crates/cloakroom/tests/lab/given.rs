//! Stores that somebody has: used with their passwords, and left as they were.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

use cloakroom_core::method::Method;
use cloakroom_lab::{
    compare::{Store, Topology},
    rig::Workshop,
    stores::{Postgres, Redis},
};
use tempfile::TempDir;
use url::Url;

use super::program;

/// A PostgreSQL that asks everybody for a password; its URL for a user who may make databases.
fn postgres() -> (Postgres, Url) {
    let postgres = Postgres::start(Postgres::installed().expect("the Debian package postgresql")).unwrap();
    let tell = |statement: &str| postgres.tell("postgres", statement).unwrap();
    tell("CREATE ROLE ada LOGIN CREATEDB PASSWORD 'p w@1/#'");
    tell("CREATE DATABASE shop OWNER ada");
    let access = tell("SHOW hba_file");
    tell(&format!("COPY (SELECT 'host all all 127.0.0.1/32 scram-sha-256') TO '{access}'"));
    tell("SELECT pg_reload_conf()");
    let url = format!("postgres://ada:p%20w%401%2F%23@127.0.0.1:{}/shop?sslmode=disable", postgres.port());
    (postgres, Postgres::url(&url).unwrap())
}

/// A Redis that asks for a password, with a key of somebody's in it.
fn redis() -> (Redis, Url) {
    let redis = Redis::start(Redis::installed().expect("the Debian package redis-server")).unwrap();
    say(&redis, "SET shop 1\r\nCONFIG SET requirepass s3cret\r\n");
    let url = format!("redis://:s3cret@127.0.0.1:{}", redis.port());
    (redis, Redis::url(&url).unwrap())
}

fn say(redis: &Redis, commands: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    write!(stream, "{commands}QUIT\r\n").unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    told
}

fn keys(redis: &Redis) -> usize {
    let told = say(redis, "AUTH s3cret\r\nDBSIZE\r\n");
    told.lines().find_map(|line| line.strip_prefix(':')).unwrap().parse().unwrap()
}

/// Databases of comparisons; the one that asks is one of them.
fn databases(url: &Url) -> String {
    let asks = Postgres::given(url.clone()).unwrap();
    asks.database("asks").unwrap();
    asks.tell("asks", "SELECT count(*) FROM pg_database WHERE datname LIKE 'cloakroom%'").unwrap()
}

#[test]
fn stores_that_are_given_are_used_and_left_as_they_were() {
    let ((_own, at), (own_redis, redis_at)) = (postgres(), redis());
    let dir = TempDir::new().unwrap();
    let mut workshop = Workshop::new(program(), dir.path().to_owned(), None).unwrap();
    workshop.postgres = Some(Postgres::given(at.clone()).unwrap());
    workshop.redis = Some(Redis::given(redis_at).unwrap());
    for store in [Store::Postgres, Store::Redis] {
        let mut rig = workshop.build_without_people(store, Topology::Shared, &[]).unwrap();
        rig.fill(Method::Session, 1_500).unwrap();
        let line = rig.credentials(Method::Session).unwrap().text(7);
        let reply = rig.caller(2).unwrap().call("GET", "/v1/verify?app=web", &[&line], None).unwrap();
        assert_eq!(reply.status, 200, "{}", store.name());
        assert!(workshop.store_bytes(&rig).unwrap() > 100_000, "{}", store.name());
    }
    assert_eq!(databases(&at), "3");
    assert!(keys(&own_redis) > 1_500);
    drop(workshop);
    assert_eq!(databases(&at), "1");
    assert_eq!(keys(&own_redis), 1, "what was there before");
}

#[test]
fn a_given_store_that_cannot_be_used_is_refused_without_its_password() {
    let refused = |arguments: &[&str]| {
        let output = Command::new(program()).arg("compare").args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!told.contains("s3cret"), "{told}");
        (output.status.code().unwrap(), told)
    };
    for (name, url) in [
        ("--postgres", "mysql://ada:s3cret@127.0.0.1/shop"),
        ("--postgres", "postgres://127.0.0.1/shop"),
        ("--redis", "rediss://:s3cret@127.0.0.1"),
        ("--redis", "redis://:s3cret@127.0.0.1:1,127.0.0.1:2"),
    ] {
        let (code, told) = refused(&[name, url]);
        assert!(code == 2 && told.contains(name), "{url}: {code} {told}");
    }
    for (arguments, named) in [
        (["--postgres", "postgres://ada:s3cret@127.0.0.1:1/shop"], "PostgreSQL"),
        (["--redis", "redis://:s3cret@127.0.0.1:1"], "Redis"),
    ] {
        let (code, told) = refused(&arguments);
        assert!(code == 1 && told.contains(named), "{arguments:?}: {code} {told}");
    }
}
