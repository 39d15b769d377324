//! Credentials: what proves who an account is, and what guessing them costs.
//!
//! Passwords are read, judged and hashed here, on a pool of their own that a login storm cannot overrun; failed attempts
//! are limited here. Where accounts and their hashes are kept is the account store's part.

mod hash;
mod hash_pool;
mod limits;
mod password;
mod strength;

pub use hash::{HashError, HashParameters, ParameterError, PasswordHash};
pub use hash_pool::{Checked, HashPool, PoolError, PoolSettings};
pub(crate) use limits::MAX_WAITING;
pub use limits::{
    Attempt, Bucket, BucketKey, Empty, FailureLimits, Familiar, LimitError, LimitKind, LimitSettings, Limited, Network,
    Rate, SharedLimits, SharedToken, Swept, Taken, UNDECIDED,
};
pub use password::{LoginPassword, NewPassword, Password, PasswordError};
pub use strength::Weakness;
