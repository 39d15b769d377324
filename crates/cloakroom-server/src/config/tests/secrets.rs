//! The master secret: where it comes from, who may read it, and that it is made once.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Barrier,
    thread,
};

use cloakroom_core::{
    key::{MasterSecret, WrappedKey},
    random::Rng,
};

use super::{environment, mistakes};
use crate::config::{Config, SecretFileError, SecretFrom, Sources};

/// 32 bytes that somebody drew.
const SECRET: &str = "6X2mVv0aYk4m3x1q2p8Qn7rJ5t9wB0uZc6dLhEoGfSI=";

fn at(data_dir: &Path) -> Config {
    Config::load(Sources::new().data_dir(data_dir.to_str().unwrap())).unwrap()
}

fn open(config: &Config) -> Result<(MasterSecret, SecretFrom), SecretFileError> {
    config.master_secret(&Rng::system())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Whether two secrets are the same one.
fn same(a: &MasterSecret, b: &MasterSecret) -> bool {
    let wrapped: WrappedKey = a.wrap("test", b"a key", &Rng::seeded(1));
    b.unwrap("test", &wrapped).is_ok()
}

#[test]
fn the_first_start_makes_a_secret_that_only_its_owner_reads_and_the_next_one_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("new/data");
    let config = at(&data);
    let path = data.join("master.secret");
    assert_eq!(config.secret_file(), Some(path.clone()));
    let (first, from) = open(&config).unwrap();
    assert_eq!(from, SecretFrom::Created(path.clone()));
    assert_eq!((mode(&path), mode(&data)), (0o600, 0o700));
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "no draft is left");
    let (second, from) = open(&config).unwrap();
    assert_eq!(from, SecretFrom::File(path));
    assert!(same(&first, &second));
}

/// F047: two servers that start at once agree.
#[test]
fn of_many_first_starts_at_once_one_makes_the_secret_and_all_have_it() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let (config, barrier) = (at(dir.path()), Barrier::new(4));
        let opened: Vec<_> = thread::scope(|scope| {
            let start = || {
                barrier.wait();
                open(&config).unwrap()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(opened.iter().filter(|(_, from)| matches!(from, SecretFrom::Created(_))).count(), 1);
        assert!(opened.iter().all(|(secret, _)| same(&opened[0].0, secret)));
    }
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.secret");
    fs::write(&path, SECRET).unwrap();
    for bad in [0o644, 0o640, 0o604, 0o660, 0o700, 0o602] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bad)).unwrap();
        let shown = path.display();
        assert_eq!(
            open(&at(dir.path())).unwrap_err().to_string(),
            format!(
                "the master secret's file {shown} can be read or changed by others (mode {bad:04o}); run `chmod 600 {shown}`"
            )
        );
    }
    for good in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(good)).unwrap();
        open(&at(dir.path())).unwrap();
    }
}

#[test]
fn a_named_file_must_be_there_and_hold_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("here.secret");
    let config = environment(&[("CLOAKROOM_SECRET_FILE", path.to_str().unwrap())]).unwrap();
    assert!(matches!(open(&config), Err(SecretFileError::Missing(_))));
    assert!(!path.exists());
    fs::write(&path, "c2hvcnQ=").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let error = open(&config).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("the master secret's file {}: the master secret has 5 bytes; it needs 32 or more", path.display())
    );
    fs::write(&path, format!("{SECRET}\n")).unwrap();
    assert_eq!(open(&config).unwrap().1, SecretFrom::File(path.clone()));
    // A link is as good as what it leads to.
    let link = dir.path().join("link.secret");
    symlink(&path, &link).unwrap();
    let linked = environment(&[("CLOAKROOM_SECRET_FILE", link.to_str().unwrap())]).unwrap();
    open(&linked).unwrap();
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().join("directory"), dir.path().join("long")] {
        if path.ends_with("directory") {
            fs::create_dir(&path).unwrap();
        } else {
            fs::write(&path, "x".repeat(5000)).unwrap();
        }
        let config = environment(&[("CLOAKROOM_SECRET_FILE", path.to_str().unwrap())]).unwrap();
        assert!(matches!(open(&config), Err(SecretFileError::NoFile(_))), "{path:?}");
    }
}

#[test]
fn the_variable_holds_the_secret_itself() {
    let config = environment(&[("CLOAKROOM_SECRET", SECRET), ("CLOAKROOM_DATA_DIR", "/nowhere")]).unwrap();
    assert_eq!(open(&config).unwrap().1, SecretFrom::Environment);
    assert_eq!(config.secret_file(), None);
    assert!(config.old_master_secret().unwrap().is_none());
    let old = environment(&[("CLOAKROOM_SECRET_OLD", SECRET)]).unwrap();
    assert!(same(&old.old_master_secret().unwrap().unwrap(), &open(&config).unwrap().0));
}

/// F046: what nobody drew at random is refused at start, and never printed.
#[test]
fn a_variable_without_a_secret_stops_the_start_and_is_not_printed() {
    let error = mistakes(environment(&[("CLOAKROOM_SECRET", "hunter22"), ("CLOAKROOM_SECRET_OLD", "aHVudGVyMjI=")]));
    assert_eq!(
        error,
        "`CLOAKROOM_SECRET`: the master secret has 6 bytes; it needs 32 or more\n\
         `CLOAKROOM_SECRET_OLD`: the master secret has 8 bytes; it needs 32 or more"
    );
    assert!(!error.contains("hunter22"));
}

#[test]
fn two_places_for_one_secret_are_refused() {
    assert_eq!(
        mistakes(environment(&[("CLOAKROOM_SECRET", SECRET), ("CLOAKROOM_SECRET_FILE", "/run/secret")])),
        "`secret_file`: CLOAKROOM_SECRET is set too, and there is only one master secret; keep one of them; set by \
         CLOAKROOM_SECRET_FILE"
    );
}

/// R23: during a change of the secret a server holds both.
#[test]
fn the_secret_from_before_can_stand_in_a_file_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.secret");
    let with_old = |more: &[(&str, &str)]| {
        let old = ("CLOAKROOM_SECRET_OLD_FILE", path.to_str().unwrap());
        environment(&[&[("CLOAKROOM_SECRET", SECRET), old], more].concat())
    };
    let config = with_old(&[]).unwrap();
    let missing = config.old_master_secret().unwrap_err().to_string();
    assert!(missing.contains("secret_old_file") && missing.contains("is not there"), "{missing}");
    let (old, text) = MasterSecret::generate(&Rng::system());
    fs::write(&path, text.as_bytes()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(same(&config.old_master_secret().unwrap().unwrap(), &old));
    let check = old.check(&Rng::system());
    assert!(config.master_secrets(&Rng::system()).unwrap().named_by(&check).is_some());
    assert!(!open(&config).unwrap().0.is_checked_by(&check));
    assert_eq!(
        mistakes(with_old(&[("CLOAKROOM_SECRET_OLD", SECRET)])),
        "`secret_old_file`: CLOAKROOM_SECRET_OLD is set too, and there is only one secret from before; keep one of them; set by \
         CLOAKROOM_SECRET_OLD_FILE"
    );
}

/// F126: a configuration does not print its secrets.
#[test]
fn the_secret_does_not_print() {
    let config = environment(&[("CLOAKROOM_SECRET", SECRET)]).unwrap();
    let shown = format!("{config:?}{}", serde_json::to_string(&config.report()).unwrap());
    assert!(!shown.contains(&SECRET[..8]));
}
