//! A directory that accepts every bind, and answers each search with more than the client can take.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What it sends after each search, without an end.
#[derive(Clone, Copy)]
pub enum Flood {
    /// Entries of people.
    Entries,
    /// One message that claims to have 1.5 GB.
    Message,
}

/// The running directory; it ends with the test process.
pub struct ForgedDirectory {
    pub url: String,
    closed: Arc<AtomicUsize>,
}

impl ForgedDirectory {
    pub fn start(flood: Flood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ldap://{}", listener.local_addr().unwrap());
        let closed = Arc::<AtomicUsize>::default();
        let counter = closed.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let counter = counter.clone();
                std::thread::spawn(move || {
                    serve(socket, flood);
                    counter.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, closed }
    }

    /// The number of connections that the client closed.
    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }
}

/// Until the client closes the connection.
fn serve(mut socket: TcpStream, flood: Flood) {
    while let Some((id, operation)) = read_request(&mut socket) {
        match operation {
            BIND => {
                let success = tlv(0x61, &[0x0a, 1, 0, 4, 0, 4, 0]);
                if socket.write_all(&message(id, &success)).is_err() {
                    return;
                }
            }
            SEARCH => return pour(&mut socket, id, flood),
            _ => {}
        }
    }
}

fn pour(socket: &mut TcpStream, id: u8, flood: Flood) {
    let piece = match flood {
        Flood::Entries => message(id, &entry()),
        Flood::Message => vec![0; 16 * 1024],
    };
    if matches!(flood, Flood::Message) && socket.write_all(&[0x30, 0x84, 0x5a, 0, 0, 0]).is_err() {
        return;
    }
    while socket.write_all(&piece).is_ok() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

const BIND: u8 = 0x60;
const SEARCH: u8 = 0x63;

/// Reads a request with a short ID; returns the ID and the operation.
fn read_request(socket: &mut TcpStream) -> Option<(u8, u8)> {
    let mut head = [0; 2];
    socket.read_exact(&mut head).ok()?;
    let mut length = usize::from(head[1]);
    if length > 0x80 {
        let mut bytes = vec![0; length - 0x80];
        socket.read_exact(&mut bytes).ok()?;
        length = bytes.iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte));
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).ok()?;
    Some((body[2], body[3]))
}

/// An entry that the client can read.
fn entry() -> Vec<u8> {
    let attribute = |name: &str, value: &str| {
        let values = tlv(0x31, &tlv(4, value.as_bytes()));
        tlv(0x30, &[tlv(4, name.as_bytes()), values].concat())
    };
    let attributes = [attribute("uid", "ada"), attribute("entryUUID", &"1".repeat(8 * 1024))].concat();
    tlv(
        0x64,
        &[tlv(4, b"uid=ada,dc=example,dc=test"), tlv(0x30, &attributes)].concat(),
    )
}

fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(2, &[id]), operation.to_vec()].concat())
}

/// An element of BER (X.690).
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let head = match length {
        0..=127 => vec![tag, length as u8],
        128.. => [&[tag, 0x82], &length.to_be_bytes()[..]].concat(),
    };
    [head, content.to_vec()].concat()
}
