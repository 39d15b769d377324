//! Which server a key is on: the one that the address names, the primary that its sentinels name, or the node of a
//! cluster that has the key's slot; and what to do when that changes.
//!
//! A cluster's redirections are followed at once, and the slots are learnt anew beside that. What an answer was lost of is
//! asked once more; so callers are told when a write may have been done twice. The client crate has a cluster of its own;
//! it repeats writes without a word and holds up every node while it looks for one.

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};
use redis::{Cmd, Value, cmd};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    address::{Address, Host, Login, Shape},
    connect::Connector,
    error::Failure,
    keys::{SLOTS, slot},
    node::Node,
    topology::{Slots, read_slots},
};
use crate::{store::StoreError, tasks};

/// The way to every key.
pub(super) struct Route {
    address: Address,
    connector: Arc<Connector>,
    map: RwLock<Arc<Map>>,
    /// Servers that somebody was sent on to and that are in no map yet, the last one at the end.
    unmapped: Mutex<Vec<Arc<Node>>>,
    looking: Mutex<Looking>,
}

/// What is known of where keys are.
pub(super) struct Map {
    nodes: Vec<Arc<Node>>,
    place: Place,
}

enum Place {
    /// The primary is not known.
    Nowhere(StoreError),
    /// Every key is on the first node.
    One,
    /// By slot, the number of the node; [`NOBODY`] where no node has it.
    Slots(Box<[u16]>),
}

/// The search for where keys are: whether it is under way, and when it was last over.
struct Looking {
    done: Option<watch::Receiver<()>>,
    last: Option<Instant>,
}

/// An answer.
pub(super) struct Answer {
    pub(super) value: Value,
    /// Whether it was asked for twice, and may have been done at the first time.
    pub(super) repeated: bool,
}

const NOBODY: u16 = u16::MAX;
/// How often a request is sent on by nodes that do not have its slot any more.
const MOST_HOPS: u32 = 5;
/// How many servers that are in no map are kept: more do not join a cluster at a time.
const MOST_UNMAPPED: usize = 16;
/// Where keys are is not looked for more often than this.
const PAUSE: Duration = Duration::from_millis(100);
/// Sentinels are asked again after so long.
const STALE: Duration = Duration::from_secs(2);
/// How long who asks waits for the search.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long one sentinel or node is given to say what it knows.
const ONE: Duration = Duration::from_secs(1);

impl Route {
    /// The way from an address on; nothing is asked yet.
    pub(super) fn new(address: Address, connector: Connector) -> Arc<Self> {
        let connector = Arc::new(connector);
        let map = match address.shape {
            Shape::Single => {
                let nodes = address.hosts.iter().map(|host| Node::new(host.clone(), Arc::clone(&connector))).collect();
                Map { nodes, place: Place::One }
            }
            _ => Map { nodes: Vec::new(), place: Place::Nowhere(StoreError::Unavailable("not looked for yet".into())) },
        };
        let looking = Mutex::new(Looking { done: None, last: None });
        let unmapped = Mutex::default();
        Arc::new(Self { address, connector, map: RwLock::new(Arc::new(map)), unmapped, looking })
    }

    /// Asks the server that a key is on.
    pub(super) async fn ask(self: &Arc<Self>, key: &[u8], command: &Cmd) -> Result<Answer, Failure> {
        let slot = self.slot(key);
        self.look_now_and_then();
        if self.node(slot).is_err() {
            self.look_again().await;
        }
        let mut node = self.node(slot).map_err(Failure::Unreachable)?;
        let (mut repeated, mut retried, mut hops, mut asking) = (false, false, 0, false);
        loop {
            let failure = match node.ask(command, asking).await {
                Ok(value) => return Ok(Answer { value, repeated }),
                Err(failure) => failure,
            };
            if let Some((ask, host)) = redirection(&failure, &node.host).filter(|_| hops < MOST_HOPS) {
                hops += 1;
                asking = ask;
                node = if ask { self.node_at(&host) } else { self.moved(slot, &host) };
                continue;
            }
            if retried || !self.is_worth_another_try(&failure, &node) {
                return Err(failure);
            }
            self.look_again().await;
            let Ok(next) = self.node(slot) else { return Err(failure) };
            if matches!(failure, Failure::Unreachable(_)) && Arc::ptr_eq(&next, &node) {
                // Nothing has changed, and the same would be said.
                return Err(failure);
            }
            repeated = matches!(failure, Failure::Lost(_));
            (node, asking, retried) = (next, false, true);
        }
    }

    /// Whether the same may be asked once more, perhaps of another server; and what a failure shows is looked into.
    fn is_worth_another_try(self: &Arc<Self>, failure: &Failure, node: &Node) -> bool {
        let elsewhere = self.address.shape != Shape::Single;
        match (failure, failure.code()) {
            (Failure::Lost(_), _) => true,
            (Failure::Unreachable(_), _) => elsewhere,
            (_, Some("READONLY")) => {
                // It is the primary no more, and did nothing. A new connection may lead to who is.
                node.reconnect();
                elsewhere
            }
            (Failure::Silent(_), _) | (_, Some("CLUSTERDOWN" | "MASTERDOWN" | "LOADING")) => {
                self.look();
                false
            }
            _ => false,
        }
    }

