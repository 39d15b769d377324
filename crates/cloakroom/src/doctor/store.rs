//! The store and the keys in it, through the server where one runs.

use cloakroom_core::{
    store::{
        StoreError,
        postgres::{Postgres, Remark, Url},
        redis::{Address, Options, Redis},
        sqlite::Sqlite,
    },
    verify::CLOCK_TOLERANCE,
};
use cloakroom_server::{
    config::{AccountsAt, SessionsAt},
    control::Command,
};
use serde_json::Value;

use super::{Finding, Level, Server, machine::seconds_until};
use crate::operator::Operator;

pub(super) async fn look(mut operator: Operator, server: &Server) -> Vec<Finding> {
    const CHECK: &str = "store";
    let config = operator.config();
    let dir = config.data_dir.clone();
    let embedded = config.store.accounts == AccountsAt::Sqlite;
    let mut findings = match &config.store.accounts {
        AccountsAt::Postgres(url) => postgres("store", url).await,
        _ => vec![],
    };
    for at in [Some(&config.store.sessions), config.store.other_sessions.as_ref()].into_iter().flatten() {
        match (at, &config.store.accounts) {
            (SessionsAt::Redis(address), _) => findings.extend(redis(address).await),
            (SessionsAt::Postgres(url), AccountsAt::Postgres(same)) if url == same => {}
            (SessionsAt::Postgres(url), _) => findings.extend(postgres("sessions", url).await),
            _ => {}
        }
    }
    findings.extend(config.store.other_sessions.is_some().then(moving));
    match server {
        Server::Mute(_) => return findings,
        Server::None if embedded && !dir.join(Sqlite::FILE).exists() => {
            findings.push(Finding::ok(CHECK, "there is no store yet; the first start makes it"));
            return findings;
        }
        _ => {}
    }
    let (answered, offset_ms) = round_trip(&mut operator).await;
    findings.push(answered);
    // The time of an embedded store is the machine's.
    findings.extend(offset_ms.filter(|_| !embedded).map(clock));
    // How long until a moment by the store's time, as `seconds_until` by the machine's.
    let until = |moment| seconds_until(moment) + offset_ms.unwrap_or_default() / 1000;
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        findings.extend(keys(&mut operator, until).await);
        findings.extend(last_event(&mut operator, until).await);
    }
    // Before the store is closed: who opens a file last cleans up beside it.
    if embedded {
        let checked = tokio::task::spawn_blocking(move || Sqlite::quick_check(&dir)).await;
        let checked = checked.map_err(|error| error.to_string()).and_then(|done| done.map_err(|e| e.to_string()));
        findings.push(integrity(checked));
    }
    if let Err(failure) = operator.close().await {
        findings.push(Finding::fail(CHECK, failure.detail(), "look into the server's log"));
    }
    findings
}

/// Whether a database is as it should be, looked at from here and not by the server.
async fn postgres(check: &'static str, url: &Url) -> Vec<Finding> {
    let looked = async {
        let postgres = Postgres::open(url).await?;
        Ok::<_, StoreError>((postgres.version().await?, postgres.size().await?, postgres.remarks().await?))
    };
    match looked.await {
        Ok((version, size, remarks)) if remarks.is_empty() => {
            let detail = format!("{url} is fit: PostgreSQL {version}, {} MiB of tables", size >> 20);
            vec![Finding::ok(check, detail)]
        }
        Ok((_, _, remarks)) => {
            let finding = |remark: &Remark| Finding::warn(check, remark.problem, remark.remedy);
            remarks.iter().map(finding).collect()
        }
        Err(error) => vec![Finding::fail(check, error.to_string(), "do as the message says; is it started?")],
    }
}

/// Whether sessions are well where they are, looked at from here and not by the server.
async fn redis(address: &Address) -> Vec<Finding> {
    const CHECK: &str = "sessions";
    match Redis::open(address, &Options::default()).await {
        Ok(redis) if redis.warnings().is_empty() => {
            vec![Finding::ok(CHECK, format!("{address} is fit to hold sessions"))]
        }
        Ok(redis) => {
            let remedy = "see 'Sessions in Redis' in docs/configuration.md";
            redis.warnings().iter().map(|warning| Finding::warn(CHECK, warning, remedy)).collect()
        }
        Err(error) => vec![Finding::fail(CHECK, error.to_string(), "do as the message says; is it started?")],
    }
}

/// A move that was forgotten costs a look into both stores at each read that the near-cache cannot answer.
fn moving() -> Finding {
    let detail = "they are being moved: store.other_sessions is looked into too";
    let remedy = "take it out when `cloakroom store copy` is done, and sessions begin in the new store at every server";
    Finding::warn("sessions", detail, remedy)
}

