//! Who is at the other end of a request, as far as the engine needs it.

use std::net::IpAddr;

use crate::{audit, credential::Network, session::ClientKind};

/// Address and program of a request.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The address, as far as configured proxies tell it; `None` for the operator's own socket.
    pub address: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
}

impl Client {
    /// A client at an address.
    pub fn new(address: Option<IpAddr>, user_agent: Option<&str>) -> Self {
        let cut = |text: &str| text.chars().filter(|c| !c.is_control()).take(256).collect();
        Self { address, user_agent: user_agent.map(cut) }
    }

    /// The kind of browser and system, for the record.
    pub fn kind(&self) -> ClientKind {
        self.user_agent.as_deref().map(ClientKind::from_user_agent).unwrap_or_default()
    }

    /// The network that limits count by.
    pub fn network(&self) -> Option<Network> {
        self.address.map(Network::from)
    }

    pub(super) fn origin(&self) -> audit::Origin {
        audit::Origin { address: self.address, user_agent: self.user_agent.clone() }
    }
}
