//! `/account/delete`: asks for the password, and deletes the account with all its sessions.

use axum::response::Response;
use cloakroom_core::{credential::LoginPassword, refusal::Refusal};

use super::{
    answer,
    devices::leave,
    password::problem_of,
    visit::{Purpose, Visit, field},
    visitor::{DELETE, Visitor},
};
use crate::{
    http::{body::Form, problem},
    pages::{DeleteAccount, Done, Flow},
};

/// The form.
pub(super) async fn show(visit: Visit) -> Response {
    let purpose = match visit.purpose(None) {
        Ok(purpose) => purpose,
        Err(refusal) => return answer::problem(refusal, Flow::default()),
    };
    let visitor = match visit.visitor(&purpose, DELETE).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let page = answer::page(&visit, &form_of(&purpose, &visitor));
    visit.answer(&visitor, &purpose.flow, Ok(page))
}

/// Deletes it.
pub(super) async fn submit(visit: Visit, form: Result<Form, problem::Problem>) -> Response {
    let (form, purpose) = match visit.form(form) {
        Ok(read) => read,
        Err(refusal) => return answer::problem(refusal, Flow::default()),
    };
    let visitor = match visit.visitor(&purpose, DELETE).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let outcome = delete(&visit, &purpose, &visitor, &form).await;
    let outcome = outcome.or_else(|refusal| {
        let error = problem_of(&refusal).ok_or(refusal.clone())?;
        let page = DeleteAccount { error: Some(error), ..form_of(&purpose, &visitor) };
        Ok(answer::refused(&visit, refusal, &page))
    });
    visit.answer(&visitor, &purpose.flow, outcome)
}

async fn delete(visit: &Visit, purpose: &Purpose, visitor: &Visitor, form: &Form) -> Result<Response, Refusal> {
    let password = LoginPassword::parse(field(form, "password")?.to_owned());
    visit.state.engine.delete_account(&visitor.identity, password, visit.client()).await?;
    leave(visit, purpose, visitor, Done::AccountDeleted)
}

fn form_of(purpose: &Purpose, visitor: &Visitor) -> DeleteAccount {
    DeleteAccount { flow: purpose.flow.clone(), person: visitor.person(), error: None }
}
