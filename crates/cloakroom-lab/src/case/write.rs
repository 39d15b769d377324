//! A case as its file says it.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};

use super::{Case, Key};

impl Case {
    /// What stands at a key.
    pub fn value(&self, key: Key) -> Value {
        match key {
            Key::Clients => self.clients.iter().map(|client| client.name()).collect(),
            Key::LiveSessions => json!(self.live_sessions),
            Key::RequestsPerSecond => number(self.requests_per_second),
            Key::LoginsPerSecond => number(self.logins_per_second),
            Key::Servers => json!(self.servers),
            Key::Regions => json!(self.regions),
            Key::StoreRoundTripMs => json!(self.store_round_trip_ms),
            Key::SharedStore => json!(self.shared_store),
            Key::EndWithin => json!(self.end_within.to_string()),
            Key::Verifiers => json!(self.verifiers.name()),
            Key::CrossSite => json!(self.cross_site),
            Key::OfflineVerification => json!(self.offline_verification),
            Key::Sensitive => json!(self.sensitive),
            Key::EgressPricePerGb => json!(self.egress_price_per_gb),
        }
    }

    /// The case file that says it.
    pub fn to_toml(&self) -> String {
        Key::ALL.map(|key| format!("{} = {}\n", key.name(), shown(&self.value(key)))).concat()
    }
}

/// A value as a case file writes it: TOML and JSON agree in these.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// A whole number without its point.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_sign_loss, reason = "no rate is negative")]
    if value.fract() == 0.0 { json!(value as u64) } else { json!(value) }
}

impl Serialize for Case {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(Key::ALL.len()))?;
        for key in Key::ALL {
            map.serialize_entry(key.name(), &self.value(key))?;
        }
        map.end()
    }
}
