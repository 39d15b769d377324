//! `cloakroom key`.

use cloakroom_core::key::MasterSecret;
use cloakroom_server::{
    assemble::OpenError,
    config::{AccountsAt, Config, SecretFrom},
    control::{Command, Hidden},
};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    args::{Common, Key},
    failure::Failure,
    operator::{Operator, sources},
    output::{Output, cell, rows},
};

pub(crate) async fn run(command: Key, common: &Common, output: Output) -> Result<(), Failure> {
    match command {
        Key::List => {
            let answer = Operator::once(common, Command::KeyList).await?;
            output.answer(&answer, |answer| {
                table(answer, "keys", output);
                for one in answer["trouble"].as_array().into_iter().flatten() {
                    output.remark(format_args!("{}; {}", cell(one, "problem"), cell(one, "remedy")));
                }
            });
        }
        Key::Rotate { purpose } => {
            let answer = Operator::once(common, Command::KeyRotate { purpose }).await?;
            output.answer(&answer, |answer| table(answer, "made", output));
        }
        Key::Kill { kid } => {
            let answer = Operator::once(common, Command::KeyKill { kid }).await?;
            output.answer(&answer, |answer| {
                output.remark(format_args!("Key {} is killed: what it made is refused.", cell(answer, "killed")));
                table(answer, "keys", output);
            });
        }
        Key::Rewrap { generate } => {
            let config = Config::load(sources(common))?;
            let shared = config.store.accounts != AccountsAt::Sqlite;
            let answer = if generate {
                Operator::once(common, Command::KeyRewrap { secret: None }).await?
            } else {
                rewrap(config).await?
            };
            output.answer(&answer, |answer| {
                rewrapped(answer, output);
                if shared && answer["changed"] == true {
                    output.remark("Servers that share these accounts and lack it make no keys: restart them with it.");
                }
            });
        }
    }
    Ok(())
}

fn table(answer: &Value, list: &str, output: Output) {
    let rows = rows(answer, list, &["kid", "purpose", "state", "created", "from"]);
    output.table(&["KEY", "PURPOSE", "STATE", "MADE", "USED FROM"], rows, "No key was made: another server just did.");
}

/// Under the secret that is configured now, from the one in `CLOAKROOM_SECRET_OLD`.
async fn rewrap(config: Config) -> Result<Value, Failure> {
    let old = config.old_master_secret().map_err(|error| Failure::from(OpenError::Secret(error)))?;
    let Some(old) = old else {
        return Err(Failure::usage(
            "which secret is the old one? Either --generate makes a new one and puts it into the master secret's file; or put \
             yours into CLOAKROOM_SECRET (or secret_file) and the one before into CLOAKROOM_SECRET_OLD (or secret_old_file)",
        ));
    };
    let (new, text) = configured(&config)?;
    if new.is_same(&old) {
        return Err(Failure::usage("the old secret is the same as the configured one"));
    }
    let mut operator = Operator::with(config);
    let answer = operator.ask(Command::KeyRewrap { secret: Some(Hidden::new(text)) }).await;
    operator.close().await?;
    answer
}

/// The configured secret, and its text. None is made here: a new file would not be the new secret that somebody meant.
fn configured(config: &Config) -> Result<(MasterSecret, Zeroizing<String>), Failure> {
    let unusable = |detail: String| Failure::usage(format!("the new master secret: {detail}"));
    if let Some(file) = config.secret_file() {
        if !file.exists() {
            return Err(unusable(format!("{} is not there; put the new secret into it first", file.display())));
        }
        let read = config.master_secret(&cloakroom_core::random::Rng::system());
        let (secret, SecretFrom::File(path)) = read.map_err(|error| unusable(error.to_string()))? else {
            return Err(unusable(format!("{} holds none", file.display())));
        };
        let text = std::fs::read_to_string(&path).map_err(|error| Failure::fault(&error))?;
        return Ok((secret, Zeroizing::new(text.trim().to_owned())));
    }
    let text = Zeroizing::new(std::env::var("CLOAKROOM_SECRET").unwrap_or_default());
    let secret = MasterSecret::parse(&text).map_err(|error| unusable(error.to_string()))?;
    Ok((secret, text))
}

fn rewrapped(answer: &Value, output: Output) {
    if answer["changed"] == false {
        output.line("The keys are under this secret already; nothing was changed.");
        return;
    }
    output.line(format_args!("{} keys are under the new secret now; nobody was signed out.", cell(answer, "keys")));
    match answer["file"].as_str() {
        Some(file) => output.remark(format_args!("The new secret is in {file}; keep a copy of it apart from backups.")),
        None => output.remark("See to it that every start from now on gets the new secret."),
    }
}
