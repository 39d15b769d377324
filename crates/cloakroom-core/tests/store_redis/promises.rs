//! The conformance suite, on each kind of deployment.

use cloakroom_core::store::conformance;

use super::{
    open,
    server::{Server, cluster, cluster_url},
};

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_promises_of_the_session_port() {
    let server = Server::start(&[]);
    conformance::expiring_sessions(async || {
        server.ask(&["FLUSHALL"]);
        open(&server.url()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_three_keeps_them() {
    let nodes = cluster();
    conformance::expiring_sessions(async || {
        for node in &nodes {
            node.ask(&["FLUSHALL"]);
        }
        open(&cluster_url(&nodes)).await
    })
    .await;
}

/// F125: in one process; a killed one is another test's.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_has_acknowledged_lasts() {
    let mut server = Server::lasting();
    let mut first = true;
    let server = std::sync::Mutex::new((&mut server, &mut first));
    conformance::sessions_last(async || {
        let url = {
            let mut guard = server.lock().unwrap();
            if !*guard.1 {
                guard.0.kill();
                guard.0.resume();
            }
            *guard.1 = false;
            guard.0.url()
        };
        open(&url).await
    })
    .await;
}
