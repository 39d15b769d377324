//! The public contract over HTTP, against a running server; one file a subject. The server's first hostile user.

mod accounts;
mod audit;
mod cross_site;
mod exchange;
mod forward_auth;
mod guard;
mod headers;
mod jwks;
mod keys;
mod kinds;
mod lab;
mod limits;
mod login;
mod logout;
mod oauth;
mod openapi;
mod operations;
mod pages;
mod redis;
mod refresh;
mod remote;
mod revocations;
mod secrets;
mod sessions;
mod settings;
mod verify;
