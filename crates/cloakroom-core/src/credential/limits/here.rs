//! Counts in the memory of a server that has its store for itself.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Counted, Empty, LimitKind, LimitSettings, Outcome,
    table::{Table, Token},
};
use crate::clock::Clock;

pub(super) struct Here {
    /// In the order of [`LimitKind::ALL`].
    tables: Mutex<[Table; 4]>,
    settled: Arc<Notify>,
    clock: Clock,
}

pub(super) struct Tokens {
    first: (LimitKind, Token),
    then: Option<(LimitKind, Token)>,
}

impl Here {
    pub(super) fn new(settings: LimitSettings, clock: Clock, settled: Arc<Notify>) -> Self {
        let table = |limit| Table::new(settings.rate(limit), settings.capacity);
        Self { tables: Mutex::new(LimitKind::ALL.map(table)), settled, clock }
    }

    /// A token of each limit, or of none.
    pub(super) fn take(&self, first: Counted, then: Option<Counted>) -> Result<Tokens, (LimitKind, Empty)> {
        let mut tables = self.tables.lock();
        let now = self.clock.boot();
        let mut take = |counted: Counted| {
            let taken = tables[counted.limit as usize].take(counted.key, now);
            taken.map(|token| (counted.limit, token)).map_err(|empty| (counted.limit, empty))
        };
        let first = take(first)?;
        match then.map(take).transpose() {
            Ok(then) => Ok(Tokens { first, then }),
            Err(refused) => {
                tables[first.0 as usize].settle(&first.1, Outcome::GivenBack, now);
                Err(refused)
            }
        }
    }

    pub(super) fn settle(&self, tokens: &Tokens, outcome: Outcome) {
        let mut tables = self.tables.lock();
        let now = self.clock.boot();
        for (limit, token) in std::iter::once(&tokens.first).chain(&tokens.then) {
            tables[*limit as usize].settle(token, outcome, now);
        }
        drop(tables);
        self.settled.notify_waiters();
    }

    /// Keys in all tables together.
    #[cfg(test)]
    pub(super) fn tracked(&self) -> usize {
        self.tables.lock().iter().map(Table::len).sum()
    }
}
