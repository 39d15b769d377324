//! A Redis server, or a Valkey server.

use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use cloakroom_core::random::Rng;
use data_encoding::BASE32_NOPAD;
use percent_encoding::percent_decode_str;
use tempfile::TempDir;
use url::Url;

use super::{await_ready, end, free_port, on_path};

/// A Redis server of our own that writes each change to the disk before it answers, and is gone when this is dropped; or somebody's,
/// in which what was written is gone then.
pub struct Redis {
    /// What servers are told; each adds its keys' prefix.
    door: Url,
    /// What all keys begin with.
    prefix: String,
    own: Option<Own>,
}

/// What was started for it.
struct Own {
    program: PathBuf,
    dir: TempDir,
    port: u16,
    child: Child,
}

/// Forgets keys that match, some thousand at a time; answers where to go on.
const FORGET: &str = "local found = redis.call('SCAN', ARGV[2], 'MATCH', ARGV[1], 'COUNT', 1000) \
    for _, key in ipairs(found[2]) do redis.call('UNLINK', key) end return found[1]";

impl Redis {
    /// Where it is on this machine.
    pub fn installed() -> Option<PathBuf> {
        on_path("redis-server").or_else(|| on_path("valkey-server"))
    }

    /// Starts an empty one.
    pub fn start(program: PathBuf) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("cloakroom-lab-").tempdir()?;
        let port = free_port()?;
        let child = run(&program, dir.path(), port)?;
        let door = Url::parse(&format!("redis://127.0.0.1:{port}")).map_err(io::Error::other)?;
        Ok(Self { door, prefix: String::new(), own: Some(Own { program, dir, port, child }) })
    }

    /// One that somebody has. Keys in it have a prefix of their own, and are taken out in the end; it is never killed.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn given(door: Url) -> io::Result<Self> {
        // A prefix has 12 characters at most: 40 bits of chance, and the number of a rig.
        let prefix = BASE32_NOPAD.encode(&Rng::system().bytes::<5>());
        let given = Self { door, prefix, own: None };
        let told = given.ask(&["PING"])?;
        if told.contains("PONG") { Ok(given) } else { Err(io::Error::other(told.trim().to_owned())) }
    }

    /// Reads the URL of one that may be [given](Self::given): a single server, without TLS.
    ///
    /// # Errors
    /// What it must be; without what it is, which may be secret.
    pub fn url(text: &str) -> Result<Url, &'static str> {
        let url = Url::parse(text).ok().filter(|url| url.scheme() == "redis" && url.has_host());
        let url = url.filter(|url| !text.contains(',') && matches!(url.path(), "" | "/") && url.query().is_none());
        url.ok_or("it is no URL as redis://USER:PASSWORD@HOST:PORT of a single server")
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.door.port().unwrap_or(6379)
    }

    /// An address whose keys are apart from those of others.
    pub fn address(&self, name: &str) -> String {
        let mut url = self.door.clone();
        url.set_query(Some(&format!("prefix={}{}:", self.prefix, name.trim_start_matches("rig"))));
        url.into()
    }

    /// Bytes that its data takes; all of it, whoever else writes there.
    pub fn used(&self) -> io::Result<u64> {
        let told = self.ask(&["INFO", "memory"])?;
        let used = told.lines().find_map(|line| line.strip_prefix("used_memory:"));
        used.and_then(|used| used.trim().parse().ok())
            .ok_or_else(|| io::Error::other("Redis does not say what it uses"))
    }

    /// Kills it, if it is our own.
    pub fn kill(&mut self) {
        if let Some(own) = &mut self.own {
            end(&mut own.child);
        }
    }

    /// Starts it again with what it has.
    pub fn revive(&mut self) -> io::Result<()> {
        if let Some(own) = &mut self.own {
            own.child = run(&own.program, own.dir.path(), own.port)?;
        }
        Ok(())
    }

    /// What a command answers, as it came; answers of up to some thousand bytes.
    fn ask(&self, command: &[&str]) -> io::Result<String> {
        let text = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let login = self.door.password().map(|password| {
            let user = Some(text(self.door.username())).filter(|user| !user.is_empty());
            let words = [Some("AUTH".to_owned()), user, Some(text(password))];
            words.into_iter().flatten().collect::<Vec<_>>()
        });
        let login: Vec<&str> = login.iter().flatten().map(String::as_str).collect();
        let host = self.door.host_str().unwrap_or_default().trim_matches(['[', ']']);
        tell((host, self.port()), &[&login, command])
    }

    fn forget(&self) {
        let (pattern, mut cursor) = (format!("{}*", self.prefix), "0".to_owned());
        loop {
            let Ok(told) = self.ask(&["EVAL", FORGET, "0", &pattern, &cursor]) else { return };
            // A bulk string: its length, and on the next line where to go on.
            match told.lines().skip_while(|line| !line.starts_with('$')).nth(1) {
                None | Some("0") => return,
                Some(next) => next.clone_into(&mut cursor),
            }
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        match &mut self.own {
            Some(own) => end(&mut own.child),
            None => self.forget(),
        }
    }
}

fn run(program: &Path, dir: &Path, port: u16) -> io::Result<Child> {
    let log = dir.join("log");
    let out = fs::File::create(&log)?;
    let mut command = Command::new(program);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]).arg(dir).process_group(0);
    command.args(["--maxmemory-policy", "noeviction", "--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
    let mut child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()?;
    // It listens before it has read what it has.
    await_ready(&mut child, &log, || {
        tell(("127.0.0.1", port), &[&["PING"]]).is_ok_and(|told| told.starts_with("+PONG"))
    })?;
    Ok(child)
}

/// What commands answer, as it came; an empty one is passed over.
fn tell(at: (&str, u16), commands: &[&[&str]]) -> io::Result<String> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    for command in commands.iter().chain([&["QUIT"][..]].iter()).filter(|command| !command.is_empty()) {
        write!(stream, "*{}\r\n", command.len())?;
        for word in *command {
            write!(stream, "${}\r\n{word}\r\n", word.len())?;
        }
    }
    let mut told = String::new();
    stream.read_to_string(&mut told)?;
    Ok(told)
}
