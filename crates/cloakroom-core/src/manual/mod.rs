//! The manual: what the design answers, and what it cannot.
//!
//! # Sessions
//!
//! *Fixation.* A ticket's secret is drawn when a login succeeds and never before, and a login over a present session ends
//! the old one. There is nothing that an attacker could plant.
//!
//! *Resurrection.* Libraries that save a session at the end of a request bring back one that was ended meanwhile; caches
//! that are filled late do the same. Here every write but the creation demands that the record exists
//! ([`Write`](crate::session::Write)), an id is never used twice, and a cached [fact](crate::verify::Fact) is believed only
//! beside a set of what has ended that is held longer than any fact lives.
//!
//! *A store that is read by a stranger.* Records are found by an id that is a hash of the ticket's secret. Neither store,
//! log nor backup holds anything that could be presented, not even together with every key.
//!
//! *Idle time-outs* cost a write per request elsewhere. Here activity is written when what was written is older than
//! min(1 h, idle/32); that much can a crash forget.
//!
//! # Tokens
//!
//! *`alg: none`, HMAC with a public key, keys that the token brings.* The algorithm belongs to the key; a header with
//! anything in it but `typ`, `alg` and `kid` is refused before the payload is decoded ([`token`](crate::token)).
//!
//! *One kind taken for another.* Access tokens say `at+jwt`, tickets carry their kind under a MAC, and each place takes one
//! kind.
//!
//! *Tokens that cannot be ended.* Every check asks the set of what has ended, and a verifier that has not heard the log
//! lately enough says so instead of guessing ([`revocation`](crate::revocation)).
//!
//! # Refresh tokens
//!
//! *Honest repeats.* Two tabs, a lost answer, a retry: within the grace period the same question gets the same answer,
//! because the successor is derived. There is at most one rotation per grace period, so a slow tab is never two behind
//! ([`Rotation`](crate::session::Rotation)).
//!
//! *Theft.* A generation that is older than that ends the session and is told to its owner. What this cannot do: whoever
//! copies a bearer token and shadows its owner within each grace period is found out only when the two diverge.
//!
//! # Passwords
//!
//! Whatever is wrong with a login (no such account, another password, an empty one), it costs one hash of the same
//! parameters. An account whose stored hash has other parameters takes those until its owner next signs in. Limits on
//! guessing count by account and by network; an owner on a network that has signed in before is not shut out by a
//! stranger's flood.
//!
//! # Endings
//!
//! The log is written before the record is deleted, and the answer leaves after both. 'Everywhere' raises the account's
//! epoch and walks no list, so there is no list to be incomplete. A login that runs beside it carries the epoch that was
//! read before its password was checked, and is born ended.
