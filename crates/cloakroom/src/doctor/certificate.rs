//! The certificate, where the server ends TLS itself: that it is valid, for the public address, and fits its key.

use std::{fs, net::IpAddr, os::unix::fs::MetadataExt, sync::Arc};

use cloakroom_server::config::{TlsConfig, WebOrigin};
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::{extensions::GeneralName, parse_x509_certificate, prelude::X509Certificate};

use super::{Finding, machine::seconds_until};

const CHECK: &str = "certificate";
const RENEW: &str = "renew it; the server reads the new one at its next start";

pub(super) fn look(tls: &TlsConfig, public_url: &WebOrigin) -> Vec<Finding> {
    let mut findings = vec![];
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&tls.certificate).and_then(Iterator::collect);
    let shown = tls.certificate.display();
    let chain = match chain {
        Ok(chain) if !chain.is_empty() => chain,
        Ok(_) => {
            return vec![Finding::fail(CHECK, format!("{shown} holds no certificate"), "write a PEM chain into it")];
        }
        Err(error) => {
            return vec![Finding::fail(
                CHECK,
                format!("{shown} cannot be read: {error}"),
                "set tls.certificate to a PEM file",
            )];
        }
    };
    match parse_x509_certificate(&chain[0]) {
        Ok((_, certificate)) => {
            findings.push(validity(&certificate));
            findings.push(names(&certificate, public_url));
        }
        Err(error) => {
            findings.push(Finding::fail(CHECK, format!("{shown} holds no X.509 certificate: {error}"), RENEW));
        }
    }
    findings.push(key(tls, chain));
    findings
}

fn validity(certificate: &X509Certificate<'_>) -> Finding {
    const DAY: i64 = 86_400;
    let (from, until) = (certificate.validity().not_before, certificate.validity().not_after);
    let left = seconds_until(until.timestamp());
    if seconds_until(from.timestamp()) > 0 {
        return Finding::fail(
            CHECK,
            format!("it is valid from {from} on, which is to come"),
            "is this machine's clock right?",
        );
    }
    if left <= 0 {
        return Finding::fail(CHECK, format!("it expired at {until}"), RENEW);
    }
    let detail = format!("it is valid for {} days", left / DAY);
    // Those that live for days only are renewed late in their life.
    let life = until.timestamp().saturating_sub(from.timestamp());
    if left < (14 * DAY).min(life / 4) { Finding::warn(CHECK, detail, RENEW) } else { Finding::ok(CHECK, detail) }
}

fn names(certificate: &X509Certificate<'_>, public_url: &WebOrigin) -> Finding {
    let host = public_url.host().trim_matches(['[', ']']).to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names = alternative.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let is_meant = names.iter().any(|name| match (name, address) {
        (GeneralName::DNSName(name), None) => covers(name, &host),
        (GeneralName::IPAddress(bytes), Some(IpAddr::V4(v4))) => *bytes == v4.octets(),
        (GeneralName::IPAddress(bytes), Some(IpAddr::V6(v6))) => *bytes == v6.octets(),
        _ => false,
    });
    if is_meant {
        return Finding::ok(CHECK, format!("it is for {host}, the host of public_url"));
    }
    let remedy = "get one for it, or set public_url to the name that browsers use";
    Finding::fail(CHECK, format!("it is not for {host}, the host of public_url"), remedy)
}

/// RFC 9525 section 6.3: a wildcard stands for exactly one whole label, the first.
fn covers(name: &str, host: &str) -> bool {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => name == host,
    }
}

fn key(tls: &TlsConfig, chain: Vec<CertificateDer<'static>>) -> Finding {
    const CHECK: &str = "certificate key";
    let shown = tls.key.display();
    let open = fs::metadata(&tls.key).is_ok_and(|about| about.mode() & 0o007 != 0);
    if open {
        return Finding::fail(
            CHECK,
            format!("{shown} is open to everybody on this machine"),
            format!("chmod o= {shown}"),
        );
    }
    let key = match PrivateKeyDer::from_pem_file(&tls.key) {
        Ok(key) => key,
        Err(error) => {
            return Finding::fail(
                CHECK,
                format!("{shown} cannot be read: {error}"),
                "set tls.key to a PEM file with one key",
            );
        }
    };
    match CertifiedKey::from_der(chain, key, &Arc::new(aws_lc_rs::default_provider())) {
        Ok(_) => Finding::ok(CHECK, format!("{shown} is the certificate's")),
        Err(error) => Finding::fail(
            CHECK,
            format!("{shown} is not the certificate's: {error}"),
            "take the key that the certificate was made for",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(covers("a.example", "a.example") && covers("*.Example", "a.example"));
        for (name, host) in [
            ("*.example", "a.b.example"),
            ("*.example", ".example"),
            ("*.example", "example"),
            ("a*.example", "ab.example"),
        ] {
            assert!(!covers(name, host), "{name} {host}");
        }
    }
}
