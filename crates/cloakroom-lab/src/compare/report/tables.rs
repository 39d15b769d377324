//! The tables: each method with its best store first, then everything.

use cloakroom_core::method::Method;

use super::{
    choice::best,
    difference::{Difference, interval, noise},
    document::{Cell, Column, Group, Line, Table},
    figures::unnoticed,
    numbers::{NOTHING, bytes, micros, millis, number, percent, seconds, times},
    words::Words,
};
use crate::compare::{Comparison, Cost, Row, WirePage};

/// One column a method, one row a question.
pub(super) fn summary(comparison: &Comparison, words: Words) -> Table {
    let rows: Vec<&Row> = Method::ALL.into_iter().filter_map(|method| best(comparison, method)).collect();
    let session = rows.iter().find(|row| row.method == Method::Session).copied();
    let against = Against { session, noise: noise(comparison.machine.noise), words };
    let line = |key: &str, cell: &dyn Fn(&Row) -> Cell| Line::new(words.say(key), rows.iter().map(|row| cell(row)));
    let lines = vec![
        line("row-place", &|row| words.place(row.store, row.topology).into()),
        line("row-verify", &|row| against.cell(row, |row| Some(row.verify))),
        line("row-verify-p99", &|row| micros(row.verify.p99_us).into()),
        line("row-login", &|row| against.cell(row, |row| Some(row.login))),
        line("row-refresh", &|row| against.cell(row, |row| row.refresh)),
        line("row-operations", &|row| number(row.store_operations_per_1000).into()),
        line("row-state", &|row| kept(row).into()),
        line("row-wire", &|row| sent(row.wire.credential_bytes).into()),
        line("row-lag", &|row| millis(row.end_lag_ms.max, words).into()),
        line("row-theft", &|row| seconds(row.theft_window_s, words).into()),
        line("row-unnoticed", &|row| {
            unnoticed(comparison, row.method, words).unwrap_or_else(|| NOTHING.to_owned()).into()
        }),
        line("row-refusals", &|row| number(row.wrong_refusals_per_1000).into()),
    ];
    let mut columns = Column::numbers(vec![words.say("column-question")]);
    columns.extend(rows.iter().map(|row| {
        let chosen = comparison.verdict.recommended == Some(row.method);
        let name = row.method.name();
        let head = if chosen { words.with("recommended", [("method", name)]) } else { name.to_owned() };
        let mut column = Column::words(vec![head]).remove(0);
        column.chosen = chosen;
        column
    }));
    let lines = if rows.is_empty() { Vec::new() } else { lines };
    let groups = vec![Group { title: None, rows: lines }];
    Table { id: "table-summary".to_owned(), caption: words.say("summary-caption"), columns, groups }
}

/// CPU time, beside a session's in the same place.
pub(super) fn costs(comparison: &Comparison, words: Words) -> Table {
    let noise = noise(comparison.machine.noise);
    let heads = words.all([
        "column-method",
        "column-verify-cpu",
        "column-against",
        "column-verify-rate",
        "column-operations",
        "column-login-cpu",
        "column-against",
        "column-refresh-cpu",
    ]);
    let line = |row: &Row, all: &[&Row]| {
        let session = all.iter().find(|row| row.method == Method::Session).copied();
        let against = Against { session, noise, words };
        let cells = [
            spread(row.verify),
            against.said(row, |row| Some(row.verify)),
            number(row.verify.requests_per_second).into(),
            number(row.store_operations_per_1000).into(),
            spread(row.login),
            against.said(row, |row| Some(row.login)),
            row.refresh.map_or_else(|| nothing().into(), spread),
        ];
        Line::new(row.method.name().to_owned(), cells)
    };
    whole(comparison, "table-costs", words.say("costs-caption"), heads, line, words)
}

/// Times until the answer.
pub(super) fn latencies(comparison: &Comparison, words: Words) -> Table {
    let heads = words.all([
        "column-method",
        "column-verify-p50",
        "column-p90",
        "column-p99",
        "column-p999",
        "column-refresh-p50",
        "column-p99",
        "column-login-p50",
        "column-p99",
    ]);
    let line = |row: &Row, _: &[&Row]| {
        let (verify, login) = (row.verify, row.login);
        let refresh = row.refresh.map_or([f64::NAN; 2], |cost| [cost.p50_us, cost.p99_us]);
        let times = [verify.p50_us, verify.p90_us, verify.p99_us, verify.p999_us];
        let times = times.into_iter().chain(refresh).chain([login.p50_us, login.p99_us]);
        Line::new(row.method.name().to_owned(), times.map(micros))
    };
    whole(comparison, "table-latencies", words.say("latencies-caption"), heads, line, words)
}

