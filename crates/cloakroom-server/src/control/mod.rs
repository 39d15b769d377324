//! What operators do from the command line: typed commands, and the private socket that carries them to a running server.
//!
//! A server answers on `control.sock` in its data directory (mode 0600, its own user and root only): one request is one
//! line of JSON, one answer is one line of JSON, sizes and times are bounded. Without a server the command line opens the
//! store itself and calls the same [`Control::execute`], so that both ways do the same.

mod command;
mod error;
mod execute;
mod rewrap;
mod socket;
mod views;
mod wire;

pub use command::{Command, Hidden, Which};
pub use error::CommandError;
pub use execute::{Control, Serving};
pub use rewrap::{Pending, Place, pending};
pub use socket::{Socket, SocketError};
pub use wire::{AskError, ask};

/// The socket's name in the data directory.
pub const SOCKET: &str = "control.sock";
