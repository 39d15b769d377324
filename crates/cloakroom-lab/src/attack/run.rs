//! Sets everything up, carries the attacks out, and judges them.

use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    path::PathBuf,
    sync::{Arc, atomic::AtomicU32},
};

use futures_util::future::join_all;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::{sync::Semaphore, task::JoinSet};
use url::{Host, Url};

use super::{
    attacks,
    browser::{self, Browser},
    careless::Careless,
    cloakroom::{self, Cloakroom},
    http::{Http, Site},
    judge::judge,
    places::{Places, SHOP},
    plan::{Attack, Expect, Family, Needs, Trouble},
    report::{AttackRow, LeftOut, Picture, Report, TryRow},
    stage::{Lab, Stage},
    target::{Kind, Target},
    tls::Authority,
};

/// What is to be done.
pub struct Options {
    /// The program whose `serve` is attacked.
    pub program: PathBuf,
    /// A server that runs, instead of one that is started. Only on this machine.
    pub target: Option<String>,
    /// Only these attacks; all of them where there are none.
    pub only: Vec<String>,
    /// Told after each attack: how many are done, and of how many.
    pub progress: Box<dyn Fn(usize, usize) + Send + Sync>,
}

/// Why nothing could be tried.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The target is none that may be attacked.
    #[error("{0} is no address of this machine; attack takes only loopback addresses, as http://127.0.0.1:8080")]
    NotLoopback(String),
    /// There is no such attack.
    #[error("there is no attack {0}; there are: {1}")]
    Unknown(String, String),
    /// The lab could not be set up.
    #[error("the lab could not be set up: {0}")]
    Lab(String),
}

/// How many attacks are carried out beside each other.
const AT_ONCE: usize = 4;
/// Why there is no browser where no attack takes one.
const NOT_WANTED: &str = "no attack of this run takes a browser";

/// The names of all attacks.
pub fn names() -> impl Iterator<Item = &'static str> {
    attacks::all().map(|(_, attack)| attack.id)
}

/// Carries the attacks out.
pub async fn run(options: Options) -> Result<Report, RunError> {
    let wanted = wanted(&options.only)?;
    let running = options.target.as_deref().map(loopback).transpose()?;
    let lab =
        set_up(&options, running.is_some(), &wanted).await.map_err(|trouble| RunError::Lab(trouble.to_string()))?;
    let targets = Arc::new(targets(&lab, running.as_ref()).map_err(|trouble| RunError::Lab(trouble.to_string()))?);
    let (quiet, beside): (Vec<_>, Vec<_>) = wanted.iter().enumerate().partition(|(_, (_, a))| a.needs == Needs::Quiet);
    let (places, mut tasks) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for (number, (family, attack)) in beside {
        let (lab, targets, places) = (Arc::clone(&lab), Arc::clone(&targets), Arc::clone(&places));
        let (family, attack) = (*family, *attack);
        tasks.spawn(async move {
            let _place = places.acquire_owned().await;
            (number, carry_out(family, attack, &lab, &targets).await)
        });
    }
    let mut done = Vec::new();
    while let Some(finished) = tasks.join_next().await {
        done.push(finished.map_err(|error| RunError::Lab(error.to_string()))?);
        (options.progress)(done.len(), wanted.len());
    }
    for (number, (family, attack)) in quiet {
        done.push((number, carry_out(*family, attack, &lab, &targets).await));
        (options.progress)(done.len(), wanted.len());
    }
    done.sort_by_key(|(number, _)| *number);
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for (_, (row, without)) in done {
        left_out.extend(without);
        rows.push(row);
    }
    Ok(Report { attacks: rows, left_out })
}

fn wanted(only: &[String]) -> Result<Vec<(Family, &'static Attack)>, RunError> {
    let unknown = only.iter().find(|id| !names().any(|known| known == id.as_str()));
    if let Some(id) = unknown {
        return Err(RunError::Unknown(id.clone(), names().collect::<Vec<_>>().join(", ")));
    }
    let chosen = |(_, attack): &(Family, &Attack)| only.is_empty() || only.iter().any(|id| id == attack.id);
    Ok(attacks::all().filter(chosen).collect())
}

