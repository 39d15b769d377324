//! Scripts: what must happen to a key in one piece. A server knows a script by its digest once it was sent; so it is sent
//! whole only to one that does not.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use data_encoding::HEXLOWER;
use redis::{Cmd, cmd};

use super::{
    error::Failure,
    route::{Answer, Route},
};

/// A script that reads and writes one key.
pub(super) struct Script {
    text: &'static str,
    digest: String,
}

/// Changes a record.
pub(super) static WRITE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("write.lua")));
/// Removes a value that was found to be none.
pub(super) static DISCARD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("discard.lua")));
/// Reads a record with the time.
pub(super) static FIND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("find.lua")));
/// Moves a mark on.
pub(super) static ADVANCE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("advance.lua")));
/// Sets a mark back.
pub(super) static TAKE_BACK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take_back.lua")));
/// Adds to a list of devices.
pub(super) static LIST: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("list.lua")));

impl Script {
    fn new(text: &'static str) -> Self {
        // What Redis calls it, and nothing that security depends on.
        let digest = HEXLOWER.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref());
        Self { text, digest }
    }

    /// Runs it on a key.
    pub(super) async fn run(&self, route: &Arc<Route>, key: &[u8], arguments: &[&[u8]]) -> Result<Answer, Failure> {
        match route.ask(key, &command("EVALSHA", &self.digest, key, arguments)).await {
            Err(failure) if failure.code() == Some("NOSCRIPT") => {
                route.ask(key, &command("EVAL", self.text, key, arguments)).await
            }
            answer => answer,
        }
    }
}

fn command(verb: &str, script: &str, key: &[u8], arguments: &[&[u8]]) -> Cmd {
    let mut command = cmd(verb);
    command.arg(script).arg(1).arg(key);
    for argument in arguments {
        command.arg(*argument);
    }
    command
}
