//! The figures, each in a file of its own: what it shows, the sentence that says what to see, and the same as a table.
//!
//! A figure without data is not there.

mod cost;
mod ending;
mod growth;
mod model;
mod survival;
mod theft;
mod wire;

use std::io;

use cloakroom_core::method::Method;

pub(super) use self::theft::unnoticed;
use super::{
    document::{Figure, Line, Table},
    words::Words,
};
use crate::compare::Comparison;

/// All that there is something to see in.
pub(super) fn all(comparison: &Comparison, words: Words) -> io::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    figures.extend(cost::figure(comparison, words)?);
    figures.extend(wire::figure(comparison, words)?);
    figures.extend(ending::figure(comparison, words)?);
    figures.extend(theft::figure(comparison, words)?);
    figures.extend(survival::figure(comparison, words)?);
    figures.extend(growth::figures(comparison, words)?);
    figures.extend(model::tested(comparison, words)?);
    figures.extend(model::extrapolated(comparison, words)?);
    Ok(figures)
}

/// A figure; its table is captioned with its title.
fn figure(
    id: &'static str,
    title: String,
    sentence: String,
    svg: String,
    (heads, rows): (Vec<String>, Vec<Line>),
) -> Figure {
    Figure { id, table: Table::plain(format!("{id}-table"), title.clone(), heads, rows), title, sentence, svg }
}

/// The methods of some items, each once, in the order of the documentation.
fn methods_of(found: impl Iterator<Item = Method>) -> Vec<Method> {
    let found: Vec<Method> = found.collect();
    Method::ALL.into_iter().filter(|method| found.contains(method)).collect()
}

/// Items of one kind after the other, in the order in which the kinds come first.
pub(super) fn grouped<T, K: PartialEq>(items: &[T], kind: impl Fn(&T) -> K) -> Vec<(K, Vec<&T>)> {
    let mut groups: Vec<(K, Vec<&T>)> = Vec::new();
    for item in items {
        let of = kind(item);
        match groups.iter_mut().find(|(known, _)| *known == of) {
            Some((_, members)) => members.push(item),
            None => groups.push((of, vec![item])),
        }
    }
    groups
}