/// A server on this machine. No name is looked up but `localhost`: another one could lead anywhere.
fn loopback(target: &str) -> Result<Site, RunError> {
    let refused = || RunError::NotLoopback(target.to_owned());
    let url = Url::parse(target).map_err(|_| refused())?;
    let https = match url.scheme() {
        "http" => false,
        "https" => true,
        _ => return Err(refused()),
    };
    let (host, port) = (url.host().ok_or_else(refused)?, url.port_or_known_default().ok_or_else(refused)?);
    let address = match &host {
        Host::Ipv4(address) => SocketAddr::new(IpAddr::V4(*address), port),
        Host::Ipv6(address) => SocketAddr::new(IpAddr::V6(*address), port),
        Host::Domain("localhost") => {
            let mut found = ("localhost", port).to_socket_addrs().map_err(|_| refused())?.collect::<Vec<_>>();
            found.sort_by_key(SocketAddr::is_ipv6);
            *found.first().ok_or_else(refused)?
        }
        Host::Domain(_) => return Err(refused()),
    };
    if !address.ip().is_loopback() {
        return Err(refused());
    }
    let base = url.path().trim_end_matches('/').to_owned();
    Ok(Site { https, host: host.to_string(), address, base })
}

async fn set_up(options: &Options, runs_already: bool, wanted: &[(Family, &Attack)]) -> Result<Arc<Lab>, Trouble> {
    let authority = Authority::new()?;
    let places = Places::start(&authority).await?;
    let mut careless = Vec::new();
    for kind in [Kind::CarelessSession, Kind::CarelessJwt] {
        careless.push(Careless::start(kind, &authority).await?);
    }
    let pages = places.site(SHOP).origin();
    let cloakroom =
        if runs_already { None } else { Some(Cloakroom::start(&options.program, &authority, &pages).await?) };
    let takes_browser = wanted.iter().any(|(_, attack)| attack.needs == Needs::Browser);
    let browser = if takes_browser { open_browser(&authority).await } else { Err(NOT_WANTED.to_owned()) };
    let program = options.program.clone();
    Ok(Arc::new(Lab { program, authority, places, careless, cloakroom, browser, people: AtomicU32::new(0) }))
}

/// Without one the attacks that take one are left out, and the others are carried out all the same.
async fn open_browser(authority: &Authority) -> Result<Browser, String> {
    let program = browser::installed().ok_or("no Chromium is installed (Debian's package is called chromium)")?;
    let started = Browser::start(&program, &authority.spki).await;
    started.map_err(|trouble| format!("{} does not start: {trouble}", program.display()))
}

fn targets(lab: &Lab, running: Option<&Site>) -> Result<Vec<Target>, Trouble> {
    let ours = Http::new(Arc::clone(&lab.authority.client));
    let cloakroom = match (&lab.cloakroom, running) {
        (Some(server), _) => server.targets(&ours),
        (None, Some(site)) => cloakroom::running(site, &Http::new(known_to_the_system())),
        (None, None) => Vec::new(),
    };
    let lasting = cloakroom.first().ok_or("there is nothing to attack")?.lasting;
    Ok(lab.careless.iter().map(|careless| careless.target(&ours, lasting)).chain(cloakroom).collect())
}

/// Trusts whom the system trusts, or whom `SSL_CERT_FILE` names.
fn known_to_the_system() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// One attack on every target: the careless ones first.
async fn carry_out(
    family: Family,
    attack: &'static Attack,
    lab: &Arc<Lab>,
    targets: &[Target],
) -> (AttackRow, Option<LeftOut>) {
    let mut row = AttackRow {
        id: attack.id,
        family,
        title: attack.title,
        source: attack.source,
        has: attack.has,
        does: attack.does,
        gains: attack.gains,
        results: Vec::new(),
        pictures: Vec::new(),
    };
    if let (Needs::Browser, Err(why)) = (attack.needs, &lab.browser) {
        return (row, Some(LeftOut { id: attack.id, why: why.clone() }));
    }
    let (careless, cloakroom) = targets.split_at(lab.careless.len());
    for target in careless {
        let (result, pictures) = one(attack, lab, target).await;
        row.results.push(result);
        row.pictures.extend(pictures);
    }
    let tries = cloakroom.iter().map(|target| one(attack, lab, target));
    let tried = if attack.needs == Needs::Quiet {
        let mut tried = Vec::new();
        for one in tries {
            tried.push(one.await);
        }
        tried
    } else {
        join_all(tries).await
    };
    for (result, pictures) in tried {
        row.results.push(result);
        row.pictures.extend(pictures);
    }
    (row, None)
}

