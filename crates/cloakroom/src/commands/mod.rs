//! One file for each noun of the command line.

pub(crate) mod account;
pub(crate) mod advise;
pub(crate) mod attack;
pub(crate) mod audit;
pub(crate) mod backup;
mod case;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod key;
pub(crate) mod serve;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod store;
pub(crate) mod token;
