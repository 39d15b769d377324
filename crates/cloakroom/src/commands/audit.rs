//! `cloakroom audit`.

use cloakroom_server::control::Command;
use serde_json::{Value, json};

use crate::{
    args::{Audit, AuditList, Common},
    failure::Failure,
    operator::Operator,
    output::{Output, cell},
};

pub(crate) async fn run(command: Audit, common: &Common, output: Output) -> Result<(), Failure> {
    let Audit::List(wanted) = command;
    let (events, next) = read(wanted, common).await?;
    output.answer(&json!({ "events": events, "next": next }), |answer| {
        let header = ["LINE", "TIME", "EVENT", "ACCOUNT", "APP", "SESSION", "FROM", "DETAIL"];
        let events = answer["events"].as_array().map(Vec::as_slice).unwrap_or_default();
        output.table(&header, events.iter().map(row).collect(), "There are no such events.");
    });
    Ok(())
}

async fn read(wanted: AuditList, common: &Common) -> Result<(Vec<Value>, Option<u64>), Failure> {
    let mut operator = Operator::new(common)?;
    let AuditList { account, kind, session, mut before, limit } = wanted;
    let mut events = vec![];
    let mut left = limit as usize;
    while left > 0 {
        let limit = left.min(Command::PAGE);
        let (account, kind, session) = (account.clone(), kind.clone(), session.clone());
        let mut page = operator.ask(Command::AuditList { account, kind, session, before, limit }).await?;
        let more = page["events"].as_array_mut().map(std::mem::take).unwrap_or_default();
        left -= more.len().min(left);
        events.extend(more);
        before = page["next"].as_u64();
        if before.is_none() {
            break;
        }
    }
    operator.close().await?;
    Ok((events, before))
}

fn row(event: &Value) -> Vec<String> {
    let mut cells: Vec<_> = ["id", "at", "kind", "account", "app", "session"].map(|name| cell(event, name)).into();
    let joined = |names: [&str; 2]| {
        let parts = names.map(|name| cell(event, name));
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
    };
    cells.push(joined(["address", "user_agent"]));
    cells.push(joined(["reason", "detail"]));
    cells
}
