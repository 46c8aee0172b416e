//! An application behind a proxy: small, on a port of its own, and recording the requests it
//! receives. Speaks just enough HTTP/1.1, and of WebSockets (RFC 6455) the handshake and short
//! texts.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// What RFC 6455 adds to a nonce.
const WEBSOCKET: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The nonce in the example of RFC 6455 section 1.3, and its proof.
pub const NONCE: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const PROOF: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A request that the application received.
#[derive(Debug, Clone, Default)]
pub struct ReceivedRequest {
    pub method: String,
    /// As received, still encoded.
    pub target: String,
    /// The whole head.
    pub head: String,
    pub body: Vec<u8>,
}

impl ReceivedRequest {
    /// Reads a head and, by its length, a body. `None`: the connection has ended.
    fn read(from: &mut impl BufRead) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if from.read_until(b'\n', &mut head).ok()? == 0 {
                return None;
            }
        }
        let mut asked = Self::of_head(&String::from_utf8_lossy(&head));
        if let Some(length) = asked.header("content-length") {
            asked.body = vec![0; length.parse().ok()?];
            from.read_exact(&mut asked.body).ok()?;
        } else if asked.header("transfer-encoding").as_deref() == Some("chunked") {
            asked.body = chunks(from)?;
        }
        Some(asked)
    }

    pub fn of_head(head: &str) -> Self {
        let mut words = head.split([' ', '\r']);
        Self {
            method: words.next().unwrap_or_default().to_owned(),
            target: words.next().unwrap_or_default().to_owned(),
            head: head.to_owned(),
            body: Vec::new(),
        }
    }

    /// The value of a header; several values are joined.
    pub fn header(&self, header: &str) -> Option<String> {
        let lines = self.head.lines().skip(1);
        let values: Vec<&str> = lines
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| name.eq_ignore_ascii_case(header))
            .map(|(_, value)| value.trim())
            .collect();
        (!values.is_empty()).then(|| values.join(" | "))
    }
}

fn chunks(from: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        from.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// An answer: header lines with their line ends, and the body.
pub struct Reply {
    pub status: &'static str,
    pub headers: String,
    pub body: String,
}

impl Reply {
    pub fn text(body: &str) -> Self {
        Self {
            status: "200 OK",
            headers: "Content-Type: text/plain\r\n".to_owned(),
            body: body.to_owned(),
        }
    }
}

/// Decides what the application answers to a request.
pub type Answering = Arc<dyn Fn(&ReceivedRequest) -> Reply + Send + Sync>;

/// The running application; it ends with the test process.
pub struct Upstream {
    pub address: String,
    asked: Arc<Mutex<Vec<ReceivedRequest>>>,
}

impl Upstream {
    pub fn start(answering: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = asked.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (socket, answering, asked) = (socket.unwrap(), answering.clone(), asked.clone());
                std::thread::spawn(move || serve(socket, &answering, &asked));
            }
        });
        Self {
            address,
            asked: remembered,
        }
    }

    /// Every request it received, newest last.
    pub fn asked(&self) -> MutexGuard<'_, Vec<ReceivedRequest>> {
        self.asked.lock().unwrap()
    }

    pub fn requests(&self) -> usize {
        self.asked().len()
    }

    pub fn last(&self) -> ReceivedRequest {
        self.asked().last().cloned().expect("the application was asked")
    }
}

/// Serves one request per connection. The proxy may disconnect at any time.
fn serve(socket: TcpStream, answering: &Answering, asked: &Mutex<Vec<ReceivedRequest>>) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut socket = socket;
    let Some(request) = ReceivedRequest::read(&mut reader) else {
        return;
    };
    asked.lock().unwrap().push(request.clone());
    if request.header("upgrade").as_deref() == Some("websocket") {
        echo(&request, &mut reader, &mut socket).ok();
        return;
    }
    let Reply { status, headers, body } = answering(&request);
    if headers.contains("text/event-stream") {
        let head = format!("HTTP/1.1 {status}\r\n{headers}X-Accel-Buffering: no\r\nConnection: close\r\n\r\n");
        return stream(&mut socket, &format!("{head}{body}"));
    }
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    let body = if request.method == "HEAD" { String::new() } else { body };
    socket.write_all(format!("{head}{body}").as_bytes()).ok();
}

/// Sends events until the proxy disconnects.
fn stream(socket: &mut TcpStream, start: &str) {
    let mut text = start;
    while socket.write_all(text.as_bytes()).is_ok() {
        std::thread::sleep(Duration::from_millis(100));
        text = "data: more\n\n";
    }
}

/// Opens the WebSocket and echoes every text.
fn echo(request: &ReceivedRequest, reader: &mut impl Read, socket: &mut TcpStream) -> std::io::Result<()> {
    let nonce = request.header("sec-websocket-key").unwrap_or_default();
    let digest = ring::digest::digest(
        &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{nonce}{WEBSOCKET}").as_bytes(),
    );
    let proof = data_encoding::BASE64.encode(digest.as_ref());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: \
         Upgrade\r\nSec-WebSocket-Accept: {proof}\r\n\r\n"
    );
    socket.write_all(head.as_bytes())?;
    loop {
        // A frame from the client: final, text, masked, at most 125 bytes.
        let mut start = [0; 6];
        reader.read_exact(&mut start)?;
        let mut text = vec![0; usize::from(start[1] & 0x7f)];
        reader.read_exact(&mut text)?;
        for (at, byte) in text.iter_mut().enumerate() {
            *byte ^= start[2 + at % 4];
        }
        socket.write_all(&[0x81, start[1] & 0x7f])?;
        socket.write_all(&text)?;
    }
}
