//! What an operator, or a test, may set about the SQLite store.

/// How much the store may use; the defaults suit everything from a small board upwards.
#[derive(Clone, Debug)]
pub struct Options {
    /// Page cache of the writing connection, in bytes.
    pub write_cache: usize,
    /// Page cache of each reading connection, in bytes; used by as many as [`readers`](Self::readers).
    pub read_cache: usize,
    /// How many connections read at the same time, each on its own thread.
    pub readers: usize,
    /// The most pages (of 4 KiB) the file may have; `None`: as many as the disk holds.
    pub max_pages: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        let readers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
        Self { write_cache: 16 << 20, read_cache: 2 << 20, readers, max_pages: None }
    }
}
