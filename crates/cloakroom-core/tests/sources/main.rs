//! What the sources of the deployed crates must not do, beside what clippy sees: print by a macro that panics where the stream
//! is broken, and start something that could die unseen.

mod findings;
mod operations;
mod statements;

use std::{fs, path::Path};

/// Of each crate that a server or an app is made of: its root.
const ROOTS: [&str; 4] = [
    "cloakroom-core/src/lib.rs",
    "cloakroom-server/src/lib.rs",
    "cloakroom-verify/src/lib.rs",
    "cloakroom/src/main.rs",
];

/// R34, R28: what the next one must not write, and what to write instead.
const NOT: [(&str, &str); 8] = [
    ("println!", "write to the stream, and say what becomes of an error"),
    ("print!(", "write to the stream, and say what becomes of an error"),
    ("tokio::spawn(", "tasks::once or tasks::keep"),
    ("task::spawn(", "tasks::once or tasks::keep"),
    ("runtime.spawn(", "tasks::once or tasks::keep"),
    ("handle.spawn(", "tasks::once or tasks::keep"),
    ("thread::spawn(", "tasks::thread"),
    ("thread::Builder", "tasks::thread"),
];

fn crates() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Calls `look` with each source below a folder, and its path.
fn walk(folder: &Path, look: &mut impl FnMut(&str, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(path.to_str().unwrap(), &fs::read_to_string(&path).unwrap());
        }
    }
}

/// The name of the function that a line begins, if it does.
fn begins(line: &str) -> Option<&str> {
    let mut words = line.trim_start().split(' ').skip_while(|word| {
        matches!(*word, "pub" | "const" | "async") || word.starts_with("pub(") || word.ends_with("::engine)")
    });
    (words.next() == Some("fn")).then(|| words.next().and_then(|word| word.split(['(', '<']).next())).flatten()
}

/// The functions of a source: each one's name, and its text without spaces.
fn functions(code: &str) -> Vec<(&str, String)> {
    let mut functions: Vec<(&str, String)> = Vec::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        if let Some(name) = begins(line) {
            functions.push((name, String::new()));
        }
        if let Some((_, text)) = functions.last_mut() {
            text.extend(line.split_whitespace());
        }
    }
    functions
}

#[test]
fn deployed_crates_have_clippy_look_for_what_panics_or_dies_unseen() {
    for root in ROOTS {
        let text = fs::read_to_string(crates().join(root)).unwrap();
        for lint in ["clippy::disallowed_methods", "clippy::print_stdout", "clippy::print_stderr"] {
            let line = text.lines().find(|line| line.starts_with("#![cfg_attr(not(test), warn("));
            assert!(line.is_some_and(|line| line.contains(lint)), "{root}: {lint}");
        }
    }
}

#[test]
fn nothing_is_started_or_printed_past_the_one_place_for_it() {
    let mut found = Vec::new();
    for root in ROOTS {
        let source = crates().join(root).parent().unwrap().to_owned();
        walk(&source, &mut |path, text| {
            let of_tests = path.contains("tests") || path.contains("/model/") || path.contains("/conformance/");
            if of_tests || path.ends_with("src/tasks/mod.rs") {
                return;
            }
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let instead = NOT.iter().find(|(what, _)| line.contains(what)).map(|(_, instead)| *instead);
                // A set of tasks whose members are waited for tells of their panics by `guarded`.
                let set = line.contains(".spawn(") && !line.contains(".spawn()") && !line.contains("tasks::guarded(");
                if let Some(instead) = instead.or(set.then_some("tasks::guarded around it")) {
                    found.push(format!("{path}: `{}`: {instead}", line.trim()));
                }
            }
        });
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
