//! One thing that was done, as arrows between those who took part in it, and where its time went.

use std::time::Duration;

use cloakroom_core::trace::{Finished, Span};
use serde_json::Value;

use super::{explain::act_key, locale::Locale};
use crate::explain::{Act, Exchange, Message, Step};

/// A step as it is shown.
pub(super) struct Shown {
    pub(super) number: usize,
    pub(super) latest: bool,
    pub(super) title: String,
    pub(super) outcome: Option<Outcome>,
    pub(super) note: Option<String>,
    pub(super) arrows: Vec<Arrow>,
    pub(super) parts: Vec<Part>,
}

pub(super) struct Outcome {
    pub(super) good: bool,
    pub(super) text: String,
}

/// One arrow, or something that the server does by itself.
pub(super) struct Arrow {
    /// From which lane to which: a class of the stylesheet.
    pub(super) way: &'static str,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) label: String,
    /// Size and time.
    pub(super) figures: String,
    /// The whole message, or what a store was given.
    pub(super) text: Option<String>,
}

/// A part of the time.
pub(super) struct Part {
    /// A class of the stylesheet.
    pub(super) class: &'static str,
    pub(super) text: String,
    pub(super) took: String,
    /// Where it stands in a bar of a thousand, and how much of it it is.
    pub(super) from: u64,
    pub(super) width: u64,
}

/// What a span of a trace is a part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    Waiting,
    Hashing,
    Signing,
    Checking,
    Sessions,
    Accounts,
}

/// A span that is shown.
struct Event<'s> {
    doing: Doing,
    /// The store's word for what it was asked, where it is one.
    verb: &'s str,
    from: u64,
    took: Duration,
}

impl Shown {
    pub(super) fn new(step: &Step, number: usize, latest: bool, locale: Locale) -> Self {
        let events = step.trace.as_ref().map_or_else(Vec::new, events);
        let arrows = events.iter().filter_map(|event| Arrow::event(event, step, locale));
        let mut this = Self {
            number,
            latest,
            title: locale.say(act_key(step.act)),
            outcome: None,
            note: note_key(step, &events).map(|key| locale.say(key)),
            arrows: arrows.collect(),
            parts: Vec::new(),
        };
        if let Some(exchange) = &step.exchange {
            this.exchange(exchange, step.act.is_thiefs(), locale);
            this.parts = parts(exchange, step.trace.as_ref(), &events, locale);
        }
        this
    }

    /// Puts request and answer around what the server did for them.
    fn exchange(&mut self, exchange: &Exchange, thief: bool, locale: Locale) {
        let (who, there, back) = if thief {
            ("explain-lane-thief", "thief-server", "server-thief")
        } else {
            ("explain-lane-client", "client-server", "server-client")
        };
        let (who, server) = (locale.say(who), locale.say("explain-lane-server"));
        let message = |way, from: &str, to: &str, message: &Message, figures| Arrow {
            way,
            from: from.to_owned(),
            to: to.to_owned(),
            label: message.first.trim_end_matches(" HTTP/1.1").trim_start_matches("HTTP/1.1 ").to_owned(),
            figures,
            text: Some(written(message)),
        };
        let size = |message: &Message| format!("{} B", message.bytes);
        self.arrows.insert(0, message(there, &who, &server, &exchange.request, size(&exchange.request)));
        let figures = format!("{} · {}", size(&exchange.answer), time(exchange.took));
        self.arrows.push(message(back, &server, &who, &exchange.answer, figures));
        let good = exchange.is_accepted();
        let answer: Value = serde_json::from_str(&exchange.answer.body).unwrap_or_default();
        let code = answer["code"].as_str();
        let text = locale.say(if good { "explain-accepted" } else { "explain-refused" });
        let text = code.filter(|_| !good).map_or(text.clone(), |code| format!("{text}: {code}"));
        self.outcome = Some(Outcome { good, text });
    }
}

impl Arrow {
    /// What was waited for is a part of the time, but nothing that is done.
    fn event(event: &Event<'_>, step: &Step, locale: Locale) -> Option<Self> {
        let (way, to) = match event.doing {
            Doing::Waiting => return None,
            Doing::Hashing | Doing::Signing | Doing::Checking => ("server-server", "explain-lane-server"),
            Doing::Sessions | Doing::Accounts => ("server-store", "explain-lane-store"),
        };
        let key = event_key(event, step);
        let record = step.kept.record.as_ref().filter(|_| matches!(key, "explain-did-create" | "explain-did-rotate"));
        let lines = |record: &Vec<(&str, String)>| -> Vec<_> {
            record.iter().map(|(name, value)| format!("{name}: {value}")).collect()
        };
        Some(Self {
            way,
            from: locale.say("explain-lane-server"),
            to: locale.say(to),
            label: locale.say(key),
            figures: time(event.took),
            text: record.map(|record| lines(record).join("\n")),
        })
    }
}

/// What of a trace is shown, in the order in which it began. Spans that hold others are left out.
fn events(trace: &Finished) -> Vec<Event<'_>> {
    let mut events: Vec<_> = trace.spans.iter().skip(1).filter_map(event).collect();
    events.sort_by_key(|event| event.from);
    events
}

