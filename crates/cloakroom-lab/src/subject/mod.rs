//! Servers that are looked at: this program again, in a process of its own, which fills its stores through their ports, says
//! on one line where it listens, and goes on until its standard input ends.

mod control;
mod filled;
mod process;
mod seed;

pub use control::{Ready, hear, say, words};
pub use filled::{SubjectArgs, serve};
pub use process::{Process, count, start};
pub use seed::{ADDRESSES, PASSWORD, Seeder, email};
