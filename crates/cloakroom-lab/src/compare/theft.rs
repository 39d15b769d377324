//! What a copied credential is worth: until its owner signs out, changes the password, or renews what the thief has used.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use cloakroom_core::method::Method;

use super::{
    Store, Theft, Topology,
    ending::{LONGEST_SESSION, MAX_REVOCATION_LAG, TOKEN_LIFE, Watch, for_each_method},
    extent::Extent,
    person::{SignedIn, change_password, renew, sign_in, sign_out},
};
use crate::{
    call::Caller,
    rig::{METHODS, Rig, Workshop, path_of},
};

/// As short as it can be set, so that nobody waits: it bounds how long owner and thief can share a token unnoticed.
const GRACE: Duration = Duration::from_secs(1);

/// Everything that is tried, one server.
pub(super) fn windows(workshop: &Workshop, extent: &Extent) -> io::Result<Vec<Theft>> {
    let grace = format!("CLOAKROOM_APP__1__REFRESH_GRACE={}s", GRACE.as_secs());
    let rig = workshop.build_with(Store::Memory, Topology::One, &[&grace])?;
    let all = for_each_method(|method| of_method(&rig, method, extent))?;
    Ok(all.into_iter().flatten().collect())
}

/// What is tried with one method; nobody else is signed in as its people.
fn of_method(rig: &Rig, method: Method, extent: &Extent) -> io::Result<Vec<Theft>> {
    let number = METHODS.iter().position(|(known, ..)| *known == method).unwrap_or_default();
    let mut all = Vec::new();
    let copied = if method.has_tokens() { "access_token" } else { "ticket" };
    let lag = MAX_REVOCATION_LAG.as_secs_f64();
    let unnoticed = if method.has_tokens() { TOKEN_LIFE } else { LONGEST_SESSION };
    let theft = |copied: &str, then: &str, window: Option<Duration>, bound: f64| Theft {
        method,
        copied: copied.to_owned(),
        then: then.to_owned(),
        window_s: window.map(|window| window.as_secs_f64()),
        bound_s: bound,
    };
    all.push(theft(copied, "sign_out", shown(rig, number, method, extent, sign_out)?, lag));
    all.push(theft(copied, "password_changed", shown(rig, number + 4, method, extent, change_password)?, lag));
    all.push(theft(copied, "nothing", None, unnoticed.as_secs_f64()));
    if method.has_tokens() {
        let longest = LONGEST_SESSION.as_secs_f64();
        all.push(theft("refresh_token", "sign_out", renewed(rig, number, method, extent, sign_out)?, lag));
        let changed = renewed(rig, number + 8, method, extent, change_password)?;
        let bound = if changed.is_some() { lag } else { longest };
        all.push(theft("refresh_token", "password_changed", changed, bound));
        let reused = reused(rig, number, method)?;
        let bound = if reused.is_some() { TOKEN_LIFE.as_secs_f64() } else { longest };
        all.push(theft("refresh_token", "owner_refreshed", reused, bound));
        all.push(theft("refresh_token", "nothing", None, longest));
    }
    Ok(all)
}

/// What the owner does.
type Deed = fn(&mut Caller, &SignedIn) -> io::Result<()>;

/// A copy of what requests show; `None`: it works still.
fn shown(rig: &Rig, number: usize, method: Method, extent: &Extent, deed: Deed) -> io::Result<Option<Duration>> {
    let mut caller = rig.caller(0)?;
    let owner = sign_in(&mut caller, number, method)?;
    let watch = Watch::begin(rig.addresses(), method, &owner.line, extent.watch);
    watch.warmed(4);
    deed(&mut caller, &owner)?;
    let (window, over) = watch.finish()?;
    Ok(over.then_some(window))
}

/// A copy of the refresh token, with which the thief gets access tokens; `None`: he still does.
fn renewed(rig: &Rig, number: usize, method: Method, extent: &Extent, deed: Deed) -> io::Result<Option<Duration>> {
    let mut caller = rig.caller(0)?;
    let owner = sign_in(&mut caller, number, method)?;
    let renewal = owner.renewal.clone().unwrap_or_default();
    deed(&mut caller, &owner)?;
    let (begin, mut last) = (Instant::now(), Duration::ZERO);
    // A second shows it: a renewal asks the account and the record each time.
    while begin.elapsed() < extent.watch.min(Duration::from_secs(1)) {
        let at = begin.elapsed();
        if renew(&mut caller, &renewal)?.is_none() {
            return Ok(Some(last));
        }
        last = at;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(None)
}

/// The thief renews first, the owner after the grace period; from the theft until the thief's own access token is refused.
/// `None`: nobody finds out.
fn reused(rig: &Rig, number: usize, method: Method) -> io::Result<Option<Duration>> {
    let mut caller = rig.caller(0)?;
    let owner = sign_in(&mut caller, number, method)?;
    let renewal = owner.renewal.unwrap_or_default();
    thread::sleep(GRACE + Duration::from_millis(300));
    let begin = Instant::now();
    let stolen = renew(&mut caller, &renewal)?;
    let stolen = stolen.ok_or_else(|| io::Error::other("a thief could not renew"))?;
    thread::sleep(GRACE + Duration::from_millis(300));
    renew(&mut caller, &renewal)?;
    let refused = caller.call("GET", path_of(method), &[&stolen], None)?.status != 200;
    Ok(refused.then(|| begin.elapsed()))
}
