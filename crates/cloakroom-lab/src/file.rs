//! Files that somebody may be reading while they are written.

use std::{fs::Permissions, io, io::Write, os::unix::fs::PermissionsExt, path::Path};

/// Writes a file into a directory: whole, or it is as it was before.
pub(crate) fn put(out: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    // Others may read it: it is for them.
    let readable = Permissions::from_mode(0o644);
    let mut file = tempfile::Builder::new().prefix(name).permissions(readable).tempfile_in(out)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(out.join(name))?;
    Ok(())
}
