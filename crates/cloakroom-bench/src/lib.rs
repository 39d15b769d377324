//! The benchmarks, each beside its baseline in one run, as `scripts/bench` calls them.
//!
//! Servers run in processes of their own on one core (`cloakroom_lab::subject`, `baseline`), the load comes from another
//! (`cloakroom_lab::load`), and rounds of all that is compared alternate (`rounds`), so that what the machine does meanwhile falls on all alike. An operation of
//! `ops` says what is compared and by which bound; `report` prints whether that was met.

mod baseline;
mod cli;
mod ops;
mod process;
mod report;
mod rounds;

pub use cli::main;
pub use ops::in_process::main as in_process_main;
