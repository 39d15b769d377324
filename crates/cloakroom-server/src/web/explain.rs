//! `/explain`, where `serve --explain` put it: the scenes of the four methods.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::Method as Verb,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use cloakroom_core::{
    method::Method,
    refusal::{Reason, Refusal},
};
use cloakroom_verify::{
    cross_site::{self, Asked},
    origins::Origins,
};

use super::{BOTH, answer, only, visit::Visit};
use crate::{
    explain::{Act, Explainer, is_near},
    http::{body::Form, problem::Problem},
    pages::{Explain, Flow},
    state::ServerState,
};

const PATH: &str = "/explain";

/// The page, for this machine alone: to others there is no such page.
pub(super) fn routes(explainer: &Arc<Explainer>) -> Router<ServerState> {
    let (shown, done) = (Arc::clone(explainer), Arc::clone(explainer));
    let page = get(move |visit| show(shown, visit)).post(move |visit, form| submit(done, visit, form));
    Router::new().route(PATH, page.fallback(only::<BOTH>)).layer(from_fn(near))
}

async fn near(request: Request, next: Next) -> Response {
    if !is_near(&request) {
        return Problem::from(Reason::NotFound).into_response();
    }
    // Another site's page cannot press its buttons.
    let allowed = request.headers().get(axum::http::header::HOST).and_then(|host| host.to_str().ok());
    let allowed = Origins::new(allowed.map(|host| format!("http://{host}")));
    match cross_site::judge(Asked::of(request.method(), request.uri(), request.headers()), &allowed) {
        Err(refusal) if *request.method() == Verb::POST => Problem::from(refusal).into_response(),
        _ => next.run(request).await,
    }
}

async fn show(explainer: Arc<Explainer>, visit: Visit) -> Response {
    let methods = Explainer::methods(&visit.state.engine);
    let wanted = visit.parameter("method").and_then(|name| Method::parse(&name));
    let Some(method) = wanted.or(methods.first().copied()) else {
        return answer::problem(Reason::NotFound.into(), Flow::default());
    };
    match page(&explainer, &visit, methods, method).await {
        Ok(page) => answer::page(&visit, &page),
        Err(refusal) => answer::problem(refusal, Flow::default()),
    }
}

async fn page(explainer: &Explainer, visit: &Visit, methods: Vec<Method>, method: Method) -> Result<Explain, Refusal> {
    let engine = &visit.state.engine;
    let scene = explainer.scene(engine, method).await.ok_or(Reason::NotFound)?;
    let kept = scene.kept(engine).await?;
    Ok(Explain { methods, scene, kept })
}

async fn submit(explainer: Arc<Explainer>, visit: Visit, form: Result<Form, Problem>) -> Response {
    let read = |form: &Form| Some((Method::parse(form.get("method")?)?, Act::parse(form.get("do")?)?));
    let Some((method, act)) = form.ok().as_ref().and_then(read) else {
        return answer::problem(Reason::BadRequest.into(), Flow::default());
    };
    match explainer.act(&visit.state.engine, method, act).await {
        Ok(()) => answer::lead_to(&format!("{}{PATH}?method={method}#latest", visit.base())),
        Err(refusal) => answer::problem(refusal, Flow::default()),
    }
}
