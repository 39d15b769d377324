//! `/password`: a new password, which ends all other sessions.

use axum::response::Response;
use cloakroom_core::{
    credential::{LoginPassword, NewPassword},
    refusal::{Code, Reason, Refusal},
};

use super::{
    answer,
    visit::{Purpose, Visit, field},
    visitor::{DEVICES, PASSWORD, Visitor},
};
use crate::{
    handover::Transport,
    http::{body::Form, problem},
    pages::{ChangePassword, Done, Flow, Problem},
};

/// The form.
pub(super) async fn show(visit: Visit) -> Response {
    let purpose = match visit.purpose(None) {
        Ok(purpose) => purpose,
        Err(refusal) => return answer::problem(refusal, Flow::default()),
    };
    let visitor = match visit.visitor(&purpose, PASSWORD).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let page = answer::page(&visit, &form_of(&purpose, &visitor));
    visit.answer(&visitor, &purpose.flow, Ok(page))
}

/// Changes it.
pub(super) async fn submit(visit: Visit, form: Result<Form, problem::Problem>) -> Response {
    let (form, purpose) = match visit.form(form) {
        Ok(read) => read,
        Err(refusal) => return answer::problem(refusal, Flow::default()),
    };
    let visitor = match visit.visitor(&purpose, PASSWORD).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let outcome = change(&visit, &purpose, &visitor, &form).await;
    let outcome = outcome.or_else(|refusal| {
        let error = problem_of(&refusal).ok_or(refusal.clone())?;
        let page = ChangePassword { error: Some(error), ..form_of(&purpose, &visitor) };
        Ok(answer::refused(&visit, refusal, &page))
    });
    visit.answer(&visitor, &purpose.flow, outcome)
}

async fn change(visit: &Visit, purpose: &Purpose, visitor: &Visitor, form: &Form) -> Result<Response, Refusal> {
    let current = LoginPassword::parse(field(form, "current")?.to_owned());
    let new = field(form, "new")?.to_owned().into();
    let signed_in = visit.state.engine.change_password(&visitor.identity, current, new, visit.client()).await?;
    let done = [("done", Done::PasswordChanged.name())];
    let mut response = answer::lead_to(&format!("{}{}", visit.base(), purpose.flow.address(DEVICES, &done)));
    visit.state.handover.give(&mut response, &signed_in, Transport::Cookie)?;
    Ok(response)
}

/// What the form says of a refusal; nothing of one that is about the session or the request.
pub(super) fn problem_of(refusal: &Refusal) -> Option<Problem> {
    match (refusal.reason, refusal.code()) {
        (_, Code::InvalidCredentials) => Some(Problem::WrongPassword),
        (Reason::PasswordTooShort | Reason::PasswordTooLong | Reason::PasswordTooWeak, _)
        | (_, Code::RateLimited | Code::Overloaded | Code::StoreUnavailable) => Some(Problem::from(refusal)),
        _ => None,
    }
}

fn form_of(purpose: &Purpose, visitor: &Visitor) -> ChangePassword {
    ChangePassword {
        flow: purpose.flow.clone(),
        person: visitor.person(),
        password_min: NewPassword::MIN_CHARS,
        error: None,
        done: None,
    }
}
