//! `/signin`.

use std::sync::Arc;

use axum::response::Response;
use cloakroom_core::{
    credential::LoginPassword,
    engine::{LoginRequest, Others},
    refusal::Refusal,
};

use super::{
    answer,
    visit::{Purpose, Visit, field},
    visitor::{BECAUSE, DEVICES, because},
};
use crate::{
    handover::Transport,
    http::{body::Form, problem},
    pages::{Problem, SignIn},
};

/// The form; also to who is signed in already: the next sign-in ends that session.
pub(super) async fn show(visit: Visit) -> Response {
    let purpose = match visit.purpose(None) {
        Ok(purpose) => purpose,
        Err(refusal) => return answer::problem(refusal, crate::pages::Flow::default()),
    };
    let error = visit.parameter(BECAUSE).and_then(|code| because(&code)).map(Problem::Refused);
    let done = visit.done();
    answer::page(&visit, &SignIn { error, done, ..form_of(&purpose, String::new()) })
}

/// Signs in, and leads to where the person wanted to go.
pub(super) async fn submit(visit: Visit, form: Result<Form, problem::Problem>) -> Response {
    let (form, purpose) = match visit.form(form) {
        Ok(read) => read,
        Err(refusal) => return answer::problem(refusal, crate::pages::Flow::default()),
    };
    let credentials = field(&form, "email").and_then(|email| Ok((email, field(&form, "password")?)));
    let (email, password) = match credentials {
        Ok(credentials) => credentials,
        Err(refusal) => return answer::problem(refusal, purpose.flow),
    };
    let others = if form.get("end_others").is_some() { Others::End } else { Others::GoOn };
    match sign_in(&visit, &purpose, email, password, others).await {
        Ok(response) => response,
        Err(refusal) => refused(&visit, refusal, &purpose, email),
    }
}

/// Signs in with what the form says, for this and for the sign-up page.
pub(super) async fn sign_in(
    visit: &Visit,
    purpose: &Purpose,
    email: &str,
    password: &str,
    others: Others,
) -> Result<Response, Refusal> {
    visit.caller.must_come_from(&purpose.app)?;
    let request = LoginRequest {
        email: email.to_owned(),
        password: LoginPassword::parse(password.to_owned()),
        app: Arc::clone(&purpose.app),
        present: visit.caller.cookies_of(&purpose.app),
        others,
    };
    let signed_in = visit.state.engine.login(request, visit.client()).await?;
    let devices = || {
        let flow = crate::pages::Flow { return_to: None, ..purpose.flow.clone() };
        format!("{}{}", visit.base(), flow.address(DEVICES, &[]))
    };
    let mut response = answer::lead_to(&purpose.flow.return_to.clone().unwrap_or_else(devices));
    visit.state.handover.give(&mut response, &signed_in, Transport::Cookie)?;
    Ok(response)
}

/// The form once more, with why it did not go through.
pub(super) fn refused(visit: &Visit, refusal: Refusal, purpose: &Purpose, email: &str) -> Response {
    let error = Some(Problem::from(&refusal));
    answer::refused(visit, refusal, &SignIn { error, ..form_of(purpose, email.to_owned()) })
}

fn form_of(purpose: &Purpose, email: String) -> SignIn {
    SignIn {
        flow: purpose.flow.clone(),
        app_name: purpose.app_name(),
        registration: purpose.app.registration,
        email,
        error: None,
        done: None,
    }
}
