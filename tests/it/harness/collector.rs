//! Receivers of shipped audit entries: a webhook and a syslog server that do what the test says,
//! and Debian's rsyslog.

use super::server::eventually;
use nightlatch::domain::audit::shipping::received::{ReceivedLog, ReceivedReport};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

/// What a receiver does with a batch that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Keeps and confirms it.
    Confirm,
    /// Answers with a status, without keeping it.
    Refuse(u16),
    /// Keeps it, and never answers.
    Hang,
    /// Confirms until so many batches are there, then hangs.
    ConfirmSome(usize),
    /// Keeps it, and breaks the connection.
    Break,
    /// Closes the connection before it reads anything.
    Close,
}

/// A batch as it arrived.
#[derive(Debug, Clone)]
pub struct ReceivedBatch {
    /// The head of the request; empty for syslog.
    pub head: String,
    /// The body, or all messages of a connection.
    pub body: String,
}

/// A receiver in this process.
pub struct Collector {
    port: u16,
    behaviour: Arc<Mutex<Behaviour>>,
    batches: Arc<Mutex<Vec<ReceivedBatch>>>,
}

/// The key of the signatures of webhooks.
pub const SECRET: &str = "an example secret of 32 characters";

impl Collector {
    /// Starts a webhook.
    pub fn webhook() -> Self {
        Self::start(serve_http)
    }

    /// Starts a syslog server.
    pub fn syslog() -> Self {
        Self::start(serve_syslog)
    }

    fn start(serve: fn(TcpStream, &Mutex<Behaviour>, &Mutex<Vec<ReceivedBatch>>)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self {
            port: listener.local_addr().unwrap().port(),
            behaviour: Arc::new(Mutex::new(Behaviour::Confirm)),
            batches: Arc::default(),
        };
        let (behaviour, batches) = (collector.behaviour.clone(), collector.batches.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (behaviour, batches) = (behaviour.clone(), batches.clone());
                std::thread::spawn(move || serve(stream, &behaviour, &batches));
            }
        });
        collector
    }

    /// Changes what it does from the next batch on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// The table of a webhook target, with this name.
    pub fn webhook_table(&self, name: &str) -> String {
        format!(
            "[audit_targets.{name}]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/in\"\nsecret = \"{SECRET}\"\n",
            self.port
        )
    }

    /// The table of a syslog target, with this name.
    pub fn syslog_table(&self, name: &str) -> String {
        format!(
            "[audit_targets.{name}]\nkind = \"syslog\"\naddress = \"tcp://127.0.0.1:{}\"\n",
            self.port
        )
    }

    /// What arrived so far.
    pub fn batches(&self) -> Vec<ReceivedBatch> {
        self.batches.lock().unwrap().clone()
    }

    /// Checks everything that arrived by its seals.
    pub fn report(&self) -> ReceivedReport {
        let mut log = ReceivedLog::default();
        for (number, batch) in self.batches().iter().enumerate() {
            if batch.head.is_empty() {
                frames(&batch.body).for_each(|message| log.read_line(number + 1, &message));
            } else {
                log.read_line(number + 1, &batch.body);
            }
        }
        log.finish(None)
    }

    /// Waits until that many different entries have arrived.
    pub fn wait_for(&self, entries: u64) -> ReceivedReport {
        let mut seen = None;
        let mut report = self.report();
        eventually("all entries arrive", || {
            // Reading everything again is slow.
            let batches = Some(self.batches.lock().unwrap().len());
            if seen != batches {
                (seen, report) = (batches, self.report());
            }
            report.entries >= entries
        });
        report
    }
}

fn serve_http(stream: TcpStream, behaviour: &Mutex<Behaviour>, batches: &Mutex<Vec<ReceivedBatch>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let does = match *behaviour.lock().unwrap() {
            Behaviour::ConfirmSome(batches_confirmed) => match batches.lock().unwrap().len() < batches_confirmed {
                true => Behaviour::Confirm,
                false => Behaviour::Hang,
            },
            does => does,
        };
        if !matches!(does, Behaviour::Refuse(_)) {
            let body = String::from_utf8(body).unwrap();
            batches.lock().unwrap().push(ReceivedBatch { head, body });
        }
        let status = match does {
            Behaviour::Confirm | Behaviour::ConfirmSome(_) => 204,
            Behaviour::Refuse(status) => status,
            Behaviour::Hang => {
                // Until the other side gives up.
                reader.read_to_end(&mut Vec::new()).ok();
                return;
            }
            Behaviour::Break | Behaviour::Close => return,
        };
        let answer = format!("HTTP/1.1 {status} x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
        let answer = if status == 204 {
            "HTTP/1.1 204 x\r\n\r\n".to_owned()
        } else {
            answer
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn serve_syslog(mut stream: TcpStream, behaviour: &Mutex<Behaviour>, batches: &Mutex<Vec<ReceivedBatch>>) {
    let does = *behaviour.lock().unwrap();
    if does == Behaviour::Close {
        return;
    }
    if does == Behaviour::Break {
        // Closing with unread octets resets the connection.
        stream.read_exact(&mut [0; 10]).ok();
        return;
    }
    let mut body = String::new();
    if stream.read_to_string(&mut body).is_err() {
        return;
    }
    batches.lock().unwrap().push(ReceivedBatch {
        head: String::new(),
        body,
    });
    if does == Behaviour::Hang {
        std::thread::park();
    }
}

/// The messages of a stream with counted octets.
pub fn frames(mut stream: &str) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        let (length, rest) = stream.split_once(' ')?;
        let (message, rest) = rest.split_at_checked(length.parse().unwrap())?;
        stream = rest;
        Some(message.to_owned())
    })
}

