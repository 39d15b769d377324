//! A wire between two programs that can be cut: nothing comes through any more, and nobody is told, as when a cable is pulled.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// How soon a cut, and the end, are noticed.
const TICK: Duration = Duration::from_millis(20);

/// A wire; gone when it is dropped.
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    over: AtomicBool,
}

impl Relay {
    /// From a free port of loopback to another port of it.
    pub fn lay(to: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, state) = (listener.local_addr()?, Arc::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for from in listener.incoming().map_while(Result::ok) {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                // Whoever connected sees the connection end.
                let _ = join(from, to, &shared);
            }
        });
        Ok(Self { address, state })
    }

    /// Where it begins.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Nothing comes through from now on.
    pub fn cut(&self) {
        self.state.cut.store(true, Ordering::Relaxed);
    }

    /// Everything does again, what waited first.
    pub fn mend(&self) {
        self.state.cut.store(false, Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        // Wakes whoever listens.
        let _ = TcpStream::connect(self.address);
    }
}

fn join(from: TcpStream, to: u16, state: &Arc<State>) -> io::Result<()> {
    let to = TcpStream::connect((Ipv4Addr::LOCALHOST, to))?;
    for stream in [&from, &to] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TICK))?;
    }
    for (from, to) in [(from.try_clone()?, to.try_clone()?), (to, from)] {
        let state = Arc::clone(state);
        thread::spawn(move || {
            // One way ends with the other.
            let _ = carry(&from, &to, &state);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, state: &State) -> io::Result<()> {
    let mut piece = [0; 16 * 1024];
    while !state.over.load(Ordering::Relaxed) {
        if state.cut.load(Ordering::Relaxed) {
            thread::sleep(TICK);
            continue;
        }
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            // What was read before a cut waits for its end.
            Ok(read) => {
                while state.cut.load(Ordering::Relaxed) && !state.over.load(Ordering::Relaxed) {
                    thread::sleep(TICK);
                }
                to.write_all(&piece[..read])?;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_at_a_cut_comes_through_when_it_is_mended() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Relay::lay(listener.local_addr().unwrap().port()).unwrap();
        let mut near = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port())).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let mut got = [0; 2];
        near.write_all(b"ab").unwrap();
        far.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"ab");
        relay.cut();
        near.write_all(b"cd").unwrap();
        far.set_read_timeout(Some(TICK * 5)).unwrap();
        assert!(far.read_exact(&mut got).is_err(), "it was cut");
        relay.mend();
        far.set_read_timeout(None).unwrap();
        far.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"cd");
    }
}
