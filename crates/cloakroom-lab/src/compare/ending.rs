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
    FeedCut, Lag,
    extent::Extent,
    person::{change_password, sign_in},
};
use crate::{
    call::Caller,
    rig::{HOST, METHODS, ORIGIN, Rig, Workshop, path_of},
    subject::ADDRESSES,
};

/// How often a credential is shown to each server while its end is awaited.
const BETWEEN: Duration = Duration::from_micros(500);

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

    /// It has ended, by an acknowledgement that came just now: until when it was accepted after that, and whether it no longer
    /// is.
    pub(super) fn finish(self) -> io::Result<(Duration, bool)> {
        let acknowledged = Instant::now();
        self.ended.store(true, Ordering::Relaxed);
        let (mut longest, mut over) = (Duration::ZERO, true);
        for thread in self.threads {
            let (last, refused) = thread.join().map_err(|_| io::Error::other("a watch broke off"))??;
            longest = longest.max(last.saturating_duration_since(acknowledged));
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

/// From sign-outs to the last acceptance, for each method.
pub(super) fn lags(rig: &mut Rig, extent: &Extent) -> io::Result<Vec<Lag>> {
    let mut all = Vec::new();
    for (method, ..) in METHODS {
        rig.fill(method, extent.ends)?;
        let lines = rig.credentials(method)?;
        let mut found: Vec<f64> = Vec::new();
        for number in 0..extent.ends.min(lines.count()) {
            let line = lines.text(number);
            let servers = rig.addresses().len();
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
        all.push(Lag { p50: of(50), p99: of(99), max: of(100) });
    }
    Ok(all)
}

/// How long after a sign-out a server goes on accepting that cannot hear of it, for each method.
pub(super) fn feed_cut(workshop: &Workshop, extent: &Extent) -> io::Result<Vec<FeedCut>> {
    let (mut rig, wire) = workshop.build_with_wire()?;
    let mut all = Vec::new();
    for (method, ..) in METHODS {
        rig.fill(method, 2)?;
        let lines = rig.credentials(method)?;
        let [line, other] = [0, 1].map(|number| lines.text(number));
        let deaf = rig.addresses().split_off(1);
        let watch = Watch::begin(deaf.clone(), method, &line, extent.watch);
        watch.warmed(4);
        wire.cut();
        rig.caller(0)?.call("POST", "/v1/logout", &[&line, ORIGIN], None)?.demand(204)?;
        let (longest, ended) = watch.finish()?;
        wire.mend();
        let refuses = !method.has_tokens();
        all.push(FeedCut {
            method,
            on_feed_loss: if refuses { "refuse" } else { "until_expiry" }.to_owned(),
            accepted_for_ms: longest.as_secs_f64() * 1000.0,
            ended,
            bound_ms: if refuses { MAX_REVOCATION_LAG } else { TOKEN_LIFE }.as_secs_f64() * 1000.0,
        });
        hears_again(&deaf, method, &other)?;
    }
    Ok(all)
}

/// Waits until a server accepts what is alive, and no longer waits for its store.
fn hears_again(servers: &[SocketAddr], method: Method, line: &str) -> io::Result<()> {
    for server in servers {
        for _ in 0..200 {
            if Caller::connect(*server, HOST)?.call("GET", path_of(method), &[line], None)?.status == 200 {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// The defaults of an app, which bound what a verifier that hears nothing may accept.
pub(super) const MAX_REVOCATION_LAG: Duration = Duration::from_secs(2);
/// How long an access token lives by default.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(300);
/// How long a session lives by default, whatever happens.
pub(super) const LONGEST_SESSION: Duration = Duration::from_secs(30 * 86_400);

/// How long a copied credential works after its owner has changed the password, in seconds, for each method. The last of the
/// people have other passwords from then on.
pub(super) fn after_password_change(rig: &Rig, extent: &Extent) -> io::Result<Vec<f64>> {
    let mut all = Vec::new();
    for (number, (method, ..)) in METHODS.into_iter().enumerate() {
        let mut caller = rig.caller(0)?;
        let owner = sign_in(&mut caller, ADDRESSES - 1 - number, method)?;
        let watch = Watch::begin(rig.addresses(), method, &owner.line, extent.watch);
        // Where the servers share no sessions, only one of them accepts it.
        watch.warmed(4);
        change_password(&mut caller, &owner)?;
        let (longest, _) = watch.finish()?;
        all.push(longest.as_secs_f64());
    }
    Ok(all)
}
