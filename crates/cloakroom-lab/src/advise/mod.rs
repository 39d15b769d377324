//! `cloakroom advise`: which method to use in a case, why, with which settings, at what cost, and what would change the answer.
//!
//! [`decide`] is a pure function of the case and the [`rules`]: constraints rule methods out, and points against a method order what is
//! left. What would change the answer is found by deciding again with one key changed (`alternatives`).

mod alternatives;
pub mod cost;
pub mod questions;
pub mod rules;
pub mod settings;
mod show;
#[cfg(test)]
mod tests;
mod words;

use cloakroom_core::method::Method;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{case::Case, language::Lang};
pub use alternatives::{Change, Conflict};
use cost::Estimate;
use rules::{Effect, RULES, Rule};
pub use show::show;

/// An answer.
#[derive(Clone, Debug, Serialize)]
pub struct Advice {
    /// The method to use; `None`: nothing satisfies the case.
    pub recommended: Option<Method>,
    /// All methods, best first.
    pub options: Vec<Choice>,
    /// What in the case contradicts what else, and the smallest change that helps.
    pub conflicts: Vec<Conflict>,
    /// What would change the answer: for each key the smallest change that does.
    pub changes: Vec<Change>,
}

/// A method in a case.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    /// The method.
    pub method: Method,
    /// How well it fits.
    pub fit: Fit,
    /// Why: each rule that says something about it here, the weightiest first.
    pub reasons: Vec<Reason>,
    /// What to write into the configuration.
    pub settings: Value,
    /// What it would take.
    pub estimate: Estimate,
    /// Points against it; ordered by these.
    #[serde(skip)]
    pub points: u32,
}

/// How well a method fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// The one to take.
    Best,
    /// It would do as well, with a little more against it.
    Good,
    /// It works.
    Possible,
    /// It does not satisfy the case.
    RuledOut,
}

/// A rule that says something about a method.
#[derive(Clone)]
pub struct Reason {
    /// The rule.
    pub rule: &'static Rule,
    /// What it does.
    pub effect: Effect,
    lang: Lang,
}

impl Reason {
    /// Its sentence and where that comes from.
    pub fn text(&self) -> String {
        format!("{} ({})", self.rule.sentence(self.lang), self.rule.source.text(self.lang))
    }
}

impl std::fmt::Debug for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.rule.id, self.effect)
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = s.serialize_struct("Reason", 2)?;
        fields.serialize_field("rule", self.rule.id)?;
        fields.serialize_field("text", &self.text())?;
        fields.end()
    }
}

/// Up to so many points more than the best one has are still good.
const NEARLY: u32 = 3;

/// Decides a case.
pub fn decide(case: &Case, lang: Lang) -> Advice {
    let ranking = rank(case);
    let best = ranking.first().filter(|ranked| !ranked.out).map(|ranked| (ranked.method, ranked.points));
    let options = ranking.into_iter().map(|ranked| {
        let fit = match best {
            _ if ranked.out => Fit::RuledOut,
            Some((method, _)) if method == ranked.method => Fit::Best,
            Some((_, points)) if ranked.points <= points + NEARLY => Fit::Good,
            _ => Fit::Possible,
        };
        let estimate = cost::estimate(case, ranked.method);
        let reasons = ranked.said.into_iter().map(|(rule, effect)| Reason { rule, effect, lang });
        Choice {
            method: ranked.method,
            fit,
            reasons: reasons.collect(),
            settings: settings::settings(case, ranked.method, estimate.store_operations_per_second),
            estimate,
            points: ranked.points,
        }
    });
    Advice {
        recommended: best.map(|(method, _)| method),
        options: options.collect(),
        conflicts: alternatives::conflicts(case, lang),
        changes: alternatives::changes(case),
    }
}

/// The method that a case comes to; `None`: every one is ruled out.
pub fn recommend(case: &Case) -> Option<Method> {
    rank(case).first().filter(|ranked| !ranked.out).map(|ranked| ranked.method)
}

struct Ranked {
    method: Method,
    out: bool,
    points: u32,
    said: Vec<(&'static Rule, Effect)>,
}

/// The methods, best first; of equals the one that is simpler to run.
fn rank(case: &Case) -> Vec<Ranked> {
    let ranked = SIMPLEST_FIRST.map(|method| {
        let mut said: Vec<_> =
            RULES.iter().filter_map(|rule| rule.effect(case, method).map(|effect| (rule, effect))).collect();
        said.sort_by_key(|(_, effect)| match effect {
            Effect::RulesOut => (0, 0),
            Effect::For => (1, 0),
            Effect::Against(points) => (2, u32::MAX - points),
        });
        let out = said.iter().any(|(_, effect)| *effect == Effect::RulesOut);
        let against = said.iter().map(|(_, effect)| if let Effect::Against(points) = effect { *points } else { 0 });
        Ranked { method, out, points: against.sum(), said }
    });
    let mut ranked = Vec::from(ranked);
    ranked.sort_by_key(|ranked| (ranked.out, ranked.points));
    ranked
}

const SIMPLEST_FIRST: [Method; 4] = [Method::Session, Method::Jwt, Method::Phantom, Method::JwtStateless];
