//! `/openapi.json`: exactly the contract's calls, and answers that are as it says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::lab::{APPS, BY_TOKEN, Lab, PASSWORD, email};

const CONTRACT: [(&str, &[&str]); 19] = [
    ("/v1/accounts", &["post"]),
    ("/v1/account", &["delete", "get"]),
    ("/v1/password", &["post"]),
    ("/v1/login", &["post"]),
    ("/v1/refresh", &["post"]),
    ("/v1/exchange", &["post"]),
    ("/v1/logout", &["post"]),
    ("/v1/verify", &["get"]),
    ("/v1/sessions", &["get"]),
    ("/v1/sessions/{id}", &["delete"]),
    ("/.well-known/jwks.json", &["get"]),
    ("/oauth/introspect", &["post"]),
    ("/oauth/revoke", &["post"]),
    ("/v1/revocations", &["get"]),
    ("/v1/revocations/head", &["get"]),
    ("/healthz", &["get"]),
    ("/readyz", &["get"]),
    ("/metrics", &["get"]),
    ("/openapi.json", &["get"]),
];

#[tokio::test]
async fn the_document_lists_the_contract_and_the_router_has_just_that() {
    let lab = Lab::start().await;
    let document = lab.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let listed: BTreeSet<_> = paths.keys().map(String::as_str).collect();
    assert_eq!(listed, CONTRACT.iter().map(|(path, _)| *path).collect());
    for (path, methods) in CONTRACT {
        let described: BTreeSet<_> = paths[path].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, methods.iter().copied().collect(), "{path}");
        for method in ["get", "post", "put", "patch", "delete"] {
            let answer = lab.ask(&method.to_uppercase(), &path.replace("{id}", "x")).await;
            if methods.contains(&method) || path == "/v1/verify" {
                assert!(!matches!(answer.status, 404 | 405), "{method} {path}: {}", answer.status);
                let described = &paths[path][if path == "/v1/verify" { "get" } else { method }]["responses"];
                let known = described.get(answer.status.to_string()).is_some() || answer.status == 400;
                assert!(known, "{method} {path} answers {}, which is not described", answer.status);
            } else {
                assert_eq!(answer.status, 405, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn answers_are_as_the_document_says() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let document = lab.get("/openapi.json").await.json();
    let check = |path: &str, method: &str, answer: &crate::lab::Answer| {
        let described = &document["paths"][path][method]["responses"][answer.status.to_string()];
        let content = described["content"].as_object().unwrap_or_else(|| panic!("{method} {path} describes no body"));
        let (kind, body) = content.iter().next().unwrap();
        assert_eq!(answer.header("content-type"), Some(kind.as_str()), "{path}");
        conforms(&document, &body["schema"], &answer.json(), path);
    };
    let new = json!({"email": email("ada"), "password": PASSWORD, "name": "Ada"});
    check("/v1/accounts", "post", &lab.post("/v1/accounts").json(new).await);
    for app in APPS {
        let answer = lab.try_login("ada", PASSWORD, app).await;
        check("/v1/login", "post", &answer);
        let ada = crate::lab::SignedIn::read(&answer);
        check("/v1/account", "get", &lab.get("/v1/account").bearer(ada.credential()).await);
        check("/v1/sessions", "get", &lab.get("/v1/sessions").bearer(ada.credential()).await);
        check("/v1/verify", "get", &lab.verify(ada.credential()).await);
        let introspect = lab.post("/oauth/introspect").basic(&service).form(&[("token", ada.credential())]);
        check("/oauth/introspect", "post", &introspect.await);
        if BY_TOKEN.contains(&app) {
            check("/v1/refresh", "post", &lab.refresh(ada.refresh_token()).await);
        }
    }
    check("/v1/revocations/head", "get", &lab.get("/v1/revocations/head").basic(&service).await);
}

/// The essentials of a schema: references, types, required fields, and no field beyond those described.
#[track_caller]
fn conforms(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let found = document.pointer(name.trim_start_matches('#')).expect("a reference that leads somewhere");
        return conforms(document, found, value, at);
    }
    if let Some(types) = schema.get("type") {
        let types: Vec<&str> = match types {
            Value::String(one) => vec![one],
            many => many.as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect(),
        };
        let is = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(types.contains(&is), "{at}: {is} is none of {types:?}");
    }
    if let Some(items) = value.as_array() {
        for item in items {
            conforms(document, &schema["items"], item, &format!("{at}[]"));
        }
    }
    if let Some(fields) = value.as_object() {
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(fields.contains_key(required.as_str().unwrap()), "{at}: {required} is missing");
        }
        for (name, field) in fields {
            let described = schema["properties"].get(name).unwrap_or_else(|| panic!("{at}: {name} is not described"));
            conforms(document, described, field, &format!("{at}.{name}"));
        }
    }
}
