//! `cloakroom service`.

use cloakroom_server::control::Command;

use crate::{
    args::{Common, Service},
    failure::Failure,
    operator::Operator,
    output::{Output, cell, rows},
};

pub(crate) async fn run(command: Service, common: &Common, output: Output) -> Result<(), Failure> {
    match command {
        Service::Add { name } => {
            let answer = Operator::once(common, Command::ServiceAdd { name }).await?;
            // The same for people, who will want to hand it on as it is.
            output.line(&answer);
            output.remark("Keep the secret: it is not shown again.");
        }
        Service::List => {
            let answer = Operator::once(common, Command::ServiceList).await?;
            output.answer(&answer, |answer| {
                let rows = rows(answer, "services", &["id", "name", "created_at"]);
                output.table(&["ID", "NAME", "CREATED"], rows, "There are no services.");
            });
        }
        Service::Remove { id } => {
            let answer = Operator::once(common, Command::ServiceRemove { id }).await?;
            output.answer(&answer, |answer| output.line(format_args!("{} is removed.", cell(answer, "removed"))));
        }
    }
    Ok(())
}
