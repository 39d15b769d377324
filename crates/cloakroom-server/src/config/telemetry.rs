//! `[telemetry.traces]`: where traces go, and how many.

use http::{HeaderName, HeaderValue, Uri, uri::Scheme};

use super::{
    kinds,
    read::{Reading, Section},
    tree::Value,
};

/// `[telemetry.traces]`; there is one where `endpoint` is set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TracesConfig {
    /// `endpoint`: a collector's address for OTLP over HTTP, the path included.
    pub endpoint: Uri,
    /// `one_in`: of so many requests one is traced.
    pub one_in: u32,
    /// `service_name`: what the collector calls these servers.
    pub service_name: String,
    /// `headers`: sent along, as for the collector to know the server by. Their values print nowhere.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

pub(super) fn traces(reading: &mut Reading, root: &mut Section) -> Option<TracesConfig> {
    let mut telemetry = reading.section(root, "telemetry");
    let mut section = reading.section(&mut telemetry, "traces");
    let endpoint = reading.optional(&mut section, "endpoint", endpoint);
    let one_in = reading.value(&mut section, "one_in", 100, kinds::small(1..=1_000_000));
    let service_name = reading.value(&mut section, "service_name", "cloakroom".to_owned(), service_name);
    let headers = reading.list(&mut section, "headers", header);
    if let Some(endpoint) = &endpoint
        && !headers.is_empty()
        && endpoint.scheme() != Some(&Scheme::HTTPS)
        && !is_loopback(endpoint)
    {
        reading.refuse("telemetry.traces.headers", "they would be sent in the clear; use an https:// endpoint");
    }
    reading.close(section);
    reading.close(telemetry);
    Some(TracesConfig { endpoint: endpoint?, one_in, service_name, headers })
}

fn endpoint(value: &Value) -> Result<Uri, String> {
    const EXAMPLE: &str = "write it as in http://127.0.0.1:4318/v1/traces";
    let text = kinds::text(value)?;
    // What is no address could still hold a password.
    let uri: Uri = text.parse().map_err(|error| format!("it is no address ({error}); {EXAMPLE}"))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            Err("it holds a password, which belongs into `headers`".into())
        }
        (Some("http" | "https"), Some(_)) if uri.path().len() > 1 => Ok(uri),
        _ => Err(format!("it needs scheme, host and path; {EXAMPLE}")),
    }
}

fn service_name(value: &Value) -> Result<String, String> {
    let text = kinds::text(value)?;
    if text.len() > 255 || text.contains(char::is_control) {
        return Err(format!("{} is no name; 255 bytes without control characters are possible", kinds::quote(text)));
    }
    Ok(text.to_owned())
}

/// `Name: value`. The value may be a secret: no error holds it.
fn header(value: &Value) -> Result<(HeaderName, HeaderValue), String> {
    let (Value::Text(text) | Value::Words(text)) = value else {
        return Err("it is no text; write it in quotes".into());
    };
    let form = || "it is no header; write it as \"Authorization: Bearer …\"".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(form)?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| form())?;
    let mut value = HeaderValue::try_from(value.trim()).map_err(|_| form())?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
