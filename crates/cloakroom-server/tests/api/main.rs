//! The public contract over HTTP, against a running server; one file a subject. The server's first hostile user.

mod accounts;
mod forward_auth;
mod lab;
mod login;
mod verify;
