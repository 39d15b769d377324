//! Permissions: the data directory 0700, and what is in it 0600, all of the same user.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use cloakroom_core::store::sqlite::Sqlite;
use cloakroom_server::{config::Config, control::SOCKET};

use super::Finding;

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let dir = &config.data_dir;
    let about = match fs::metadata(dir) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![Finding::ok(
                "data directory",
                format!("{} is not there yet; the first start makes it", dir.display()),
            )];
        }
        Err(error) => {
            let detail = format!("{} cannot be looked at: {error}", dir.display());
            return vec![Finding::fail("data directory", detail, "run this as the server's own user")];
        }
    };
    let shown = dir.display();
    if !about.is_dir() {
        return vec![Finding::fail(
            "data directory",
            format!("{shown} is no directory"),
            "set data_dir to another path",
        )];
    }
    let mode = about.mode() & 0o7777;
    let mut findings = vec![if mode & 0o077 != 0 {
        let detail = format!("{shown} is open to others (mode {mode:04o})");
        Finding::fail("data directory", detail, format!("chmod 700 {shown}"))
    } else {
        Finding::ok("data directory", format!("{shown} is its owner's only (mode {mode:04o})"))
    }];
    let secret = config.secret_file();
    findings.extend(secret.as_deref().map(|path| private("master secret", path, about.uid(), true)));
    let names = [Sqlite::FILE, "cloakroom.db-wal", "cloakroom.db-shm", "cloakroom.lock", SOCKET];
    let others: Vec<_> = names
        .map(|name| private("files", &dir.join(name), about.uid(), false))
        .into_iter()
        .filter(|finding| finding.remedy.is_some())
        .collect();
    if others.is_empty() {
        findings.push(Finding::ok("files", "the store's files are their owner's only"));
    }
    findings.extend(others);
    findings
}

fn private(check: &'static str, path: &Path, owner: u32, named: bool) -> Finding {
    let shown = path.display();
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Finding::ok(check, format!("{shown} is not there yet; the first start makes it"));
        }
        Err(error) => {
            return Finding::fail(
                check,
                format!("{shown} cannot be looked at: {error}"),
                "run this as the server's own user",
            );
        }
    };
    let mode = about.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Finding::fail(
            check,
            format!("{shown} is open to others (mode {mode:04o})"),
            format!("chmod 600 {shown}"),
        );
    }
    if about.uid() != owner {
        let detail = format!("{shown} belongs to user {}, the data directory to user {owner}", about.uid());
        return Finding::fail(check, detail, format!("chown {owner} {shown}"));
    }
    if named {
        let left: PathBuf = [path.as_os_str(), ".new".as_ref()].into_iter().collect::<std::ffi::OsString>().into();
        if left.exists() {
            let detail = format!("{} was left by a change of the master secret that was interrupted", left.display());
            return Finding::warn(
                check,
                detail,
                "start the server once, then run `cloakroom key rewrap --generate` again",
            );
        }
    }
    Finding::ok(check, format!("{shown} is its owner's only (mode {mode:04o})"))
}
