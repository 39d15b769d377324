//! `Verifier::verify` without HTTP: a million warm entries in random order, and an allocator that counts.

use std::{
    env,
    hint::black_box,
    io,
    process::{Command, ExitCode},
    sync::Arc,
};

use cloakroom_core::{
    app::{App, Apps},
    clock::Clock,
    credential::{LimitSettings, PoolSettings},
    engine::{Engine, KeySettings, Settings},
    ids::AppId,
    key::{KeyRing, MasterSecret},
    random::Rng,
    store::{
        Stores,
        memory::MemorySessions,
        sqlite::{Options, Sqlite},
    },
    verify::{Activity, CacheBounds, Fact, Question, Verifier},
};
use cloakroom_server::config::{Config, Sources};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::{
    process::SERVER_CORE,
    report::{Bound, Figure, Findings},
    rounds::Extent,
};
use cloakroom_lab::{
    stats::{Estimate, SplitMix},
    stopwatch::{pin, thread_nanos},
    subject::Seeder,
};

/// What the counting process found, a number a batch.
#[derive(Serialize, Deserialize)]
struct Found {
    entries: usize,
    session_nanos: Vec<f64>,
    jwt_nanos: Vec<f64>,
    allocations: usize,
    checks: usize,
    /// A credential that fits the processor's caches, again and again.
    hot_session_nanos: Vec<f64>,
    hot_jwt_nanos: Vec<f64>,
    /// A bare cache of so many entries of a fact's size, asked in random order.
    bare_nanos: Vec<f64>,
}

pub(super) fn operation(extent: &Extent) -> io::Result<Findings> {
    let entries = if extent.quick { 20_000 } else { 1_000_000 };
    let program = env::current_exe()?.with_file_name("cloakroom-bench-in-process");
    let output = Command::new(&program).arg(entries.to_string()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let found: Found = serde_json::from_slice(&output.stdout)?;
    let mut findings = Findings::new("in-process");
    let warm = |kind: &str| format!("{kind}, {} entries, random order", found.entries);
    findings.add(Figure::new(warm("session"), Estimate::of(&found.session_nanos), "ns").bound(Bound::AtMost(150.0)));
    findings.add(Figure::new(warm("JWT"), Estimate::of(&found.jwt_nanos), "ns").bound(Bound::AtMost(400.0)));
    findings.add(
        Figure::new(format!("allocations in {} checks", found.checks), Estimate::exact(found.allocations as f64), "")
            .bound(Bound::AtMost(0.0)),
    );
    findings.add(Figure::new("session, the same 100 again and again", Estimate::of(&found.hot_session_nanos), "ns"));
    findings.add(Figure::new("JWT, the same 100 again and again", Estimate::of(&found.hot_jwt_nanos), "ns"));
    findings.add(Figure::new(
        "a bare quick_cache of as many entries, random order",
        Estimate::of(&found.bare_nanos),
        "ns",
    ));
    findings.add(Figure::new(
        "session / bare quick_cache, random order",
        Estimate::ratio(&found.session_nanos, &found.bare_nanos),
        "×",
    ));
    findings.note("CPU time of one thread; allocations counted by stats_alloc as the process's global allocator");
    findings.note(
        "credentials lie in memory in the order of the questions, their facts in another: as far apart as can be",
    );
    Ok(findings)
}

/// The program that counts allocations; prints what it found.
pub fn main(allocations: impl Fn() -> usize) -> ExitCode {
    let entries = env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let found = pin(SERVER_CORE).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(measure(entries, &allocations))
    });
    match found.and_then(|found| Ok(serde_json::to_string(&found)?)) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("in-process: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(entries: usize, allocations: &impl Fn() -> usize) -> io::Result<Found> {
    let directory = TempDir::new()?;
    let sqlite = Sqlite::open(directory.path(), &Options::default()).map_err(io::Error::other)?;
    let stores = Stores { accounts: Arc::new(sqlite), sessions: Arc::new(MemorySessions::new()), end_deletes: false };
    let (engine, master) = start(entries, &stores).await?;
    let keys = stores.accounts.keys().await.map_err(io::Error::other)?;
    let ring = KeyRing::open(keys.rows, &master).map_err(io::Error::other)?;
    let seeder = Seeder::new(&stores, &ring, 1000).await?;
    let verifier = engine.verifier();

    let mut sessions = seeder.session_texts(entries, app(&engine, "web")?).await?;
    fill(verifier, &sessions, &app(&engine, "web")?.id).await?;
    SplitMix(1).shuffle(&mut sessions);
    let mut tally = Tally::default();
    let session_nanos =
        batches(verifier, &compact(sessions), &app(&engine, "web")?.id, allocations, &mut tally).await?;
    let hot = seeder.session_texts(100, app(&engine, "web")?).await?;
    fill(verifier, &hot, &app(&engine, "web")?.id).await?;
    let hot_session_nanos = batches(verifier, &again(&hot), &app(&engine, "web")?.id, allocations, &mut tally).await?;

    let bare_nanos = bare(entries);

    let mut tokens = Vec::with_capacity(entries);
    for number in 0..entries {
        tokens.push(seeder.access_token(number, app(&engine, "api")?, ISSUER)?.expose().to_owned());
    }
    fill(verifier, &tokens, &app(&engine, "api")?.id).await?;
    SplitMix(2).shuffle(&mut tokens);
    let again_hot = again(&tokens[..100.min(tokens.len())]);
    let jwt_nanos = batches(verifier, &compact(tokens), &app(&engine, "api")?.id, allocations, &mut tally).await?;
    let hot_jwt_nanos = batches(verifier, &again_hot, &app(&engine, "api")?.id, allocations, &mut tally).await?;
    Ok(Found {
        entries,
        session_nanos,
        jwt_nanos,
        allocations: tally.allocations,
        checks: tally.checks,
        hot_session_nanos,
        hot_jwt_nanos,
        bare_nanos,
    })
}

