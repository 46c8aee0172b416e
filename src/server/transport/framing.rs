//! Detection of the end of a request. The HTTP library reads ahead and answers everything it gets:
//! a client that sends thousands of requests together would delay all others. Here it gets the next
//! request only once the previous one is being answered.
//!
//! This is safe for any bytes: a request that seems to end early waits for its deadline, one that
//! seems to continue is passed on as it arrives, and only the library decides what the bytes mean.

mod chunks;

use chunks::Chunks;

/// Maximum length of a head (request line and headers), in bytes: twice what `contrib/nginx.conf`
/// accepts for one line.
pub const MAX_HEAD: usize = 64 * 1024;
/// Maximum number of header lines; the library refuses more.
const MAX_HEADERS: usize = 128;

/// The position in the bytes of one connection.
pub struct Framing {
    state: State,
    /// The first byte of the current head. It is passed on at once, so that the library knows of
    /// the request; the others are passed on when the head is complete.
    first: Option<u8>,
    /// How many bytes of an incomplete head were searched for its end.
    searched: usize,
    /// The number of requests whose head has arrived.
    requests: u64,
    /// Whether a response began while the current request's body was still arriving.
    is_answered: bool,
}

enum State {
    Head,
    /// A complete head: the number of its bytes that have not been passed on, and the state after
    /// it.
    Passing(usize, Box<State>),
    /// The head is too long; nothing more is passed on.
    TooLong,
    /// The number of remaining bytes of the body.
    Body(u64),
    Chunks(Chunks),
    /// The request is complete; the next one waits for the answer.
    Complete,
    /// The bytes are not a request; the library will refuse them.
    Unreadable,
}

impl Default for Framing {
    fn default() -> Self {
        Self {
            state: State::Head,
            first: None,
            searched: 0,
            requests: 0,
            is_answered: false,
        }
    }
}

impl Framing {
    /// Returns how many of the waiting bytes may be passed on now, at most `room`. 0: the head is
    /// incomplete or too long, or a complete request waits for its response.
    pub fn take(&mut self, waiting: &[u8], room: usize) -> usize {
        if matches!(self.state, State::Head) {
            self.read_head(waiting);
        }
        let bytes = &waiting[..waiting.len().min(room)];
        match &mut self.state {
            State::Head => {
                if self.first.is_some() || bytes.is_empty() {
                    return 0;
                }
                self.first = bytes.first().copied();
                self.searched = self.searched.saturating_sub(1);
                1
            }
            State::Passing(left, next) => {
                let taken = (*left).min(bytes.len());
                *left -= taken;
                if *left == 0 {
                    self.state = std::mem::replace(next, State::Head);
                }
                taken
            }
            State::Body(left) => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                if *left == 0 {
                    self.complete();
                }
                taken
            }
            State::Chunks(chunks) => match chunks.take(bytes) {
                Some((taken, false)) => taken,
                Some((taken, true)) => {
                    self.complete();
                    taken
                }
                None => {
                    self.state = State::Unreadable;
                    bytes.len()
                }
            },
            State::Complete | State::TooLong => 0,
            State::Unreadable => bytes.len(),
        }
    }

    /// Returns the number of requests whose head has arrived.
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// Returns whether a complete request waits for its response; the next one is not passed on.
    pub const fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// Returns whether the head of the current request is longer than [`MAX_HEAD`].
    pub const fn is_too_long(&self) -> bool {
        matches!(self.state, State::TooLong)
    }

    /// Returns whether the bytes that were passed on last belong to a body.
    pub const fn is_in_body(&self) -> bool {
        matches!(self.state, State::Body(_) | State::Chunks(_) | State::Unreadable)
    }

    /// Records that bytes of a response were written. `begun`: the number of requests that the
    /// application has started to answer. Returns whether the next request may be passed on now.
    pub fn note_written(&mut self, begun: u64) -> bool {
        if begun < self.requests {
            return false;
        }
        self.is_answered = true;
        let was_complete = matches!(self.state, State::Complete);
        if was_complete {
            self.state = State::Head;
        }
        was_complete
    }

    /// Looks for the end of the head in the bytes that follow its first byte.
    fn read_head(&mut self, waiting: &[u8]) {
        let length = waiting.len() + usize::from(self.first.is_some());
        let has_new_line = waiting.get(self.searched..).is_some_and(|bytes| bytes.contains(&b'\n'));
        self.searched = waiting.len();
        // The first bytes reveal data that is not a request, such as a TLS handshake.
        if !has_new_line && self.first.is_some() {
            if length > MAX_HEAD {
                self.state = State::TooLong;
            }
            return;
        }
        let joined;
        let head: &[u8] = match self.first {
            None => waiting,
            Some(first) => {
                joined = [&[first], waiting].concat();
                &joined
            }
        };
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        self.state = match request.parse(head) {
            Ok(httparse::Status::Partial) if length <= MAX_HEAD => return,
            Ok(httparse::Status::Partial) => State::TooLong,
            Ok(httparse::Status::Complete(end)) if end > MAX_HEAD => State::TooLong,
            Ok(httparse::Status::Complete(end)) => {
                self.requests += 1;
                self.is_answered = false;
                let left = end - usize::from(self.first.is_some());
                State::Passing(left, Box::new(body_of(request.headers).unwrap_or(State::Unreadable)))
            }
            Err(_) => State::Unreadable,
        };
        (self.first, self.searched) = (None, 0);
    }

    fn complete(&mut self) {
        self.state = if self.is_answered { State::Head } else { State::Complete };
    }
}

/// Returns the state after a head with these headers; `None`: the library will refuse them.
fn body_of(headers: &[httparse::Header<'_>]) -> Option<State> {
    let named = |name: &str| {
        let mut lines = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        (lines.next().map(|header| header.value), lines.next().is_some())
    };
    match (named("transfer-encoding"), named("content-length")) {
        ((_, true), _) | (_, (_, true)) | ((Some(_), _), (Some(_), _)) => None,
        ((Some(coding), _), _) if coding.trim_ascii().eq_ignore_ascii_case(b"chunked") => {
            Some(State::Chunks(Chunks::default()))
        }
        ((Some(_), _), _) => None,
        (_, (Some(length), _)) => {
            let length: u64 = std::str::from_utf8(length).ok()?.trim().parse().ok()?;
            Some(if length == 0 {
                State::Complete
            } else {
                State::Body(length)
            })
        }
        (_, (None, _)) => Some(State::Complete),
    }
}

#[cfg(test)]
mod tests;
