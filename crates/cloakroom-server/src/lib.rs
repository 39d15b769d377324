//! Cloakroom's server: the domain of `cloakroom-core`, with a face of HTTP.
//!
//! [`config`] is read and checked whole; [`assemble`] makes an engine of it; [`run`] serves it. Requests pass through
//! [`http`] (connections, credentials, cookies, the cross-site rule) to the handlers of the API and of the web pages.

// A line that cannot be written must not panic, and a task must not die unseen.
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr))]

mod api;
pub mod assemble;
pub mod config;
pub mod control;
pub mod explain;
mod feed;
pub mod handover;
pub mod http;
pub mod log;
mod metrics;
pub mod pages;
pub mod returns;
pub mod run;
pub mod state;
mod telemetry;
mod web;

pub use run::{ServeError, Server, serve};
