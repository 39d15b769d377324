//! What docs/security/findings.md names must be there.

use std::{fmt::Write, fs, path::Path};

/// All that a finding's tests can be named in.
fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != "node_modules" {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "mjs") {
            writeln!(found, "file {name}\n{}", fs::read_to_string(&path).unwrap()).unwrap();
        }
    }
}

/// The names in backquotes of a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_finding_has_tests_and_each_of_them_is_there() {
    let root = super::crates().join("..");
    let mut all = String::new();
    sources(&root.join("crates"), &mut all);
    sources(&root.join("tests"), &mut all);
    let text = fs::read_to_string(root.join("docs/security/findings.md")).unwrap();
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| R")).collect();
    assert!(rows.len() >= 38, "{} findings", rows.len());
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        assert!(quoted(tests).count() > 0, "no test stands for it: {row}");
        for name in quoted(tests) {
            let function = ["(", "<"].map(|next| format!("fn {name}{next}"));
            let others = [format!("mod {name} {{"), format!("file {name}\n"), format!("'{name}'")];
            let forms = [&function[..], &others].concat();
            assert!(forms.iter().any(|form| all.contains(form)), "{name} is not there");
        }
    }
}
