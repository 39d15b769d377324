//! Whether the store of sessions is used. One that comes from a time which the revocation log no longer reaches is not: it
//! could hold sessions that have ended, and nobody would know.

use parking_lot::RwLock;

use super::{StoreError, TooOld};

/// Shut while the store of sessions is too old.
#[derive(Debug, Default)]
pub(crate) struct Gate(RwLock<Option<TooOld>>);

impl Gate {
    /// Refuses where it is shut.
    pub(crate) fn pass(&self) -> Result<(), StoreError> {
        self.why().map_or(Ok(()), |old| Err(StoreError::TooOld(old)))
    }

    /// Why it is shut, if it is.
    pub(crate) fn why(&self) -> Option<TooOld> {
        *self.0.read()
    }

    /// Shuts it; whether it was open.
    pub(crate) fn shut(&self, why: TooOld) -> bool {
        self.0.write().replace(why).is_none()
    }

    /// Opens it; whether it was shut.
    pub(crate) fn open(&self) -> bool {
        self.0.write().take().is_some()
    }
}
