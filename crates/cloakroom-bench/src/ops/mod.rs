//! The operations by name: what is compared with what, and by which bound it is held.

mod explain;
mod feed;
mod idle;
pub(crate) mod in_process;
mod login;
mod many;
mod memory;
mod refresh;
mod shared;
mod sizes;
mod storm;
mod verify;

use std::io;

pub(crate) use login::{RawArgs, raw_argon2};
pub(crate) use memory::{StoreArgs, store_memory};

use crate::{report::Findings, rounds::Extent};

type Operation = fn(&Extent) -> io::Result<Findings>;

/// Name, what it measures, and how.
pub(crate) const ALL: [(&str, &str, Operation); 19] = [
    ("verify-session-warm", "/v1/verify by a session that the near-cache holds", verify::session_warm),
    ("verify-session-half", "the same with every second session unknown to the near-cache", verify::session_half),
    ("verify-session-p99", "its p99 at half load, open loop", verify::session_p99),
    ("verify-jwt-warm", "/v1/verify by a JWT that was checked before", verify::jwt_warm),
    ("verify-jwt-cold", "/v1/verify by a JWT never seen", verify::jwt_cold),
    ("in-process", "Verifier::verify with a million warm entries", in_process::operation),
    ("login", "CPU time and throughput of a login beside raw Argon2id", login::login),
    ("login-storm", "/v1/verify at half load while others sign in", storm::storm),
    ("login-timing", "whether the time tells if an account exists", login::timing),
    ("refresh", "durable rotations a second, 64 clients", refresh::refresh),
    ("sizes", "bytes of a ticket and of an access token", sizes::sizes),
    ("memory-per-login", "resident memory per login in the memory store", memory::memory),
    ("many-sessions", "ten thousand to a million live sessions", many::many),
    ("servers", "/v1/verify by three servers beside one, sessions in PostgreSQL", shared::servers),
    ("refresh-shared", "renewals with PostgreSQL and Redis beside bare compare-and-swaps", shared::swaps),
    ("many-sessions-shared", "ten thousand to a million live sessions in PostgreSQL and Redis", shared::many),
    ("explain-off", "/v1/verify by a server that could explain itself, and does not", explain::off),
    ("feed", "a thousand verifiers, each of which hears of a thousand ends a second", feed::feed),
    ("idle", "memory of an idle server; start to /readyz", idle::idle),
];