async fn round_trip(operator: &mut Operator) -> (Finding, Option<i64>) {
    const CHECK: &str = "store";
    match operator.ask(Command::StoreCheck).await {
        Ok(took) => {
            let ms = |name: &str| took[name].as_f64().unwrap_or_default();
            let write = ms("write_ms");
            let detail = format!(
                "it answers: accounts in {} ms, sessions in {} ms, a write in {write} ms",
                ms("accounts_ms"),
                ms("sessions_ms")
            );
            let answers = if write > 1000.0 {
                Finding::warn(CHECK, detail, "writes are slow: is the disk busy, or on a network?")
            } else {
                Finding::ok(CHECK, detail)
            };
            (answers, took["clock_offset_ms"].as_i64())
        }
        Err(failure) => {
            let remedy = "do as the message says; `cloakroom config check` shows what is configured";
            (Finding::fail(CHECK, failure.detail(), remedy), None)
        }
    }
}

/// How far the server's wall clock is off, which judges nothing; but its certificates and its log go by it.
fn clock(offset_ms: i64) -> Finding {
    const CHECK: &str = "clock offset";
    let (secs, side) = (offset_ms.unsigned_abs() as f64 / 1000.0, if offset_ms < 0 { "behind" } else { "ahead of" });
    let detail = format!("the machine's clock is {secs} s {side} the store's time, which everything goes by");
    if offset_ms.unsigned_abs() <= CLOCK_TOLERANCE.as_millis() as u64 {
        return Finding::ok(CHECK, detail);
    }
    Finding::warn(CHECK, detail, "set whichever is wrong, and let NTP keep both (timedatectl set-ntp true)")
}

async fn keys(operator: &mut Operator, until: impl Fn(i64) -> i64) -> Vec<Finding> {
    const CHECK: &str = "keys";
    const DAY: i64 = 86_400;
    let Ok(answer) = operator.ask(Command::KeyList).await else { return vec![] };
    let trouble = answer["trouble"].as_array().into_iter().flatten().map(|one| {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        Finding::fail(CHECK, text("problem"), text("remedy"))
    });
    let trouble: Vec<_> = trouble.collect();
    let keys = answer["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut purposes: Vec<_> = keys.iter().filter_map(|key| key["purpose"].as_str()).collect();
    purposes.dedup();
    let longest = i64::try_from(operator.config().keys.rotation.as_secs()).unwrap_or(i64::MAX);
    let mut findings: Vec<_> = purposes
        .into_iter()
        .filter_map(|purpose| {
            let of = |state: &str| keys.iter().find(|key| key["purpose"] == purpose && key["state"] == state);
            let Some(current) = of("current") else {
                let remedy = format!("`cloakroom key rotate {purpose}`");
                return Some(Finding::fail(CHECK, format!("there is no current key for {purpose}"), remedy));
            };
            let age = seconds(&current["from"]).map_or(0, |from| -until(from));
            (age > longest.saturating_add(DAY)).then(|| {
                let detail = format!(
                    "the key for {purpose} has been used for {} days; it should be {}",
                    age / DAY,
                    longest / DAY
                );
                Finding::warn(CHECK, detail, "a server that runs rotates it; its log says why it does not")
            })
        })
        .collect();
    findings.extend(trouble);
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "every purpose has a current key of the right age"));
    }
    findings
}

/// A log that ends in the future shows that a clock was wrong, now or then.
async fn last_event(operator: &mut Operator, until: impl Fn(i64) -> i64) -> Option<Finding> {
    let command = Command::AuditList { account: None, kind: None, session: None, before: None, limit: 1 };
    let answer = operator.ask(command).await.ok()?;
    let ahead = until(seconds(&answer["events"][0]["at"])?);
    (ahead > 60).then(|| {
        Finding::fail(
            "clock",
            format!("the last event in the audit log is {ahead} s in the future: the clock was set back"),
            "set the clock, and let NTP keep it (timedatectl set-ntp true)",
        )
    })
}

fn integrity(checked: Result<Vec<String>, String>) -> Finding {
    const CHECK: &str = "integrity";
    let remedy = "stop the server, keep a copy of the data directory, and restore the last good backup";
    match checked {
        Ok(wrong) if wrong.is_empty() => Finding::ok(CHECK, "the database is sound"),
        Ok(wrong) => Finding::fail(CHECK, format!("the database is damaged: {}", wrong.join("; ")), remedy),
        Err(error) => Finding::fail(CHECK, error, remedy),
    }
}

fn seconds(time: &Value) -> Option<i64> {
    Some(time.as_str()?.parse::<jiff::Timestamp>().ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_by_more_than_half_a_minute() {
        for (offset_ms, level) in [
            (0, Level::Ok),
            (30_000, Level::Ok),
            (-30_000, Level::Ok),
            (30_001, Level::Warn),
            (-31 * 86_400_000, Level::Warn),
        ] {
            assert_eq!(clock(offset_ms).level, level, "{offset_ms}");
        }
        assert!(clock(-1500).detail.contains("is 1.5 s behind the store's time"));
    }
}
