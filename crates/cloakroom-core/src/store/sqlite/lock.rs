//! The lock that keeps a second server out of a data directory.
//!
//! It is an advisory lock (`flock`) on a file of its own, so that it goes with the process however that ends, and so that
//! SQLite's own locks on the database stay free for backups and for operators' tools.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use super::error::of_io;
use crate::store::StoreError;

/// Held while a store is open, or a server runs that keeps only its private socket there.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of a directory, which is made if it is not there (mode 0700), or says who has it.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it.
    pub fn take(directory: &Path) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|e| of_io(&e))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join("cloakroom.lock"))
            .map_err(|e| of_io(&e))?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(of_io(&error.into()));
            }
            let mut pid = String::new();
            // Whoever holds it may not have written its number yet.
            let _ = file.read_to_string(&mut pid);
            let pid = pid.trim().parse::<u32>().map_or_else(|_| "unknown".to_owned(), |pid| pid.to_string());
            return Err(StoreError::InUse(format!(
                "{} is in use by another server (pid {pid}): stop it first, or use another data directory",
                directory.display()
            )));
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(|e| of_io(&e))?;
        Ok(Self { _file: file })
    }
}
