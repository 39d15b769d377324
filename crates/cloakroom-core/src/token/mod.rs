//! Access tokens: short-lived signed JWTs (RFC 9068 profile), made and checked strictly.

mod algorithm;

pub use algorithm::Algorithm;
