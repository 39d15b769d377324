//! Whether requests should come here: whether this server is worse off than its peers could be.
//!
//! A store that is away for all servers is told, in the answer, by a metric and in the log, and does not turn `/readyz`: a
//! balancer that took every server out for it would take away what goes on without the store. A store that this server has
//! for itself does.

use std::time::Duration;

use tokio::time::timeout;

use super::Engine;
use crate::{
    health::{Health, Part, Trouble, Whose},
    ids::SessionId,
    key::KeyTrouble,
    store::Vitals,
};

/// How long a store may take before it counts as away. Probes give a server a second.
const PROMPT: Duration = Duration::from_millis(700);
/// A write that found no room counts for so long: others may still fit, and the next ones may not.
const NO_ROOM: Duration = Duration::from_secs(5);
/// What a trouble with the keys is named after.
const KEYS: &str = "ring";

impl Engine {
    /// What is wrong with this server. Its lease is renewed with the question, once for all who ask at a time.
    pub async fn ready(&self) -> Vec<Trouble> {
        let accounts = async { self.verifier.renew_lease().await.is_ok() };
        self.ask_stores(accounts).await;
        self.judge_keys();
        self.health().troubles()
    }

    /// Keys that this server cannot open, and its peers can, are its own trouble; what is wrong with the rows is everybody's.
    fn judge_keys(&self) {
        let troubles = self.keys_trouble();
        let own = |trouble: &&KeyTrouble| matches!(trouble, KeyTrouble::Lacking(..) | KeyTrouble::OtherSecret);
        let worst = troubles.iter().find(own).map(|trouble| (Whose::Own, trouble));
        match worst.or(troubles.first().map(|trouble| (Whose::Shared, trouble))) {
            None => self.health().clear(Part::Keys, KEYS),
            Some((whose, trouble)) => {
                let text = format!("{trouble}; {}", trouble.remedy());
                self.health().set(Trouble { whose, part: Part::Keys, name: KEYS.into(), text });
            }
        }
    }

    /// What is known to be wrong with it.
    pub fn health(&self) -> &Health {
        &self.shared.health
    }

    /// Looks how the stores are, and tells the log what has changed.
    pub(super) async fn look_around(&self) {
        // The task that follows the log asks the other store all the time.
        self.ask_stores(async { self.verifier.hears() }).await;
        self.judge_keys();
        let now = self.health().troubles();
        let before = std::mem::replace(&mut *self.known.lock(), now.clone());
        let is_in = |trouble: &Trouble, list: &[Trouble]| {
            list.iter().any(|known| (known.part, &known.name) == (trouble.part, &trouble.name))
        };
        for trouble in now.iter().filter(|trouble| !is_in(trouble, &before)) {
            match trouble.whose {
                Whose::Own => tracing::error!(%trouble, "this server is not ready"),
                Whose::Shared => tracing::warn!(%trouble, "this server and its peers lack something"),
            }
        }
        for trouble in before.iter().filter(|trouble| !is_in(trouble, &now)) {
            tracing::info!(part = trouble.part.name(), name = %trouble.name, "a trouble is over");
        }
    }

    async fn ask_stores(&self, accounts: impl Future<Output = bool>) {
        let stores = &self.shared.stores;
        if stores.end_deletes {
            self.judge("both", &stores.accounts.vitals(), timeout(PROMPT, accounts).await.unwrap_or(false));
            return;
        }
        let any = SessionId::from_bytes(self.shared.rng.bytes());
        let sessions = self.session_looks.ask(async || stores.sessions.read(any).await.is_ok());
        let (accounts, sessions) = tokio::join!(timeout(PROMPT, accounts), timeout(PROMPT, sessions));
        self.judge("accounts", &stores.accounts.vitals(), accounts.unwrap_or(false));
        self.judge("sessions", &stores.sessions.vitals(), sessions.unwrap_or(false));
    }

    fn judge(&self, holds: &'static str, vitals: &[Vitals], answers: bool) {
        // Of a store that says nothing about itself it is not known that others are better off.
        let own = !vitals.is_empty() && vitals.iter().all(|vitals| vitals.own);
        let whose = if own { Whose::Own } else { Whose::Shared };
        let set = |part, text: &str| {
            self.health().set(Trouble { whose, part, name: holds.into(), text: text.to_owned() });
        };
        if answers {
            self.health().clear(Part::Store, holds);
        } else {
            let told =
                if holds == "sessions" { "it does not answer" } else { "what has ended cannot be heard from it" };
            set(Part::Store, told);
        }
        let full = vitals.iter().filter_map(|vitals| vitals.disk).any(|disk| !disk.has_room());
        if full || self.watch.lacked_room(holds).is_some_and(|ago| ago < NO_ROOM) {
            set(Part::Disk, "nothing can be written to it: it is full, or may only be read");
        } else {
            self.health().clear(Part::Disk, holds);
        }
    }
}
