//! `cloakroom store check`: reads everything, and says what is not as it should be and what would help.

use cloakroom_core::{
    app::Apps,
    store::{StoreError, check},
};
use cloakroom_server::config::{AccountsAt, Config, SessionsAt};
use serde_json::{Value, json};

use super::{accounts, beside, refused, sessions};
use crate::{args::Common, failure::Failure, operator::sources, output::Output};

pub(super) async fn run(common: &Common, output: Output) -> Result<(), Failure> {
    let config = Config::load(sources(common))?;
    let apps = config.apps();
    let mut findings = files(&config).await?;
    let accounts = accounts(&config).await?;
    let mut looked = vec![&config.store.sessions];
    looked.extend(&config.store.other_sessions);
    let (mut people, mut sessions_there) = (0, 0);
    for at in looked.into_iter().filter(|at| **at != SessionsAt::Memory) {
        let sessions = sessions(at, &config.data_dir).await?;
        match check::look(&*accounts, &*sessions, &apps, None).await {
            Ok(found) => {
                people = found.accounts;
                sessions_there += found.sessions;
                findings.extend(found_in(&found, &apps));
            }
            Err(error @ StoreError::Corrupt(_)) => {
                findings.push(finding("damaged", error.to_string(), "restore the last good backup"));
            }
            Err(error) => return Err(refused(error)),
        }
    }
    let answer = json!({ "accounts": people, "sessions": sessions_there, "findings": findings });
    output.answer(&answer, |_| {
        output.line(format_args!("{people} accounts and {sessions_there} sessions were read."));
        for finding in &findings {
            output.line(format_args!(
                "{}: {}",
                crate::output::cell(finding, "kind"),
                crate::output::cell(finding, "detail")
            ));
            output.line(format_args!("    → {}", crate::output::cell(finding, "remedy")));
        }
    });
    match findings.len() {
        0 => Ok(()),
        n => Err(Failure::refused("found", format!("{n} things are not as they should be"))),
    }
}

/// What SQLite says about its own file.
async fn files(config: &Config) -> Result<Vec<Value>, Failure> {
    if config.store.accounts != AccountsAt::Sqlite && config.store.sessions != SessionsAt::Sqlite {
        return Ok(Vec::new());
    }
    let remedy = "stop the server, keep a copy of the data directory, and restore the last good backup";
    match beside(&config.data_dir)?.check().await {
        Ok(wrong) => Ok(wrong.into_iter().map(|wrong| finding("file", wrong, remedy)).collect()),
        Err(error @ StoreError::Corrupt(_)) => Ok(vec![finding("file", error.to_string(), remedy)]),
        Err(error) => Err(refused(error)),
    }
}

fn found_in(found: &check::Findings, apps: &Apps) -> Vec<Value> {
    let known = apps.iter().map(|app| app.id.as_str()).collect::<Vec<_>>().join(", ");
    let kinds = [
        (&found.damaged, "damaged", "cannot be read", "nothing: each counts as none, and its device signs in again".to_owned()),
        (
            &found.orphans,
            "orphans",
            "are of accounts that are not there",
            "nothing, after an account was deleted: they are refused, and go when they expire; after a restore of the accounts \
             alone, restore the sessions with them"
                .to_owned(),
        ),
        (
            &found.strays,
            "strays",
            "are of apps that the configuration does not have",
            format!("give the app back to the configuration ({known}), or leave them: they are refused, and go when they expire"),
        ),
        (
            &found.unswept,
            "unswept",
            "have been over for an hour and are still there",
            "start a server on the store: it sweeps every half minute, and its log says why if it cannot".to_owned(),
        ),
        (
            &found.undead,
            "undead",
            "have ended, as the revocation log says, and are still there",
            "start a server on the store, which deletes them; run a `cloakroom store copy` that was broken off again".to_owned(),
        ),
    ];
    let noted = kinds.into_iter().filter(|(noted, ..)| noted.count > 0).map(|(noted, kind, what, remedy)| {
        let mut told = finding(kind, format!("{} sessions {what}", noted.count), &remedy);
        (told["count"], told["first"]) = (json!(noted.count), json!(noted.first));
        told
    });
    let old = found.too_old.map(|old| {
        let (detail, remedy) = old.told();
        finding("too_old", detail, remedy)
    });
    noted.chain(old).collect()
}

fn finding(kind: &str, detail: impl Into<String>, remedy: &str) -> Value {
    json!({ "kind": kind, "detail": detail.into(), "remedy": remedy })
}
