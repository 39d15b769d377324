//! How long something goes on being accepted after its end was acknowledged, and what a copied credential is worth after that.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use cloakroom_core::method::Method;

use super::{
    FeedCut, Lag, Store,
    extent::Extent,
    person::{SignedIn, change_password, sign_in},
};
use crate::{
    call::Caller,
    rig::{HOST, METHODS, ORIGIN, Rig, Workshop, path_of},
    stores::Postgres,
    subject::ADDRESSES,
};

/// How often a credential is shown to each server while its end is awaited.
const BETWEEN: Duration = Duration::from_millis(1);

/// Shows a credential to servers again and again, each from a thread of its own, until all have refused it after its end.
pub(super) struct Watch {
    threads: Vec<thread::JoinHandle<io::Result<(Instant, bool)>>>,
    ended: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
}

impl Watch {
    /// Begins; `line` is the credential's header line.
    pub(super) fn begin(servers: Vec<SocketAddr>, method: Method, line: &str, lasting: Duration) -> Self {
        let (ended, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let spawn = |address| {
            let (ended, accepted, line) = (Arc::clone(&ended), Arc::clone(&accepted), line.to_owned());
            thread::spawn(move || watch(address, path_of(method), &line, lasting, &ended, &accepted))
        };
        let threads = servers.into_iter().map(spawn).collect();
        Self { threads, ended, accepted }
    }

    /// Waits until so many answers have accepted it.
    pub(super) fn warmed(&self, answers: usize) {
        let begin = Instant::now();
        while self.accepted.load(Ordering::Relaxed) < answers && begin.elapsed() < Duration::from_secs(2) {
            thread::sleep(BETWEEN);
        }
    }

    /// It has ended, by an acknowledgement that came just now.
    pub(super) fn end(self) -> Ended {
        let acknowledged = Instant::now();
        self.ended.store(true, Ordering::Relaxed);
        Ended { threads: self.threads, acknowledged }
    }

    /// The same, waited for.
    pub(super) fn finish(self) -> io::Result<(Duration, bool)> {
        self.end().finish()
    }
}

/// A watch over something that has ended.
pub(super) struct Ended {
    threads: Vec<thread::JoinHandle<io::Result<(Instant, bool)>>>,
    acknowledged: Instant,
}

impl Ended {
    /// Until when it was accepted after its end, and whether it no longer is.
    pub(super) fn finish(self) -> io::Result<(Duration, bool)> {
        let (mut longest, mut over) = (Duration::ZERO, true);
        for thread in self.threads {
            let (last, refused) = thread.join().map_err(|_| io::Error::other("a watch broke off"))??;
            longest = longest.max(last.saturating_duration_since(self.acknowledged));
            over &= refused;
        }
        Ok((longest, over))
    }
}

/// When the last request began that was accepted, and whether one was refused after that.
fn watch(
    address: SocketAddr,
    path: &str,
    line: &str,
    lasting: Duration,
    ended: &AtomicBool,
    accepted: &AtomicUsize,
) -> io::Result<(Instant, bool)> {
    let mut caller = Caller::connect(address, HOST)?;
    let mut last = Instant::now();
    let mut since = None;
    loop {
        let is_over = ended.load(Ordering::Relaxed);
        if is_over && since.get_or_insert_with(Instant::now).elapsed() > lasting {
            return Ok((last, false));
        }
        let begin = Instant::now();
        if caller.call("GET", path, &[line], None)?.status == 200 {
            last = begin;
            accepted.fetch_add(1, Ordering::Relaxed);
        } else if is_over {
            return Ok((last, true));
        }
        thread::sleep(BETWEEN);
    }
}

/// From sign-outs to the last acceptance, for each method; all methods at once, since most of it waits.
pub(super) fn lags(rig: &mut Rig, extent: &Extent) -> io::Result<Vec<Lag>> {
    for (method, ..) in METHODS {
        rig.fill(method, extent.ends)?;
    }
    let rig = &*rig;
    for_each_method(|method| lag(rig, method, extent))
}

fn lag(rig: &Rig, method: Method, extent: &Extent) -> io::Result<Lag> {
    let (lines, servers) = (rig.credentials(method)?, rig.addresses().len());
    let mut found: Vec<f64> = Vec::new();
    for number in 0..extent.ends.min(lines.count()) {
        let line = lines.text(number);
        let watch = Watch::begin(rig.addresses(), method, &line, extent.watch);
        watch.warmed(servers * 2);
        // Where no sessions are shared, it is ended where it is known.
        rig.caller(number % servers)?.call("POST", "/v1/logout", &[&line, ORIGIN], None)?.demand(204)?;
        let (longest, _) = watch.finish()?;
        found.push(longest.as_secs_f64() * 1000.0);
    }
    found.sort_unstable_by(f64::total_cmp);
    // The smallest one that so many in a hundred do not exceed.
    let of = |percent: usize| found.get((found.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    let of = |percent| of(percent).unwrap_or(f64::NAN);
    Ok(Lag { p50: of(50), p99: of(99), max: of(100) })
}

/// Work that waits more than it computes, for all methods at once; what it found in their order.
pub(super) fn for_each_method<T: Send>(work: impl Fn(Method) -> io::Result<T> + Sync) -> io::Result<Vec<T>> {
    let work = &work;
    thread::scope(|scope| {
        let all = METHODS.map(|(method, ..)| scope.spawn(move || work(method)));
        let broken = |_| io::Error::other("a watch broke off");
        all.into_iter().map(|one| one.join().map_err(broken)?).collect()
    })
}

/// How long after a sign-out a server goes on accepting that cannot hear of it, for each method; they are signed out at the other
/// server while the wire is cut. A PostgreSQL that was given may be anywhere: one of our own takes its place.
pub(super) fn feed_cut(workshop: &Workshop, extent: &Extent) -> io::Result<Vec<FeedCut>> {
    let mut near = workshop.apart("near")?;
    let workshop = if workshop.postgres.as_ref().is_some_and(Postgres::is_given) {
        near.start(Store::Postgres)?;
        &near
    } else {
        workshop
    };
    let (mut rig, wire) = workshop.build_with_wire()?;
    for (method, ..) in METHODS {
        rig.fill(method, 1)?;
    }
    let rig = &rig;
    let deaf = rig.addresses().split_off(1);
    let begin = |method| {
        let line = rig.credentials(method)?.text(0);
        let watch = Watch::begin(deaf.clone(), method, &line, extent.watch);
        watch.warmed(4);
        io::Result::Ok((line, watch))
    };
    let watches = METHODS.map(|(method, ..)| begin(method).map(|watched| (method, watched)));
    let watches = watches.into_iter().collect::<io::Result<Vec<_>>>()?;
    wire.cut();
    let mut caller = rig.caller(0)?;
    let mut ended = Vec::new();
    for (method, (line, watch)) in watches {
        caller.call("POST", "/v1/logout", &[&line, ORIGIN], None)?.demand(204)?;
        ended.push((method, watch.end()));
    }
    let all = ended.into_iter().map(|(method, watch)| {
        let (longest, ended) = watch.finish()?;
        let refuses = !method.has_tokens();
        Ok(FeedCut {
            method,
            on_feed_loss: if refuses { "refuse" } else { "until_expiry" }.to_owned(),
            accepted_for_ms: longest.as_secs_f64() * 1000.0,
            ended,
            bound_ms: if refuses { MAX_REVOCATION_LAG } else { TOKEN_LIFE }.as_secs_f64() * 1000.0,
        })
    });
    all.collect()
}

/// The defaults of an app, which bound what a verifier that hears nothing may accept.
pub(super) const MAX_REVOCATION_LAG: Duration = Duration::from_secs(2);
/// How long an access token lives by default.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(300);
/// How long a session lives by default, whatever happens.
pub(super) const LONGEST_SESSION: Duration = Duration::from_secs(30 * 86_400);

/// How long copied credentials work after their owner has changed the password, in seconds, for each method: somebody who is signed in
/// by all of them, and has another password from then on.
pub(super) fn after_password_change(rig: &Rig, extent: &Extent) -> io::Result<Vec<f64>> {
    let mut caller = rig.caller(0)?;
    let mut watched = Vec::new();
    for (method, ..) in METHODS {
        watched.push((method, sign_in(&mut caller, ADDRESSES - 1, method)?));
    }
    let begin = |(method, owner): &(Method, SignedIn)| {
        let watch = Watch::begin(rig.addresses(), *method, &owner.line, extent.watch);
        // Where the servers share no sessions, only one of them accepts it.
        watch.warmed(4);
        watch
    };
    let watches: Vec<Watch> = watched.iter().map(begin).collect();
    change_password(&mut caller, &watched[0].1)?;
    let ended: Vec<Ended> = watches.into_iter().map(Watch::end).collect();
    ended.into_iter().map(|watch| watch.finish().map(|(longest, _)| longest.as_secs_f64())).collect()
}
