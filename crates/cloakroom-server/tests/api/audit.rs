//! Every refusal has a reason that the operator finds: in the metrics always, and in the audit log where somebody tried to
//! sign in, renew, register or change something.

use cloakroom_core::{account::AccountState, audit::Kind, engine::Client};
use serde_json::json;

use crate::lab::{Lab, PASSWORD, email};

async fn reasons(lab: &Lab, kind: Kind) -> Vec<String> {
    lab.audit().await.into_iter().filter(|line| line.kind == kind).filter_map(|line| line.reason).collect()
}

/// F129: each way to be refused at signing in leaves its own reason.
#[tokio::test]
async fn each_refused_login_leaves_its_reason() {
    let apps = "[[app]]\nid = 'web'\nmethod = 'session'\n[[app]]\nid = 'staff'\nmethod = 'session'\nallow = ['@staff.example']";
    let lab = Lab::with("limits.failures_per_account.burst = 2\nlimits.failures_per_account.refill = '1h'", apps).await;
    lab.register("ada").await;
    lab.register("eve").await;
    let eve = lab.engine.find_account(&email("eve")).await.unwrap().id;
    lab.engine.set_state(eve, AccountState::Disabled, &Client::default()).await.unwrap();
    for (name, password, app, reason) in [
        ("nobody", PASSWORD, "web", "unknown_email"),
        ("ada", "wrong", "web", "wrong_password"),
        ("ada", "", "web", "unusable_password"),
        ("ada", "wrong", "web", "account_limited"),
        ("eve", PASSWORD, "web", "account_disabled"),
    ] {
        assert!(lab.try_login(name, password, app).await.status >= 400);
        assert_eq!(reasons(&lab, Kind::SignInRefused).await[0], reason);
    }
    lab.register("bob").await;
    assert_eq!(lab.try_login("bob", PASSWORD, "staff").await.status, 403);
    assert_eq!(reasons(&lab, Kind::SignInRefused).await[0], "not_on_list");
}

/// F129: and at renewing.
#[tokio::test]
async fn each_refused_renewal_leaves_its_reason() {
    let lab = Lab::start().await;
    let (web, api) = (lab.login("ada", "web").await, lab.login("ada", "api").await);
    let forged = |token: &str| {
        let last = if token.ends_with('A') { "B" } else { "A" };
        format!("{}{last}", &token[..token.len() - 1])
    };
    for (token, path, reason) in [
        ("junk".to_owned(), "/v1/refresh", "malformed"),
        (web.credential().to_owned(), "/v1/refresh", "wrong_kind"),
        (forged(api.refresh_token()), "/v1/refresh", "bad_mac"),
        (api.refresh_token().to_owned(), "/v1/refresh?app=web", "wrong_app"),
    ] {
        lab.post(path).json(json!({"refresh_token": token})).await;
        let seen = reasons(&lab, Kind::RefreshRefused).await;
        assert!(seen[0] == reason || reason == "bad_mac" && seen[0] == "malformed", "{reason}: {}", seen[0]);
    }
    let idle = lab.login("ada", "api").await;
    lab.advance(7 * 86_400);
    lab.refresh(idle.refresh_token()).await;
    assert_eq!(reasons(&lab, Kind::RefreshRefused).await[0], "idle");
    for (way, reason) in [(0, "session_ended"), (1, "account_ended"), (2, "account_gone")] {
        let ada = lab.login("ada", "api").await;
        let id = lab.engine.find_account(&email("ada")).await.unwrap().id;
        match way {
            0 => drop(lab.post("/v1/logout").bearer(ada.credential()).await),
            1 => lab.engine.end_account(id, &Client::default()).await.unwrap(),
            _ => drop(lab.engine.set_state(id, AccountState::Disabled, &Client::default()).await.unwrap()),
        }
        lab.refresh(ada.refresh_token()).await;
        assert_eq!(reasons(&lab, Kind::RefreshRefused).await[0], reason);
    }
}

