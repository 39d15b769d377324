//! The HTTP face of Cloakroom: it turns requests into calls of the domain and the domain's answers into responses.

pub mod config;
pub mod pages;
pub mod http;
