//! The page that explains: what each side holds, what can be done, and what was sent, as a sequence.

use askama::Template;
use cloakroom_core::method::Method;

use super::{
    assets,
    html::{Frame, finish},
    locale::Locale,
    sequence::Shown,
    view::{Flow, Page},
};
use crate::explain::{Act, Held, Kept, Scene};

/// `/explain`: posts `method` and `do`.
#[derive(Clone)]
pub struct Explain {
    /// The methods that can be looked at.
    pub methods: Vec<Method>,
    /// The scene of one of them.
    pub scene: Scene,
    /// What the server keeps of its session.
    pub kept: Kept,
}

impl Page for Explain {
    fn render(&self, locale: Locale, base: &str) -> String {
        let nothing = Flow::default();
        let frame = Frame::new(locale, base, "explain", &nothing);
        let method = self.scene.app().method;
        let acts = self.scene.acts();
        let those = |wanted: &[Act]| -> Vec<Button> {
            let mine = acts.iter().filter(|act| wanted.contains(act));
            mine.map(|act| Button { name: act.name(), text: locale.say(button_key(*act)) }).collect()
        };
        let groups = [
            ("explain-person", those(&[Act::SignIn, Act::Ask, Act::Renew, Act::SignOut])),
            ("explain-thief", those(&[Act::Steal, Act::ThiefAsks, Act::ThiefRenews])),
            ("explain-operator", those(&[Act::End, Act::KillKey])),
        ];
        let over = those(&[Act::StartOver]);
        let steps = self.scene.steps();
        let last = steps.len();
        let steps = steps.iter().enumerate().map(|(at, step)| Shown::new(step, at + 1, at + 1 == last, locale));
        finish(&ExplainHtml {
            sheet: frame.action(&assets::explaining().path),
            tabs: self
                .methods
                .iter()
                .map(|each| Tab {
                    name: each.name(),
                    address: frame.action(&format!("/explain?method={each}")),
                    current: *each == method,
                })
                .collect(),
            about: locale.say(method_key(method)),
            action: frame.action("/explain"),
            method: method.name(),
            groups: groups.into_iter().filter(|(_, buttons)| !buttons.is_empty()).collect(),
            over,
            owner: self.scene.owner(),
            thief: self.scene.thief(),
            record: self
                .kept
                .record
                .as_deref()
                .map(|record| record.iter().map(|(name, value)| (*name, value.clone())).collect()),
            ended: self.kept.ended,
            steps: steps.collect(),
            frame,
        })
    }
}

#[derive(Template)]
#[template(path = "explain.html")]
struct ExplainHtml<'a> {
    frame: Frame<'a>,
    sheet: String,
    tabs: Vec<Tab>,
    about: String,
    action: String,
    method: &'static str,
    groups: Vec<(&'static str, Vec<Button>)>,
    over: Vec<Button>,
    owner: Vec<Held>,
    thief: Option<Vec<Held>>,
    record: Option<Vec<(&'static str, String)>>,
    ended: bool,
    steps: Vec<Shown>,
}

struct Tab {
    name: &'static str,
    address: String,
    current: bool,
}

struct Button {
    name: &'static str,
    text: String,
}

const fn method_key(method: Method) -> &'static str {
    match method {
        Method::Session => "explain-session",
        Method::Jwt => "explain-jwt",
        Method::JwtStateless => "explain-jwt-stateless",
        Method::Phantom => "explain-phantom",
    }
}

/// On a button, whose group says who presses it.
const fn button_key(act: Act) -> &'static str {
    match act {
        Act::Steal => "explain-copy",
        Act::ThiefAsks => act_key(Act::Ask),
        Act::ThiefRenews => act_key(Act::Renew),
        act => act_key(act),
    }
}

/// As the title of what was done.
pub(super) const fn act_key(act: Act) -> &'static str {
    match act {
        Act::SignIn => "explain-sign-in",
        Act::Ask => "explain-ask",
        Act::Renew => "explain-renew",
        Act::SignOut => "explain-sign-out",
        Act::Steal => "explain-steal",
        Act::ThiefAsks => "explain-thief-asks",
        Act::ThiefRenews => "explain-thief-renews",
        Act::End => "explain-end",
        Act::KillKey => "explain-kill-key",
        Act::StartOver => "explain-start-over",
    }
}