/// F129: each end, and each change, is a line with who, what and from where.
#[tokio::test]
async fn each_end_leaves_a_line() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    let other = lab.login("ada", "web").await;
    lab.delete(&format!("/v1/sessions/{}", other.session)).bearer(ada.credential()).await;
    lab.post("/v1/logout").bearer(ada.credential()).await;
    let ada = lab.login("ada", "web").await;
    let new = "seven unlikely otters juggle";
    let changed =
        lab.post("/v1/password").bearer(ada.credential()).json(json!({"current": PASSWORD, "new": new})).await;
    let ada = crate::lab::SignedIn::read(&changed);
    lab.post("/v1/logout").bearer(ada.credential()).json(json!({"everywhere": true})).await;
    let answer = lab.try_login("ada", new, "web").await;
    let ada = crate::lab::SignedIn::read(&answer);
    lab.delete("/v1/account").bearer(ada.credential()).json(json!({"password": new})).await;
    let lines = lab.audit().await;
    for kind in [
        Kind::Registered,
        Kind::SignedIn,
        Kind::SessionEnded,
        Kind::SignedOut,
        Kind::PasswordChanged,
        Kind::AccountEnded,
        Kind::AccountDeleted,
    ] {
        let line = lines.iter().find(|line| line.kind == kind).unwrap_or_else(|| panic!("no line of {kind:?}"));
        assert_eq!(line.address.unwrap().to_string(), "127.0.0.1", "{kind:?}");
        assert!(line.account.is_some() || line.session.is_some(), "{kind:?}");
    }
}

/// F129: refused registrations, wrong passwords of who is signed in, and strangers that call themselves a service.
#[tokio::test]
async fn other_refusals_leave_a_line_too() {
    let apps = "[[app]]\nid = 'web'\nmethod = 'session'\n[[app]]\nid = 'shut'\nmethod = 'session'\nregistration = 'closed'\n\
                [[app]]\nid = 'staff'\nmethod = 'session'\nallow = ['@staff.example']";
    let lab = Lab::with("", apps).await;
    for (app, name, reason) in [("shut", "ada", "registration_closed"), ("staff", "ada", "not_on_list")] {
        lab.post("/v1/accounts").json(json!({"email": email(name), "password": PASSWORD, "app": app})).await;
        assert_eq!(reasons(&lab, Kind::Refused).await[0], reason);
    }
    lab.register("ada").await;
    lab.register("ada").await;
    assert_eq!(reasons(&lab, Kind::Refused).await[0], "email_taken");
    let stranger = crate::lab::Service { id: "svc_stranger".into(), secret: "x".into() };
    lab.post("/oauth/introspect").basic(&stranger).form(&[("token", "x")]).await;
    assert_eq!(reasons(&lab, Kind::Refused).await[0], "unknown_service");
    let ada = lab.login("ada", "web").await;
    lab.delete("/v1/account").bearer(ada.credential()).json(json!({"password": "wrong"})).await;
    let line = lab.audit().await.into_iter().find(|line| line.kind == Kind::SignInRefused).unwrap();
    assert_eq!((line.reason.as_deref(), line.session.unwrap().to_string()), (Some("wrong_password"), ada.session));
}

/// F129: the metric names every refusal of a verification by its reason, which the client is not told.
#[tokio::test]
async fn refused_verifications_are_counted_by_reason() {
    let lab = Lab::start().await;
    let api = lab.login("ada", "api").await;
    let web = lab.login("ada", "web").await;
    lab.get("/v1/verify").await;
    lab.verify("junk").await;
    lab.verify("e30.e30.AAAA").await;
    lab.verify(api.refresh_token()).await;
    lab.get("/v1/verify?app=web").bearer(api.credential()).await;
    lab.get("/v1/verify?app=shop").await;
    lab.get("/v1/verify?token=x").await;
    lab.post("/v1/logout").cookie(web.cookie.as_deref().unwrap()).await;
    lab.post("/v1/logout").bearer(web.credential()).await;
    lab.verify(web.credential()).await;
    lab.advance(306);
    lab.verify(api.credential()).await;
    lab.get("/nothing").await;
    lab.get("/v1/login").await;
    lab.post("/v1/login").body("application/json", "x".repeat(9000)).await;
    let metrics = lab.get("/metrics").await.text();
    for reason in [
        "no_credential",
        "malformed",
        "bad_header",
        "wrong_kind",
        "wrong_app",
        "unknown_app",
        "credential_in_url",
        "cross_site",
        "session_ended",
        "token_expired",
        "not_found",
        "method_not_allowed",
        "too_large",
    ] {
        assert!(metrics.contains(&format!("reason=\"{reason}\"")), "{reason}");
    }
}
