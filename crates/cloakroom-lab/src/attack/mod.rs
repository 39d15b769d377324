//! `attack`: tries to break in, first at a deliberately careless login, where each attack must succeed, then at Cloakroom by each
//! method.
//!
//! An attack is a short file below `attacks`; it declares beforehand what should come of it (`plan`), and `judge` compares. A `stage`
//! is what it finds set up: a `target`, which is a login of `careless` or the real server of `cloakroom`, the attacker's sites in
//! `places`, and a real `browser`. `report` shows what came of all of them.

mod attacks;
mod browser;
mod careless;
mod cloakroom;
mod http;
mod judge;
mod places;
mod plan;
mod report;
mod run;
mod stage;
mod target;
mod tls;

pub use judge::Outcome;
pub use plan::Family;
pub use report::{AttackRow, LeftOut, Picture, Report, TryRow};
pub use run::{Options, RunError, names, run};
