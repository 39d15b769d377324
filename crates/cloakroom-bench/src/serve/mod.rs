//! The servers that are measured, each in a process of its own: it pins itself, starts, says on one line where it listens,
//! and goes on until its standard input ends.

mod baseline;
mod control;
mod seed;
mod subject;

pub(crate) use baseline::{BaselineArgs, baseline};
pub(crate) use control::{Ready, hear};
pub(crate) use seed::{ADDRESSES, PASSWORD, Seeder, email};
pub(crate) use subject::{SubjectArgs, subject};
