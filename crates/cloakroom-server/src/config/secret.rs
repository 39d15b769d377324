//! The master secret: from `CLOAKROOM_SECRET`, or from a file that only its owner can read. An embedded server makes that
//! file at its first start.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use cloakroom_core::{
    key::{MasterSecret, SecretError},
    random::Rng,
};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Origin, read::Reading};

/// The name of the file in the data directory.
pub const MASTER_SECRET: &str = "master.secret";

/// Where the master secret came from.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SecretFrom {
    /// `CLOAKROOM_SECRET`.
    Environment,
    /// A file that was there.
    File(PathBuf),
    /// A file that has just been made.
    Created(PathBuf),
}

/// Why the master secret's file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// It is not there, and `secret_file` names it: a new one would not open the keys of the store.
    #[error(
        "`secret_file`: {0} is not there; name the right one, or make one with \
         `(umask 077; head -c 32 /dev/urandom | base64 > {0})`"
    )]
    Missing(PathBuf),
    /// The file with the secret from before a change is not there.
    #[error("`secret_old_file`: {0} is not there; name the right one, or take the setting out once the change is done")]
    MissingOld(PathBuf),
    /// It cannot be read.
    #[error("the master secret's file {0} cannot be read: {1}")]
    Read(PathBuf, #[source] io::Error),
    /// It cannot be made.
    #[error("the master secret's file {0} cannot be made: {1}; make its directory writable, or set CLOAKROOM_SECRET")]
    Create(PathBuf, #[source] io::Error),
    /// It is a directory, a device or larger than any secret.
    #[error("the master secret's file {0} is no file with a secret in it")]
    NoFile(PathBuf),
    /// Others can read or change it.
    #[error(
        "the master secret's file {path} can be read or changed by others (mode {mode:04o}); run `chmod 600 {path}`"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error(
        "the master secret's file {path} belongs to user {owner}, and the server runs as user {user}; run `chown {user} {path}`"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who this process is.
        user: u32,
    },
    /// What it holds is no secret.
    #[error("the master secret's file {0}: {1}")]
    Secret(PathBuf, #[source] SecretError),
    /// What `CLOAKROOM_SECRET` holds is no secret.
    #[error("`CLOAKROOM_SECRET`: {0}")]
    Variable(#[source] SecretError),
    /// What `CLOAKROOM_SECRET_OLD` holds is no secret.
    #[error("`CLOAKROOM_SECRET_OLD`: {0}")]
    OldVariable(#[source] SecretError),
}

/// The variables and the file, as configured.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    secret: Option<Zeroizing<String>>,
    old: Option<Zeroizing<String>>,
    file: Option<PathBuf>,
    old_file: Option<PathBuf>,
}

impl Secrets {
    /// Takes the variables in; what is no secret is a mistake of the configuration.
    pub(super) fn read(
        reading: &mut Reading,
        secret: Option<Zeroizing<String>>,
        old: Option<Zeroizing<String>>,
        file: Option<PathBuf>,
        old_file: Option<PathBuf>,
    ) -> Self {
        for (name, text) in [("CLOAKROOM_SECRET", &secret), ("CLOAKROOM_SECRET_OLD", &old)] {
            if let Some(Err(error)) = text.as_ref().map(|text| MasterSecret::parse(text)) {
                reading.refuse_at(name, error.to_string(), Origin::Environment(name.into()));
            }
        }
        if secret.is_some() && file.is_some() {
            reading.refuse(
                "secret_file",
                "CLOAKROOM_SECRET is set too, and there is only one master secret; keep one of them",
            );
        }
        if old.is_some() && old_file.is_some() {
            reading.refuse(
                "secret_old_file",
                "CLOAKROOM_SECRET_OLD is set too, and there is only one secret from before; keep one of them",
            );
        }
        Self { secret, old, file, old_file }
    }

    /// Whether somebody has said what it is, or where.
    pub(super) fn is_explicit(&self) -> bool {
        self.secret.is_some() || self.file.is_some()
    }

    pub(super) fn file(&self, data_dir: &Path) -> Option<PathBuf> {
        let default = || data_dir.join(MASTER_SECRET);
        self.secret.is_none().then(|| self.file.clone().unwrap_or_else(default))
    }

    pub(super) fn old(&self) -> Result<Option<MasterSecret>, SecretFileError> {
        if let Some(text) = &self.old {
            return MasterSecret::parse(text).map(Some).map_err(SecretFileError::OldVariable);
        }
        let Some(path) = &self.old_file else { return Ok(None) };
        read_file(path)?.map(Some).ok_or_else(|| SecretFileError::MissingOld(path.clone()))
    }

    pub(super) fn master(&self, data_dir: &Path, rng: &Rng) -> Result<(MasterSecret, SecretFrom), SecretFileError> {
        if let Some(text) = &self.secret {
            let secret = MasterSecret::parse(text).map_err(SecretFileError::Variable)?;
            return Ok((secret, SecretFrom::Environment));
        }
        if let Some(path) = &self.file {
            let secret = read_file(path)?.ok_or_else(|| SecretFileError::Missing(path.clone()))?;
            return Ok((secret, SecretFrom::File(path.clone())));
        }
        let path = data_dir.join(MASTER_SECRET);
        if let Some(secret) = read_file(&path)? {
            return Ok((secret, SecretFrom::File(path)));
        }
        let made = create(data_dir, &path, rng).map_err(|e| SecretFileError::Create(path.clone(), e))?;
        // Of two servers that start at once, both read what the first one made.
        let secret = read_file(&path)?.ok_or_else(|| SecretFileError::Missing(path.clone()))?;
        Ok((secret, if made { SecretFrom::Created(path) } else { SecretFrom::File(path) }))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// Reads the secret; `None` if there is no file. What is judged is the open file, not what its name meant a moment before.
fn read_file(path: &Path) -> Result<Option<MasterSecret>, SecretFileError> {
    const LARGEST: u64 = 4096;
    let unreadable = |e| SecretFileError::Read(path.to_owned(), e);
    let opened = fs::OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path);
    let file = match opened {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(unreadable)?,
    };
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() || about.len() > LARGEST {
        return Err(SecretFileError::NoFile(path.to_owned()));
    }
    let (mode, user) = (about.mode() & 0o7777, rustix::process::geteuid().as_raw());
    if mode & 0o177 != 0 {
        return Err(SecretFileError::Open { path: path.to_owned(), mode });
    }
    if about.uid() != user {
        return Err(SecretFileError::Foreign { path: path.to_owned(), owner: about.uid(), user });
    }
    let mut text = Zeroizing::new(String::with_capacity(LARGEST as usize));
    file.take(LARGEST).read_to_string(&mut text).map_err(unreadable)?;
    MasterSecret::parse(&text).map(Some).map_err(|e| SecretFileError::Secret(path.to_owned(), e))
}

/// Opening a named pipe must not wait for its writer.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// Makes the file, whole and durable or not at all; `false` if another process was faster.
fn create(data_dir: &Path, path: &Path, rng: &Rng) -> io::Result<bool> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    let draft = data_dir.join(format!(".{MASTER_SECRET}.{:016x}", u64::from_be_bytes(rng.bytes())));
    let (_, text) = MasterSecret::generate(rng);
    let written = write_draft(&draft, &text).and_then(|()| match fs::hard_link(&draft, path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        linked => linked.map(|()| true),
    });
    let removed = fs::remove_file(&draft);
    let made = written?;
    removed?;
    fs::File::open(data_dir)?.sync_all()?;
    Ok(made)
}

fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}
