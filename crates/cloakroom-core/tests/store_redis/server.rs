//! Real servers for the tests: started on free ports with a directory of their own, and stopped when they are dropped.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::{ConnectionLike, Value};
use tempfile::TempDir;

/// A server process.
pub(crate) struct Server {
    pub(crate) port: u16,
    process: Option<Child>,
    arguments: Vec<String>,
    directory: TempDir,
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// A server in memory, with more arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let port = free_port();
        let mut all = vec![
            "--port".to_owned(),
            port.to_string(),
            "--bind".to_owned(),
            "127.0.0.1".to_owned(),
            "--dir".to_owned(),
            directory.path().to_str().unwrap().to_owned(),
            "--save".to_owned(),
            String::new(),
        ];
        all.extend(arguments.iter().map(ToString::to_string));
        let mut server = Self { port, process: None, arguments: all, directory };
        server.resume();
        server
    }

    /// A server that writes an append-only file.
    pub(crate) fn lasting() -> Self {
        Self::start(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// A process whose configuration is a file, which it may rewrite.
    pub(crate) fn with_file(text: &str, arguments: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let port = free_port();
        let file = directory.path().join("redis.conf");
        fs::write(&file, format!("port {port}\nbind 127.0.0.1\ndir {}\n{text}", directory.path().display())).unwrap();
        let mut all = vec![file.to_str().unwrap().to_owned()];
        all.extend(arguments.iter().map(ToString::to_string));
        let mut server = Self { port, process: None, arguments: all, directory };
        server.resume();
        server
    }

    /// Starts the same again: its port, its directory, its data.
    pub(crate) fn resume(&mut self) {
        let log = fs::File::create(self.directory.path().join("log")).unwrap();
        let process = Command::new("redis-server")
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed (package redis-server)");
        self.process = Some(process);
        let began = Instant::now();
        loop {
            // A server that still loads its data answers too, but with an error.
            if let Ok(stream) = std::net::TcpStream::connect(("127.0.0.1", self.port)) {
                drop(stream);
                let closed = self.arguments.iter().any(|argument| argument == "--requirepass");
                if closed || self.try_ask(&["PING"]).is_ok() {
                    return;
                }
            }
            assert!(began.elapsed() < Duration::from_secs(60), "redis-server does not come up:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it as a power failure of its process would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Stops it, or lets it go on, where it stands.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = self.process.as_ref().unwrap().id();
        let pid = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Sends a command.
    pub(crate) fn ask(&self, command: &[&str]) -> Value {
        self.try_ask(command).unwrap_or_else(|error| panic!("{command:?}: {error}\n{}", self.log()))
    }

    pub(crate) fn try_ask(&self, command: &[&str]) -> redis::RedisResult<Value> {
        self.send(command.iter().map(|part| part.as_bytes().to_vec()))
    }

    /// Sends a command of bytes.
    pub(crate) fn send(&self, command: impl IntoIterator<Item = Vec<u8>>) -> redis::RedisResult<Value> {
        let mut connection = redis::Client::open(self.url())?.get_connection_with_timeout(Duration::from_secs(5))?;
        let parts: Vec<_> = command.into_iter().collect();
        connection.req_packed_command(&redis::pack_command(&parts))?.extract_error()
    }

    /// A line of `INFO`.
    pub(crate) fn info(&self, name: &str) -> String {
        // Sentinels close every connection to a server whose part they change.
        let asked = (0..5).find_map(|_| self.try_ask(&["INFO"]).ok());
        let Some(Value::BulkString(text)) = asked else { panic!("INFO is not answered\n{}", self.log()) };
        let text = String::from_utf8(text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{name} is not in INFO")).trim().to_owned()
    }

    /// Names of files in its directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("redis-server on port {}:\n{}", self.port, self.log());
        }
        self.kill();
    }
}

/// Waits until something holds, for two minutes at most.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(120), "not within two minutes: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn cluster_node() -> (Server, String) {
    let bus = free_port().to_string();
    let arguments = [
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-node-timeout",
        "4000",
        // The others go on without one that is away.
        "--cluster-require-full-coverage",
        "no",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ];
    (Server::start(&arguments), bus)
}

/// A cluster of three primaries that serves every slot.
pub(crate) fn cluster() -> Vec<Server> {
    let nodes = [cluster_node(), cluster_node(), cluster_node()];
    for ((server, _), range) in nodes.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")]) {
        server.ask(&["CLUSTER", "ADDSLOTSRANGE", range.0, range.1]);
        let first = &nodes[0];
        server.ask(&["CLUSTER", "MEET", "127.0.0.1", &first.0.port.to_string(), &first.1]);
    }
    let nodes: Vec<_> = nodes.into_iter().map(|(server, _)| server).collect();
    whole(&nodes);
    nodes
}

/// Waits until every node of a cluster knows all others.
fn whole(nodes: &[Server]) {
    let known = format!("cluster_known_nodes:{}", nodes.len());
    for server in nodes {
        until("the cluster is whole", || {
            let Ok(Value::BulkString(text)) = server.try_ask(&["CLUSTER", "INFO"]) else { return false };
            let text = String::from_utf8(text).unwrap();
            text.contains("cluster_state:ok") && text.contains(&known)
        });
    }
}

/// Adds a node that serves nothing yet.
pub(crate) fn add_node(nodes: &mut Vec<Server>) {
    let (node, bus) = cluster_node();
    nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string(), &bus]);
    nodes.push(node);
    whole(nodes);
}

/// Adds a replica of the first node, which has all of it.
pub(crate) fn add_replica(nodes: &mut Vec<Server>) {
    add_node(nodes);
    let name = cluster_name(&nodes[0]);
    let replica = &nodes[nodes.len() - 1];
    // It must have heard of the one that it is to follow.
    until("it may follow", || replica.try_ask(&["CLUSTER", "REPLICATE", &name]).is_ok());
    until("the replica follows", || replica.info("master_link_status") == "up");
}

/// What a node is called in its cluster.
pub(crate) fn cluster_name(node: &Server) -> String {
    match node.ask(&["CLUSTER", "MYID"]) {
        Value::BulkString(id) => String::from_utf8(id).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The address of a cluster.
pub(crate) fn cluster_url(nodes: &[Server]) -> String {
    let hosts: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    format!("redis+cluster://{}", hosts.join(","))
}
