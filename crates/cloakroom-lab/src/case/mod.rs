//! The case: what somebody has, and what they need. `advise` decides by it, and `compare` measures for it.
//!
//! A [`Case`] that is there obeys every rule: [`Case::parse`] reads a case file, and tells all of its mistakes at once. The keys
//! and their defaults are fixed for callers outside.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::{collections::BTreeSet, fmt, time::Duration};

pub use read::{CaseError, CaseErrors, parse_value};
pub use write::shown;

/// What somebody has, and what they need.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// `clients`: what asks; never empty.
    pub clients: BTreeSet<Client>,
    /// `live_sessions`: how many are signed in at a time.
    pub live_sessions: u64,
    /// `requests_per_second`: how many requests carry a credential.
    pub requests_per_second: f64,
    /// `logins_per_second`: how many sign in.
    pub logins_per_second: f64,
    /// `servers`: how many servers check credentials.
    pub servers: u32,
    /// `regions`: in how many regions they stand.
    pub regions: u32,
    /// `store_round_trip_ms`: from a server to the store and back, in milliseconds.
    pub store_round_trip_ms: f64,
    /// `shared_store`: a store that all servers reach can be run.
    pub shared_store: bool,
    /// `end_within`: nothing may be accepted this long after an end.
    pub end_within: EndWithin,
    /// `verifiers`: who checks credentials.
    pub verifiers: Verifiers,
    /// `cross_site`: the pages and the API are on different sites.
    pub cross_site: bool,
    /// `offline_verification`: verifiers may be cut off from server and feed for hours.
    pub offline_verification: bool,
    /// `sensitive`: it is about money, health or administration.
    pub sensitive: bool,
    /// `egress_price_per_gb`: what 10⁹ bytes of traffic cost, in any currency.
    pub egress_price_per_gb: f64,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            clients: BTreeSet::from([Client::Browser]),
            live_sessions: 10_000,
            requests_per_second: 100.0,
            logins_per_second: 1.0,
            servers: 1,
            regions: 1,
            store_round_trip_ms: 1.0,
            shared_store: true,
            end_within: EndWithin::Within(Duration::from_secs(60)),
            verifiers: Verifiers::Own,
            cross_site: false,
            offline_verification: false,
            sensitive: false,
            egress_price_per_gb: 0.09,
        }
    }
}

/// What sends requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Client {
    /// Pages in a browser.
    Browser,
    /// An app on a phone.
    Mobile,
    /// A program of one's own.
    Service,
    /// Somebody else's app, which acts for people who let it.
    ThirdParty,
}

impl Client {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Browser, Self::Mobile, Self::Service, Self::ThirdParty];

    /// Its name in case files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Mobile => "mobile",
            Self::Service => "service",
            Self::ThirdParty => "third_party",
        }
    }
}

/// How soon an end has to be heeded; the later one is the looser one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndWithin {
    /// `"0s"`: from the next request on.
    NextRequest,
    /// So long after it was acknowledged.
    Within(Duration),
    /// `"any"`: what has been handed out may last until it expires.
    Any,
}

impl fmt::Display for EndWithin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NextRequest => f.write_str("0s"),
            Self::Within(time) => f.write_str(&cloakroom_server::config::show_duration(*time)),
            Self::Any => f.write_str("any"),
        }
    }
}

/// Who checks credentials; the later one is the harder one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verifiers {
    /// The app itself, or the server in front of it.
    Own,
    /// Many services of one's own, which can reach the server.
    ManyServices,
    /// Somebody else's, who cannot reach the server on each request.
    ThirdParty,
}

impl Verifiers {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Own, Self::ManyServices, Self::ThirdParty];

    /// Its name in case files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::ManyServices => "many_services",
            Self::ThirdParty => "third_party",
        }
    }
}

/// A key of the case file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is a field of `Case`, which is documented")]
pub enum Key {
    Clients,
    LiveSessions,
    RequestsPerSecond,
    LoginsPerSecond,
    Servers,
    Regions,
    StoreRoundTripMs,
    SharedStore,
    EndWithin,
    Verifiers,
    CrossSite,
    OfflineVerification,
    Sensitive,
    EgressPricePerGb,
}

impl Key {
    /// Every key, in the order of a case file.
    pub const ALL: [Self; 14] = [
        Self::Clients,
        Self::LiveSessions,
        Self::RequestsPerSecond,
        Self::LoginsPerSecond,
        Self::Servers,
        Self::Regions,
        Self::StoreRoundTripMs,
        Self::SharedStore,
        Self::EndWithin,
        Self::Verifiers,
        Self::CrossSite,
        Self::OfflineVerification,
        Self::Sensitive,
        Self::EgressPricePerGb,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::LiveSessions => "live_sessions",
            Self::RequestsPerSecond => "requests_per_second",
            Self::LoginsPerSecond => "logins_per_second",
            Self::Servers => "servers",
            Self::Regions => "regions",
            Self::StoreRoundTripMs => "store_round_trip_ms",
            Self::SharedStore => "shared_store",
            Self::EndWithin => "end_within",
            Self::Verifiers => "verifiers",
            Self::CrossSite => "cross_site",
            Self::OfflineVerification => "offline_verification",
            Self::Sensitive => "sensitive",
            Self::EgressPricePerGb => "egress_price_per_gb",
        }
    }
}

impl Case {
    /// Whether some client is of this kind.
    pub fn has(&self, client: Client) -> bool {
        self.clients.contains(&client)
    }

    /// Whether one process checks every credential: it hears of an end before that is acknowledged.
    pub fn one_verifier(&self) -> bool {
        self.servers == 1 && self.regions == 1 && self.verifiers == Verifiers::Own && !self.offline_verification
    }

    /// How often a second something happens in all that each session does at most every so many seconds at each of so many places, if
    /// the sessions are used evenly.
    pub fn at_most_every(&self, seconds: f64, places: f64) -> f64 {
        at_most_every(self.live_sessions as f64, self.requests_per_second, seconds, places)
    }

    /// Whether verifiers may go without the revocation feed, so that only expiry tells them of an end.
    pub fn deaf(&self) -> bool {
        self.offline_verification || self.verifiers == Verifiers::ThirdParty
    }
}

/// The same for other numbers: a session asks every `live_sessions / requests_per_second` seconds, so that what it does after so many
/// seconds at the earliest happens once in both times together.
pub fn at_most_every(live_sessions: f64, requests_per_second: f64, seconds: f64, places: f64) -> f64 {
    if requests_per_second == 0.0 || live_sessions == 0.0 {
        return 0.0;
    }
    1.0 / (seconds / (live_sessions * places) + 1.0 / requests_per_second)
}
