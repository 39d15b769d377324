//! `/signup`: makes an account and signs in with it.

use axum::response::Response;
use cloakroom_core::{
    app,
    credential::NewPassword,
    engine::{Others, Registration},
    refusal::{Code, Reason, Refusal},
};

use super::{
    answer, signin,
    visit::{Purpose, Visit, field},
};
use crate::{
    http::{body::Form, problem},
    pages::{Flow, Problem, SignUp},
};

/// The form, or that there is none.
pub(super) async fn show(visit: Visit) -> Response {
    match visit.purpose(None) {
        Ok(purpose) if purpose.app.registration == app::Registration::Closed => {
            answer::problem(Reason::RegistrationClosed.into(), purpose.flow)
        }
        Ok(purpose) => answer::page(&visit, &form_of(&purpose, "", "")),
        Err(refusal) => answer::problem(refusal, Flow::default()),
    }
}

/// Makes the account and signs in.
pub(super) async fn submit(visit: Visit, form: Result<Form, problem::Problem>) -> Response {
    let (form, purpose) = match visit.form(form) {
        Ok(read) => read,
        Err(refusal) => return answer::problem(refusal, Flow::default()),
    };
    let typed = field(&form, "email").and_then(|email| Ok((email, field(&form, "password")?)));
    let (email, password) = match typed {
        Ok(typed) => typed,
        Err(refusal) => return answer::problem(refusal, purpose.flow),
    };
    let name = form.get("name").unwrap_or_default();
    if let Err(refusal) = register(&visit, &purpose, email, password, name).await {
        return refused(&visit, refusal, &purpose, email, name);
    }
    match signin::sign_in(&visit, &purpose, email, password, Others::GoOn).await {
        Ok(response) => response,
        // The account is there: the sign-in page is where it goes on.
        Err(refusal) => signin::refused(&visit, refusal, &purpose, email),
    }
}

async fn register(visit: &Visit, purpose: &Purpose, email: &str, password: &str, name: &str) -> Result<(), Refusal> {
    visit.caller.must_come_from(&purpose.app)?;
    let new =
        Registration { email: email.to_owned(), password: password.to_owned().into(), name: Some(name.to_owned()) };
    visit.state.engine.register(new, &purpose.app, visit.client()).await.map(|_| ())
}

fn refused(visit: &Visit, refusal: Refusal, purpose: &Purpose, email: &str, name: &str) -> Response {
    // A closed app has no form to show again, nor has a request that is none of its pages'.
    if refusal.reason == Reason::RegistrationClosed || refusal.code() == Code::CrossSiteRequest {
        return answer::problem(refusal, purpose.flow.clone());
    }
    let error = Some(Problem::from(&refusal));
    answer::refused(visit, refusal, &SignUp { error, ..form_of(purpose, email, name) })
}

fn form_of(purpose: &Purpose, email: &str, name: &str) -> SignUp {
    SignUp {
        flow: purpose.flow.clone(),
        app_name: purpose.app_name(),
        password_min: NewPassword::MIN_CHARS,
        email: email.to_owned(),
        name: name.to_owned(),
        error: None,
    }
}
