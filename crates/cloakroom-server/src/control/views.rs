//! How things look in answers: the JSON that `--json` prints. Times are RFC 3339 in UTC.

use cloakroom_core::{account::Account, engine::Device, store::Service};
use serde_json::{Value, json};

pub(super) fn account(account: &Account) -> Value {
    json!({
        "id": account.id,
        "email": account.email.as_typed(),
        "name": account.name,
        "state": account.state,
        "created_at": account.created.to_string(),
    })
}

pub(super) fn device(device: &Device) -> Value {
    json!({
        "id": device.id,
        "app": device.app,
        "method": device.method,
        "created_at": device.created.to_string(),
        "last_active_at": device.last_active.to_string(),
        "expires_at": device.expires.to_string(),
        "client": device.client.describe(),
        "address": device.origin.as_ref().and_then(|origin| origin.address),
    })
}

pub(super) fn service(service: &Service) -> Value {
    json!({ "id": service.id, "name": service.name, "created_at": service.created.to_string() })
}
