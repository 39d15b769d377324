//! What an engine has done so far and how old things are, for operators.

use std::{sync::Arc, time::Duration};

use super::Engine;
use crate::{
    app::App,
    credential::LimitKind,
    ids::AppId,
    key::{Purpose, schedule::State},
    method::Method,
    refusal::{Code, Refusal},
    store::{StoreOperation, Vitals},
    tally::Tally,
};

/// Counts that no other part of the engine keeps.
#[derive(Default)]
pub(super) struct Tallies {
    sign_ins: Tally<(AppId, Method, Option<Code>)>,
    refreshes: Tally<Option<Code>>,
}

impl Tallies {
    pub(super) fn signed_in(&self, app: &Arc<App>, refused: Option<&Refusal>) {
        self.sign_ins.add((app.id.clone(), app.method, refused.map(Refusal::code)));
    }

    pub(super) fn refreshed(&self, refused: Option<&Refusal>) {
        self.refreshes.add(refused.map(Refusal::code));
    }
}

/// Sign-ins of one kind since the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignIns {
    /// Where.
    pub app: AppId,
    /// The app's method.
    pub method: Method,
    /// What the client was told; `None`: it is signed in.
    pub refused: Option<Code>,
    /// How many.
    pub count: u64,
}

/// How long a key has been the current one of its purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyAge {
    /// What it is for.
    pub purpose: Purpose,
    /// Since when it is used.
    pub age: Duration,
}

impl Engine {
    /// Sign-ins with a password, by app and outcome.
    pub fn sign_ins(&self) -> Vec<SignIns> {
        let counts = self.tallies.sign_ins.counts().into_iter();
        counts.map(|((app, method, refused), count)| SignIns { app, method, refused, count }).collect()
    }

    /// Refreshes by what the client was told; `None`: it has new tokens.
    pub fn refreshes(&self) -> Vec<(Option<Code>, u64)> {
        self.tallies.refreshes.counts()
    }

    /// How often each limit turned somebody away.
    pub fn limited(&self) -> [(LimitKind, u64); LimitKind::ALL.len()] {
        self.limits.refused()
    }

    /// What the stores were asked for.
    pub fn store_operations(&self) -> Vec<StoreOperation> {
        self.watch.operations()
    }

    /// How the stores are, each with what it holds: `accounts`, `sessions`, or `both`, where those are one database.
    pub fn store_vitals(&self) -> Vec<(&'static str, Vitals)> {
        let stores = &self.shared.stores;
        if stores.end_deletes {
            return stores.accounts.vitals().into_iter().map(|vitals| ("both", vitals)).collect();
        }
        let accounts = stores.accounts.vitals().into_iter().map(|vitals| ("accounts", vitals));
        accounts.chain(stores.sessions.vitals().into_iter().map(|vitals| ("sessions", vitals))).collect()
    }

    /// How old the current key of each purpose is.
    pub fn key_ages(&self) -> Vec<KeyAge> {
        let now = self.shared.clock.now();
        let current = self.keys().into_iter().filter(|key| key.state == State::Current);
        current.map(|key| KeyAge { purpose: key.purpose, age: now.since(key.from) }).collect()
    }
}
