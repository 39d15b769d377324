//! `cloakroom compare`: the four methods measured on one's own case.
//!
//! `run` goes through the work as `plan` says, and `course` knows how far it is: a `rig` (servers with their stores) is built, filled and measured (`cost`, `state`, `ending`),
//! copied credentials are tried (`theft`), things are killed (`survival`), bytes are counted (`wire`), and a `model` is fitted and tested. `report` makes
//! of what was found what people read.

mod cost;
mod course;
mod ending;
mod extent;
mod machine;
mod model;
mod person;
mod plan;
pub mod report;
mod result;
mod run;
mod series;
mod state;
mod survival;
mod theft;
pub mod wire;

pub use crate::rig::{Store, Topology};
pub use course::Progress;
pub use extent::Extent;
pub use result::*;
pub use run::{DEFAULT_OUT, Options, methods, run};
