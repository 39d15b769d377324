//! The harness: a data directory, the real binary, and a real server on it.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, mpsc},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

/// A data directory and an environment.
pub(crate) struct Bench {
    dir: TempDir,
    data: PathBuf,
    env: Vec<(String, String)>,
}

/// What a run of the binary came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_data("data")
    }

    /// With a data directory of this path.
    pub(crate) fn with_data(path: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join(path);
        // The least that is taken, so that hashing is quick.
        let env = [("PASSWORD__MEMORY_KIB", "7168"), ("PASSWORD__PASSES", "5"), ("PASSWORD__THREADS", "2")];
        let env = env.map(|(name, value)| (format!("CLOAKROOM_{name}"), value.to_owned())).into();
        Self { dir, data, env }
    }

    /// With another variable, or another value of it.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
    }

    pub(crate) fn unset(&mut self, name: &str) {
        self.env.retain(|(known, _)| known != name);
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// A file beside the data directory.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloakroom"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CLOAKROOM_") {
                command.env_remove(name);
            }
        }
        command.args(args).arg("--data-dir").arg(&self.data).envs(self.env.iter().map(|(n, v)| (n, OsStr::new(v))));
        command.current_dir(self.dir.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, "")
    }

    /// With this on its standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Run {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Who does not read it closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let done = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
    }

    /// Runs it with `--json`, and reads the answer.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        self.json_with(args, "")
    }

    pub(crate) fn json_with(&self, args: &[&str], input: &str) -> Value {
        let run = self.run_with(&[args, &["--json"]].concat(), input);
        assert_eq!(run.code, 0, "{args:?}: {}", run.err);
        assert_eq!(run.err, "", "{args:?}");
        serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{args:?}: {}", run.out))
    }

    /// Runs it with `--json`, and reads the exit status and the error's code.
    pub(crate) fn refusal(&self, args: &[&str]) -> (i32, String) {
        let run = self.run(&[args, &["--json"]].concat());
        assert_eq!(run.out, "", "{args:?}");
        let error: Value = serde_json::from_str(&run.err).unwrap_or_else(|_| panic!("{args:?}: {}", run.err));
        assert!(error["error"]["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{error}");
        (run.code, error["error"]["code"].as_str().unwrap().to_owned())
    }

    pub(crate) fn add(&self, email: &str) -> String {
        let added = self.json_with(&["account", "add", email, "--password-stdin"], PASSWORD);
        added["account"]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn serve(&self) -> Server {
        self.serve_logging_to(Stdio::piped())
    }

    /// With its standard error stream going there.
    pub(crate) fn serve_logging_to(&self, log: impl Into<Stdio>) -> Server {
        Server::start(self.command(&["serve", "--listen", "127.0.0.1:0", "--json"]), log.into())
    }
}

/// What every account here has.
pub(crate) const PASSWORD: &str = "violet-kettle-march-71";

impl Run {
    pub(crate) fn code_of_error(&self) -> String {
        serde_json::from_str::<Value>(&self.err).unwrap()["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// A server that is stopped when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Mutex<mpsc::Receiver<String>>,
}

impl Server {
    fn start(mut command: Command, log: Stdio) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let (lines, log) = mpsc::channel();
        if let Some(stderr) = child.stderr.take().map(BufReader::new) {
            std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        }
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap_or_else(|_| {
            let _ = child.kill();
            panic!("no server: {:?}", log.iter().collect::<Vec<_>>())
        });
        Self { child, address: ready["listen"].as_str().unwrap().parse().unwrap(), log: Mutex::new(log) }
    }

    /// Stops it as an init system does.
    pub(crate) fn stop(mut self) -> (ExitStatus, Vec<String>) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        let log = self.log.lock().unwrap().iter().collect();
        (status, log)
    }

    /// Lets it crash.
    pub(crate) fn crash(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn login(&self, email: &str, app: &str) -> Value {
        let body = serde_json::json!({ "email": email, "password": PASSWORD, "app": app });
        let (status, answer) = self.call("POST", "/v1/login", "", &body.to_string());
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// The status of a verification with an access token.
    pub(crate) fn verify(&self, token: &Value) -> u16 {
        let header = format!("Authorization: Bearer {}\r\n", token.as_str().unwrap());
        self.call("GET", "/v1/verify", &header, "").0
    }

    pub(crate) fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let port = self.address.port();
        let length = body.len();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nContent-Length: {length}\r\n{kind}{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
