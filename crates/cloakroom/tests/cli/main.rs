//! The command line at its public face: the real binary, alone and beside a real server.

mod advise;
mod backup;
mod bench;
mod log;
mod offline;
mod postgres;
mod redis;
mod rewrap;
mod server;
mod store;
mod token;
mod unwell;
