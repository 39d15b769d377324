//! What operators do with the file: back it up, check it, weigh it.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{DirectoryLock, Options, Sqlite, columns::execute, error::of_io, schema, writer::Shape};
use crate::{
    random::Rng,
    store::{LEAP, StoreError},
};

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

    /// Opens a backup to be read.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] when it is none, or of another release, [`StoreError::Corrupt`] when it is damaged. Blocks.
    pub fn open_backup(file: &Path) -> Result<Self, StoreError> {
        let backup = Self::open_file(file.to_owned(), &Options::default())?;
        let reader = schema::open_reader(file, &Options::default())?;
        match complaints(&reader, "PRAGMA quick_check(1)")?.pop() {
            None => Ok(backup),
            Some(wrong) => Err(StoreError::Corrupt(format!("the backup is no sound database ({wrong})"))),
        }
    }

    /// Puts a backup into a directory that has no store, as a store of its own: its revocation log is another incarnation.
    /// `prepare` sees it before it has its name; whatever interrupts this, it has that only when all is done.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when a server runs on the directory, or a store is there.
    pub async fn restore<F>(&self, directory: &Path, prepare: impl FnOnce(Self) -> F) -> Result<(), StoreError>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        let _lock = DirectoryLock::take(directory)?;
        if directory.join(Self::FILE).exists() {
            let why = format!("there is a store in {} already: move its cloakroom.db away first", directory.display());
            return Err(StoreError::InUse(why));
        }
        let draft = directory.join(".restoring");
        // What an earlier attempt has left.
        let _ = fs::remove_dir_all(&draft);
        fs::DirBuilder::new().mode(0o700).create(&draft).map_err(|e| of_io(&e))?;
        self.backup(&draft.join(Self::FILE)).await?;
        prepare(Self::open(&draft, &Options::default())?).await?;
        sync(&draft.join(Self::FILE))?;
        fs::rename(draft.join(Self::FILE), directory.join(Self::FILE)).map_err(|e| of_io(&e))?;
        sync(directory)?;
        fs::remove_dir_all(&draft).map_err(|e| of_io(&e))
    }

    /// Gives the log another incarnation: for a file that was put back by other means than [`Self::restore`].
    ///
    /// # Errors
    /// As of any write.
    pub async fn new_incarnation(&self) -> Result<(), StoreError> {
        let number = i64::from_be_bytes(Rng::system().bytes());
        self.write_with(Shape::OneStatement, move |c| {
            execute(c, "UPDATE installation SET incarnation = ?1", [number]).map(drop)
        })
        .await
    }

    /// Raises every account's epoch by more than it can have risen since any backup, and deletes every record. How many
    /// accounts.
    ///
    /// # Errors
    /// As of any write.
    pub async fn leap(&self) -> Result<u64, StoreError> {
        self.write_with(Shape::Several, |c| {
            execute(c, "DELETE FROM sessions", [])?;
            // To where the floor of all epochs is lifted by the next writer of the log.
            let raise = "UPDATE accounts SET epoch = min(max(epoch + ?1, unixepoch() + 3600), 4294967294)";
            let raised = execute(c, raise, [LEAP])?;
            Ok(raised as u64)
        })
        .await
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

/// Sees to it that a file, or the names in a directory, are on the disk.
fn sync(path: &Path) -> Result<(), StoreError> {
    fs::File::open(path).and_then(|file| file.sync_all()).map_err(|e| of_io(&e))
}

fn backup(connection: &Connection, to: &Path) -> Result<(), StoreError> {
    let name = to.to_str().ok_or_else(|| StoreError::Unavailable("the backup's path is not UTF-8".to_owned()))?;
    // Made first so that it is never open to others, and so that no file is overwritten.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(|e| of_io(&e))?;
    let copied = connection.execute("VACUUM INTO ?1", [name]).map_err(StoreError::from).and_then(|_| {
        let copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        copy.pragma_update(None, "synchronous", "FULL")?;
        copy.execute("UPDATE installation SET incarnation = NULL", [])?;
        drop(copy);
        sync(to)?;
        sync(to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    });
    if copied.is_err() {
        // Half a copy must not be taken for a backup.
        let _ = fs::remove_file(to);
    }
    copied
}
