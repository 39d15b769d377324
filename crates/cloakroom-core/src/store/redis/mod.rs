//! Sessions in Redis or Valkey: a server, one that sentinels watch over, or a cluster.
//!
//! One key per session, whose value is the record as `session::Record` stores it; every operation is about one key and one
//! round trip, so that a cluster needs nothing special. What must happen in one piece is a script on the server. Keys expire
//! by themselves, some time after their session: when a session is over is judged by who reads its record.
//!
//! Beside them each account has a list of its devices. It is for display: it is written after the session and cleaned up
//! when it is read, and nothing is ended by it.
//!
//! What this store promises is what the server is set up for. What it has acknowledged survives its being killed with an
//! append-only file, and a power failure with `appendfsync always`; a failover can lose the last moments, because replicas
//! follow behind. A login that was lost is made again by its person. An end that was lost is deleted again from the log
//! ([`SessionStore::forget`]), for which the store knows up to where it has surely seen the log
//! ([`SessionStore::watermark`]).
//!
//! [`SessionStore::forget`]: crate::store::SessionStore::forget
//! [`SessionStore::watermark`]: crate::store::SessionStore::watermark

mod address;
mod check;
mod connect;
mod devices;
mod error;
mod keys;
mod mark;
mod node;
mod route;
mod script;
mod sessions;
mod topology;
mod walk;

use std::{fmt, sync::Arc, time::Duration};

pub use address::Address;
pub use mark::Primary;

use self::{connect::Connector, keys::Keys, route::Route};
use crate::store::{Connections, StoreError, Vitals};

/// Sessions in Redis; cheap to clone.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    address: Address,
    options: Options,
    route: Arc<Route>,
    keys: Keys,
    warnings: Vec<String>,
}

/// Limits of what is done with Redis; the defaults suit any.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How long an answer may take.
    pub answer: Duration,
    /// How many requests may be under way at each server; more wait.
    pub in_flight: usize,
    /// How long a key lives at least, so that a record with a wrong moment in it loses no session. When a session is over is judged by its
    /// record, whatever its key does.
    pub least_life: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let five = Duration::from_secs(5);
        Self { connect: five, answer: five, in_flight: 1024, least_life: Duration::from_hours(1) }
    }
}

impl Redis {
    /// Connects, and looks whether every server is fit to hold sessions.
    ///
    /// # Errors
    /// [`StoreError::Foreign`], with the remedy, when a server may evict sessions, is a replica, too old, or no node of a
    /// cluster where there should be one; [`StoreError::Unavailable`] when it is not reached.
    pub async fn open(address: &Address, options: &Options) -> Result<Self, StoreError> {
        let connector = Connector::new(address, options).await?;
        let route = Route::new(address.clone(), connector);
        route.find().await?;
        let keys = Keys::new(address);
        let mut warnings = check::look(&route, address).await?;
        warnings.extend(mark::unseen(&route, &keys)?);
        for warning in &warnings {
            tracing::warn!(redis = %address, "{warning}");
        }
        Ok(Self(Arc::new(Inner { address: address.clone(), options: options.clone(), route, keys, warnings })))
    }

    /// Each server has one connection, which everybody shares.
    fn its_vitals(&self) -> Vec<Vitals> {
        let nodes = self.0.route.primaries().unwrap_or_default();
        let open = nodes.iter().filter(|node| node.is_up()).count();
        let busy = nodes.iter().map(|node| node.under_way()).sum();
        let connections = Some(Connections { limit: nodes.len(), open, busy, waiting: 0, overdue: 0 });
        vec![Vitals { store: "redis", own: false, disk: None, connections, writes: None, reads: None }]
    }

    /// What an operator should know about these servers: what they can lose, and what could not be looked at.
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({})", self.0.address)
    }
}