    /// The servers that hold keys.
    pub(super) fn primaries(&self) -> Result<Vec<Arc<Node>>, StoreError> {
        let map = self.map.read().clone();
        match &map.place {
            Place::Nowhere(error) => Err(error.clone()),
            Place::One => Ok(map.nodes.iter().take(1).cloned().collect()),
            Place::Slots(slots) => {
                let holds = |n: &usize| slots.iter().any(|at| usize::from(*at) == *n);
                Ok((0..map.nodes.len()).filter(holds).map(|n| Arc::clone(&map.nodes[n])).collect())
            }
        }
    }

    /// Changes with every new connection to a server.
    pub(super) fn connections(&self) -> watch::Receiver<u64> {
        self.connector.opened.subscribe()
    }

    /// The server that a key is on, as far as is known.
    pub(super) fn holder(&self, key: &[u8]) -> Result<Arc<Node>, StoreError> {
        self.node(self.slot(key))
    }

    /// Looks for where keys are, whatever is known, and says why it is not known.
    pub(super) async fn find(self: &Arc<Self>) -> Result<(), StoreError> {
        if let Some(mut done) = self.look() {
            let _ = done.changed().await;
        }
        self.primaries().map(drop)
    }

    fn slot(&self, key: &[u8]) -> u16 {
        if self.address.shape == Shape::Cluster { slot(key) } else { 0 }
    }

    fn node(&self, slot: u16) -> Result<Arc<Node>, StoreError> {
        let map = self.map.read();
        let number = match &map.place {
            Place::Nowhere(error) => return Err(error.clone()),
            Place::One => 0,
            Place::Slots(slots) => usize::from(slots.get(usize::from(slot)).copied().unwrap_or(NOBODY)),
        };
        map.nodes.get(number).cloned().ok_or_else(|| {
            StoreError::Unavailable("no node of the Redis cluster serves a slot; see CLUSTER NODES".to_owned())
        })
    }

    /// The node of that address, which keeps its connection from map to map. One that is in none, as while it imports its first
    /// slot, is kept too: every request for that slot is sent on to it, and each would connect anew.
    fn node_at(&self, host: &Host) -> Arc<Node> {
        let of_host = |node: &&Arc<Node>| node.host == *host;
        if let Some(known) = self.map.read().nodes.iter().find(of_host) {
            return Arc::clone(known);
        }
        let mut unmapped = self.unmapped.lock();
        if let Some(known) = unmapped.iter().find(of_host) {
            return Arc::clone(known);
        }
        if unmapped.len() == MOST_UNMAPPED {
            // Its connection closes when the last answer over it has come.
            unmapped.remove(0);
        }
        let node = Node::new(host.clone(), Arc::clone(&self.connector));
        unmapped.push(Arc::clone(&node));
        node
    }

    /// A slot is elsewhere: that is noted at once, and all others are asked for.
    fn moved(self: &Arc<Self>, slot: u16, host: &Host) -> Arc<Node> {
        let node = self.node_at(host);
        {
            let mut map = self.map.write();
            if let Place::Slots(slots) = &map.place {
                let (mut nodes, mut slots) = (map.nodes.clone(), slots.clone());
                let number = nodes.iter().position(|known| Arc::ptr_eq(known, &node)).unwrap_or_else(|| {
                    nodes.push(Arc::clone(&node));
                    nodes.len() - 1
                });
                slots[usize::from(slot)] = number as u16;
                *map = Arc::new(Map { nodes, place: Place::Slots(slots) });
            }
        }
        self.look();
        node
    }

    /// An old primary that only its sentinels do not reach any more answers on as if nothing had happened; so they are asked
    /// also while it does. A cluster's node would stop by itself.
    fn look_now_and_then(self: &Arc<Self>) {
        if matches!(self.address.shape, Shape::Sentinel { .. })
            && self.looking.lock().last.is_some_and(|last| last.elapsed() > STALE)
        {
            self.look();
        }
    }

    async fn look_again(self: &Arc<Self>) {
        if let Some(mut done) = self.look() {
            let _ = timeout(PATIENCE, done.changed()).await;
        }
    }

