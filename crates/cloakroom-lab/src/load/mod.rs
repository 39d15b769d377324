//! The load: keep-alive connections over which requests are written as they are, and answers are read as far as they
//! must be.
//!
//! One thread and one epoll; no async runtime, whose timers step in milliseconds and whose wake-ups would cost as much as
//! the request. In the closed loop each connection asks again when it is answered. In the open loop requests have a
//! schedule, and a latency counts from when a request was due, so that a server that stalls cannot hide what waited
//! meanwhile (no coordinated omission).

mod client;
mod requests;
mod response;

pub use client::{Client, Pace, Sample};
pub use requests::{Lines, Order, Requests, Route};
pub use response::{Head, parse_head};