/// One attack on one target.
async fn one(attack: &'static Attack, lab: &Arc<Lab>, target: &Target) -> (TryRow, Vec<Picture>) {
    let (name, method) = (target.kind.target(), target.kind.method());
    let no = |why: &str| TryRow {
        target: name,
        method,
        outcome: super::Outcome::NotApplicable,
        window_s: None,
        evidence: why.to_owned(),
        wrong: false,
    };
    let expected = attack.expected.of(target.kind);
    let longest = match expected {
        Expect::Never(why) => return (no(why), Vec::new()),
        Expect::Window(bound, _) => target.lasting.longest(bound),
        _ => target.lasting.lag,
    };
    if attack.needs == Needs::Browser && lab.cloakroom.is_none() && !target.kind.is_careless() {
        return (no("a server that runs elsewhere has no siblings in the lab's names"), Vec::new());
    }
    let stage = Stage { lab: Arc::clone(lab), target: target.clone(), shots: parking_lot::Mutex::default() };
    let tried = (attack.run)(&stage).await;
    let judged = judge(expected, longest, tried);
    let pictures = stage.shots.into_inner().into_iter().map(|shot| Picture {
        target: name,
        method,
        caption: shot.caption,
        png: shot.png,
    });
    let row = TryRow {
        target: name,
        method,
        outcome: judged.outcome,
        window_s: judged.window.map(|window| (window.as_secs_f64() * 1000.0).round() / 1000.0),
        evidence: judged.evidence,
        wrong: judged.wrong,
    };
    (row, pictures.collect())
}

#[cfg(test)]
mod tests {
    use cloakroom_core::method::Method;

    use super::*;

    #[test]
    fn only_this_machine_may_be_attacked() {
        for good in ["http://127.0.0.1:8080", "https://127.8.9.1", "http://[::1]:99/auth/", "http://localhost:8080"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in [
            "http://10.0.0.1:8080",
            "http://0.0.0.0:8080",
            "http://[::]:8080",
            "https://login.example",
            "http://localhost.example",
            "http://127.0.0.1.example:8080",
            "http://127.0.0.1@10.0.0.1/",
            "ftp://127.0.0.1",
            "127.0.0.1:8080",
            "",
        ] {
            assert!(matches!(loopback(bad), Err(RunError::NotLoopback(_))), "{bad}");
        }
    }

    #[test]
    fn every_attack_has_a_name_of_its_own_and_says_where_it_is_from() {
        let mut names = names().collect::<Vec<_>>();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for (_, attack) in attacks::all() {
            for text in [attack.title, attack.has, attack.does, attack.gains, attack.source] {
                assert!(!text.is_empty(), "{}", attack.id);
            }
            // What gives way nowhere, and what is tried nowhere, is no attack.
            let kinds = [Kind::CarelessSession, Kind::CarelessJwt].into_iter().chain(Method::ALL.map(Kind::Cloakroom));
            let kinds = kinds.collect::<Vec<_>>();
            let succeeds = |kind| matches!(attack.expected.of(kind), Expect::Succeeds);
            let tried = |kind| !matches!(attack.expected.of(kind), Expect::Never(_));
            assert!(kinds.iter().copied().any(succeeds), "{}", attack.id);
            assert!(kinds.iter().copied().filter(|kind| !kind.is_careless()).any(tried), "{}", attack.id);
        }
    }
}
