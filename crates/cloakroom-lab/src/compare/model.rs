//! The cost model: linear in what is done and in what is kept, with one curve, the share of verifications that a near-cache cannot
//! answer.
//!
//! - CPU time of a verification = a + b × misses; that of a login and of a renewal are constants.
//! - Misses, where verifiers ask by Zipf's law with an exponent of 0.99 for N live logins before a cache of C facts: 1 − H(C) / H(N), H
//!   being the generalised harmonic number; an ideal cache keeps the C most frequent.
//! - Store = s × N.
//! - Renewals: who asks r times a second renews once in (life of an access token + 1/r). What is renewed, and what is read anew because
//!   it has been believed for as long as anything is, counts as a miss too.
//!
//! a, b and s are fitted on the smallest and the largest number of live logins that was measured. The numbers between, and loads in
//! which everything happens at once, are the test.

use cloakroom_core::method::Method;

use super::{
    Cost, Extrapolation, Growth, Model, Prediction, Term,
    cost::{Costs, Mixture},
    ending::TOKEN_LIFE,
};
use crate::{
    case::{Case, at_most_every},
    rig::METHODS,
    stats::Estimate,
};

/// Facts that a server's near-cache holds by default.
const CACHE: f64 = 100_000.0;
const EXPONENT: f64 = 0.99;
const SECONDS_A_MONTH: f64 = 30.0 * 86_400.0;
const GIGABYTE: f64 = 1_000_000_000.0;

/// One method's coefficients.
struct Fit {
    method: Method,
    /// a and b, in microseconds.
    verify: [f64; 2],
    login: (Cost, Estimate),
    refresh: Option<(Cost, Estimate)>,
    spread: f64,
    /// s, in bytes.
    state: f64,
    /// Bytes that the credential adds to a request, and to a renewal.
    wire: [f64; 2],
}

/// Of n ranks, how much all weigh: the sum of rank^-0.99, by an integral from the ten thousandth on.
fn harmonic(n: f64) -> f64 {
    const EXACT: u32 = 10_000;
    let ranks = (1..=EXACT).map(f64::from).take_while(|rank| *rank <= n);
    let sum: f64 = ranks.map(|rank| rank.powf(-EXPONENT)).sum();
    let (power, exact) = (1.0 - EXPONENT, f64::from(EXACT));
    if n <= exact { sum } else { sum + (n.powf(power) - exact.powf(power)) / power }
}

/// The share of verifications that a near-cache of so many facts cannot answer.
fn misses(live: f64, cache: f64) -> f64 {
    if live <= cache { 0.0 } else { 1.0 - harmonic(cache) / harmonic(live) }
}

impl Fit {
    fn verify(&self, misses: f64) -> f64 {
        self.verify[0] + self.verify[1] * misses
    }
}

/// What is known of each method when the model is made.
pub(super) struct Known<'k> {
    /// Costs with the store that the growth was measured with, one server.
    pub(super) costs: &'k [Costs],
    /// Facts that the near-cache held meanwhile.
    pub(super) cache: usize,
    /// How they grow.
    pub(super) growth: &'k [Growth],
    /// Bytes in the store for each live login, in the order of the methods.
    pub(super) state: &'k [f64],
    /// Bytes that the credential adds to a request, and to a renewal, in the order of the methods.
    pub(super) wire: &'k [[f64; 2]],
    /// What was measured of everything at once.
    pub(super) mixtures: &'k [Mixture],
}

/// Fits and tests it, and reckons with it.
pub(super) fn make(known: &Known<'_>, case: &Case) -> Model {
    let fits: Vec<Fit> =
        METHODS.iter().enumerate().filter_map(|(index, (method, ..))| fit(known, index, *method)).collect();
    let tests: Vec<Prediction> = fits.iter().flat_map(|fit| test(known, fit)).collect();
    let relative = |test: &Prediction| ((test.predicted - test.measured) / test.measured).abs();
    let error = tests.iter().filter(|test| test.measured > 0.0).map(relative).max_by(f64::total_cmp);
    let mut sizes = vec![case.live_sessions];
    sizes.extend([1_000_000, 10_000_000, 100_000_000, 1_000_000_000].into_iter().filter(|n| *n > case.live_sessions));
    let extrapolate = |live: &u64| fits.iter().map(|fit| extrapolate(fit, *live, case, error.unwrap_or(1.0))).collect();
    Model {
        error,
        terms: fits.iter().flat_map(terms).collect(),
        extrapolation: sizes.iter().flat_map::<Vec<_>, _>(extrapolate).collect(),
        tests,
    }
}

fn of_method(growth: &[Growth], method: Method) -> Vec<&Growth> {
    // Phantom's check is a session's, and that of a token without a record a token's.
    let measured = if method.has_tokens() { Method::Jwt } else { Method::Session };
    growth.iter().filter(|growth| growth.method == measured).collect()
}

fn fit(known: &Known<'_>, index: usize, method: Method) -> Option<Fit> {
    let costs = known.costs.iter().find(|costs| costs.method == method)?;
    let growth = of_method(known.growth, method);
    let (first, last) = (growth.first()?, growth.last()?);
    let share = |growth: &Growth| growth.misses_per_1000 / 1000.0;
    let more = share(last) - share(first);
    let cpu = |growth: &Growth| growth.verify.cpu_us_per_request;
    // Where nothing missed, a miss has no price that could be told.
    let b = if more > 0.01 { ((cpu(last) - cpu(first)) / more).max(0.0) } else { 0.0 };
    let own = costs.verify.0.cpu_us_per_request / cpu(first).max(f64::MIN_POSITIVE);
    let a = (cpu(first) - b * share(first)).max(0.0) * own;
    Some(Fit {
        method,
        verify: [a, b],
        login: costs.login,
        refresh: costs.refresh,
        spread: costs.verify.0.spread,
        state: known.state.get(index).copied().unwrap_or_default(),
        wire: known.wire.get(index).copied().unwrap_or_default(),
    })
}