/// What is kept, and what is accepted or refused.
pub(super) fn behaviour(comparison: &Comparison, words: Words) -> Table {
    let heads = words.all([
        "column-method",
        "column-kept",
        "column-refusals",
        "column-lag-half",
        "column-lag-99",
        "column-lag-all",
        "column-theft",
    ]);
    let line = |row: &Row, _: &[&Row]| {
        let lag = row.end_lag_ms;
        let lags = [lag.p50, lag.p99, lag.max].map(|lag| millis(lag, words));
        let first = [kept(row), number(row.wrong_refusals_per_1000)];
        let cells = first.into_iter().chain(lags).chain([seconds(row.theft_window_s, words)]);
        Line::new(row.method.name().to_owned(), cells)
    };
    whole(comparison, "table-behaviour", words.say("behaviour-caption"), heads, line, words)
}

/// Bytes, and what they cost.
pub(super) fn wire(comparison: &Comparison, words: Words) -> Table {
    let heads = words.all([
        "column-method",
        "column-credential",
        "column-login-answer",
        "column-refresh-answer",
        "column-page-http1",
        "column-page-http2",
        "column-million-http1",
        "column-million-http2",
        "column-money",
    ]);
    let line = |page: &WirePage| {
        let told = |count: u64| bytes(count as f64);
        let cells = [
            told(page.request.credential_bytes),
            told(page.login_answer_bytes),
            page.refresh_answer_bytes.map_or_else(nothing, told),
            told(page.page_of_30[0]),
            told(page.page_of_30[1]),
            told(page.per_million_requests[0]),
            told(page.per_million_requests[1]),
            page.money_per_million_requests.map(number).join(" / "),
        ];
        Line::new(page.method.name().to_owned(), cells)
    };
    Table::plain("table-wire".to_owned(), words.say("wire-caption"), heads, comparison.wire.iter().map(line).collect())
}

/// All rows, those of one place together.
fn whole(
    comparison: &Comparison,
    id: &str,
    caption: String,
    heads: Vec<String>,
    line: impl Fn(&Row, &[&Row]) -> Line,
    words: Words,
) -> Table {
    let groups = super::figures::grouped(&comparison.rows, |row| (row.topology, row.store)).into_iter();
    let groups = groups.map(|((topology, store), rows)| Group {
        title: Some(words.place(store, topology)),
        rows: rows.iter().map(|row| line(row, &rows)).collect(),
    });
    Table { id: id.to_owned(), caption, columns: Column::numbers(heads), groups: groups.collect() }
}

/// What others are held against.
struct Against<'r> {
    session: Option<&'r Row>,
    noise: f64,
    words: Words,
}

impl Against<'_> {
    /// A cost, with how it compares.
    fn cell(&self, row: &Row, cost: impl Fn(&Row) -> Option<Cost>) -> Cell {
        let Some(own) = cost(row) else { return nothing().into() };
        let value = micros(own.cpu_us_per_request);
        match self.difference(row, cost) {
            Some(Difference::Seen(ratio)) => {
                Cell::noted(value, self.words.with("against-session", [("times", &times(ratio))]))
            }
            Some(Difference::NotSeen) => Cell::noted(value, self.words.say("no-difference")),
            None => value.into(),
        }
    }

    /// How it compares, in a column that says with what.
    fn said(&self, row: &Row, cost: impl Fn(&Row) -> Option<Cost>) -> Cell {
        let said = match self.difference(row, cost) {
            Some(Difference::Seen(ratio)) => times(ratio),
            Some(Difference::NotSeen) => self.words.say("no-difference"),
            None => nothing(),
        };
        said.into()
    }

    /// Nothing for a session itself, and where a session has no such cost.
    fn difference(&self, row: &Row, cost: impl Fn(&Row) -> Option<Cost>) -> Option<Difference> {
        let session = self.session.filter(|_| row.method != Method::Session)?;
        Some(Difference::between(&cost(row)?, &cost(session)?, self.noise))
    }
}

fn spread(cost: Cost) -> Cell {
    let value = micros(cost.cpu_us_per_request);
    match interval(&cost) {
        Some(_) => Cell::noted(value, format!("± {}", percent(cost.spread))),
        None => value.into(),
    }
}

fn kept(row: &Row) -> String {
    row.state_bytes_per_login.map_or_else(nothing, bytes)
}

fn sent(count: u64) -> String {
    if count == 0 { nothing() } else { bytes(count as f64) }
}

fn nothing() -> String {
    NOTHING.to_owned()
}
