//! A mail server on a socket: takes letters, or refuses, stalls and hangs up as a test asks it to.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Takes,
    /// Answers RCPT with this line.
    Recipient(&'static str),
    /// Answers the end of the letter with this line, and keeps nothing.
    Letter(&'static str),
    /// Wants a user name and password first, and answers them with this line.
    Login(&'static str),
    /// Accepts the connection and says nothing.
    Silent,
    /// Hangs up in the middle of the letter.
    HangsUp,
    /// Takes the letter, and hangs up before it says so.
    TakesSilently,
}

/// A letter that was taken.
#[derive(Debug, Clone)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

impl Received {
    /// A header's value, folded lines joined.
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.data, name)
    }
}

pub fn header(data: &str, name: &str) -> Option<String> {
    let head = data.split("\r\n\r\n").next()?.replace("\r\n ", " ");
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// The first link in a letter that has `part` in it, quoted-printable undone.
pub fn link(data: &str, part: &str) -> Option<String> {
    let plain = data.replace("=\r\n", "").replace("=3D", "=");
    plain
        .split_whitespace()
        .find(|word| word.starts_with("http") && word.contains(part))
        .map(str::to_owned)
}

struct Shared {
    manner: Mutex<Manner>,
    received: Mutex<Vec<Received>>,
    stopped: AtomicBool,
}

pub struct SmtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl SmtpServer {
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            manner: Mutex::new(manner),
            received: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let seen = shared.clone();
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if seen.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (socket, seen) = (socket.unwrap(), seen.clone());
                // A client that goes away ends the conversation, nothing else.
                std::thread::spawn(move || converse(socket, &seen).ok());
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener; it may have gone already.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn converse(socket: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let manner = *shared.manner.lock().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut out = socket.try_clone()?;
    let mut lines = BufReader::new(socket);
    if manner == Manner::Silent {
        let mut nothing = String::new();
        lines.read_line(&mut nothing)?;
        return Ok(());
    }
    out.write_all(b"220 test ESMTP\r\n")?;
    let mut letter = Received {
        from: String::new(),
        to: Vec::new(),
        data: String::new(),
    };
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-test\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME".to_owned(),
            "HELO" | "RSET" | "NOOP" => "250 test".to_owned(),
            "AUTH" => match manner {
                Manner::Login(answer) => answer.to_owned(),
                _ => "235 welcome".to_owned(),
            },
            "MAIL" => {
                letter.from = line.trim().to_owned();
                "250 ok".to_owned()
            }
            "RCPT" => match manner {
                Manner::Recipient(answer) => answer.to_owned(),
                _ => {
                    letter.to.push(line.trim().to_owned());
                    "250 ok".to_owned()
                }
            },
            "DATA" => {
                out.write_all(b"354 go on\r\n")?;
                letter.data.clear();
                loop {
                    line.clear();
                    if lines.read_line(&mut line)? == 0 || manner == Manner::HangsUp {
                        return Ok(());
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    letter.data.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                match manner {
                    Manner::Letter(answer) => answer.to_owned(),
                    _ => {
                        shared.received.lock().unwrap().push(letter.clone());
                        if manner == Manner::TakesSilently {
                            return Ok(());
                        }
                        "250 2.0.0 taken as 4711".to_owned()
                    }
                }
            }
            "QUIT" => {
                out.write_all(b"221 bye\r\n")?;
                return Ok(());
            }
            _ => "500 what?".to_owned(),
        };
        out.write_all(format!("{answer}\r\n").as_bytes())?;
    }
}
