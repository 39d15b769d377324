//! What a node of a cluster says about all of it, and a sentinel about a primary.

use std::ops::RangeInclusive;

use redis::Value;

use super::{address::Host, keys::SLOTS};

/// Which slots are where.
pub(super) type Slots = Vec<(RangeInclusive<usize>, Host)>;

/// Reads the answer to `CLUSTER SLOTS`: for each range its first and last slot, the primary, and replicas.
pub(super) fn read_slots(answer: &Value, from: &Host) -> Option<Slots> {
    let Value::Array(ranges) = answer else { return None };
    let read = |range: &Value| {
        let Value::Array(parts) = range else { return None };
        let number = |value: Option<&Value>| match value {
            Some(Value::Int(n)) => usize::try_from(*n).ok().filter(|n| *n < usize::from(SLOTS)),
            _ => None,
        };
        let (first, last) = (number(parts.first())?, number(parts.get(1))?);
        let Some(Value::Array(primary)) = parts.get(2) else { return None };
        (first <= last).then_some(())?;
        Some((first..=last, host(primary.first(), primary.get(1), from)?))
    };
    ranges.iter().map(read).collect()
}

/// A host and a port as servers write them. Without a host it is that of the server that says so.
pub(super) fn host(name: Option<&Value>, port: Option<&Value>, from: &Host) -> Option<Host> {
    let name = match name? {
        Value::BulkString(name) => std::str::from_utf8(name).ok()?,
        Value::SimpleString(name) => name.as_str(),
        Value::Nil => "",
        _ => return None,
    };
    let port = match port? {
        Value::Int(port) => u16::try_from(*port).ok()?,
        Value::BulkString(port) => std::str::from_utf8(port).ok()?.parse().ok()?,
        _ => return None,
    };
    // A node that does not know its own name yet writes a question mark.
    let name = if name.is_empty() || name == "?" { from.name.clone() } else { name.to_owned() };
    (port > 0).then_some(Host { name, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_cluster_tells_which_node_has_which_slots() {
        let from = Host { name: "asked".into(), port: 1 };
        let node = |name: Value, port: i64| Value::Array(vec![name, Value::Int(port), text("id")]);
        let range = |first: i64, last: i64, node: Value| Value::Array(vec![Value::Int(first), Value::Int(last), node]);
        let answer =
            Value::Array(vec![range(0, 100, node(text("10.0.0.1"), 7000)), range(101, 16383, node(text(""), 7001))]);
        let slots = read_slots(&answer, &from).unwrap();
        assert!(slots[0] == (0..=100, Host { name: "10.0.0.1".into(), port: 7000 }));
        assert!(slots[1] == (101..=16383, Host { name: "asked".into(), port: 7001 }));
        for nonsense in [
            Value::Nil,
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(5, 4, node(text("a"), 1))]),
            Value::Array(vec![range(0, 16384, node(text("a"), 1))]),
            Value::Array(vec![range(0, 1, node(text("a"), 0))]),
            Value::Array(vec![range(0, 1, Value::Nil)]),
        ] {
            assert!(read_slots(&nonsense, &from).is_none());
        }
    }
}
