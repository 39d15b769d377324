//! `cloakroom session`.

use cloakroom_server::control::{Command, Which};
use serde_json::{Value, json};

use crate::{
    args::{Common, Revoke, Session},
    failure::Failure,
    operator::Operator,
    output::{Output, rows},
};

pub(crate) async fn run(command: Session, common: &Common, output: Output) -> Result<(), Failure> {
    match command {
        Session::List { account: Some(who), app, method } => {
            let sessions = devices(&who, common).await?;
            let sessions = only(sessions, app.as_deref(), method.as_deref());
            output.answer(&json!({ "sessions": sessions }), |answer| {
                let names = ["id", "app", "method", "created_at", "last_active_at", "expires_at", "client", "address"];
                let header = ["SESSION", "APP", "METHOD", "CREATED", "LAST ACTIVE", "EXPIRES", "CLIENT", "ADDRESS"];
                output.table(&header, rows(answer, "sessions", &names), "No such session is kept.");
            });
        }
        Session::List { account: None, app, method } => {
            let mut answer = Operator::once(common, Command::SessionCount).await?;
            let counts = answer["counts"].as_array_mut().map(std::mem::take).unwrap_or_default();
            let counts = only(counts, app.as_deref(), method.as_deref());
            output.answer(&json!({ "counts": counts }), |answer| {
                let rows = rows(answer, "counts", &["app", "method", "sessions"]);
                output.table(&["APP", "METHOD", "SESSIONS"], rows, "No session is kept.");
            });
        }
        Session::Revoke(revoke) => {
            let answer = Operator::once(common, Command::SessionRevoke(which(revoke)?)).await?;
            output.answer(&answer, |answer| {
                let ended = &answer["revoked"];
                let what = ["session", "account", "app"].into_iter().find(|what| !ended[what].is_null());
                let text = match what {
                    Some("session") => "The session has ended.",
                    Some("account") => "The account's sessions have ended.",
                    _ => "The app's sessions have ended.",
                };
                output.line(text);
            });
        }
    }
    Ok(())
}

fn which(revoke: Revoke) -> Result<Which, Failure> {
    match revoke {
        Revoke { session: Some(session), .. } => Ok(Which::Session { session }),
        Revoke { account: Some(who), .. } => Ok(Which::Account { who }),
        Revoke { app: Some(app), method, .. } => Ok(Which::App { app, method }),
        _ => Err(Failure::usage("name a session, or an account or an app with --account or --app")),
    }
}

async fn devices(who: &str, common: &Common) -> Result<Vec<Value>, Failure> {
    let mut operator = Operator::new(common)?;
    let mut sessions = vec![];
    let mut before = None;
    loop {
        let mut page = operator.ask(Command::SessionList { who: who.to_owned(), before }).await?;
        if let Some(more) = page["sessions"].as_array_mut() {
            sessions.append(more);
        }
        before = serde_json::from_value(page["next"].take()).unwrap_or_default();
        if before.is_none() {
            break;
        }
    }
    operator.close().await?;
    Ok(sessions)
}

fn only(rows: Vec<Value>, app: Option<&str>, method: Option<&str>) -> Vec<Value> {
    let fits = |row: &Value, name: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| row[name] == wanted);
    rows.into_iter().filter(|row| fits(row, "app", app) && fits(row, "method", method)).collect()
}
