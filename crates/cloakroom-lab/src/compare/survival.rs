//! What becomes of those who are signed in when a server, a store or a key dies under them.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use cloakroom_core::method::Method;

use super::{Store, Survival, Topology, extent::Extent, person::renew};
use crate::{
    call::Caller,
    rig::{HOST, METHODS, Rig, Workshop},
};

/// Longer than any verifier goes on without having heard of the log.
const BEYOND_THE_LEASE: Duration = Duration::from_millis(2_500);

/// A live login: what its client holds.
struct Client {
    line: String,
    refresh: Option<String>,
    path: &'static str,
}

/// All of one method.
struct Crowd {
    method: Method,
    clients: Vec<Client>,
}

fn crowds(rig: &mut Rig, extent: &Extent) -> io::Result<Vec<Crowd>> {
    let mut all = Vec::new();
    for (method, _, path) in METHODS {
        rig.fill(method, extent.survivors)?;
        let lines = rig.credentials(method)?;
        let bodies = method.has_tokens().then(|| rig.refresh_bodies(method)).transpose()?;
        let client = |number| Client {
            line: lines.text(number),
            refresh: bodies.as_ref().map(|bodies| bodies.text(number)),
            path,
        };
        all.push(Crowd { method, clients: (0..extent.survivors.min(lines.count())).map(client).collect() });
    }
    Ok(all)
}

/// How many are accepted, each asking where its home was, and then, as a balancer does, wherever somebody answers at all.
fn accepted(crowd: &Crowd, servers: &[SocketAddr], with_renewal: bool) -> usize {
    let asks = |number: usize, client: &Client| {
        for offset in 0..servers.len() {
            let server = servers[(number + offset) % servers.len()];
            let Ok(mut caller) = Caller::connect(server, HOST) else { continue };
            let Ok(reply) = caller.call("GET", client.path, &[&client.line], None) else { continue };
            if reply.status == 200 {
                return true;
            }
            let Some(body) = client.refresh.as_deref().filter(|_| with_renewal) else { return false };
            let Ok(Some(line)) = renew(&mut caller, body) else { return false };
            return caller.call("GET", client.path, &[&line], None).is_ok_and(|reply| reply.status == 200);
        }
        false
    };
    crowd.clients.iter().enumerate().filter(|(number, client)| asks(*number, client)).count()
}

/// Rows of an event.
fn rows(event: &str, rig: &Rig, crowds: &[Crowd], during: &[usize]) -> Vec<Survival> {
    let servers = rig.addresses();
    let row = |(crowd, during): (&Crowd, &usize)| Survival {
        event: event.to_owned(),
        method: crowd.method,
        store: rig.store,
        topology: rig.topology,
        signed_in: crowd.clients.len(),
        during: *during,
        after: accepted(crowd, &servers, true),
    };
    crowds.iter().zip(during).map(row).collect()
}

/// A server is killed, and started again.
pub(super) fn server_killed(
    workshop: &Workshop,
    store: Store,
    topology: Topology,
    extent: &Extent,
) -> io::Result<Vec<Survival>> {
    let mut rig = workshop.build_without_people(store, topology, &[])?;
    let crowds = crowds(&mut rig, extent)?;
    // The servers have seen each credential once.
    count(&rig, &crowds);
    let victim = usize::from(topology != Topology::One);
    rig.kill(victim)?;
    let during = count(&rig, &crowds);
    rig.revive(victim)?;
    Ok(rows("server_killed", &rig, &crowds, &during))
}

fn count(rig: &Rig, crowds: &[Crowd]) -> Vec<usize> {
    let servers = rig.addresses();
    crowds.iter().map(|crowd| accepted(crowd, &servers, false)).collect()
}

/// The store of the sessions is killed, for longer than a lease lives, and started again; it is one that nothing else uses.
pub(super) fn store_killed(workshop: &Workshop, store: Store, extent: &Extent) -> io::Result<Vec<Survival>> {
    let mut workshop = workshop.apart(store.name())?;
    workshop.start(store)?;
    let mut rig = workshop.build_without_people(store, Topology::One, &[])?;
    let crowds = crowds(&mut rig, extent)?;
    // The servers have seen each credential once.
    count(&rig, &crowds);
    workshop.kill(store);
    thread::sleep(BEYOND_THE_LEASE);
    let during = count(&rig, &crowds);
    workshop.revive(store)?;
    await_accepted(&rig, &crowds);
    Ok(rows("store_killed", &rig, &crowds, &during))
}

/// Until somebody who is looked up is accepted again, or it takes too long.
fn await_accepted(rig: &Rig, crowds: &[Crowd]) {
    for _ in 0..100 {
        if count(rig, &crowds[..1]).iter().all(|count| *count > 0) {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// A key that can be killed.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// The event.
    pub(super) event: &'static str,
    purpose: &'static str,
}

/// The key that signs tokens.
pub(super) const SIGNING_KEY: Key = Key { event: "signing_key_killed", purpose: "EdDSA" };
/// The one that seals tickets and refresh tokens.
pub(super) const TICKET_KEY: Key = Key { event: "ticket_key_killed", purpose: "mac" };

/// A stolen key is killed.
pub(super) fn key_killed(workshop: &Workshop, program: &Path, key: Key, extent: &Extent) -> io::Result<Vec<Survival>> {
    let mut rig = workshop.build_without_people(Store::Sqlite, Topology::One, &[])?;
    let crowds = crowds(&mut rig, extent)?;
    // The servers have seen each credential once.
    count(&rig, &crowds);
    kill_key(program, rig.place(0), key.purpose)?;
    let during = count(&rig, &crowds);
    Ok(rows(key.event, &rig, &crowds, &during))
}

fn kill_key(program: &Path, data_dir: &Path, purpose: &str) -> io::Result<()> {
    let cloakroom = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command.arg("--data-dir").arg(data_dir).arg("--json").args(arguments).stdin(Stdio::null());
        let output = command.output()?;
        if output.status.success() { Ok(output.stdout) } else { Err(io::Error::other(told(&output.stderr))) }
    };
    let listed: serde_json::Value = serde_json::from_slice(&cloakroom(&["key", "list"])?)?;
    let keys = listed.as_array().or_else(|| listed["keys"].as_array()).cloned().unwrap_or_default();
    let current = keys.iter().find(|key| key["purpose"] == purpose && key["state"] == "current");
    let kid = current.and_then(|key| key["kid"].as_str());
    let kid = kid.ok_or_else(|| io::Error::other(format!("there is no current key for {purpose}: {listed}")))?;
    cloakroom(&["key", "kill", kid]).map(|_| ())
}

fn told(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim().to_owned()
}
