//! Another master secret, without a moment in which a crash would leave a store whose secret is lost.
//!
//! Where the operator brings the secret, it must already stand where the next start looks for it. Where one is made, it is
//! first written beside the old file (`master.secret.new`), then the keys are wrapped anew in one transaction, then the new
//! file takes the old one's name. A start that finds the store under the secret of `master.secret.new` finishes that
//! change ([`pending`]); one that finds it under the old secret was interrupted before it, and the leftover is removed by
//! the next change.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use cloakroom_core::{
    engine::Client,
    key::{MasterSecret, SecretError},
    random::Rng,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{command::Hidden, error::CommandError, execute::Control};
use crate::config::Config;

pub(super) async fn rewrap(control: &Control, secret: Option<Hidden>, by: &Client) -> Result<Value, CommandError> {
    let _alone = control.rewrapping.lock().await;
    match secret {
        Some(text) => with_given(control, &text, by).await,
        None => with_new(control, by).await,
    }
}

async fn with_given(control: &Control, text: &Hidden, by: &Client) -> Result<Value, CommandError> {
    let new =
        MasterSecret::parse(text.expose()).map_err(|error| CommandError::named("bad_argument", error.to_string()))?;
    if let Some(file) = control.config.secret_file() {
        let (in_file, _) = control
            .config
            .master_secret(&Rng::system())
            .map_err(|error| CommandError::named("secret_file", error.to_string()))?;
        if !in_file.is_same(&new) {
            let detail = format!(
                "the next start reads the master secret from {}, which holds another one; write the new one there first, or \
                 let `cloakroom key rewrap --generate` do it",
                file.display()
            );
            return Err(CommandError::named("secret_elsewhere", detail));
        }
    }
    if control.engine.is_master(&new).await? {
        return Ok(json!({ "keys": 0, "changed": false, "file": null }));
    }
    let keys = control.engine.rewrap_keys(new, by).await?;
    Ok(json!({ "keys": keys, "changed": true, "file": null }))
}

async fn with_new(control: &Control, by: &Client) -> Result<Value, CommandError> {
    let Some(path) = control.config.secret_file() else {
        let detail = "the master secret stands in CLOAKROOM_SECRET, not in a file; make a new one with `head -c 32 \
                      /dev/urandom | base64`, set it as CLOAKROOM_SECRET, the old one as CLOAKROOM_SECRET_OLD, and run `cloakroom \
                      key rewrap`";
        return Err(CommandError::named("secret_elsewhere", detail));
    };
    let failed = |what: &str, error: &io::Error| {
        CommandError::named("secret_file", format!("{} cannot be {what}: {error}", beside(&path).display()))
    };
    // A change that went through but for its last step.
    if let Some(left) = pending(&control.config).map_err(|error| failed("read", &error))? {
        if control.engine.is_master(&left.secret).await? {
            left.place.adopt().map_err(|error| failed("put into its place", &error))?;
        } else {
            fs::remove_file(beside(&path)).map_err(|error| failed("removed", &error))?;
        }
    }
    let (new, text) = MasterSecret::generate(&Rng::system());
    write(&beside(&path), &text).map_err(|error| failed("written", &error))?;
    // Read back, so that what the store will be under is what the file holds.
    let next = pending(&control.config).map_err(|error| failed("read", &error))?;
    let Some(next) = next.filter(|next| next.secret.is_same(&new)) else {
        return Err(failed("read", &io::ErrorKind::InvalidData.into()));
    };
    let keys = match control.engine.rewrap_keys(new, by).await {
        Ok(keys) => keys,
        Err(error) => {
            // Whether the store took it is told by the store, not by the error.
            if matches!(control.engine.is_master(&next.secret).await, Ok(false)) {
                let _ = fs::remove_file(beside(&path));
            }
            return Err(error.into());
        }
    };
    next.place.adopt().map_err(|error| {
        let detail = format!(
            "the keys are under the new secret, but {} cannot be renamed to {}: {error}; do it by hand, or let the next start \
             do it",
            beside(&path).display(),
            path.display()
        );
        CommandError::named("secret_file", detail)
    })?;
    Ok(json!({ "keys": keys, "changed": true, "file": path }))
}

/// A secret that stands beside the master secret's file, and may be the store's.
#[derive(Debug)]
pub struct Pending {
    /// The secret.
    pub secret: MasterSecret,
    /// Where it belongs.
    pub place: Place,
}

/// The master secret's file.
#[derive(Debug)]
pub struct Place(PathBuf);

impl Place {
    /// Gives the secret beside it its name, once the store has been found under that.
    pub fn adopt(&self) -> io::Result<()> {
        fs::rename(beside(&self.0), &self.0)?;
        sync_directory(&self.0)
    }
}

/// What an interrupted `key rewrap --generate` left, for a start whose store is not under the master secret's file. A file
/// without a secret in it is no leftover of ours that could matter: it is written whole before the store is touched.
pub fn pending(config: &Config) -> io::Result<Option<Pending>> {
    let Some(path) = config.secret_file() else { return Ok(None) };
    let text = match fs::read_to_string(beside(&path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => Zeroizing::new(text?),
    };
    Ok(match MasterSecret::parse(&text) {
        Ok(secret) => Some(Pending { secret, place: Place(path) }),
        Err(SecretError::NotBase64 | SecretError::TooShort(_)) => {
            fs::remove_file(beside(&path))?;
            None
        }
        Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    })
}

fn beside(path: &Path) -> PathBuf {
    let mut name: OsString = path.into();
    name.push(".new");
    name.into()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    sync_directory(path)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}
