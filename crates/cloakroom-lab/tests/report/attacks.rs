//! A made-up run of attacks, with something of every kind in it.

use cloakroom_lab::attack::{AttackRow, Family, LeftOut, Outcome, Picture, Report, TryRow};

const METHODS: [&str; 4] = ["session", "jwt", "phantom", "jwt-stateless"];
const NO_CHROMIUM: &str = "no Chromium is installed (Debian's package is called chromium)";

/// One in which all is as it should be.
pub(crate) fn good() -> Report {
    let mut unnoticed =
        attack("copied-access-token-unnoticed", Family::Theft, "A copied access token that nobody misses");
    for (n, method) in [(1, "jwt"), (3, "jwt-stateless")] {
        let seen = "the copy opened the account until the token expired; declared: 15.0 s at most, a bearer token is good for whoever has it";
        unnoticed.results[2 + n] = TryRow {
            outcome: Outcome::Window,
            window_s: Some(9.6),
            ..tried("cloakroom", method, Outcome::Window, seen)
        };
    }
    let mut form = attack("csrf-form", Family::CrossSite, "A form of another site");
    form.pictures = METHODS
        .into_iter()
        .map(|method| Picture {
            target: "cloakroom",
            method,
            caption: "what the victim's browser shows after the form was sent".to_owned(),
            png: include_bytes!("../../../../docs/images/sign-in.png").to_vec(),
        })
        .collect();
    let mut none = attack("alg-none", Family::Tokens, "A token without a signature");
    none.results[0] =
        tried("careless", "session", Outcome::NotApplicable, "its client holds a number, in which nothing is written");
    let rest = [
        attack("fixation", Family::Cookies, "Session fixation"),
        attack("enumeration-time", Family::Guessing, "Who has an account, by how long the answer takes"),
        attack("slow-clients", Family::Pressure, "Clients that never finish a request"),
    ];
    let mut attacks = vec![unnoticed, form];
    attacks.push(none);
    attacks.extend(rest);
    Report { attacks, left_out: Vec::new() }
}

/// One in which something succeeded, an attack was none, and one was left out.
pub(crate) fn bad() -> Report {
    let mut report = good();
    let form = &mut report.attacks[1];
    (form.results, form.pictures) = (Vec::new(), Vec::new());
    report.left_out.push(LeftOut { id: "csrf-form", why: NO_CHROMIUM.to_owned() });
    let markup = "could not be carried out: <script>alert(1)</script> | `x` & a_very_long_word_without_any_place_to_break_which_a_server_has_sent_0123456789";
    report.attacks[2].results[3] = TryRow { wrong: true, ..tried("cloakroom", "jwt", Outcome::Succeeded, markup) };
    report.attacks[3].results[0] =
        TryRow { wrong: true, ..tried("careless", "session", Outcome::Failed, "the sign-in gave another session") };
    report
}

fn attack(id: &'static str, family: Family, title: &'static str) -> AttackRow {
    let careless = ["session", "jwt"].map(|method| tried("careless", method, Outcome::Succeeded, "it gave way"));
    let cloakroom = METHODS.map(|method| tried("cloakroom", method, Outcome::Failed, "401 credential_invalid"));
    AttackRow {
        id,
        family,
        title,
        source: "RFC 9700 section 2.2.1; RFC 6750 section 5.3 (short lifetimes); CWE-613; F019",
        has: "a page at another site, which the victim visits while signed in",
        does: "has the browser send what the victim never meant to send",
        gains: "the owner's account, for as long as nobody notices",
        results: careless.into_iter().chain(cloakroom).collect(),
        pictures: Vec::new(),
    }
}

fn tried(target: &'static str, method: &'static str, outcome: Outcome, evidence: &str) -> TryRow {
    TryRow { target, method, outcome, window_s: None, evidence: evidence.to_owned(), wrong: false }
}
