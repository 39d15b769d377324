//! A real Chromium, driven through a pair of pipes by the protocol of its developer tools.
//!
//! The crates that speak the protocol bring tens of thousands of generated lines and a port that any program of this machine could
//! use; what is needed here is a dozen commands. Through pipes nobody else can join in.

mod page;
mod pipe;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::plan::Trouble;
pub(super) use page::{Page, Tab};
use pipe::Pipe;

/// A browser that runs; it ends with this.
pub(super) struct Browser {
    // Both end with it, in this order.
    _child: Child,
    _profile: TempDir,
    pipe: Arc<Pipe>,
}

/// What it may be called.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FLAGS: [&str; 18] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-component-extensions-with-background-pages",
    "--disable-default-apps",
    "--disable-client-side-phishing-detection",
    "--disable-features=Translate,MediaRouter,OptimizationHints,AcceptCHFrame,DialMediaRouteProvider",
    "--mute-audio",
    "--hide-scrollbars",
    "--window-size=800,500",
    // The names of the story are on this machine, and no other name is anywhere.
    "--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// The browser, if one is installed.
pub(super) fn installed() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let found = |name: &&str| env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    NAMES.iter().find_map(found)
}

impl Browser {
    /// Starts it with a profile of its own. Of certificates that nobody vouches for it takes those with that public key.
    pub(super) async fn start(program: &Path, spki: &str) -> Result<Self, Trouble> {
        let profile = TempDir::new()?;
        // Files 3 and 4 are the protocol's; a shell can give them, where this language would need `unsafe`.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#]).arg(program).args(FLAGS);
        command.arg(format!("--ignore-certificate-errors-spki-list={spki}"));
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        // Cookies go to other sites' frames and pictures too, as in browsers whose owners want it so.
        let settings = json!({ "profile": { "cookie_controls_mode": 0, "block_third_party_cookies": false } });
        fs::create_dir(profile.path().join("Default"))?;
        fs::write(profile.path().join("Default/Preferences"), settings.to_string())?;
        // What Chromium keeps outside of its profile goes there too.
        for (name, dir) in [("XDG_CONFIG_HOME", "config"), ("XDG_CACHE_HOME", "cache")] {
            let dir = profile.path().join(dir);
            fs::create_dir(&dir)?;
            command.env(name, dir);
        }
        // Root's processes have no sandbox to go into.
        if rustix::process::geteuid().is_root() {
            command.arg("--no-sandbox");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the browser has no pipes".into());
        };
        let browser = Self { _child: child, _profile: profile, pipe: Arc::new(Pipe::new(to, from)) };
        browser.pipe.ask(None, "Browser.getVersion", json!({})).await?;
        Ok(browser)
    }

    /// A page in a profile that shares nothing with any other.
    pub(super) async fn page(&self) -> Result<Page, Trouble> {
        Page::open_in(&self.pipe).await
    }
}
