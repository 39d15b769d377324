//! The public contract over HTTP, against a running server; one file a subject. The server's first hostile user.

mod accounts;
mod cross_site;
mod forward_auth;
mod guard;
mod jwks;
mod lab;
mod login;
mod logout;
mod oauth;
mod pages;
mod refresh;
mod revocations;
mod sessions;
mod verify;
