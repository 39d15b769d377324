//! `cloakroom store copy --accounts`: accounts, keys and logs from one database to another, while no server runs.

use cloakroom_core::store::{
    copy::{Tables, accounts},
    postgres::Postgres,
    sqlite::{Options, Sqlite},
};
use cloakroom_server::config::{Config, SessionsAt};
use serde_json::json;

use super::{copy::place, refused, unused};
use crate::{args::Common, failure::Failure, operator::sources, output::Output};

pub(super) async fn run(from: &str, to: &str, common: &Common, output: Output) -> Result<(), Failure> {
    let config = Config::load(sources(common))?;
    let (from_at, to_at) = (place("FROM", from)?, place("TO", to)?);
    if from_at == to_at {
        return Err(Failure::usage("FROM and TO are the same store"));
    }
    if from_at == SessionsAt::Sqlite && !config.data_dir.join(Sqlite::FILE).exists() {
        return Err(Failure::refused("no_store", format!("there is no store in {}", config.data_dir.display())));
    }
    let (from, to) = (tables("FROM", &from_at, &config).await?, tables("TO", &to_at, &config).await?);
    let bar = output.bar(0);
    let counts = accounts(&*from, &*to, |rows| {
        bar.set_length(rows);
        bar.set_position(rows);
    });
    let counts = counts.await.map_err(refused)?;
    bar.finish_and_clear();
    let rows: serde_json::Map<_, _> = counts.iter().map(|(table, rows)| ((*table).to_owned(), json!(rows))).collect();
    output.answer(&json!({ "rows": rows, "verified": true }), |_| {
        let cells = counts.iter().map(|(table, rows)| vec![(*table).to_owned(), rows.to_string()]).collect();
        output.table(&["TABLE", "ROWS"], cells, "Nothing was there.");
        output.line("Both were compared row by row. Copy the sessions next, with store.accounts at its new place.");
    });
    Ok(())
}

/// A database that nobody else uses.
async fn tables(what: &str, at: &SessionsAt, config: &Config) -> Result<Box<dyn Tables>, Failure> {
    match at {
        SessionsAt::Sqlite => Ok(Box::new(Sqlite::open(&config.data_dir, &Options::default()).map_err(refused)?)),
        SessionsAt::Postgres(url) => {
            let store = Postgres::open(&url.for_operators()).await.map_err(refused)?;
            unused(&store, &format!("{what}: ")).await?;
            Ok(Box::new(store))
        }
        _ => Err(Failure::usage(format!("{what}: accounts are kept in sqlite or postgres://…"))),
    }
}
