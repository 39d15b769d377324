//! Connections to one server, and a round of load over them.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, EventData, EventFlags},
    },
};

use super::{Head, Requests, parse_head};

/// How requests follow one another.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Each connection asks again when it is answered.
    Closed,
    /// So many a second, answered or not.
    Open(f64),
}

/// What a round of load saw.
pub struct Sample {
    /// Answers, all of which came to requests of this round.
    pub answers: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// In nanoseconds.
    pub latency: Histogram<u64>,
    /// How many answers had which status.
    pub statuses: BTreeMap<u16, u64>,
    /// The last answer's body.
    pub last: Vec<u8>,
}

impl Sample {
    /// Answers a second.
    pub fn per_second(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64()
    }

    /// Answers with a status.
    pub fn with(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// A quantile of the latency in microseconds.
    pub fn micros(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// Fails unless every answer had that status.
    pub fn demand(&self, status: u16) -> io::Result<()> {
        if self.answers > 0 && self.with(status) == self.answers {
            return Ok(());
        }
        let last = String::from_utf8_lossy(&self.last);
        Err(io::Error::other(format!("{} answers, by status {:?}; the last: {last}", self.answers, self.statuses)))
    }
}

struct Connection {
    stream: TcpStream,
    server: usize,
    /// From when the latency of the request in flight counts.
    since: Option<Instant>,
    read: Vec<u8>,
    head: Option<Head>,
}

/// Keep-alive connections to a server, or to several.
pub struct Client {
    poll: OwnedFd,
    connections: Vec<Connection>,
    addresses: Vec<SocketAddr>,
}

/// How long an answer may take after the last request.
const PATIENCE: Duration = Duration::from_secs(30);

impl Client {
    /// Opens so many connections to a server.
    pub fn connect(address: SocketAddr, connections: usize) -> io::Result<Self> {
        Self::connect_all(&[address], connections)
    }

    /// Opens so many connections to each of some servers; requests go where their route says.
    pub fn connect_all(addresses: &[SocketAddr], each: usize) -> io::Result<Self> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut all = Vec::with_capacity(addresses.len() * each);
        for server in (0..addresses.len()).cycle().take(addresses.len() * each) {
            all.push(Connection::open(&poll, addresses[server], server, all.len())?);
        }
        Ok(Self { poll, connections: all, addresses: addresses.to_vec() })
    }

    /// Opens again what a server has closed because nothing was asked over it for long.
    fn reopen(&mut self) -> io::Result<()> {
        for (index, connection) in self.connections.iter_mut().enumerate() {
            let closed = match connection.stream.peek(&mut [0]) {
                Ok(read) => read == 0,
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            };
            if closed {
                epoll::delete(&self.poll, &connection.stream)?;
                let address = self.addresses[connection.server];
                *connection = Connection::open(&self.poll, address, connection.server, index)?;
            }
        }
        Ok(())
    }

    /// A round: requests for so long, or until there are no more; then the answers that are still to come.
    pub fn run(&mut self, requests: &mut Requests, pace: Pace, lasting: Duration) -> io::Result<Sample> {
        self.reopen()?;
        let start = Instant::now();
        let mut round = Round { requests, pace, start, end: start + lasting, sent: 0, over: false };
        let latency = Histogram::new_with_bounds(100, 60_000_000_000, 3).map_err(io::Error::other)?;
        let mut sample = Sample { answers: 0, elapsed: lasting, latency, statuses: BTreeMap::new(), last: Vec::new() };
        let mut free = Free::of(self);
        let mut events = Vec::with_capacity(self.connections.len().max(1));
        loop {
            while free.count > 0 {
                let Some(since) = round.due() else { break };
                let Some(server) = round.requests.ready(self.addresses.len()) else {
                    round.over = true;
                    break;
                };
                let Some(index) = free.take(server) else { break };
                round.sent += 1;
                self.connections[index].send(round.requests.take(), since)?;
            }
            if free.count == self.connections.len() && round.is_over() {
                break;
            }
            // Spins while the round runs. In an open loop a sleep would end too late; in a closed one each answer that finds
            // the load asleep would cost the server the waking of another core, and the slower the server the more so.
            let wait = if round.is_over() { Timespec { tv_sec: 1, tv_nsec: 0 } } else { Timespec::default() };
            epoll::wait(&self.poll, spare_capacity(&mut events), Some(&wait))?;
            for event in events.drain(..) {
                let index = event.data.u64() as usize;
                let connection = &mut self.connections[index];
                match connection.receive(&mut sample)? {
                    Received::Answer => free.give(connection.server, index),
                    Received::Part => {}
                    // It was free, and is again.
                    Received::End => {
                        let address = self.addresses[connection.server];
                        *connection = Connection::open(&self.poll, address, connection.server, index)?;
                    }
                }
            }
            if round.is_over() && Instant::now() > round.end + PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "answers are missing"));
            }
        }
        sample.elapsed = start.elapsed();
        Ok(sample)
    }
}

/// The connections of each server that wait for a request.
struct Free {
    of: Vec<Vec<usize>>,
    count: usize,
}

impl Free {
    fn of(client: &Client) -> Self {
        let mut free = Self { of: vec![Vec::new(); client.addresses.len()], count: 0 };
        for (index, connection) in client.connections.iter().enumerate().rev() {
            free.give(connection.server, index);
        }
        free
    }

