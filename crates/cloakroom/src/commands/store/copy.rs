//! `cloakroom store copy`: sessions from one store to another, and then a comparison of the two.

use std::sync::Arc;

use cloakroom_core::{
    ids::AppTag,
    store::{
        SessionStore,
        copy::{Copied, Count, Verified, sessions as copy_sessions, verify_sessions},
        sqlite::{Options, Sqlite},
    },
};
use cloakroom_server::config::{Config, SessionsAt};
use serde_json::{Value, json};

use super::{accounts, refused, sessions};
use crate::{args::Common, failure::Failure, operator::sources, output::Output};

/// While servers serve, what began in the old store during the copy is brought over by the next one.
const PASSES: u32 = 3;

pub(super) async fn run(from: &str, to: &str, common: &Common, output: Output) -> Result<(), Failure> {
    let config = Config::load(sources(common))?;
    let (from_at, to_at) = (place("FROM", from)?, place("TO", to)?);
    if from_at == to_at {
        return Err(Failure::usage("FROM and TO are the same store"));
    }
    let from = sessions(&from_at, &config.data_dir).await?;
    let to: Arc<dyn SessionStore> = match to_at {
        // It belongs to one process: this one, for as long as it writes.
        SessionsAt::Sqlite => Arc::new(Sqlite::open(&config.data_dir, &Options::default()).map_err(refused)?),
        at => sessions(&at, &config.data_dir).await?,
    };
    let log = accounts(&config).await?;
    let total = from.count().await.map_err(refused)?.iter().map(|(_, _, n)| n).sum();
    let (mut copied, mut verified) = (Copied::default(), Verified::default());
    for _ in 0..PASSES {
        // What is left behind is gone for good, as what is deleted.
        let over = log.deletion_clock(None).await.map_err(refused)?.over();
        let bar = output.bar(total);
        let progress = |copied: &Copied| bar.set_position(copied.met);
        copied = copy_sessions(&*from, &*to, &*log, over, progress).await.map_err(refused)?;
        bar.finish_and_clear();
        verified = verify_sessions(&*from, &*to, over).await.map_err(refused)?;
        if verified.is_whole() {
            break;
        }
    }
    let answer = json!({ "copied": copied, "verified": shown(&verified, &config) });
    output.answer(&answer, |answer| told(&copied, answer, output));
    if verified.is_whole() {
        return Ok(());
    }
    Err(Failure::refused(
        "not_whole",
        "the new store lacks sessions that the old one has, or holds them otherwise: do new sessions begin in the new one at \
         every server (store.sessions), and does every server look into the old one (store.other_sessions)? Then run it again",
    ))
}

pub(super) fn place(what: &str, text: &str) -> Result<SessionsAt, Failure> {
    match SessionsAt::parse(text) {
        Ok(SessionsAt::Memory) => {
            Err(Failure::usage(format!("{what}: sessions in memory are their server's alone, and cannot be copied")))
        }
        Ok(at) => Ok(at),
        Err(problem) => Err(Failure::usage(format!("{what}: {problem}"))),
    }
}

fn shown(verified: &Verified, config: &Config) -> Value {
    let apps = config.apps();
    let name = |tag: AppTag| apps.by_tag(tag).map(|app| app.id.to_string());
    let count =
        |count: &Count| json!({ "app": name(count.app), "method": count.method, "from": count.from, "to": count.to });
    json!({
        "whole": verified.is_whole(),
        "counts": verified.counts.iter().map(count).collect::<Vec<_>>(),
        "samples": verified.samples,
        "wrong": verified.wrong.iter().take(20).collect::<Vec<_>>(),
    })
}

fn told(copied: &Copied, answer: &Value, output: Output) {
    let Copied { met, made, present, advanced, ended, expired, damaged } = copied;
    output.line(format_args!(
        "{met} sessions: {made} copied, {present} were there, {advanced} brought up to date; left behind: {ended} that ended \
         meanwhile, {expired} that are over, {damaged} that cannot be read."
    ));
    let verified = &answer["verified"];
    let rows = crate::output::rows(verified, "counts", &["app", "method", "from", "to"]);
    output.table(&["APP", "METHOD", "FROM", "TO"], rows, "There are no sessions.");
    output.line(format_args!("{} were compared field by field.", verified["samples"]));
}
