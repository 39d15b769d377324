//! `/devices`: where the person is signed in; ends one session, or all others.

use std::time::Duration;

use axum::response::Response;
use cloakroom_core::{
    clock::Timestamp,
    credential::LoginPassword,
    engine::{self, Proof},
    ids::SessionId,
    refusal::{Reason, Refusal},
};

use super::{
    answer,
    password::problem_of,
    signout::signed_out,
    visit::{Purpose, Visit, field},
    visitor::{DEVICES, Visitor},
};
use crate::{
    http::{body::Form, problem},
    pages::{Alarm, Confirm, Device, Devices, Done, Flow, Reach},
};

/// How long the account is told of a theft.
const ALARM: Duration = Duration::from_hours(30 * 24);

/// From the root to the devices.
pub(super) async fn lead_here(visit: Visit) -> Response {
    match visit.purpose(None) {
        Ok(purpose) => answer::lead_to(&format!("{}{}", visit.base(), purpose.flow.address(DEVICES, &[]))),
        Err(refusal) => answer::problem(refusal, Flow::default()),
    }
}

/// The list.
pub(super) async fn show(visit: Visit) -> Response {
    let purpose = match visit.purpose(None) {
        Ok(purpose) => purpose,
        Err(refusal) => return answer::problem(refusal, Flow::default()),
    };
    let visitor = match visit.visitor(&purpose, DEVICES).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let outcome = list(&visit, &purpose, &visitor).await.map(|page| answer::page(&visit, &page));
    visit.answer(&visitor, &purpose.flow, outcome)
}

/// Ends one of the person's sessions; the own one is a sign-out.
pub(super) async fn end(visit: Visit, form: Result<Form, problem::Problem>) -> Response {
    let (form, purpose) = match visit.form(form) {
        Ok(read) => read,
        Err(refusal) => return answer::problem(refusal, Flow::default()),
    };
    let visitor = match visit.visitor(&purpose, DEVICES).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let outcome = end_one(&visit, &purpose, &visitor, &form).await;
    let session = form.get("session").map(ToOwned::to_owned);
    let outcome = outcome.or_else(|refusal| confirm(&visit, &purpose, &visitor, refusal, session));
    visit.answer(&visitor, &purpose.flow, outcome)
}

/// Ends all sessions but the own one; or all, where the own one has no record by which it could be left out.
pub(super) async fn end_others(visit: Visit, form: Result<Form, problem::Problem>) -> Response {
    let (form, purpose) = match visit.form(form) {
        Ok(read) => read,
        Err(refusal) => return answer::problem(refusal, Flow::default()),
    };
    let visitor = match visit.visitor(&purpose, DEVICES).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let outcome = end_reached(&visit, &purpose, &visitor, &form).await;
    let outcome = outcome.or_else(|refusal| confirm(&visit, &purpose, &visitor, refusal, None));
    visit.answer(&visitor, &purpose.flow, outcome)
}

/// Asks for the password where the sign-in is too long ago, or where a wrong one was given; other refusals stay what they are.
fn confirm(
    visit: &Visit,
    purpose: &Purpose,
    visitor: &Visitor,
    refusal: Refusal,
    session: Option<String>,
) -> Result<Response, Refusal> {
    let error = match refusal.reason {
        Reason::NotRecent => None,
        _ => Some(problem_of(&refusal).ok_or_else(|| refusal.clone())?),
    };
    let page = Confirm { flow: purpose.flow.clone(), person: visitor.person(), session, error };
    Ok(answer::refused(visit, refusal, &page))
}

/// The password, where the form has one.
fn proof_of(form: &Form) -> Proof {
    match form.get("password") {
        Some(password) => Proof::Password(LoginPassword::parse(password.to_owned())),
        None => Proof::SignIn,
    }
}

async fn end_one(visit: &Visit, purpose: &Purpose, visitor: &Visitor, form: &Form) -> Result<Response, Refusal> {
    let engine = &visit.state.engine;
    let id = SessionId::parse(field(form, "session")?).ok_or(Reason::NotFound)?;
    if !engine.end_own(&visitor.identity, id, proof_of(form), visit.client()).await? {
        return Err(Reason::NotFound.into());
    }
    if id == visitor.identity.session() {
        return leave(visit, purpose, visitor, Done::SignedOut);
    }
    Ok(stay(visit, purpose, Done::SessionEnded))
}

async fn end_reached(visit: &Visit, purpose: &Purpose, visitor: &Visitor, form: &Form) -> Result<Response, Refusal> {
    let engine = &visit.state.engine;
    match reach(visitor) {
        Reach::Others => {
            engine.end_others(&visitor.identity, proof_of(form), visit.client()).await?;
            Ok(stay(visit, purpose, Done::OthersEnded))
        }
        Reach::Everything => {
            engine.end_everything(&visitor.identity, visitor.by_token, visit.client()).await?;
            leave(visit, purpose, visitor, Done::EverythingEnded)
        }
    }
}

fn stay(visit: &Visit, purpose: &Purpose, done: Done) -> Response {
    answer::lead_to(&format!("{}{}", visit.base(), purpose.flow.address(DEVICES, &[("done", done.name())])))
}

/// To the sign-in page, without the cookie.
pub(super) fn leave(visit: &Visit, purpose: &Purpose, visitor: &Visitor, done: Done) -> Result<Response, Refusal> {
    let mut response = answer::lead_to(&signed_out(visit, &purpose.flow, done));
    visit.state.handover.clear(&mut response, visitor.identity.app())?;
    Ok(response)
}

/// Without a record there is nothing that could carry the session over into the account's new epoch.
fn reach(visitor: &Visitor) -> Reach {
    if visitor.identity.method().keeps_record() { Reach::Others } else { Reach::Everything }
}

async fn list(visit: &Visit, purpose: &Purpose, visitor: &Visitor) -> Result<Devices, Refusal> {
    let engine = &visit.state.engine;
    let (account, session) = (visitor.identity.account(), visitor.identity.session());
    let before = visit.parameter("before").and_then(|place| read_place(&place));
    let list = engine.devices(account, Some(session), before).await?;
    let now = engine.clock().now();
    let told = engine.thefts(account).await?.into_iter().filter(|theft| now.since(theft.at) < ALARM);
    Ok(Devices {
        flow: purpose.flow.clone(),
        person: visitor.person(),
        devices: list.devices.into_iter().map(device).collect(),
        before: list.next.map(|(created, id)| format!("{}.{id}", created.millis())),
        alarms: told.map(|theft| Alarm { at: theft.at, app_name: theft.app.unwrap_or_default() }).collect(),
        reach: reach(visitor),
        unlisted: engine.apps().iter().any(|app| !app.method.keeps_record()),
        now,
        error: None,
        done: visit.done(),
    })
}

fn device(device: engine::Device) -> Device {
    Device {
        session: device.id,
        app_name: device.app.to_string(),
        method: device.method,
        created: device.created,
        last_active: device.last_active,
        client: device.client,
        address: device.origin.and_then(|origin| origin.address).map(|address| address.to_string()),
        current: device.current,
    }
}

/// Where a page of the list ends: when its last session began, and its id. What is none begins the list anew.
fn read_place(text: &str) -> Option<(Timestamp, SessionId)> {
    let (created, id) = text.split_once('.')?;
    Some((Timestamp::from_millis(created.parse().ok()?), SessionId::parse(id)?))
}
