//! Counting all sessions, for operators: every primary is walked in small steps (`SCAN`), so that nobody waits long for it.
//! What begins or ends meanwhile may be counted or not.

use std::{collections::HashSet, sync::Arc};

use hashbrown::HashMap;
use redis::{Value, cmd};

use super::{Redis, error::Failure, node::Node, sessions::bytes};
use crate::{
    ids::{AppTag, SessionId},
    method::Method,
    session::Record,
    store::StoreError,
};

/// How many keys are looked at in one step.
const STEP: usize = 500;

type Counts = HashMap<(AppTag, Method), u64>;

impl Redis {
    pub(super) async fn count_all(&self) -> Result<Vec<(AppTag, Method, u64)>, StoreError> {
        let mut counts = Counts::new();
        for node in self.0.route.primaries()? {
            self.count_at(&node, &mut counts).await?;
        }
        Ok(counts.into_iter().map(|((app, method), n)| (app, method, n)).collect())
    }

    async fn count_at(&self, node: &Arc<Node>, counts: &mut Counts) -> Result<(), Failure> {
        let mut cursor = b"0".to_vec();
        // A walk may meet a key twice, but only within a step and the next: while its table grows or shrinks.
        let mut before = HashSet::<SessionId>::new();
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(self.0.keys.every_session()).arg("COUNT").arg(STEP);
            let Value::Array(mut parts) = node.ask(&scan, false).await? else { return Ok(()) };
            let (Some(Value::Array(keys)), Some(next)) = (parts.pop(), parts.pop().and_then(bytes)) else {
                return Ok(());
            };
            let mut step = HashSet::new();
            let mut reads = redis::pipe();
            for key in keys.into_iter().filter_map(bytes) {
                if let Some(id) = self.0.keys.session_of(&key)
                    && !before.contains(&id)
                    && step.insert(id)
                {
                    reads.cmd("GET").arg(key);
                }
            }
            if !reads.is_empty() {
                // A refusal is of a key that has moved on, or is none of ours.
                for record in node.ask_all(&reads).await?.into_iter().filter_map(bytes) {
                    if let Ok(record) = Record::decode(&record) {
                        *counts.entry((record.app, record.method)).or_default() += 1;
                    }
                }
            }
            if next == b"0" {
                return Ok(());
            }
            (cursor, before) = (next, step);
        }
    }
}
