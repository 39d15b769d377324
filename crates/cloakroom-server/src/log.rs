//! The program's log on its way to the standard error stream: a line that cannot be written changes nothing else.
//!
//! Whoever logs hands a line to a bounded queue and goes on; a thread writes. A full disk, a reader that is gone and one that
//! stands still cost the lines that do not fit, which are counted; when writing works again, a line says how many there were.

use std::{
    io::{self, ErrorKind, Write},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use cloakroom_core::tasks;
use tracing_subscriber::{EnvFilter, filter::ParseError, fmt::time::SystemTime};

use crate::config::{LogConfig, LogFormat};

/// Whether lines are coloured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// A person reads them at a terminal.
    Yes,
    /// A program does, or perhaps one.
    No,
}

/// Sends what this process logs from now on to the standard error stream.
///
/// # Errors
/// When the filter is none.
pub fn start(config: &LogConfig, colour: Colour) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let log = LOG.get_or_init(|| Log::to(io::stderr()));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || log)
        .with_timer(SystemTime)
        // It would tell of a line that cannot be formatted by a macro that panics where the stream is broken.
        .log_internal_errors(false);
    if config.format == LogFormat::Json {
        lines.json().flatten_event(true).init();
    } else {
        lines.with_ansi(colour == Colour::Yes).init();
    }
    Ok(())
}

/// Waits until what was logged so far is written, for a moment at most; for the end of the process.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.flush();
    }
}

/// How many lines could not be written.
pub fn lost() -> u64 {
    LOG.get().map_or(0, |log| log.lost.load(Ordering::Relaxed))
}

static LOG: OnceLock<Log> = OnceLock::new();

/// The way to a stream.
struct Log {
    queue: SyncSender<Item>,
    lost: Arc<AtomicU64>,
}

enum Item {
    Line(Vec<u8>),
    /// Answers when everything before it has been dealt with.
    Flush(SyncSender<()>),
}

impl Log {
    fn to(stream: impl Write + Send + 'static) -> Self {
        let (queue, items) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let mut writer = Writer { items, stream, lost: Arc::clone(&lost), told: 0, torn: false };
        // Without a thread every line is lost, and counted. However long it stands still, this server is as good as any other.
        let _ = tasks::thread("log", None, Duration::MAX, move |_| writer.run());
        Self { queue, lost }
    }

    fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Item::Flush(done)).is_ok() {
            // Perhaps the stream's reader stands still.
            let _ = written.recv_timeout(LAST_WAIT);
        }
    }
}

/// The subscriber writes each line whole.
impl Write for &Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Item::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread's end of it.
struct Writer<W> {
    items: Receiver<Item>,
    stream: W,
    lost: Arc<AtomicU64>,
    /// How many of the lost lines the log has been told of.
    told: u64,
    /// Whether the last line was cut off in the middle.
    torn: bool,
}

impl<W: Write> Writer<W> {
    fn run(&mut self) {
        while let Ok(item) = self.items.recv() {
            match item {
                Item::Flush(done) => {
                    // Whoever waited may have given up.
                    let _ = done.try_send(());
                }
                Item::Line(line) if self.put(&line).is_err() => {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                }
                Item::Line(_) => self.tell(),
            }
        }
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.put_all(b"\n")?;
            self.torn = false;
        }
        self.put_all(line)
    }

    fn put_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(written) if written > 0 => {
                    rest = &rest[written..];
                    self.torn = !rest.is_empty();
                }
                Ok(_) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Somebody else has made the stream one that does not wait; this thread may.
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells the log itself of what it lacks.
    fn tell(&mut self) {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > self.told {
            tracing::warn!(lines = lost - self.told, "lines of this log could not be written and are lost");
            self.told = lost;
        }
    }
}

/// The most lines that wait.
const WAITING: usize = 4096;
/// How long a stream that would make the thread wait is left alone.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the end of the process waits for lines.
const LAST_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A stream that takes so many bytes more.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Disk {
        fn make_room(&self, bytes: usize) {
            self.0.lock().unwrap().1 += bytes;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (text, room) = &mut *self.0.lock().unwrap();
            let fits = bytes.len().min(*room);
            if fits == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            text.extend_from_slice(&bytes[..fits]);
            *room -= fits;
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// R28: whoever logs hears nothing of a full disk, and what comes once there is room begins on a line of its own.
    #[test]
    fn a_line_that_cannot_be_written_is_counted_and_the_next_one_begins_anew() {
        let disk = Disk::default();
        let log = Log::to(disk.clone());
        disk.make_room(9);
        for line in ["first\n", "second\n", "third\n"] {
            (&log).write_all(line.as_bytes()).unwrap();
        }
        log.flush();
        assert_eq!((disk.text().as_str(), log.lost.load(Ordering::Relaxed)), ("first\nsec", 2));
        disk.make_room(100);
        (&log).write_all(b"fourth\n").unwrap();
        log.flush();
        assert_eq!((disk.text().as_str(), log.lost.load(Ordering::Relaxed)), ("first\nsec\nfourth\n", 2));
    }

    /// R28: a reader that stands still holds up nobody who logs.
    #[test]
    fn a_stream_that_stands_still_costs_the_lines_that_do_not_fit() {
        struct Still(Receiver<()>);
        impl Write for Still {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                // Until the test is over.
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (over, gate) = sync_channel(0);
        let log = Log::to(Still(gate));
        for _ in 0..WAITING + 100 {
            (&log).write_all(b"line\n").unwrap();
        }
        let lost = log.lost.load(Ordering::Relaxed);
        assert!((99..=100).contains(&lost), "{lost}: one may be under way");
        drop(over);
        log.flush();
    }
}
