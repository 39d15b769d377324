//! `cloakroom account`.

use std::io::{self, BufRead, IsTerminal};

use cloakroom_server::control::Command;
use serde_json::{Value, json};

use crate::{
    args::{Account, Common, PasswordFrom},
    failure::Failure,
    operator::Operator,
    output::{Output, cell, rows},
    password,
};

pub(crate) async fn run(command: Account, common: &Common, output: Output) -> Result<(), Failure> {
    match command {
        Account::Add { email, name, password } => {
            let with = |password| Command::AccountAdd { email, name, password };
            with_password(with, password, common, output, "added").await
        }
        Account::Password { who, password } => {
            let with = |password| Command::AccountPassword { who, password };
            with_password(with, password, common, output, "has a new password; its sessions have ended").await
        }
        Account::List => list(common, output).await,
        Account::Disable { who } => {
            one(Command::AccountDisable { who }, common, output, "disabled; its sessions have ended").await
        }
        Account::Enable { who } => one(Command::AccountEnable { who }, common, output, "enabled").await,
        Account::Delete { who, yes } => {
            if !yes && !confirmed(&who, output)? {
                return Err(Failure::refused("not_confirmed", "nothing was deleted"));
            }
            one(Command::AccountDelete { who }, common, output, "deleted; its sessions have ended").await
        }
    }
}

async fn with_password(
    command: impl FnOnce(cloakroom_server::control::Hidden) -> Command,
    from: PasswordFrom,
    common: &Common,
    output: Output,
    done: &str,
) -> Result<(), Failure> {
    let (password, made) = password::new(from)?;
    let mut answer = Operator::once(common, command(password.clone())).await?;
    if made {
        answer["password"] = password.expose().into();
    }
    output.answer(&answer, |answer| {
        told(answer, output, done);
        if made {
            output.line(format_args!("password: {}", password.expose()));
        }
    });
    Ok(())
}

async fn one(command: Command, common: &Common, output: Output, done: &str) -> Result<(), Failure> {
    let answer = Operator::once(common, command).await?;
    output.answer(&answer, |answer| told(answer, output, done));
    Ok(())
}

fn told(answer: &Value, output: Output, done: &str) {
    let account = &answer["account"];
    output.line(format_args!("{} ({}) {done}", cell(account, "email"), cell(account, "id")));
}

async fn list(common: &Common, output: Output) -> Result<(), Failure> {
    let mut operator = Operator::new(common)?;
    let mut accounts = vec![];
    let mut after = None;
    loop {
        let mut page = operator.ask(Command::AccountList { after }).await?;
        if let Some(more) = page["accounts"].as_array_mut() {
            accounts.append(more);
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    operator.close().await?;
    output.answer(&json!({ "accounts": accounts }), |answer| {
        let rows = rows(answer, "accounts", &["id", "email", "name", "state", "created_at"]);
        output.table(&["ID", "E-MAIL", "NAME", "STATE", "CREATED"], rows, "There are no accounts.");
    });
    Ok(())
}

/// At a terminal it is asked for; a script has meant what it says.
fn confirmed(who: &str, output: Output) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(true);
    }
    output.ask(format_args!("Delete the account {who} for good? [y/N]"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| Failure::fault(&error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
