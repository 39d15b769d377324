//! What an attack is: who does what, what he gains, and beforehand, for each target, what should come of it.

use std::{future::Future, pin::Pin, time::Duration};

use super::{stage::Stage, target::Kind};
use cloakroom_core::method::Method;

/// Why an attack could not be carried out. It is never taken for a failure of the attacker.
pub(super) type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// What an attack found, or why it could not be carried out.
pub(super) type Tried = Result<Found, Trouble>;

/// An attack.
pub(super) struct Attack {
    /// Its name, which stays.
    pub(super) id: &'static str,
    /// What it is called.
    pub(super) title: &'static str,
    /// What the attacker has to begin with.
    pub(super) has: &'static str,
    /// What he does.
    pub(super) does: &'static str,
    /// What he gains where it succeeds.
    pub(super) gains: &'static str,
    /// Who describes it.
    pub(super) source: &'static str,
    /// What should come of it.
    pub(super) expected: Expected,
    /// What it takes.
    pub(super) needs: Needs,
    /// Does it to one target.
    pub(super) run: for<'s> fn(&'s Stage) -> Running<'s>,
}

/// What an attack is about: the chapters of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// What has been copied, and how one comes to copy it.
    Theft,
    /// What other sites' pages can do.
    CrossSite,
    /// What can be done with cookies by whoever can set some.
    Cookies,
    /// Forged, altered and misused tokens.
    Tokens,
    /// Passwords, accounts and sessions that are guessed.
    Guessing,
    /// More than a server can take.
    Pressure,
}

impl Family {
    /// All of them, in their order.
    pub const ALL: [Self; 6] =
        [Self::Theft, Self::CrossSite, Self::Cookies, Self::Tokens, Self::Guessing, Self::Pressure];
}

/// An attack under way.
pub(super) type Running<'s> = Pin<Box<dyn Future<Output = Tried> + Send + 's>>;

/// What an attack takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Requests.
    Requests,
    /// Requests, and no other attack beside it: it measures, or takes all that there is.
    Quiet,
    /// A real browser, and names with siblings.
    Browser,
}

/// What one try showed.
pub(super) enum Found {
    /// The attacker got what he wanted, without an end that was seen.
    Worked(String),
    /// He got it for so long.
    WorkedFor(Duration, String),
    /// He did not get it.
    Refused(String),
    /// It cannot be tried on this target, for this reason.
    NotHere(String),
}

/// What should come of a try.
#[derive(Clone, Copy)]
pub(super) enum Expect {
    /// It succeeds: of the careless login.
    Succeeds,
    /// It fails.
    Fails,
    /// It may work for so long, for this reason.
    Window(Bound, &'static str),
    /// It does not apply, for this reason.
    Never(&'static str),
}

/// How long something may work.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    /// Until an end has been heard: `max_revocation_lag`.
    Lag,
    /// Until an access token expires: its lifetime and the leeway for clocks.
    Lifetime,
    /// Until the owner renews, once the grace period has passed.
    Renewal,
}

/// The same for every target.
#[derive(Clone, Copy)]
pub(super) struct Expected {
    careless_session: Expect,
    careless_jwt: Expect,
    session: Expect,
    jwt: Expect,
    phantom: Expect,
    stateless: Expect,
}

impl Expected {
    /// Succeeds on both careless logins, fails on Cloakroom by every method.
    pub(super) const EVERYWHERE: Self = Self {
        careless_session: Expect::Succeeds,
        careless_jwt: Expect::Succeeds,
        session: Expect::Fails,
        jwt: Expect::Fails,
        phantom: Expect::Fails,
        stateless: Expect::Fails,
    };

    /// The careless login by JWT is not open to it.
    pub(super) const fn not_careless_jwt(self, why: &'static str) -> Self {
        Self { careless_jwt: Expect::Never(why), ..self }
    }

    /// The careless login by session is not open to it.
    pub(super) const fn not_careless_session(self, why: &'static str) -> Self {
        Self { careless_session: Expect::Never(why), ..self }
    }

    /// For the methods whose client holds tokens.
    pub(super) const fn tokens(self, expect: Expect) -> Self {
        Self { jwt: expect, stateless: expect, ..self }
    }

    /// For the methods whose client holds a ticket.
    pub(super) const fn tickets(self, expect: Expect) -> Self {
        Self { session: expect, phantom: expect, ..self }
    }

    /// For `jwt` alone.
    pub(super) const fn jwt(self, expect: Expect) -> Self {
        Self { jwt: expect, ..self }
    }

    /// For `jwt-stateless` alone.
    pub(super) const fn stateless(self, expect: Expect) -> Self {
        Self { stateless: expect, ..self }
    }

    /// What should come of it on a target.
    pub(super) const fn of(&self, kind: Kind) -> Expect {
        match kind {
            Kind::CarelessSession => self.careless_session,
            Kind::CarelessJwt => self.careless_jwt,
            Kind::Cloakroom(Method::Session) => self.session,
            Kind::Cloakroom(Method::Jwt) => self.jwt,
            Kind::Cloakroom(Method::Phantom) => self.phantom,
            Kind::Cloakroom(Method::JwtStateless) => self.stateless,
        }
    }
}
