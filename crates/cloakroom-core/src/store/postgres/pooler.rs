//! Whether a pooler, such as PgBouncer, stands between this server and PostgreSQL.
//!
//! It matters because a pooler may give each transaction another server connection: a statement prepared under a name on
//! one of them is unknown on the next, or is another process's statement of the same name. A pooler is known by the process
//! number that the connection was given for cancelling its statements: PostgreSQL gives its own, a pooler makes one up. The
//! driver keeps that number to itself, but writes it into any cancel request, so one is written into memory and read there.

use std::{
    future::{Ready, ready},
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio_postgres::{
    CancelToken,
    tls::{ChannelBinding, TlsConnect, TlsStream},
};

/// The process number that a connection was given; `None` if it cannot be told.
pub(super) async fn process_of(token: &CancelToken) -> Option<i32> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    let (near, mut far) = duplex(64);
    let read = async {
        let mut head = [0; 8];
        far.read_exact(&mut head).await.ok()?;
        if head == SSL_REQUEST {
            far.write_all(b"S").await.ok()?;
            far.read_exact(&mut head).await.ok()?;
        }
        // Length and code of the request; then the process, and the key.
        let mut rest = [0; 8];
        far.read_exact(&mut rest).await.ok()?;
        rest.first_chunk().map(|process| i32::from_be_bytes(*process))
    };
    let (_, process) = tokio::join!(token.cancel_query_raw(near, InMemory), read);
    process
}

/// Stands for TLS where it is not needed: nothing leaves the process.
struct InMemory;

struct Memory(DuplexStream);

impl TlsConnect<DuplexStream> for InMemory {
    type Stream = Memory;
    type Error = io::Error;
    type Future = Ready<io::Result<Memory>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        ready(Ok(Memory(stream)))
    }
}

impl TlsStream for Memory {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Memory {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Memory {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
