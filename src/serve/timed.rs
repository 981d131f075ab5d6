//! A connection with a limit on the time of a write, whose end does not cut off the last answer.

use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Longest time that the rest of a request is read and dropped at the end of a connection.
const LINGER: Duration = Duration::from_secs(2);
/// Longest wait for more of it.
const LINGER_WAIT: Duration = Duration::from_millis(300);

/// A TCP connection with a limit on the time of a write.
///
/// At the end it reads what the client still sends. If the system closed a connection with unread
/// data, it would tell the client so before the client has read the answer, and the answer would be
/// lost.
pub(super) struct TimedConnection {
    stream: TcpStream,
    timeout: Duration,
    /// The end of a write that waits for the client.
    writing: Option<Pin<Box<Sleep>>>,
    /// The end of the connection, after its last answer.
    ending: Option<Ending>,
}

struct Ending {
    /// The latest end.
    latest: Instant,
    /// The end if nothing arrives before.
    sleep: Pin<Box<Sleep>>,
}

impl TimedConnection {
    pub(super) fn new(stream: TcpStream, timeout: Duration) -> TimedConnection {
        TimedConnection {
            stream,
            timeout,
            writing: None,
            ending: None,
        }
    }

    /// Passes the result of a write on, or an error if writes have waited too long.
    fn limited<T>(
        &mut self,
        context: &mut Context,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let timeout = self.timeout;
        let sleep = || Box::pin(tokio::time::sleep(timeout));
        let sleep = self.writing.get_or_insert_with(sleep);
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for TimedConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        buffer: &mut ReadBuf,
    ) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for TimedConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = pin!(&mut self.stream).poll_write(context, bytes);
        self.limited(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        let written = pin!(&mut self.stream).poll_flush(context);
        self.limited(context, written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ending.is_none() {
            ready!(pin!(&mut this.stream).poll_shutdown(context))?;
        }
        let now = Instant::now();
        let ending = this.ending.get_or_insert_with(|| Ending {
            latest: now + LINGER,
            sleep: Box::pin(sleep_until(now + LINGER_WAIT)),
        });
        let mut dropped = [0; 8192];
        loop {
            if ending.sleep.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut dropped);
            ready!(pin!(&mut this.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let next = (Instant::now() + LINGER_WAIT).min(ending.latest);
            ending.sleep.as_mut().reset(next);
        }
    }
}
