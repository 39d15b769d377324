//! The table of bounds in the documentation says what the code says.

use std::{fs, path::Path};

use crate::lab::config;

/// Each number of docs/bounds.md is the one that its constant, its default or its key has.
#[test]
fn the_documented_bounds_are_those_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = fs::read_to_string(root.join("docs/bounds.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "", "[[app]]\nid = 'web'\nmethod = 'session'\n").unwrap();
    let keys = [
        ("limits.capacity", config.limits.capacity as u64),
        ("cache.entries", config.cache.entries as u64),
        ("cache.bytes", config.cache.bytes),
        ("revocation.capacity", config.revocation.capacity as u64),
    ];
    let (mut constants, mut configured) = (0, 0);
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [what, bound, _, place] = cells[..] else { panic!("{row}") };
        let named: Vec<_> = place.split('`').filter(|part| !part.trim().is_empty()).collect();
        if let [file, name] = named[..] {
            let source =
                fs::read_to_string(root.join("crates").join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(Some(documented(bound)), defined(&source, name), "{what}: {file} {name}");
            constants += 1;
        }
        if let Some((key, value)) = keys.iter().find(|(key, _)| bound.contains(&format!("`{key}` "))) {
            assert_eq!(documented(bound.rsplit_once('`').unwrap().1), *value, "{what}: {key}");
            configured += 1;
        }
    }
    assert!(constants > 30, "{constants}");
    assert_eq!(configured, keys.len());
}

/// `8 KiB`, `20,000`, `10 s`, `700 ms`: bytes, a number, milliseconds.
fn documented(text: &str) -> u64 {
    let (number, unit) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let number: u64 = number.replace(',', "").parse().unwrap_or_else(|_| panic!("no number: {text}"));
    number
        * match unit {
            "" | "ms" => 1,
            "KiB" => 1024,
            "MiB" => 1 << 20,
            "s" => 1000,
            "min" => 60_000,
            _ => panic!("no unit: {text}"),
        }
}

/// The value of `const NAME: T = …;`, or of a field `NAME: …,` of a default.
fn defined(source: &str, name: &str) -> Option<u64> {
    source.lines().find_map(|line| {
        let (before, after) = line.split_once(&format!("{name}: "))?;
        if before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_') {
            return None;
        }
        let value = after.split_once(" = ").map_or(after, |(_, value)| value);
        evaluated(value.split([',', ';']).next()?)
    })
}

fn evaluated(expression: &str) -> Option<u64> {
    let expression = expression.trim();
    if let Some((left, right)) = expression.split_once(" * ") {
        return Some(evaluated(left)? * evaluated(right)?);
    }
    if let Some((left, right)) = expression.split_once(" << ") {
        return Some(evaluated(left)? << evaluated(right)?);
    }
    if let Some(seconds) = expression.strip_prefix("Duration::from_secs(") {
        return Some(evaluated(seconds.strip_suffix(')')?)? * 1000);
    }
    if let Some(millis) = expression.strip_prefix("Duration::from_millis(") {
        return evaluated(millis.strip_suffix(')')?);
    }
    expression.replace('_', "").parse().ok()
}
