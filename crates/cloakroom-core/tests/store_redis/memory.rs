//! What a login costs in Redis's memory, measured as the slope of `used_memory`.

use cloakroom_core::{
    random::Rng,
    session::Write,
    store::{SessionStore, redis::Redis},
};
use tokio::task::JoinSet;

use super::{account, open, record, server::Server, session};

const FEW: u32 = 10_000;
const MANY: u32 = 100_000;
const TASKS: u64 = 50;

async fn log_in_many(store: &Redis, logins: u32, seed: u64) {
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let store = store.clone();
        tasks.spawn(async move {
            let rng = Rng::seeded(seed * TASKS + task);
            // Two devices each.
            for _ in 0..logins / TASKS as u32 / 2 {
                let account = account(&rng);
                for _ in 0..2 {
                    drop(store.write(session(&rng), Write::Create(record(account))).await.unwrap());
                }
            }
        });
    }
    tasks.join_all().await;
}

/// Once tables that grew have been moved over.
fn used_memory(server: &Server) -> u64 {
    let read = || server.info("used_memory").parse::<u64>().unwrap();
    let mut last = read();
    loop {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let now = read();
        if now.abs_diff(last) < 1024 {
            return now;
        }
        last = now;
    }
}

async fn bytes_per_login(query: &str) -> f64 {
    let server = Server::start(&[]);
    let store = open(&format!("{}{query}", server.url())).await;
    log_in_many(&store, FEW, 1).await;
    let few = used_memory(&server);
    log_in_many(&store, MANY - FEW, 2).await;
    let slope = (used_memory(&server) - few) as f64 / f64::from(MANY - FEW);
    eprintln!("{slope:.1} bytes per login with `{query}`");
    slope
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_takes_at_most_230_bytes() {
    assert!(bytes_per_login("?devices=off").await <= 230.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_takes_at_most_320_bytes_with_the_list_of_two_devices() {
    assert!(bytes_per_login("").await <= 320.0);
}
