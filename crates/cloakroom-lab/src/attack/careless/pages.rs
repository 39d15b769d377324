//! What people see of the careless login.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{Method, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use super::{
    Login,
    handlers::{enter, refused, visitor, with_cookie},
    params::Params,
};

/// `/signin`: the form, and what takes it.
pub(super) async fn sign_in(State(login): State<Arc<Login>>, method: Method, params: Params) -> Response {
    // Any address will do to go on to.
    let on = params.read("return_to");
    if method != Method::POST {
        return Html(format!(
            "<!doctype html><title>Sign in</title><h1>Sign in</h1><form method=post>\
             <input name=email><input name=password type=password><input type=hidden name=return_to value=\"{on}\">\
             <button>Sign in</button></form>"
        ))
        .into_response();
    }
    match enter(&login, &params) {
        Ok((body, cookie)) => {
            let on = if on.is_empty() { "/home" } else { on };
            let credential = match (body["sid"].as_str(), body["access_token"].as_str(), body["refresh_token"].as_str())
            {
                (Some(sid), ..) => format!("sid={sid}"),
                (_, Some(access), Some(refresh)) => format!("token={access}&refresh={refresh}"),
                _ => String::new(),
            };
            // The credential is in the address, where the next page takes it up.
            let response = (StatusCode::FOUND, [(header::LOCATION, format!("{on}?{credential}"))]).into_response();
            with_cookie(response, cookie)
        }
        Err((status, code)) => refused(status, code),
    }
}

/// `/home`: shows who is there, and what was looked for as it came. Any cache may keep it, any page frame it, and every link and
/// picture is told its address.
pub(super) async fn home(State(login): State<Arc<Login>>, params: Params) -> Response {
    let greeting = if login.by_tokens { None } else { visitor(&login, &params).0 };
    let greeted = greeting.unwrap_or_else(|| if login.by_tokens { "…" } else { "nobody" }.to_owned());
    let script = if login.by_tokens { BY_TOKENS } else { "" };
    let picture = params.read("picture");
    let html = format!(
        "<!doctype html><title>Shop</title><h1>Shop</h1><p>You looked for {}</p><p id=\"who\">{greeted}</p>\
         <form method=post action=/v1/logout><button>Sign out</button></form>\
         <img alt=\"\" src=\"{picture}\">{script}",
        params.read("q")
    );
    let headers = [(header::CACHE_CONTROL, "public, max-age=600"), (header::REFERRER_POLICY, "unsafe-url")];
    (headers, Html(html)).into_response()
}

const BY_TOKENS: &str = r"<script>
const given = new URLSearchParams(location.search);
if (given.get('token')) {
  localStorage.setItem('access_token', given.get('token'));
  localStorage.setItem('refresh_token', given.get('refresh'));
}
window.reload = async () => {
  const token = localStorage.getItem('access_token');
  const answer = await fetch('/v1/account', { headers: token ? { authorization: 'Bearer ' + token } : {} });
  const said = await answer.json();
  document.querySelector('#who').textContent = said.account ? said.account.email : 'nobody';
};
window.reload();
</script>";