fn test(known: &Known<'_>, fit: &Fit) -> Vec<Prediction> {
    let mut tests = Vec::new();
    let mut add = |what: &str, live_sessions: Option<usize>, predicted: f64, measured: f64, unit: &str| {
        let (method, what, unit) = (fit.method, what.to_owned(), unit.to_owned());
        tests.push(Prediction { method, what, live_sessions, predicted, measured, unit });
    };
    let growth: Vec<&Growth> = known.growth.iter().filter(|growth| growth.method == fit.method).collect();
    if growth.len() > 2 {
        for growth in &growth[1..growth.len() - 1] {
            let missed = misses(growth.live_sessions as f64, known.cache as f64);
            add("verification", Some(growth.live_sessions), fit.verify(missed), growth.verify.cpu_us_per_request, "µs");
        }
    }
    for mixture in known.mixtures.iter().filter(|mixture| mixture.method == fit.method) {
        let [verifications, logins, renewals] = mixture.counts.map(|count| count as f64);
        let renewal = fit.refresh.map_or(0.0, |(cost, _)| cost.cpu_us_per_request);
        let predicted = verifications * fit.verify(0.0) + logins * fit.login.0.cpu_us_per_request + renewals * renewal;
        add("everything_at_once", None, predicted / 1000.0, mixture.cpu_us / 1000.0, "ms");
    }
    tests
}

fn terms(fit: &Fit) -> Vec<Term> {
    let about = |value: f64| Estimate { value, low: value * (1.0 - fit.spread), high: value * (1.0 + fit.spread) };
    let term = |name: &str, value| Term { method: fit.method, name: name.to_owned(), value };
    let mut terms = vec![
        term("cpu_us_per_verification", about(fit.verify[0])),
        term("cpu_us_per_miss", about(fit.verify[1])),
        term("cpu_us_per_login", fit.login.1),
        term("state_bytes_per_login", Estimate::exact(fit.state)),
        term("wire_bytes_per_request", Estimate::exact(fit.wire[0])),
    ];
    if let Some((_, refresh)) = fit.refresh {
        terms.push(term("cpu_us_per_refresh", refresh));
        terms.push(term("wire_bytes_per_refresh", Estimate::exact(fit.wire[1])));
    }
    terms
}

fn extrapolate(fit: &Fit, live: u64, case: &Case, error: f64) -> Extrapolation {
    let times = live as f64 / (case.live_sessions as f64).max(1.0);
    let requests = case.requests_per_second * times;
    let logins = case.logins_per_second * times;
    // A fact, and an access token, live equally long: by then each session's next request is news to the server.
    let news = at_most_every(live as f64, requests, TOKEN_LIFE.as_secs_f64(), 1.0);
    let known = if requests > 0.0 { 1.0 - news / requests } else { 1.0 };
    let missed = 1.0 - known * (1.0 - misses(live as f64, CACHE));
    let renewed = fit.refresh.map_or(0.0, |_| news);
    let refresh = fit.refresh.map_or(0.0, |(cost, _)| cost.cpu_us_per_request);
    let cpu = requests * fit.verify(missed) + logins * fit.login.0.cpu_us_per_request + renewed * refresh;
    // Each login, renewal and look-up is one; so is each look at the head of the log, which no size changes.
    let looked_up = if fit.method.has_tokens() { 0.0 } else { requests * missed };
    let kept = if fit.method.keeps_record() { logins + renewed } else { 0.0 };
    let wire = requests * fit.wire[0] + renewed * fit.wire[1];
    let about = |value: f64| Estimate { value, low: value * (1.0 - error).max(0.0), high: value * (1.0 + error) };
    Extrapolation {
        method: fit.method,
        live_sessions: live,
        requests_per_second: requests,
        cpu_cores: about(cpu / 1_000_000.0),
        wire_bytes_per_second: wire,
        store_operations_per_second: about(looked_up + kept),
        state_bytes: about(fit.state * live as f64),
        egress_per_month: wire * SECONDS_A_MONTH / GIGABYTE * case.egress_price_per_gb,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_goes_on_where_the_sum_ends() {
        let exact: f64 = (1..=200_000_u32).map(|rank| f64::from(rank).powf(-EXPONENT)).sum();
        assert!((harmonic(200_000.0) / exact - 1.0).abs() < 1e-4);
        assert!((harmonic(3.0) - (1.0 + 2_f64.powf(-EXPONENT) + 3_f64.powf(-EXPONENT))).abs() < 1e-12);
    }

    #[test]
    fn a_cache_that_holds_all_misses_nothing_and_a_small_one_ever_more() {
        assert!(misses(CACHE, CACHE).abs() < 1e-12);
        let shares: Vec<f64> = [1e6, 1e7, 1e9].into_iter().map(|live| misses(live, CACHE)).collect();
        assert!(shares.windows(2).all(|pair| pair[0] < pair[1]) && shares[2] < 1.0, "{shares:?}");
    }
}
