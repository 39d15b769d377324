//! A walk over all sessions: every primary is walked in small steps (`SCAN`), so that nobody waits long for it. What begins
//! or ends meanwhile may be met or not.

use std::{collections::HashSet, sync::Arc};

use hashbrown::HashMap;
use redis::{Value, cmd};

use super::{Redis, error::Failure, node::Node, sessions::bytes};
use crate::{
    ids::{AppTag, SessionId},
    method::Method,
    session::Record,
    store::{Place, StoreError, Stretch},
};

/// How many keys are looked at in one step.
pub(super) const STEP: usize = 500;
/// Where a walk over one server begins and ends.
const START: &[u8] = b"0";

type Step = Vec<(SessionId, Option<Record>)>;

impl Redis {
    /// How many sessions there are, by app and method.
    pub(super) async fn count_all(&self) -> Result<Vec<(AppTag, Method, u64)>, StoreError> {
        let mut counts = HashMap::<(AppTag, Method), u64>::new();
        for node in self.0.route.primaries()? {
            let mut cursor = START.to_vec();
            // A walk may meet a key twice, but only within a step and the next: while its table grows or shrinks.
            let mut before = HashSet::new();
            loop {
                let (sessions, next) = self.step(&node, &cursor, STEP).await?;
                for (_, record) in sessions.iter().filter(|(id, _)| !before.contains(id)) {
                    if let Some(record) = record {
                        *counts.entry((record.app, record.method)).or_default() += 1;
                    }
                }
                if next == START {
                    break;
                }
                (cursor, before) = (next, sessions.into_iter().map(|(id, _)| id).collect());
            }
        }
        Ok(counts.into_iter().map(|((app, method), n)| (app, method, n)).collect())
    }

    /// A place is a server, and the cursor of the walk over it.
    pub(super) async fn walk_on(&self, from: Option<Place>, limit: usize) -> Result<Stretch, StoreError> {
        let mut nodes = self.0.route.primaries()?;
        nodes.sort_by_key(|node| node.host.to_string());
        let mut place = from.map_or_else(Vec::new, |place| place.0);
        let cursor = place.iter().rposition(|b| *b == b' ').map(|at| place.split_off(at)[1..].to_vec());
        let at = match &cursor {
            None => Some(0),
            Some(_) => nodes.iter().position(|node| node.host.to_string().as_bytes() == place),
        };
        let Some((at, node)) = at.and_then(|at| Some((at, nodes.get(at)?))) else {
            return Err(StoreError::Unavailable("the servers of Redis changed during a walk over them".to_owned()));
        };
        let (sessions, next) = self.step(node, cursor.as_deref().unwrap_or(START), limit).await?;
        let onward = |node: &Arc<Node>, cursor: &[u8]| Place([node.host.to_string().as_bytes(), b" ", cursor].concat());
        let next =
            if next == START { nodes.get(at + 1).map(|node| onward(node, START)) } else { Some(onward(node, &next)) };
        Ok(Stretch { sessions, next })
    }

    /// One step of a walk over a server, each session once; and where it goes on.
    async fn step(&self, node: &Arc<Node>, cursor: &[u8], count: usize) -> Result<(Step, Vec<u8>), Failure> {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(self.0.keys.every_session()).arg("COUNT").arg(count);
        let end = || (Vec::new(), START.to_vec());
        let Value::Array(mut parts) = node.ask(&scan, false).await? else { return Ok(end()) };
        let (Some(Value::Array(keys)), Some(next)) = (parts.pop(), parts.pop().and_then(bytes)) else {
            return Ok(end());
        };
        let (mut ids, mut met, mut reads) = (Vec::new(), HashSet::new(), redis::pipe());
        for key in keys.into_iter().filter_map(bytes) {
            if let Some(id) = self.0.keys.session_of(&key)
                && met.insert(id)
            {
                ids.push(id);
                reads.cmd("GET").arg(key);
            }
        }
        if ids.is_empty() {
            return Ok((Vec::new(), next));
        }
        let answers = node.ask_all(&reads).await?;
        let sessions = ids.into_iter().zip(answers).filter_map(|(id, answer)| match answer {
            // It has just ended, or moved on to another server.
            Value::Nil => None,
            Value::ServerError(error) if matches!(error.code(), "MOVED" | "ASK") => None,
            answer => Some((id, bytes(answer).and_then(|bytes| Record::decode(&bytes).ok()))),
        });
        Ok((sessions.collect(), next))
    }
}
