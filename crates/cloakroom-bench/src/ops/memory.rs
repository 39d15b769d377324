//! Resident memory per login in the memory store: the slope from 10⁵ to 10⁶ sessions, filled through the store's port, and
//! again when every session has been rotated 1,000 times.

use std::{io, process, process::Command};

use clap::Args;
use cloakroom_core::{
    clock::Clock,
    ids::{AccountId, AppId, Epoch, Generation, SessionId},
    method::Method,
    random::Rng,
    session::{AuthMethods, ClientKind, Record, Write, Written},
    store::{SessionStore, memory::MemorySessions},
};
use serde::{Deserialize, Serialize};

use crate::{
    report::{Bound, Figure, Findings},
    rounds::Extent,
};
use cloakroom_lab::{stats::Estimate, stopwatch::resident};

/// `store-memory`.
#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    /// Sessions of one account.
    #[arg(long, default_value_t = 1)]
    per_account: usize,
    /// Sessions at which the slope begins; it ends at ten times as many.
    #[arg(long, default_value_t = 100_000)]
    from: usize,
    /// Rotations of every session.
    #[arg(long, default_value_t = 1000)]
    rotations: u32,
}

/// Resident bytes at both ends of the slope.
#[derive(Serialize, Deserialize)]
struct Resident {
    few: u64,
    many: u64,
    few_rotated: u64,
    many_rotated: u64,
    /// What the store says of itself at the end.
    told: usize,
}

pub(super) fn memory(extent: &Extent) -> io::Result<Findings> {
    let from = if extent.quick { 10_000 } else { 100_000 };
    let mut findings = Findings::new("memory-per-login");
    // A thousand million rotations take minutes; that they change nothing is shown once.
    for (per_account, rotations) in [(1, if extent.quick { 10 } else { 1000 }), (4, 10)] {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("store-memory");
        for (name, number) in [("per-account", per_account), ("from", from), ("rotations", rotations)] {
            command.args(cloakroom_lab::subject::count(name, number));
        }
        let output = command.output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let found: Resident = serde_json::from_slice(&output.stdout)?;
        let added = (from * 9) as f64;
        let slope = |few: u64, many: u64| Estimate::exact((many as f64 - few as f64) / added);
        let what = format!("per login, {per_account} to an account");
        findings.add(Figure::new(&*what, slope(found.few, found.many), "bytes").bound(Bound::AtMost(150.0)));
        findings.add(
            Figure::new(
                format!("{what}, after {rotations} rotations of each"),
                slope(found.few_rotated, found.many_rotated),
                "bytes",
            )
            .bound(Bound::AtMost(150.0)),
        );
        let told = Estimate::exact(found.told as f64 / (from * 10) as f64);
        findings.add(Figure::new(format!("{what}, as the store tells"), told, "bytes"));
    }
    findings
        .note("VmRSS of a process that holds nothing but the store; records, index, account lists, expiry included");
    findings.note("rotated by the store's port, each generation by its own write");
    Ok(findings)
}

/// Fills a store and prints what it took.
pub(crate) fn store_memory(args: &StoreArgs) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        let store = MemorySessions::new();
        let mut filled = Filler { store: &store, rng: Rng::seeded(1), ids: 0, per_account: args.per_account };
        let few = filled.fill(args.from).await?;
        let few_rotated = filled.rotate(0..args.from, args.rotations).await?;
        let many = filled.fill(args.from * 10).await?;
        let many_rotated = filled.rotate(args.from..args.from * 10, args.rotations).await?;
        let found = Resident { few, many, few_rotated, many_rotated, told: store.bytes() };
        println!("{}", serde_json::to_string(&found)?);
        Ok(())
    })
}

struct Filler<'s> {
    store: &'s MemorySessions,
    rng: Rng,
    ids: usize,
    per_account: usize,
}

/// Ids that look random and need not be remembered.
fn id(number: usize) -> SessionId {
    let mut mixed = cloakroom_lab::stats::SplitMix(number as u64);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&mixed.draw().to_be_bytes());
    bytes[8..].copy_from_slice(&mixed.draw().to_be_bytes());
    SessionId::from_bytes(bytes)
}

impl Filler<'_> {
    /// Resident memory once there are so many.
    async fn fill(&mut self, count: usize) -> io::Result<u64> {
        let now = Clock::system().now();
        let app = AppId::parse("web").ok_or_else(|| io::Error::other("no app"))?.tag();
        let mut account = AccountId::generate(now, &self.rng);
        while self.ids < count {
            if self.ids.is_multiple_of(self.per_account) {
                account = AccountId::generate(now, &self.rng);
            }
            let record = Record {
                account,
                epoch: Epoch(0),
                app,
                app_epoch: Epoch(0),
                method: Method::Jwt,
                created: now,
                last_active: now,
                expires: now + std::time::Duration::from_secs(30 * 86_400),
                generation: Generation(0),
                rotated: now,
                auth_time: now,
                amr: AuthMethods::PASSWORD,
                client: ClientKind::default(),
            };
            let written = self.store.write(id(self.ids), Write::Create(record)).await.map_err(io::Error::other)?;
            if !matches!(written, Written::Done(_)) {
                return Err(io::Error::other("a session is there twice"));
            }
            self.ids += 1;
        }
        resident(process::id())
    }

    async fn rotate(&self, sessions: std::ops::Range<usize>, times: u32) -> io::Result<u64> {
        let at = Clock::system().now();
        for number in sessions {
            let id = id(number);
            for generation in 0..times {
                let (from, to) = (Generation(generation), Generation(generation + 1));
                let write = Write::Rotate { from, to, at: Some(at), active: Some(at) };
                let written = self.store.write(id, write).await.map_err(io::Error::other)?;
                if !matches!(written, Written::Done(_)) {
                    return Err(io::Error::other("a rotation was refused"));
                }
            }
        }
        resident(process::id())
    }
}
