//! The laboratory: real servers, each a process of its own, what is done to them over HTTP, and what that showed.
//!
//! `compare` measures the methods on one's own `case`, and `advise` decides by it; `attack` tries to break in. Below them, `subject` starts servers that are filled before they answer, `load` asks them, `stopwatch` says what they have used, and
//! `stats` says how sure that is.

// It is part of the deployed program: a line that cannot be written must not panic.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod advise;
pub mod attack;
pub mod call;
pub mod case;
pub mod compare;
mod file;
pub mod language;
pub mod load;
mod messages;
pub mod relay;
pub mod rig;
pub mod stats;
pub mod stopwatch;
pub mod stores;
pub mod subject;
