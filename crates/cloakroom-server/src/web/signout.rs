//! `/signout`: asks first, since a GET changes nothing (F022).

use axum::response::Response;
use cloakroom_core::{
    engine::Which,
    refusal::{Reason, Refusal},
};

use super::{
    answer,
    visit::{Purpose, Visit},
    visitor::{SIGN_IN, SIGN_OUT},
};
use crate::{
    http::{body::Form, problem},
    pages::{Done, Flow, SignOut},
};

/// The question.
pub(super) async fn show(visit: Visit) -> Response {
    let purpose = match visit.purpose(None) {
        Ok(purpose) => purpose,
        Err(refusal) => return answer::problem(refusal, Flow::default()),
    };
    let visitor = match visit.visitor(&purpose, SIGN_OUT).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let page = SignOut { flow: purpose.flow.clone(), person: visitor.person(), error: None };
    visit.answer(&visitor, &purpose.flow, Ok(answer::page(&visit, &page)))
}

/// Ends the session of the app that was asked for, or those of all apps in this browser. Expired and replaced credentials
/// end their sessions too (F067), and whatever the cookies held, they are cleared.
pub(super) async fn submit(visit: Visit, form: Result<Form, problem::Problem>) -> Response {
    match visit.form(form) {
        Ok((_, purpose)) => {
            end(&visit, &purpose).await.unwrap_or_else(|refusal| answer::problem(refusal, purpose.flow))
        }
        Err(refusal) => answer::problem(refusal, Flow::default()),
    }
}

async fn end(visit: &Visit, purpose: &Purpose) -> Result<Response, Refusal> {
    let (state, asker) = (&visit.state, visit.caller.asker());
    let cookies = state.handover.cookies();
    let candidates = cookies.read(asker.headers, purpose.wanted().map(|app| &app.id))?;
    let (mut ending, mut refused) = (Vec::new(), None);
    for (index, credential) in candidates.iter() {
        let app = cookies.app(index).and_then(|id| state.engine.apps().get(id.as_str())).ok_or(Reason::UnknownApp)?;
        // The page of another app is a stranger to this cookie.
        match visit.caller.must_come_from(app) {
            Ok(()) => ending.push((app, credential)),
            Err(refusal) => refused = Some(refusal),
        }
    }
    if let (true, Some(refusal)) = (ending.is_empty(), refused) {
        return Err(refusal);
    }
    let back = purpose.flow.return_to.clone();
    let mut response = answer::lead_to(&back.unwrap_or_else(|| signed_out(visit, &purpose.flow, Done::SignedOut)));
    for (app, credential) in ending {
        state.engine.sign_out(credential, Which::This, visit.client()).await?;
        state.handover.clear(&mut response, app)?;
    }
    Ok(response)
}

/// The address of the sign-in page that says what was done.
pub(super) fn signed_out(visit: &Visit, flow: &Flow, done: Done) -> String {
    let flow = Flow { return_to: None, ..flow.clone() };
    format!("{}{}", visit.base(), flow.address(SIGN_IN, &[("done", done.name())]))
}