/// What the memory alone takes: a cache of as many entries, each of which is found and looked at.
fn bare(entries: usize) -> Vec<f64> {
    let cache = Cache::new(entries * 5 / 2);
    let mut keys: Vec<u128> = (0..entries as u128).collect();
    for key in &keys {
        cache.insert(*key, Arc::new([0_u8; FACT]));
    }
    SplitMix(3).shuffle(&mut keys);
    let size = keys.len().div_ceil(BATCHES).max(1);
    let batches = keys.chunks(size).map(|batch| {
        let start = thread_nanos();
        for key in batch {
            black_box(cache.get(key).map(|fact| fact[FACT - 1]));
        }
        (thread_nanos() - start) as f64 / batch.len() as f64
    });
    batches.collect()
}

/// An engine with room for so many facts, set up as a server's; nothing goes on in its background.
async fn start(entries: usize, stores: &Stores) -> io::Result<(Arc<Engine>, MasterSecret)> {
    let sources = Sources::new().environment([("CLOAKROOM_APP__1__ACCESS_TOKEN_LIFETIME", "1h")]);
    let config = Config::load(sources).map_err(|errors| io::Error::other(errors.to_string()))?;
    let settings = Settings {
        issuer: ISSUER.to_owned(),
        passwords: PoolSettings::default(),
        limits: LimitSettings::default(),
        cache: CacheBounds { entries: entries * 5 / 2, bytes: usize::MAX },
        ended_capacity: 100_000,
        keys: KeySettings::default(),
        audit_life: std::time::Duration::from_secs(86_400),
    };
    let rng = Rng::system();
    let (master, text) = MasterSecret::generate(&rng);
    let again = MasterSecret::parse(&text).map_err(io::Error::other)?;
    let apps: Apps = config.apps();
    let engine = Engine::start(settings, Arc::new(apps), stores.clone(), master, Clock::system(), rng).await;
    Ok((engine.map_err(io::Error::other)?, again))
}

fn app<'e>(engine: &'e Engine, id: &str) -> io::Result<&'e App> {
    engine.app(Some(id)).map(AsRef::as_ref).map_err(|refusal| io::Error::other(refusal.to_string()))
}

/// Shows each credential once.
async fn fill(verifier: &Verifier, credentials: &[String], app: &AppId) -> io::Result<()> {
    for piece in credentials.chunks(10_000) {
        verifier.renew_lease().await.map_err(|refusal| io::Error::other(refusal.to_string()))?;
        for credential in piece {
            let question = Question { credential, app: Some(app), activity: Activity::Active };
            verifier.verify(question).await.map_err(|refusal| io::Error::other(refusal.to_string()))?;
        }
    }
    Ok(())
}

#[derive(Default)]
struct Tally {
    checks: usize,
    allocations: usize,
}

/// Nanoseconds a check, for each batch; all of them warm.
async fn batches(
    verifier: &Verifier,
    credentials: &Compact,
    app: &AppId,
    allocations: &impl Fn() -> usize,
    tally: &mut Tally,
) -> io::Result<Vec<f64>> {
    let mut found = Vec::with_capacity(64);
    let size = credentials.ends.len().div_ceil(BATCHES).max(1);
    let cold = verifier.counts().cold;
    for batch in 0..credentials.ends.len() / size {
        verifier.renew_lease().await.map_err(|refusal| io::Error::other(refusal.to_string()))?;
        let (allocated, start) = (allocations(), thread_nanos());
        for index in batch * size..(batch + 1) * size {
            let credential = credentials.get(index);
            let question = Question { credential, app: Some(app), activity: Activity::Active };
            if verifier.verify(question).await.is_err() {
                return Err(io::Error::other("a warm credential was refused"));
            }
        }
        let (nanos, allocated) = (thread_nanos() - start, allocations() - allocated);
        tally.checks += size;
        tally.allocations += allocated;
        found.push(nanos as f64 / size as f64);
    }
    if verifier.counts().cold > cold {
        return Err(io::Error::other(format!("{} of the checks were not warm", verifier.counts().cold - cold)));
    }
    Ok(found)
}

/// Texts one behind another, so that reading them costs no jump through memory.
struct Compact {
    text: String,
    ends: Vec<usize>,
}

impl Compact {
    fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }
}

fn compact(texts: Vec<String>) -> Compact {
    let mut all = Compact { text: String::new(), ends: Vec::with_capacity(texts.len()) };
    for text in texts {
        all.text.push_str(&text);
        all.ends.push(all.text.len());
    }
    all
}

fn again(texts: &[String]) -> Compact {
    compact((0..200_000).map(|n| texts[n % texts.len()].clone()).collect())
}

const BATCHES: usize = 20;
/// The size of a fact, in bytes.
const FACT: usize = size_of::<Fact>();
const ISSUER: &str = "http://localhost:8080";
