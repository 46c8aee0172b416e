//! A mail server for tests, with TLS where a test wants it: accepts emails, refuses them, stalls or
//! hangs up.

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{
    io::{BufRead, BufReader, Read, Write},
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
    /// Answers EHLO with this line.
    Ehlo(&'static str),
    /// Answers MAIL FROM with this line.
    Sender(&'static str),
    /// Answers RCPT with this line.
    Recipient(&'static str),
    /// Answers the end of the email with this line and stores nothing.
    Email(&'static str),
    /// Requires a username and password, and answers them with this line.
    Login(&'static str),
    /// Accepts the connection and stays silent.
    Silent,
    /// Hangs up in the middle of the email.
    HangsUp,
    /// Accepts the email and hangs up before it answers.
    TakesSilently,
}

/// When the conversation is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encrypted {
    FromTheStart,
    AfterStartTls,
}

/// A self-signed certificate for these names.
#[derive(Clone)]
pub struct Certificate {
    pub pem: String,
    config: Arc<ServerConfig>,
}

impl Certificate {
    pub fn of(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self {
            pem: made.cert.pem(),
            config: Arc::new(config),
        }
    }
}

/// An accepted email.
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

/// The first link in an email that contains `part`, with quoted-printable decoded.
pub fn link(data: &str, part: &str) -> Option<String> {
    let plain = data.replace("=\r\n", "").replace("=3D", "=");
    plain
        .split_whitespace()
        .find(|word| word.starts_with("http") && word.contains(part))
        .map(str::to_owned)
}

struct Shared {
    manner: Mutex<Manner>,
    tls: Option<(Encrypted, Certificate)>,
    received: Mutex<Vec<Received>>,
    /// Everything that was sent without encryption.
    overheard: Mutex<String>,
    stopped: AtomicBool,
}

pub struct SmtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl SmtpServer {
    pub fn start(manner: Manner) -> Self {
        Self::listening(manner, None)
    }

    pub fn encrypted(encrypted: Encrypted, certificate: &Certificate) -> Self {
        Self::listening(Manner::Takes, Some((encrypted, certificate.clone())))
    }

    fn listening(manner: Manner, tls: Option<(Encrypted, Certificate)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            manner: Mutex::new(manner),
            tls,
            received: Mutex::default(),
            overheard: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let seen = shared.clone();
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if seen.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (socket, seen) = (socket.unwrap(), seen.clone());
                // A client that disconnects ends only this conversation.
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
        self.url_for("")
    }

    /// The address for `user`, such as `ada:secret@`; encrypted as the server is.
    pub fn url_for(&self, user: &str) -> String {
        let address = self.address;
        match self.shared.tls {
            None => format!("smtp://{user}{address}"),
            Some((Encrypted::FromTheStart, _)) => format!("smtps://{user}{address}"),
            Some((Encrypted::AfterStartTls, _)) => format!("smtp://{user}{address}?tls=required"),
        }
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

    /// Returns the bytes that a listener on the network could read.
    pub fn overheard(&self) -> String {
        self.shared.overheard.lock().unwrap().clone()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which may already have ended.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

type Lines = BufReader<Box<dyn Wire>>;

fn in_clear(socket: TcpStream) -> Lines {
    BufReader::new(Box::new(socket))
}

/// The handshake happens with the first read or write.
fn within_tls(socket: TcpStream, certificate: &Certificate) -> std::io::Result<Lines> {
    let connection = ServerConnection::new(certificate.config.clone()).map_err(std::io::Error::other)?;
    Ok(BufReader::new(Box::new(StreamOwned::new(connection, socket))))
}

fn say(lines: &mut Lines, words: &str) -> std::io::Result<()> {
    let out = lines.get_mut();
    out.write_all(words.as_bytes())?;
    out.write_all(b"\r\n")?;
    out.flush()
}

fn converse(socket: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let manner = *shared.manner.lock().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (mut lines, mut encrypted) = match &shared.tls {
        Some((Encrypted::FromTheStart, certificate)) => (within_tls(socket.try_clone()?, certificate)?, true),
        Some((Encrypted::AfterStartTls, _)) | None => (in_clear(socket.try_clone()?), false),
    };
    if manner == Manner::Silent {
        let mut nothing = String::new();
        lines.read_line(&mut nothing)?;
        return Ok(());
    }
    say(&mut lines, "220 test ESMTP")?;
    let mut email = Received {
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
        if !encrypted {
            shared.overheard.lock().unwrap().push_str(&line);
        }
        let verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" if matches!(manner, Manner::Ehlo(_)) => match manner {
                Manner::Ehlo(answer) => answer.to_owned(),
                _ => unreachable!(),
            },
            "EHLO" if shared.tls.is_some() && !encrypted => "250-test\r\n250-STARTTLS\r\n250 8BITMIME".to_owned(),
            "EHLO" => "250-test\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME".to_owned(),
            "STARTTLS" => match &shared.tls {
                Some((_, certificate)) if !encrypted => {
                    say(&mut lines, "220 go ahead")?;
                    lines = within_tls(socket.try_clone()?, certificate)?;
                    encrypted = true;
                    continue;
                }
                Some(_) | None => "503 not now".to_owned(),
            },
            "HELO" | "RSET" | "NOOP" => "250 test".to_owned(),
            "AUTH" => match manner {
                Manner::Login(answer) => answer.to_owned(),
                _ => "235 welcome".to_owned(),
            },
            "MAIL" => {
                email.from = line.trim().to_owned();
                match manner {
                    Manner::Sender(answer) => answer.to_owned(),
                    _ => "250 ok".to_owned(),
                }
            }
            "RCPT" => match manner {
                Manner::Recipient(answer) => answer.to_owned(),
                _ => {
                    email.to.push(line.trim().to_owned());
                    "250 ok".to_owned()
                }
            },
            "DATA" => {
                say(&mut lines, "354 go on")?;
                email.data.clear();
                loop {
                    line.clear();
                    if lines.read_line(&mut line)? == 0 || manner == Manner::HangsUp {
                        return Ok(());
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    email.data.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                match manner {
                    Manner::Email(answer) => answer.to_owned(),
                    _ => {
                        shared.received.lock().unwrap().push(email.clone());
                        if manner == Manner::TakesSilently {
                            return Ok(());
                        }
                        "250 2.0.0 taken as 4711".to_owned()
                    }
                }
            }
            "QUIT" => {
                return say(&mut lines, "221 bye");
            }
            _ => "500 what?".to_owned(),
        };
        say(&mut lines, &answer)?;
    }
}
