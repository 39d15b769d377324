//! The acceptance rule, as a pure function. The verifier and the model both call it.
//!
//! A credential is accepted when its fact holds, it has not ended, and the verifier's lease is fresh. Late cache fills,
//! repeated messages and restarts are harmless under this rule; nothing needs deleting from a cache.

use super::fact::Fact;
use crate::{
    clock::{Boot, Timestamp},
    method::{Check, OnFeedLoss},
    refusal::Reason,
    revocation::{Verdict, Vigil},
};

/// The present, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For lifetimes.
    pub wall: Timestamp,
    /// For facts and leases.
    pub boot: Boot,
}

/// Where a fact comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Basis {
    /// From a cache.
    Cached,
    /// It was checked or read for this very request.
    JustNow,
}

/// What the rule says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Judgement {
    /// Let it in.
    Accept,
    /// Turn it away.
    Refuse(Reason),
    /// The fact is too old to say; check or read anew.
    ReadAgain,
    /// The log has not been heard in time; renew the lease, or read anew.
    NoLease,
    /// An end that could not be held may be its own: ask about it, or read anew. Nothing else speaks against it, unless
    /// [`judge_unasked`] says so.
    Ask,
}

/// Applies the acceptance rule.
#[inline]
pub fn judge(fact: &Fact, basis: Basis, vigil: &Vigil, now: Moment) -> Judgement {
    match judge_unasked(fact, basis, vigil, now) {
        Judgement::Accept | Judgement::NoLease if fact.is_marked(vigil, now.boot) => Judgement::Ask,
        judgement => judgement,
    }
}

/// Applies the acceptance rule as if what could not be held had not been heard: so it goes where nobody can be asked and the
/// app does without.
#[inline]
pub fn judge_unasked(fact: &Fact, basis: Basis, vigil: &Vigil, now: Moment) -> Judgement {
    use Judgement::{Accept, NoLease, ReadAgain, Refuse};

    if fact.is_over(now.wall) {
        return Refuse(match fact.check() {
            Check::LookUp => Reason::AbsoluteExpiry,
            Check::Signature => Reason::TokenExpired,
        });
    }
    let look_up = fact.check() == Check::LookUp;
    let lag = fact.app.lag(fact.check());
    if basis == Basis::Cached && lag.is_zero() {
        // Only what was read after the request began knows of an end a moment before.
        return ReadAgain;
    }
    if basis == Basis::Cached && (fact.era != vigil.era() || fact.is_stale(now.boot)) {
        return ReadAgain;
    }
    if fact.is_idle(now.wall) {
        // Another server may have seen it since: before refusing, the store is asked again.
        return if basis == Basis::Cached { ReadAgain } else { Refuse(Reason::Idle) };
    }
    match vigil.ended().judge(&fact.subject()) {
        Verdict::Goes => {}
        // The record may have been carried over into the new epoch.
        Verdict::Account if look_up && basis == Basis::Cached => return ReadAgain,
        Verdict::Session => return Refuse(Reason::SessionEnded),
        Verdict::Account => return Refuse(Reason::AccountEnded),
        Verdict::App => return Refuse(Reason::AppEnded),
        Verdict::Key => return Refuse(Reason::KeyKilled),
    }
    if vigil.is_fresh(now.boot, lag) {
        return Accept;
    }
    match fact.app.on_feed_loss {
        OnFeedLoss::UntilExpiry => Accept,
        // A record that was read after the request began proves by itself that nothing had ended before.
        OnFeedLoss::Refuse if look_up && basis == Basis::JustNow => Accept,
        OnFeedLoss::Refuse => NoLease,
    }
}
