//! One client's connection: it passes requests on one by one, and ends if the client is too slow.

use super::{bare_answer, deadline::Deadline, framing::Framing, handling::RequestTracker};
use actix_web::rt::net::TcpStream;
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Time that a client has to close a connection that the server closed.
pub const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes that are read ahead.
const INBOX: usize = 16 * 1024;
/// The response to a request whose head is too long; the connection closes.
const TOO_LONG: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
/// Bytes that a client must receive within the time; fewer are enough if they are all.
const LEAST_TAKEN: usize = 16 * 1024;

/// A TCP connection with deadlines.
pub struct Connection {
    stream: TcpStream,
    peer: Option<SocketAddr>,
    /// Time for the rest of a request, and for receiving [`LEAST_TAKEN`] of a response.
    timeout: Duration,
    request_id: Rc<dyn Fn() -> String>,
    handling: RequestTracker,
    framing: Framing,
    /// Received bytes; those from `handed_over` on have not been passed on.
    inbox: Vec<u8>,
    handed_over: usize,
    /// Runs from the first byte of a request that the application has not started.
    reading: Deadline,
    /// Runs while the client does not receive what is written.
    writing: Deadline,
    /// Bytes that the client received while `writing` runs.
    taken: usize,
    /// Whether the client does not receive what is written; nothing more is read from it.
    is_stalled: bool,
    /// A response of the library with our headers; the bytes from `sent` on have not been written.
    completed: Vec<u8>,
    sent: usize,
    /// Whether the head of a request was too long: the rest is discarded, for a moment.
    is_refused: bool,
    closing: Deadline,
}

impl Connection {
    /// Wraps an accepted stream.
    pub fn new(
        stream: TcpStream,
        peer: Option<SocketAddr>,
        timeout: Duration,
        request_id: Rc<dyn Fn() -> String>,
    ) -> Self {
        Self {
            stream,
            peer,
            timeout,
            request_id,
            handling: RequestTracker::default(),
            framing: Framing::default(),
            inbox: Vec::new(),
            handed_over: 0,
            reading: Deadline::default(),
            writing: Deadline::default(),
            taken: 0,
            is_stalled: false,
            completed: Vec::new(),
            sent: 0,
            is_refused: false,
            closing: Deadline::default(),
        }
    }

    /// Returns the counter of requests in the application, for the application.
    pub fn handling(&self) -> RequestTracker {
        self.handling.clone()
    }

    /// Passes on the received bytes that may be passed on now; false: there are none.
    fn hand_over(&mut self, into: &mut ReadBuf<'_>) -> bool {
        let waiting = &self.inbox[self.handed_over..];
        if !self.handling.is_active() {
            self.reading.start(self.timeout);
        }
        let begun = self.framing.requests();
        let count = self.framing.take(waiting, into.remaining());
        if self.framing.requests() > begun {
            self.handling.begin_body();
        }
        if count == 0 {
            return false;
        }
        into.put_slice(&waiting[..count]);
        self.handed_over += count;
        if self.framing.is_in_body() {
            self.handling.note_passed(count);
        }
        if self.handed_over == self.inbox.len() {
            // A quiet connection keeps no memory.
            (self.inbox, self.handed_over) = (Vec::new(), 0);
        }
        true
    }

    /// Refuses a request whose head is too long. To the library the client has closed.
    fn refuse_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_refused {
            self.is_refused = true;
            (self.inbox, self.handed_over) = (Vec::new(), 0);
            bare_answer::note(self.peer);
            let completed = bare_answer::add_headers(TOO_LONG, &*self.request_id);
            (self.completed, self.sent) = (completed.unwrap_or_else(|| TOO_LONG.to_vec()), 0);
            // Bytes that cannot be written now go with the next flush.
            if let Poll::Ready(Err(error)) = self.poll_completed(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Discards what the client still sends, for a moment: closing before that would reset the
    /// connection, and the client would lose the response.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.closing.start(DISCONNECT_TIMEOUT);
        while !self.closing.poll_passed(cx) {
            let mut bytes = [0; INBOX];
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }

    /// Reads the available bytes; false at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut bytes = [0; INBOX];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        self.inbox.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(!buffer.filled().is_empty()))
    }

    /// Records that the client received bytes of a response.
    fn note_taken(&mut self, count: usize, cx: &mut Context<'_>) {
        self.reading.clear();
        self.taken += count;
        if self.taken >= LEAST_TAKEN {
            self.writing.clear();
            self.taken = 0;
        }
        let goes_on = self.framing.note_written(self.handling.begun());
        if self.is_stalled || goes_on || self.framing.is_in_body() {
            // Reading had stopped, or the rest of a body needs a deadline from now on; the task
            // that drives this connection must check again.
            self.is_stalled = false;
            cx.waker().wake_by_ref();
        }
    }

    /// Waits for a client that receives nothing until its time is over.
    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.is_stalled = true;
        self.writing.start(self.timeout);
        if self.writing.poll_passed(cx) {
            return Poll::Ready(Err(too_slow("the client does not read")));
        }
        Poll::Pending
    }

    /// Writes the rest of a response of the library.
    fn poll_completed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.completed.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.completed[self.sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.sent += count;
                    self.note_taken(count, cx);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_stalled(cx),
            }
        }
        (self.completed, self.sent) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }
}

fn too_slow(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.handling.is_active() {
            this.reading.clear();
        } else {
            // Also after a response that came before the end of the body.
            if this.framing.is_in_body() {
                this.reading.start(this.timeout);
            }
            if this.reading.poll_passed(cx) {
                return Poll::Ready(Err(too_slow("the request does not end")));
            }
        }
        if this.is_stalled {
            return Poll::Pending;
        }
        if this.framing.is_in_body() && !this.handling.may_pass(cx) {
            return Poll::Pending;
        }
        loop {
            if !this.inbox.is_empty() && this.hand_over(into) {
                return Poll::Ready(Ok(()));
            }
            if this.framing.is_too_long() {
                return this.refuse_head(cx);
            }
            if this.framing.is_complete() {
                // The bytes of the response wake this task.
                return Poll::Pending;
            }
            if !ready!(this.poll_fill(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_completed(cx))?;
        if let Some(completed) = bare_answer::add_headers(bytes, &*this.request_id) {
            bare_answer::note(this.peer);
            (this.completed, this.sent) = (completed, 0);
            // Bytes that cannot be written now go with the next flush.
            if let Poll::Ready(Err(error)) = this.poll_completed(cx) {
                return Poll::Ready(Err(error));
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        match Pin::new(&mut this.stream).poll_write(cx, bytes) {
            Poll::Ready(Ok(count)) => {
                this.note_taken(count, cx);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.poll_stalled(cx),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_completed(cx))?;
        this.writing.clear();
        this.taken = 0;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_completed(cx))?;
        if !this.is_refused {
            return Pin::new(&mut this.stream).poll_shutdown(cx);
        }
        ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        this.poll_discard(cx).map(Ok)
    }
}
