//! The laboratory with this program's own servers.

mod compare;
