//! The revocation feed: a thousand verifiers at one server, each of which hears of a thousand ends a second.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use cloakroom_lab::{
    load::{Client, Order, Pace, Requests},
    stats::Estimate,
    subject::count,
};
use hdrhistogram::Histogram;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    sync::watch,
    task::JoinSet,
};

use crate::{
    process::subject,
    report::{Bound, Figure, Findings},
    rounds::{Extent, settle},
};

const READERS: usize = 1000;
/// Ends a second.
const PACE: usize = 1000;
/// One in so many readers says how late it hears.
const SAMPLED: usize = 50;
/// How long the last of it may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn feed(extent: &Extent) -> io::Result<Findings> {
    let at = TempDir::new_in(std::env::current_dir()?)?;
    let readers = if extent.quick { READERS / 10 } else { READERS };
    // A round with one reader and one with all of them, by turns.
    let ends = 2 * extent.times(PACE) + extent.rounds + 10;
    let more = [count("accounts", 1000), count("sessions", 1)].concat();
    let mut process = subject(at.path(), "subject", &["CLOAKROOM_STORE__SESSIONS=sqlite"], &more)?;
    process.fill("api", ends)?;
    let service: String = process.ask("service")?;
    let mut logouts = Requests::post_empty("/v1/logout", process.lines("api")?, Order::Once);
    let mut client = Client::connect(process.address, extent.connections)?;
    let (mut alone, mut all, mut late, mut taken) = (vec![], vec![], vec![], vec![]);
    let (mut rates, mut missed) = (vec![], 0);
    for _ in 0..extent.rounds {
        for (number, cpu) in [(1, &mut alone), (readers, &mut all)] {
            let resident = process.resident()?;
            let crowd = Crowd::gather(process.address, &service, number)?;
            if number > 1 {
                taken.push((process.resident()?.saturating_sub(resident)) as f64 / 1024.0 / number as f64);
            }
            settle();
            let before = process.cpu()?;
            let sample = client.run(&mut logouts, Pace::Open(PACE as f64), extent.lasting)?;
            let heard = crowd.leave(sample.answers)?;
            cpu.push(process.cpu()?.since(&before) as f64 / 1e9 / sample.elapsed.as_secs_f64());
            sample.demand(204)?;
            missed += heard.missed;
            if number > 1 {
                rates.push(sample.per_second());
                late.push([0.5, 0.99, 1.0].map(|quantile| heard.lag.value_at_quantile(quantile) as f64));
            }
        }
    }
    let mut findings = Findings::new("feed");
    let lag = |index: usize| Estimate::of(&late.iter().map(|round: &[f64; 3]| round[index]).collect::<Vec<_>>());
    findings.add(Figure::new("ends a second", Estimate::of(&rates), "/s").bound(Bound::AtLeast(0.95 * PACE as f64)));
    findings
        .add(Figure::new("lines that a reader missed", Estimate::exact(missed as f64), "").bound(Bound::AtMost(0.0)));
    findings.add(Figure::new("from the end to the reader: p50", lag(0), "ms"));
    findings.add(Figure::new("p99", lag(1), "ms").bound(Bound::AtMost(2000.0)));
    findings.add(Figure::new("the latest", lag(2), "ms").bound(Bound::AtMost(2000.0)));
    findings.add(Figure::new(format!("the server's CPU, {readers} readers"), Estimate::of(&all), "cores"));
    findings.add(Figure::new("the server's CPU, one reader", Estimate::of(&alone), "cores"));
    let delivered = readers as f64 * Estimate::of(&rates).value;
    let each: Vec<f64> = all.iter().zip(&alone).map(|(all, alone)| (all - alone) * 1e6 / delivered).collect();
    findings.add(Figure::new("CPU time of a line at a reader", Estimate::of(&each), "µs"));
    findings.add(Figure::new("memory of a reader", Estimate::of(&taken[..1]), "KiB"));
    findings.note(format!(
        "sign-outs over HTTP, durable in SQLite, {readers} connections to the feed; server on one core, load and readers on the other; late: by the \
         field `at`, in whole ms, at one reader in {SAMPLED}"
    ));
    process.stop()?;
    Ok(findings)
}

