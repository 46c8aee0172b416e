//! The end of a chunked body (RFC 9112, 7.1).

/// Maximum length of a size line or a trailer line, in bytes.
const MAX_LINE: usize = 16 * 1024;

/// The position in a chunked body.
#[derive(Default)]
pub struct Chunks {
    state: ChunkState,
    /// Bytes of the current line so far.
    line: usize,
    /// Whether the previous byte was a carriage return.
    is_return: bool,
}

#[derive(Default, Clone, Copy)]
enum ChunkState {
    /// Before the size of a chunk.
    #[default]
    Start,
    /// The size, as far as it has arrived.
    Size(u64),
    /// The rest of the line with the size.
    Extension(u64),
    Data(u64),
    /// The line end after a chunk.
    DataEnd,
    /// A line of the trailer; an empty one ends the body.
    Trailer,
}

impl Chunks {
    /// Returns how many of these bytes belong to the body and whether it ends with them; `None`: it
    /// is malformed.
    pub fn take(&mut self, bytes: &[u8]) -> Option<(usize, bool)> {
        let mut at = 0;
        while at < bytes.len() {
            if let ChunkState::Data(left) = self.state {
                let taken = usize::try_from(left).map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
                at += taken;
                self.state = match left - taken as u64 {
                    0 => ChunkState::DataEnd,
                    left => ChunkState::Data(left),
                };
                continue;
            }
            let byte = bytes[at];
            at += 1;
            self.line += 1;
            if self.line > MAX_LINE {
                return None;
            }
            if self.step(byte)? {
                return Some((at, true));
            }
        }
        Some((at, false))
    }

    /// Processes a byte outside of a chunk's data; true at the end of the body.
    fn step(&mut self, byte: u8) -> Option<bool> {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        self.state = match (self.state, byte) {
            (ChunkState::Size(size) | ChunkState::Extension(size), b'\n') => {
                self.line = 0;
                if size == 0 {
                    ChunkState::Trailer
                } else {
                    ChunkState::Data(size)
                }
            }
            (ChunkState::Start, _) => ChunkState::Size(digit?),
            (ChunkState::Size(size), _) => match digit {
                Some(digit) => ChunkState::Size(size.checked_mul(16)?.checked_add(digit)?),
                None => ChunkState::Extension(size),
            },
            (ChunkState::Extension(size), _) => ChunkState::Extension(size),
            (ChunkState::DataEnd, b'\r') => ChunkState::DataEnd,
            (ChunkState::DataEnd, b'\n') => {
                self.line = 0;
                ChunkState::Start
            }
            (ChunkState::DataEnd, _) => return None,
            (ChunkState::Trailer, b'\n') => {
                let is_empty = self.line == 1 || (self.line == 2 && self.is_return);
                self.line = 0;
                if is_empty {
                    return Some(true);
                }
                ChunkState::Trailer
            }
            (ChunkState::Trailer, _) => ChunkState::Trailer,
            (ChunkState::Data(left), _) => ChunkState::Data(left),
        };
        self.is_return = byte == b'\r';
        Some(false)
    }
}