/// Debian's rsyslog, as a process of the test with a configuration of its own.
pub struct Rsyslog {
    child: Child,
    directory: tempfile::TempDir,
    port: u16,
    tls: Option<&'static str>,
}

impl Rsyslog {
    /// Chooses a port; it is not running yet. `tls`: the driver, `gtls` or `ossl`.
    pub fn stopped(tls: Option<&'static str>) -> RsyslogPlan {
        let directory = tempfile::tempdir().unwrap();
        if tls.is_some() {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            std::fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
            std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        RsyslogPlan { directory, port, tls }
    }

    /// The file into which it writes messages.
    pub fn messages(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("messages")).unwrap_or_default()
    }

    /// Checks everything that it wrote by its seals.
    pub fn report(&self) -> ReceivedReport {
        let mut log = ReceivedLog::default();
        let messages = self.messages();
        let whole = messages.rsplit_once('\n').map_or("", |(whole, _)| whole);
        for (number, line) in whole.lines().enumerate() {
            log.read_line(number + 1, line);
        }
        log.finish(None)
    }

    /// Ends it and returns what is needed to start it again.
    pub fn stop(mut self) -> RsyslogPlan {
        // SAFETY: the process is our child and has not been waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) }, 0);
        self.child.wait().unwrap();
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap());
        RsyslogPlan {
            directory,
            port: self.port,
            tls: self.tls,
        }
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        // Both fail when it was stopped.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// An rsyslog that does not run.
pub struct RsyslogPlan {
    directory: tempfile::TempDir,
    port: u16,
    tls: Option<&'static str>,
}

impl RsyslogPlan {
    /// The table of a target with this name.
    pub fn table(&self, name: &str) -> String {
        let common = format!("[audit_targets.{name}]\nkind = \"syslog\"\nfacility = \"local3\"\n");
        match self.tls {
            Some(_) => format!(
                "{common}address = \"tls://localhost:{}\"\nca_file = \"{}\"\n",
                self.port,
                self.directory.path().join("cert.pem").display()
            ),
            None => format!("{common}address = \"tcp://127.0.0.1:{}\"\n", self.port),
        }
    }

    /// Starts it and waits until it listens.
    pub fn start(self) -> Rsyslog {
        std::fs::write(self.directory.path().join("rsyslog.conf"), self.configuration()).unwrap();
        let places = ["/usr/sbin/rsyslogd", "/usr/bin/rsyslogd"].map(PathBuf::from);
        let program = places.into_iter().find(|path| path.exists());
        let child = Command::new(program.unwrap_or_else(|| "rsyslogd".into()))
            .arg("-n")
            .arg("-f")
            .arg(self.directory.path().join("rsyslog.conf"))
            .arg("-i")
            .arg(self.directory.path().join("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let rsyslog = Rsyslog {
            child,
            directory: self.directory,
            port: self.port,
            tls: self.tls,
        };
        let port = rsyslog.port;
        eventually("rsyslog listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        rsyslog
    }

    /// As `docs/audit-shipping.md` shows it.
    fn configuration(&self) -> String {
        let dir = self.directory.path().display();
        let (global, module) = match self.tls {
            Some(driver) => (
                format!(
                    " defaultNetstreamDriverCAFile=\"{dir}/cert.pem\" defaultNetstreamDriverCertFile=\"{dir}/cert.pem\" \
                     defaultNetstreamDriverKeyFile=\"{dir}/key.pem\""
                ),
                format!(" streamDriver.name=\"{driver}\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\""),
            ),
            None => (String::new(), String::new()),
        };
        format!(
            "global(workDirectory=\"{dir}\" maxMessageSize=\"1m\"{global})\n\
             module(load=\"imtcp\"{module})\n\
             input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
             template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n\
             local3.* action(type=\"omfile\" file=\"{dir}/messages\" template=\"raw\")\n",
            port = self.port
        )
    }
}