/// Those who follow, on a thread of their own.
struct Crowd {
    /// How many lines each must have heard before it leaves.
    until: watch::Sender<Option<u64>>,
    outcome: mpsc::Receiver<io::Result<Heard>>,
}

/// What they heard.
struct Heard {
    missed: u64,
    /// In milliseconds.
    lag: Histogram<u64>,
}

impl Crowd {
    /// All of them follow when this is over.
    fn gather(address: SocketAddr, service: &str, readers: usize) -> io::Result<Self> {
        let (until, leave) = watch::channel(None);
        let (here, all_here) = mpsc::channel();
        let (tell, outcome) = mpsc::channel();
        let request =
            format!("GET /v1/revocations HTTP/1.1\r\nhost: localhost:8080\r\nauthorization: Basic {service}\r\n\r\n");
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let outcome =
                runtime.and_then(|runtime| runtime.block_on(follow(address, request.into(), readers, here, leave)));
            let _ = tell.send(outcome);
        });
        for _ in 0..readers {
            all_here.recv().map_err(|_| io::Error::other("a reader was not let in"))?;
        }
        Ok(Self { until, outcome })
    }

    /// They leave when each has heard so many lines, or it takes too long.
    fn leave(self, lines: u64) -> io::Result<Heard> {
        self.until.send_replace(Some(lines));
        self.outcome.recv().map_err(io::Error::other)?
    }
}

async fn follow(
    address: SocketAddr,
    request: Arc<str>,
    readers: usize,
    here: mpsc::Sender<()>,
    leave: watch::Receiver<Option<u64>>,
) -> io::Result<Heard> {
    let mut tasks = JoinSet::new();
    for number in 0..readers {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let reader = Reader { stream, lines: 0, sampled: number.is_multiple_of(SAMPLED) };
        tasks.spawn(reader.read(here.clone(), leave.clone()));
    }
    drop(here);
    let lag = || Histogram::new_with_bounds(1, 60_000, 3).map_err(io::Error::other);
    let mut all = Heard { missed: 0, lag: lag()? };
    while let Some(done) = tasks.join_next().await {
        let (missed, lags) = done.map_err(io::Error::other)??;
        all.missed += missed;
        for late in lags {
            all.lag.saturating_record(late);
        }
    }
    Ok(all)
}

struct Reader {
    stream: TcpStream,
    lines: u64,
    sampled: bool,
}

impl Reader {
    /// Until it is to leave; how many lines it missed, and how late those were that it heard.
    async fn read(
        mut self,
        here: mpsc::Sender<()>,
        mut leave: watch::Receiver<Option<u64>>,
    ) -> io::Result<(u64, Vec<u64>)> {
        let (mut bytes, mut lags, mut last) = (Vec::with_capacity(65_536), Vec::new(), Instant::now());
        // The first event is what has ended up to now.
        while !bytes.windows(6).any(|six| six == b"\ndata:") {
            if self.stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::Error::other(String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        bytes.clear();
        let _ = here.send(());
        loop {
            let wanted = *leave.borrow();
            if wanted.is_some_and(|wanted| self.lines >= wanted || last.elapsed() > PATIENCE) {
                return Ok((wanted.unwrap_or_default().saturating_sub(self.lines), lags));
            }
            let read = tokio::select! {
                read = self.stream.read_buf(&mut bytes) => read?,
                _ = leave.changed() => continue,
                () = tokio::time::sleep(PATIENCE) => continue,
            };
            if read == 0 {
                return Err(io::Error::other("the server dropped a reader"));
            }
            last = Instant::now();
            self.take(&mut bytes, &mut lags);
        }
    }

    /// Counts whole lines of text, and leaves the rest.
    fn take(&mut self, bytes: &mut Vec<u8>, lags: &mut Vec<u64>) {
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else { return };
        for line in bytes[..end].split(|byte| *byte == b'\n') {
            match line.first_chunk() {
                Some(b"data") => self.lines += 1,
                Some(b"at: ") if self.sampled => lags.extend(late(&line[4..])),
                _ => {}
            }
        }
        bytes.drain(..=end);
    }
}

/// How many milliseconds ago a moment was.
fn late(at: &[u8]) -> Option<u64> {
    let at: jiff::Timestamp = std::str::from_utf8(at).ok()?.trim().parse().ok()?;
    u64::try_from((jiff::Timestamp::now() - at).as_millis()).ok()
}