    /// Begins to look for where keys are, unless that was done a moment ago; what closes when it is over.
    fn look(self: &Arc<Self>) -> Option<watch::Receiver<()>> {
        if self.address.shape == Shape::Single {
            return None;
        }
        let mut looking = self.looking.lock();
        if let Some(done) = looking.done.as_ref().filter(|done| done.has_changed().is_ok()) {
            return Some(done.clone());
        }
        if looking.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return None;
        }
        let (decided, done) = watch::channel(());
        looking.done = Some(done.clone());
        let route = Arc::clone(self);
        tasks::once("topology", async move {
            let found = match &route.address.shape {
                Shape::Sentinel { service, login } => route.by_sentinels(service, login).await,
                _ => route.by_cluster().await,
            };
            route.settle(found);
            route.looking.lock().last = Some(Instant::now());
            drop(decided);
        });
        Some(done)
    }

    /// What was found takes the place of what was known; that stays when nothing was found.
    fn settle(&self, found: Result<Map, StoreError>) {
        let mut map = self.map.write();
        match (found, &map.place) {
            (Ok(found), _) => {
                self.unmapped.lock().retain(|node| !found.nodes.iter().any(|mapped| Arc::ptr_eq(mapped, node)));
                *map = Arc::new(found);
            }
            (Err(error), Place::Nowhere(_)) => {
                *map = Arc::new(Map { nodes: Vec::new(), place: Place::Nowhere(error) });
            }
            (Err(error), _) => tracing::warn!(%error, "where Redis keeps what is not known anew"),
        }
    }

    async fn by_sentinels(&self, service: &str, login: &Login) -> Result<Map, StoreError> {
        let connector = self.connector.for_sentinels(login);
        let mut last = None;
        for host in &self.address.hosts {
            let asked = async {
                let link = connector.open(host).await?;
                let mut question = cmd("SENTINEL");
                question.arg("get-master-addr-by-name").arg(service);
                let answer = link.connection.clone().send_packed_command(&question).await;
                answer.map_err(|error| super::error::of_connection(&error))
            };
            match timeout(ONE, asked).await {
                Ok(Ok(Value::Array(parts))) => {
                    if let Some(host) = super::topology::host(parts.first(), parts.get(1), host) {
                        return Ok(Map { nodes: vec![self.node_at(&host)], place: Place::One });
                    }
                    last = Some(StoreError::Unavailable(format!("the sentinel at {host} answers with nonsense")));
                }
                Ok(Ok(Value::ServerError(answer))) => last = Some(super::error::of_answer(&answer)),
                Ok(Ok(_)) => {
                    let text = format!("the sentinel at {host} knows no service `{service}`; see SENTINEL MASTERS");
                    last = Some(StoreError::Unavailable(text));
                }
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = Some(StoreError::Unavailable(format!("the sentinel at {host} does not answer"))),
            }
        }
        Err(last.unwrap_or_else(|| StoreError::Unavailable("no sentinel is named".to_owned())))
    }

    async fn by_cluster(&self) -> Result<Map, StoreError> {
        // Those that answer at the moment are asked first, then those of the address.
        let mut asked: Vec<_> = self.map.read().nodes.iter().filter(|node| node.is_up()).cloned().collect();
        for host in &self.address.hosts {
            let node = self.node_at(host);
            if !asked.iter().any(|known| known.host == node.host) {
                asked.push(node);
            }
        }
        let mut question = cmd("CLUSTER");
        question.arg("SLOTS");
        let mut last = None;
        for node in asked {
            match timeout(ONE, node.ask(&question, false)).await {
                Ok(Ok(answer)) => match read_slots(&answer, &node.host) {
                    Some(slots) if !slots.is_empty() => return Ok(self.map_of(slots, &node)),
                    _ => {
                        let text = format!("Redis at {} is in a cluster that has no slots yet", node.host);
                        last = Some(StoreError::Unavailable(text));
                    }
                },
                Ok(Err(failure)) if failure.code() == Some("ERR") => {
                    let text =
                        format!("Redis at {} is no node of a cluster: write redis:// without +cluster", node.host);
                    last = Some(StoreError::Unavailable(text));
                }
                Ok(Err(failure)) => last = Some(failure.into()),
                Err(_) => last = Some(StoreError::Unavailable(format!("Redis at {} does not answer", node.host))),
            }
        }
        Err(last.unwrap_or_else(|| StoreError::Unavailable("no node is named".to_owned())))
    }

    fn map_of(&self, found: Slots, asked: &Arc<Node>) -> Map {
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        let mut slots = vec![NOBODY; usize::from(SLOTS)].into_boxed_slice();
        for (range, host) in found {
            let number = nodes.iter().position(|node| node.host == host).unwrap_or_else(|| {
                // The one that was asked may not be in the map yet, and has a connection.
                nodes.push(if asked.host == host { Arc::clone(asked) } else { self.node_at(&host) });
                nodes.len() - 1
            });
            slots[range].fill(number as u16);
        }
        Map { nodes, place: Place::Slots(slots) }
    }
}

/// Where a node sends a request on to, and whether only this one (`ASK`).
fn redirection(failure: &Failure, from: &Host) -> Option<(bool, Host)> {
    let Failure::Refused(answer) = failure else { return None };
    let ask = match answer.code() {
        "ASK" => true,
        "MOVED" => false,
        _ => return None,
    };
    // "3999 127.0.0.1:6381"; without a host it is another port of the same.
    let (_, place) = answer.details()?.split_once(' ')?;
    let (name, port) = place.trim().rsplit_once(':')?;
    let name = if name.is_empty() { from.name.clone() } else { name.to_owned() };
    Some((ask, Host { name, port: port.parse().ok()? }))
}
