//! Whether servers are fit to hold sessions, looked at once at start: a server that throws sessions away when memory is
//! short signs people out at random (F069). That a server is no replica is seen with each connection.

use std::sync::Arc;

use redis::{Value, cmd};

use super::{
    address::{Address, Shape},
    error::Failure,
    node::Node,
    route::Route,
    sessions::bytes,
};
use crate::store::StoreError;

/// What a server says of itself.
pub(super) struct Info(String);

impl Info {
    /// One line's value; empty: there is no such line.
    pub(super) fn get(&self, name: &str) -> &str {
        let line = |line: &'_ str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
        self.0.lines().find(|text| line(text)).map_or("", |text| text[name.len() + 1..].trim())
    }

    /// The release whose commands it knows. Valkey goes on counting from the Redis that it comes from.
    fn release(&self) -> Option<(u32, u32)> {
        let mut numbers = self.get("redis_version").split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

/// What a server says of itself.
pub(super) async fn info(node: &Arc<Node>) -> Result<Info, Failure> {
    let text = match node.ask(&cmd("INFO"), false).await? {
        Value::VerbatimString { text, .. } => text,
        value => String::from_utf8_lossy(&bytes(value).unwrap_or_default()).into_owned(),
    };
    Ok(Info(text))
}

/// Looks at every primary; what an operator should know of them, where nothing is wrong.
pub(super) async fn look(route: &Route, address: &Address) -> Result<Vec<String>, StoreError> {
    let mut warnings = Vec::new();
    for node in route.primaries()? {
        time(&node).await?;
        match info(&node).await {
            Ok(info) => {
                judge(&node, &info, address)?;
                warnings.extend(endurance(&node, &info));
            }
            Err(failure) if failure.code() == Some("NOPERM") => warnings.extend(without_info(&node).await?),
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(warnings)
}

/// By whose clock rotations are noted and aged: the server's own.
async fn time(node: &Arc<Node>) -> Result<(), StoreError> {
    match node.ask(&cmd("TIME"), false).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.code() == Some("NOPERM") => Err(StoreError::Foreign(format!(
            "Redis at {} does not tell its user the time, by which it is known how long ago a session was renewed: do ACL \
             SETUSER for the user with +time, and ACL SAVE or CONFIG REWRITE to keep it (docs/configuration.md has the whole \
             rule)",
            node.host
        ))),
        Err(failure) => Err(failure.into()),
    }
}

fn judge(node: &Node, info: &Info, address: &Address) -> Result<(), StoreError> {
    const OLDEST: (u32, u32) = (6, 2);
    let host = &node.host;
    let refuse = |text: String| Err(StoreError::Foreign(text));
    if info.release().is_some_and(|release| release < OLDEST) {
        return refuse(format!("Redis at {host} is too old ({}): 6.2 or newer is needed", info.get("redis_version")));
    }
    if info.get("cluster_enabled") == "1" && address.shape != Shape::Cluster {
        return refuse(format!("Redis at {host} is a node of a cluster: write redis+cluster:// in its address"));
    }
    policy(node, info.get("maxmemory_policy"))
}

/// Sessions have an expiry, so that every policy but one may throw them away.
fn policy(node: &Node, policy: &str) -> Result<(), StoreError> {
    if policy.is_empty() || policy == "noeviction" {
        return Ok(());
    }
    Err(StoreError::Foreign(format!(
        "Redis at {} may throw sessions away when memory is short (maxmemory-policy {policy}), which would sign people out; \
         do CONFIG SET maxmemory-policy noeviction there, and CONFIG REWRITE to keep it, or give sessions a Redis of their own",
        node.host
    )))
}

fn endurance(node: &Node, info: &Info) -> Option<String> {
    let kept = info.get("aof_enabled") == "1";
    let followed = info.get("connected_slaves").parse().is_ok_and(|replicas: u32| replicas > 0);
    (!kept && !followed).then(|| {
        format!(
            "Redis at {} has neither an append-only file nor a replica: when it is killed or loses power, the sessions since \
             its last snapshot are forgotten and their people sign in again; what had ended stays ended, by the revocation \
             log. CONFIG SET appendonly yes, and CONFIG REWRITE, keep them",
            node.host
        )
    })
}

/// The user may not ask for everything; perhaps it may ask for what matters most.
async fn without_info(node: &Arc<Node>) -> Result<Option<String>, StoreError> {
    let mut question = cmd("CONFIG");
    question.arg("GET").arg("maxmemory-policy");
    match node.ask(&question, false).await {
        Ok(Value::Array(parts)) => {
            let value = parts.into_iter().nth(1).and_then(bytes).unwrap_or_default();
            policy(node, &String::from_utf8_lossy(&value))?;
            Ok(Some(format!("Redis at {} lets nobody look at its persistence (its user needs +info)", node.host)))
        }
        Err(failure) if failure.code() != Some("NOPERM") => Err(failure.into()),
        _ => Ok(Some(format!(
            "Redis at {} lets nobody look at its maxmemory-policy, which must be noeviction, nor at its persistence (its user \
             needs +info)",
            node.host
        ))),
    }
}
