//! One connection: the watch on its bytes, its time limits, and what is in flight on it.
//!
//! A head must be complete a while after its first byte, a client must take what is written to it, and a connection on
//! which nothing is in flight is closed after a rest. A streamed answer is in flight until its body ends, so that the
//! revocation feed is never cut for being quiet (F133).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::framing::{SPOILT, Watch};

pin_project! {
    /// The bytes of a connection, watched and timed.
    pub(super) struct Watched<T> {
        #[pin]
        io: T,
        watch: Watch,
        // What is left of what the parser gets where the client broke the rules.
        spoilt: &'static [u8],
        head_timeout: Duration,
        head: Option<(u64, Pin<Box<Sleep>>)>,
        write_timeout: Duration,
        stall: Option<Pin<Box<Sleep>>>,
    }
}

impl<T> Watched<T> {
    pub(super) fn new(io: T, head_timeout: Duration, write_timeout: Duration) -> Self {
        Self { io, watch: Watch::default(), spoilt: SPOILT, head_timeout, head: None, write_timeout, stall: None }
    }
}

impl<T: AsyncRead> AsyncRead for Watched<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        if this.watch.has_refused() {
            spoil(this.spoilt, buf);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        if let Poll::Ready(read) = this.io.poll_read(cx, buf) {
            let good = this.watch.see(&buf.filled()[before..]);
            buf.set_filled(before + good);
            if this.watch.has_refused() {
                spoil(this.spoilt, buf);
            }
            return Poll::Ready(read);
        }
        let Some(head) = this.watch.head() else {
            *this.head = None;
            return Poll::Pending;
        };
        // A timer is made only for a head that does not come at once, and runs on while its bytes trickle in.
        let fresh = this.head.take().filter(|(number, _)| *number == head);
        let (_, timer) = this.head.insert(fresh.unwrap_or_else(|| (head, Box::pin(sleep(*this.head_timeout)))));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

fn spoil(spoilt: &mut &'static [u8], buf: &mut ReadBuf<'_>) {
    let (now, later) = spoilt.split_at(spoilt.len().min(buf.remaining()));
    buf.put_slice(now);
    *spoilt = later;
}

impl<T: AsyncWrite> Watched<T> {
    fn timed<R>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let this = self.project();
        if let Poll::Ready(done) = write(this.io, cx) {
            *this.stall = None;
            return Poll::Ready(done);
        }
        let timer = this.stall.get_or_insert_with(|| Box::pin(sleep(*this.write_timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncWrite> AsyncWrite for Watched<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.timed(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.timed(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.timed(cx, T::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.timed(cx, T::poll_shutdown)
    }
}

/// What is in flight on a connection, and since when nothing is.
#[derive(Debug)]
pub(super) struct Activity {
    begun: Instant,
    open: AtomicUsize,
    served: AtomicUsize,
    /// Milliseconds from `begun` to when the last exchange ended.
    rest: AtomicU64,
}

/// An exchange that is in flight until this is dropped.
#[derive(Debug)]
pub(super) struct Exchange(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let (open, served, rest) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicU64::new(0));
        Arc::new(Self { begun: Instant::now(), open, served, rest })
    }

    pub(super) fn begin(self: &Arc<Self>) -> Exchange {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.served.fetch_add(1, Ordering::Relaxed);
        Exchange(Arc::clone(self))
    }

    /// When the connection has rested long enough to be closed, if nothing is in flight: `first` where there never was
    /// anything, else `idle` after the last exchange.
    pub(super) fn rests_until(&self, first: Duration, idle: Duration) -> Option<Instant> {
        if self.open.load(Ordering::Relaxed) > 0 {
            return None;
        }
        if self.served.load(Ordering::Relaxed) == 0 {
            return Some(self.begun + first);
        }
        Some(self.begun + Duration::from_millis(self.rest.load(Ordering::Relaxed)) + idle)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let rest = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.rest.store(rest, Ordering::Relaxed);
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

pin_project! {
    /// The body of an answer; the exchange is in flight until it is dropped.
    pub(super) struct InFlight<B> {
        #[pin]
        body: B,
        exchange: Exchange,
    }
}

impl<B> InFlight<B> {
    pub(super) fn new(body: B, exchange: Exchange) -> Self {
        Self { body, exchange }
    }
}

impl<B: Body<Data = Bytes>> Body for InFlight<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
