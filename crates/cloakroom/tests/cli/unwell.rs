//! `doctor`.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use crate::bench::Bench;

/// The level of each finding of a check, and whether each that is not well names a remedy.
fn levels(report: &Value, check: &str) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == check);
    findings
        .map(|finding| {
            assert_eq!(finding["level"] == "ok", finding.get("remedy").is_none(), "{finding}");
            finding["level"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// The report of a doctor that found something.
fn unwell(bench: &Bench, args: &[&str]) -> Value {
    let run = bench.run(&[&["doctor", "--json"], args].concat());
    assert_eq!((run.code, run.code_of_error().as_str()), (1, "unwell"), "{}", run.out);
    serde_json::from_str(&run.out).unwrap()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_healthy_server_passes_with_and_without_running() {
    let mut bench = Bench::new();
    bench.set("CLOAKROOM_LISTEN", "127.0.0.1:0");
    assert_eq!(bench.json(&["doctor"])["failed"], 0);
    assert!(!bench.data().exists(), "looking makes nothing");
    let server = bench.serve();
    let report = bench.json(&["doctor"]);
    for check in [
        "clock",
        "suspend",
        "memory",
        "disk",
        "data directory",
        "master secret",
        "files",
        "answers",
        "store",
        "keys",
        "integrity",
    ] {
        assert_eq!(levels(&report, check), ["ok"], "{check}: {report}");
    }
    assert!(bench.run(&["doctor"]).out.contains("is ready"));
    assert!(server.stop().0.success());
    assert_eq!(levels(&bench.json(&["doctor"]), "store"), ["ok"]);
}

#[test]
fn open_files_and_directories_are_found() {
    let mut bench = Bench::new();
    bench.set("CLOAKROOM_LISTEN", "127.0.0.1:0");
    bench.add("ada@example.com");
    chmod(bench.data(), 0o755);
    assert_eq!(levels(&unwell(&bench, &[]), "data directory"), ["fail"]);
    chmod(bench.data(), 0o700);
    chmod(&bench.data().join("cloakroom.db"), 0o644);
    assert_eq!(levels(&unwell(&bench, &[]), "files"), ["fail"]);
    chmod(&bench.data().join("cloakroom.db"), 0o600);
    chmod(&bench.data().join("master.secret"), 0o640);
    let report = unwell(&bench, &[]);
    assert_eq!(
        (levels(&report, "master secret"), levels(&report, "store")),
        (vec!["fail".into()], vec!["fail".into()])
    );
}

#[test]
fn a_damaged_database_is_found() {
    let mut bench = Bench::new();
    bench.set("CLOAKROOM_LISTEN", "127.0.0.1:0");
    bench.add("ada@example.com");
    let path = bench.data().join("cloakroom.db");
    let mut bytes = fs::read(&path).unwrap();
    // All pages but the first, which says that this is a database.
    for byte in &mut bytes[4096..] {
        *byte = byte.wrapping_mul(31).wrapping_add(7);
    }
    fs::write(&path, bytes).unwrap();
    assert_eq!(levels(&unwell(&bench, &[]), "integrity"), ["fail"]);
}

#[test]
fn an_address_that_is_taken_is_found() {
    let mut bench = Bench::new();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    bench.set("CLOAKROOM_LISTEN", other.local_addr().unwrap().to_string());
    assert_eq!(levels(&unwell(&bench, &[]), "answers"), ["fail"]);
}

#[test]
fn settings_for_proxies_that_do_not_fit_are_found() {
    let bench = Bench::new();
    let text = "listen = \"127.0.0.1:0\"\npublic_url = \"https://id.example\"\nproxy_ends_tls = true\n[[app]]\nid = \"web\"\nmethod = \"session\"\n";
    let file = bench.file("proxied.toml", text);
    let report = bench.json(&["doctor", "--config", &file]);
    assert_eq!((levels(&report, "proxy"), &report["failed"]), (vec!["warn".into()], &0.into()));
    let file = bench.file("trusted.toml", &text.replace("[[app]]", "trusted_proxies = [\"127.0.0.1\"]\n[[app]]"));
    assert_eq!(levels(&bench.json(&["doctor", "--config", &file]), "proxy"), ["ok"]);
}

#[test]
fn a_certificate_is_judged_by_time_name_and_key() {
    let bench = Bench::new();
    let certificate = |name: &str, host: &str, year: i32| {
        let mut wanted = rcgen::CertificateParams::new([host.to_owned()]).unwrap();
        wanted.not_before = rcgen::date_time_ymd(2020, 1, 1);
        wanted.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = wanted.self_signed(&key).unwrap().pem();
        let (pem, key) =
            (bench.file(&format!("{name}.pem"), &pem), bench.file(&format!("{name}.key"), &key.serialize_pem()));
        chmod(Path::new(&key), 0o600);
        (pem, key)
    };
    let with = |pem: &str, key: &str| {
        let text = format!(
            "listen = \"127.0.0.1:0\"\npublic_url = \"https://id.example\"\n[tls]\ncertificate = \"{pem}\"\nkey = \"{key}\"\n[[app]]\nid = \"web\"\nmethod = \"session\"\n"
        );
        bench.file("tls.toml", &text)
    };
    let good = certificate("good", "id.example", 4000);
    let report = bench.json(&["doctor", "--config", &with(&good.0, &good.1)]);
    assert_eq!(
        (levels(&report, "certificate"), levels(&report, "certificate key")),
        (vec!["ok".into(); 2], vec!["ok".into()])
    );

    let old = certificate("old", "*.example", 2021);
    let report = unwell(&bench, &["--config", &with(&old.0, &old.1)]);
    assert_eq!(levels(&report, "certificate"), ["fail", "ok"]);

    let other = certificate("other", "www.example", 4000);
    assert_eq!(levels(&unwell(&bench, &["--config", &with(&other.0, &other.1)]), "certificate"), ["ok", "fail"]);
    assert_eq!(levels(&unwell(&bench, &["--config", &with(&good.0, &other.1)]), "certificate key"), ["fail"]);
    chmod(Path::new(&good.1), 0o644);
    assert_eq!(levels(&unwell(&bench, &["--config", &with(&good.0, &good.1)]), "certificate key"), ["fail"]);
}
