//! What operators do with the file: back it up, check it, weigh it.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{Options, Sqlite, error::of_io, schema};
use crate::store::StoreError;

impl Sqlite {
    /// Copies the store, as it stands at one moment, into a new file (mode 0600), while it goes on being used. The copy
    /// holds a revocation log of another incarnation, because it will not hear what ends from here on.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is such a file already, or the path cannot be written.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let to = to.to_owned();
        self.read_long(move |c| backup(c, &to)).await
    }

    /// Reads the whole file and says what is wrong with it; nothing, if all is well.
    pub async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.read_long(|c| complaints(c, "PRAGMA integrity_check(20)")).await
    }

    /// Reads the file of a directory, which a server may have open, and says what is wrong with it; nothing, if all is well.
    /// Indexes are not compared with their tables, as [`Self::check`] does. Blocks.
    pub fn quick_check(directory: &Path) -> Result<Vec<String>, StoreError> {
        let reader = schema::open_reader(&directory.join(Self::FILE), &Options::default())?;
        complaints(&reader, "PRAGMA quick_check(20)")
    }

    /// How many bytes the store takes on the disk, its write-ahead log included.
    pub fn size(&self) -> Result<u64, StoreError> {
        let mut log = self.0.path.clone().into_os_string();
        log.push("-wal");
        let main = fs::metadata(&self.0.path).map_err(|e| of_io(&e))?.len();
        Ok(main + fs::metadata(PathBuf::from(log)).map_or(0, |log| log.len()))
    }
}

fn complaints(connection: &Connection, check: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(check)?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}

fn backup(connection: &Connection, to: &Path) -> Result<(), StoreError> {
    let name = to.to_str().ok_or_else(|| StoreError::Unavailable("the backup's path is not UTF-8".to_owned()))?;
    // Made first so that it is never open to others, and so that no file is overwritten.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(|e| of_io(&e))?;
    let copied = connection.execute("VACUUM INTO ?1", [name]).map_err(StoreError::from).and_then(|_| {
        let copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        copy.pragma_update(None, "synchronous", "FULL")?;
        copy.execute("UPDATE installation SET incarnation = NULL", [])?;
        Ok(())
    });
    if copied.is_err() {
        // Half a copy must not be taken for a backup.
        let _ = fs::remove_file(to);
    }
    copied
}
