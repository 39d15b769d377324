//! Every write for somebody is an operation.

use std::fs;

use crate::{crates, functions, walk};

/// The verbs of the stores' ports that change nothing. Every other one writes.
const READS: [&str; 25] = [
    "read",
    "find",
    "time",
    "list",
    "watermark",
    "holds_unseen",
    "walk",
    "count",
    "installation",
    "login",
    "account",
    "standing",
    "accounts",
    "past_exchange",
    "settled",
    "log_since",
    "log_head",
    "lineage",
    "ended_sessions",
    "deletion_clock",
    "keys",
    "services",
    "audit_page",
    "origins",
    "has_signed_in_from",
];

/// Who writes to a store outside an operation, and why nobody who hangs up can cut it.
const OUTSIDE: [(&str, &str, &str); 12] = [
    ("engine/keychain.rs", "check_master", "at a start"),
    ("engine/keychain/changes.rs", "rotate_due", "at a start, then a background task; each change is one transaction"),
    ("engine/keychain/changes.rs", "forget", "a background task; one transaction"),
    ("engine/backing.rs", "alive", "completes an end; the next request for that session would too"),
    ("engine/exchange.rs", "make", "completes an exchange, as does whoever misses the record next"),
    ("engine/deletion.rs", "deletion_time", "a background task; one compare-and-swap"),
    ("engine/background.rs", "sweep", "a background task; what it leaves, the next round removes"),
    ("engine/reassert.rs", "catch_up", "a background task; it begins at the watermark again"),
    ("engine/shared.rs", "flush_touches", "a background task; what is not written waits on"),
    ("audit/queue.rs", "store", "the queue's own task"),
    ("limits/shared.rs", "sweep", "a background task; counts that say nothing any more"),
    ("control/execute.rs", "store_check", "activity of a session that there is not: nothing changes"),
];

/// R4: whatever writes to a store for somebody has an `Underway`, which only an operation has, or begins one. So nobody who hangs up
/// cuts it.
#[test]
fn whatever_writes_to_a_store_is_an_operation() {
    let ports = fs::read_to_string(crates().join("cloakroom-core/src/store/mod.rs")).unwrap();
    let verbs = functions(ports.split("pub trait ").nth(1).unwrap()).into_iter();
    let verbs = verbs.chain(functions(ports.split("pub trait AccountStore").nth(1).unwrap()));
    let writes = verbs.filter(|(verb, text)| text.contains("asyncfn") && !READS.contains(verb));
    let writes: Vec<_> = writes.map(|(verb, _)| verb).collect();
    assert!(["write", "end", "exchange", "change_keys"].iter().all(|verb| writes.contains(verb)), "{writes:?}");
    let calls: Vec<_> = ["accounts", "sessions", "store"]
        .iter()
        .flat_map(|store| writes.iter().map(move |verb| format!("{store}.{verb}(")))
        .chain(["forget_ended(".to_owned()])
        .collect();

    let (mut found, mut met) = (Vec::new(), Vec::new());
    for source in ["cloakroom-core/src", "cloakroom-server/src"] {
        walk(&crates().join(source), &mut |path, text| {
            if path.contains("tests") || path.contains("/model/") || path.contains("cloakroom-core/src/store/") {
                return;
            }
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for (name, text) in functions(code) {
                let Some(at) = calls.iter().filter_map(|call| text.find(call.as_str())).min() else { continue };
                let signature = text.split('{').next().unwrap();
                if signature.contains(":&Underway")
                    || text[..at].contains(".operation(")
                    || text[..at].contains(".ending(")
                {
                    continue;
                }
                match OUTSIDE.iter().position(|(file, function, _)| path.ends_with(file) && name == *function) {
                    Some(known) => met.push(known),
                    None => found.push(format!("{path}: `{name}` writes to a store: take an `&Underway`")),
                }
            }
        });
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    let gone: Vec<_> = OUTSIDE.iter().enumerate().filter(|(n, _)| !met.contains(n)).map(|(_, row)| row).collect();
    assert!(gone.is_empty(), "these write to no store any more: {gone:?}");
}