    fn take(&mut self, server: usize) -> Option<usize> {
        let taken = self.of[server].pop();
        self.count -= usize::from(taken.is_some());
        taken
    }

    fn give(&mut self, server: usize, index: usize) {
        self.of[server].push(index);
        self.count += 1;
    }
}

struct Round<'r> {
    requests: &'r mut Requests,
    pace: Pace,
    start: Instant,
    end: Instant,
    sent: u64,
    over: bool,
}

impl Round<'_> {
    fn is_over(&self) -> bool {
        self.over || Instant::now() >= self.end
    }

    /// From when the next request counts, if it is due.
    fn due(&self) -> Option<Instant> {
        let now = Instant::now();
        if self.over || now >= self.end {
            return None;
        }
        match self.pace {
            Pace::Closed => Some(now),
            Pace::Open(per_second) => {
                let at = self.start + Duration::from_secs_f64(self.sent as f64 / per_second);
                (at <= now).then_some(at)
            }
        }
    }
}

/// What came.
enum Received {
    /// All of an answer.
    Answer,
    /// Nothing, or not all of it.
    Part,
    /// The end of a connection over which nothing was asked.
    End,
}

impl Connection {
    fn open(poll: &OwnedFd, address: SocketAddr, server: usize, index: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(poll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
        Ok(Self { stream, server, since: None, read: Vec::with_capacity(4096), head: None })
    }

    fn send(&mut self, request: &[u8], since: Instant) -> io::Result<()> {
        self.since = Some(since);
        let written = self.stream.write(request)?;
        if written == request.len() { Ok(()) } else { Err(io::Error::other("a request did not fit the socket")) }
    }

    /// Reads what there is.
    fn receive(&mut self, sample: &mut Sample) -> io::Result<Received> {
        let mut piece = [0; 8192];
        match self.stream.read(&mut piece) {
            // A server may close what nobody has used for long.
            Ok(0) if self.since.is_none() => return Ok(Received::End),
            Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed a connection")),
            Ok(read) => self.read.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Received::Part),
            Err(error) => return Err(error),
        }
        if self.head.is_none() {
            self.head = parse_head(&self.read)?;
        }
        let Some(head) = self.head else { return Ok(Received::Part) };
        if self.read.len() < head.end {
            return Ok(Received::Part);
        }
        if self.read.len() > head.end {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more than an answer came"));
        }
        if let Some(since) = self.since.take() {
            sample.latency.saturating_record(since.elapsed().as_nanos() as u64);
        }
        sample.answers += 1;
        *sample.statuses.entry(head.status).or_default() += 1;
        sample.last.clear();
        sample.last.extend_from_slice(&self.read[head.body_at..]);
        self.read.clear();
        self.head = None;
        Ok(Received::Answer)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;
    use crate::load::{Lines, Order};

    /// Answers each request after `pause`, on one connection.
    fn slow_server(pause: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                thread::sleep(pause);
                if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
                    return;
                }
            }
        });
        address
    }

    #[test]
    fn the_closed_loop_waits_for_each_answer() {
        let mut client = Client::connect(slow_server(Duration::from_millis(5)), 1).unwrap();
        let mut requests = Requests::get("/", Lines::one("a: b"), Order::Cycle(1));
        let sample = client.run(&mut requests, Pace::Closed, Duration::from_millis(100)).unwrap();
        sample.demand(200).unwrap();
        assert!((2..=20).contains(&sample.answers), "{}", sample.answers);
        assert_eq!(sample.last, b"ok");
    }

    #[test]
    fn what_was_closed_between_two_rounds_is_opened_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let read = stream.read(&mut [0; 4096]).unwrap_or_default();
                // One answer a connection.
                if read > 0 {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                }
            }
        });
        let mut client = Client::connect(address, 1).unwrap();
        let once = || Requests::get("/", Lines::one("a: b"), Order::Once);
        for _ in 0..3 {
            client.run(&mut once(), Pace::Closed, Duration::from_secs(5)).unwrap().demand(200).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn what_is_closed_in_a_round_while_it_is_free_is_opened_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for (number, mut stream) in listener.incoming().map_while(Result::ok).enumerate() {
                thread::spawn(move || {
                    // The first connections are closed at once; later ones answer.
                    let mut buffer = [0; 4096];
                    while number >= 4 && stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                        thread::sleep(Duration::from_millis(10));
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                    }
                });
            }
        });
        let mut client = Client::connect(address, 4).unwrap();
        thread::sleep(Duration::from_millis(50));
        let mut requests = Requests::get("/", Lines::one("a: b"), Order::Cycle(1));
        // One request at a time: most connections are free.
        client.run(&mut requests, Pace::Open(50.0), Duration::from_millis(200)).unwrap().demand(200).unwrap();
    }

    #[test]
    fn a_late_server_is_charged_for_what_waited() {
        let mut client = Client::connect(slow_server(Duration::from_millis(10)), 1).unwrap();
        let mut requests = Requests::get("/", Lines::one("a: b"), Order::Cycle(1));
        let sample = client.run(&mut requests, Pace::Open(400.0), Duration::from_millis(200)).unwrap();
        // Four times as much was due as could be answered: the last one waited for most of the round.
        assert!(sample.micros(1.0) > 80_000.0, "{}", sample.micros(1.0));
    }
}