fn event(span: &Span) -> Option<Event<'_>> {
    let (doing, verb) = match &*span.name {
        "place" | "wait for a thread" => (Doing::Waiting, ""),
        "hash" => (Doing::Hashing, ""),
        "sign" => (Doing::Signing, ""),
        "check the token" => (Doing::Checking, ""),
        name => match name.strip_prefix("store ")?.split_once("::")? {
            ("SessionStore", verb) => (Doing::Sessions, verb),
            (_, verb) => (Doing::Accounts, verb),
        },
    };
    Some(Event { doing, verb, from: span.from, took: length(span) })
}

fn length(span: &Span) -> Duration {
    Duration::from_nanos(span.to.saturating_sub(span.from))
}

/// What is worth saying of a step.
fn note_key(step: &Step, events: &[Event<'_>]) -> Option<&'static str> {
    let exchange = match (step.act, &step.exchange) {
        (Act::Steal, _) => return Some("explain-stolen"),
        (Act::Ask | Act::ThiefAsks, Some(exchange)) => exchange,
        _ => return None,
    };
    // A token for what stands behind the server is signed however its person was found.
    let from_memory = events.iter().all(|event| event.doing == Doing::Signing);
    match (exchange.is_accepted(), from_memory) {
        (true, true) => Some("explain-warm"),
        (false, true) => Some("explain-heard"),
        (_, false) => None,
    }
}

/// Where the time of an exchange went.
fn parts(exchange: &Exchange, trace: Option<&Finished>, events: &[Event<'_>], locale: Locale) -> Vec<Part> {
    let of = |doing| -> Duration { events.iter().filter(|event| event.doing == doing).map(|event| event.took).sum() };
    let known = [
        ("waiting", "explain-part-waiting", of(Doing::Waiting)),
        ("hashing", "explain-part-password", of(Doing::Hashing)),
        ("signing", "explain-part-signature", of(Doing::Signing) + of(Doing::Checking)),
        ("sessions", "explain-part-sessions", of(Doing::Sessions)),
        ("accounts", "explain-part-accounts", of(Doing::Accounts)),
    ];
    let handled = trace.and_then(|trace| trace.spans.first()).map_or(Duration::ZERO, length);
    let named: Duration = known.iter().map(|(_, _, took)| *took).sum();
    let rest = [
        ("rest", "explain-part-rest", handled.saturating_sub(named)),
        ("wire", "explain-part-wire", exchange.took.saturating_sub(handled)),
    ];
    let all: Vec<_> = known.into_iter().chain(rest).filter(|(_, _, took)| !took.is_zero()).collect();
    let whole = all.iter().map(|(_, _, took)| took.as_nanos()).sum::<u128>().max(1);
    let mut passed = 0;
    let mut part = |(class, key, took): (_, _, Duration)| {
        let from = (passed * BAR / whole) as u64;
        passed += took.as_nanos();
        let to = (passed * BAR / whole) as u64;
        Part { class, text: locale.say(key), took: time(took), from, width: to - from }
    };
    all.into_iter().map(&mut part).collect()
}

fn written(message: &Message) -> String {
    let mut text = message.first.clone();
    for line in &message.headers {
        text.push('\n');
        text.push_str(line);
    }
    if !message.body.is_empty() {
        text.push_str("\n\n");
        text.push_str(&message.body);
    }
    text
}

fn time(took: Duration) -> String {
    match took.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros => format!("{:.1} ms", micros as f64 / 1_000.0),
    }
}

fn event_key(event: &Event<'_>, step: &Step) -> &'static str {
    let accepted = step.exchange.as_ref().is_none_or(Exchange::is_accepted);
    match (event.doing, event.verb) {
        (Doing::Waiting, _) => "explain-part-waiting",
        (Doing::Hashing, _) => "explain-did-password",
        (Doing::Signing, _) => "explain-did-sign",
        (Doing::Checking, _) => "explain-did-check",
        (Doing::Sessions, "read") => "explain-did-read",
        // A trace does not tell what is written; what was asked for does.
        (Doing::Sessions, "write") => match step.act {
            Act::SignIn => "explain-did-create",
            Act::Renew | Act::ThiefRenews if accepted => "explain-did-rotate",
            _ => "explain-did-delete",
        },
        (Doing::Sessions, _) => "explain-did-change",
        (Doing::Accounts, "login") => "explain-did-login",
        (Doing::Accounts, "standing") => "explain-did-standing",
        // Where both stand in one database, that is one transaction.
        (Doing::Accounts, "end") if step.removed => "explain-did-end-delete",
        (Doing::Accounts, "end") => "explain-did-end",
        (Doing::Accounts, "log_since" | "log_head") => "explain-did-log",
        (Doing::Accounts, "keys" | "change_keys") => "explain-did-keys",
        (Doing::Accounts, _) => "explain-did-account",
    }
}

/// The length of the bar of a step's time, in its own units.
const BAR: u128 = 1000;
