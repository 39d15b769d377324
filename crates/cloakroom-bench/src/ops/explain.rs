//! What `serve --explain` costs where it is off: nothing. The same checks of warm sessions by the server with and without it, and by
//! the same server of an older build where `CLOAKROOM_BENCH_BEFORE` names that build's program of benchmarks.

use std::{env, io, path::Path};

use cloakroom_lab::{
    load::{Order, Pace, Requests},
    stats::Estimate,
    subject::{self, Process, count},
};
use tempfile::TempDir;

use super::verify::VERIFY_WEB;
use crate::{
    process::SERVER_CORE,
    report::{Bound, Figure, Findings},
    rounds::{Contender, Extent, compare, control},
};

const SETTINGS: [&str; 1] = ["CLOAKROOM_STORE__SESSIONS=memory"];
const SESSIONS: usize = 500;

pub(super) fn off(extent: &Extent) -> io::Result<Findings> {
    let at = TempDir::new()?;
    let this = env::current_exe()?;
    let server = |name: &str, program: &Path, explains: &[String]| -> io::Result<Contender> {
        let more = [count("accounts", 100), count("sessions", SESSIONS)].concat();
        let more = [more.as_slice(), explains].concat();
        let process: Process = subject::start(program, at.path().join(name), Some(SERVER_CORE), &SETTINGS, &more)?;
        let requests = Requests::get(VERIFY_WEB, process.lines("sessions")?, Order::Cycle(SESSIONS));
        Ok(Contender { name: name.into(), process, requests })
    };
    let mut all = vec![server("off", &this, &[])?, server("off-again", &this, &[])?];
    all.push(server("explaining", &this, &["--explain".to_owned()])?);
    let before = env::var_os("CLOAKROOM_BENCH_BEFORE");
    if let Some(program) = &before {
        all.push(server("before", Path::new(program), &[])?);
    }
    let series = compare(&mut all, Pace::Closed, extent)?;
    let mut findings = Findings::new("explain-off");
    if before.is_some() {
        let ratio = Estimate::ratio(&series[0].cpu, &series[3].cpu);
        findings.add(
            Figure::new("CPU time off / before there was an explanation", ratio, "×").bound(Bound::Within(0.97, 1.03)),
        );
    } else {
        findings.note("CLOAKROOM_BENCH_BEFORE=PROGRAM compares with an older build's cloakroom-bench too");
    }
    for figure in control(&series[0], &series[1]) {
        findings.add(figure);
    }
    findings.add(Figure::new("CPU time explaining / off", Estimate::ratio(&series[2].cpu, &series[0].cpu), "×"));
    for (contender, series) in all.iter().zip(&series) {
        findings.add(Figure::new(format!("{}: CPU time", contender.name), Estimate::of(&series.cpu), "µs"));
    }
    Ok(findings)
}
