//! A real nginx, Caddy or HAProxy with the shipped file of `contrib/`, in front of Nightlatch and
//! an application. Only addresses are replaced in the file. A relay records what the proxy sends to
//! Nightlatch.

use super::{
    client::Client,
    server::{Backend, PASSWORD, TestServer, eventually, operator},
    upstream::{Answering, ReceivedRequest, Reply, Upstream},
};
use nightlatch::flows::applications::{self, ApplicationChange, ApplicationOutcome};
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    Haproxy,
}

pub const EVERY: [Kind; 3] = [Kind::Nginx, Kind::Caddy, Kind::Haproxy];

/// Settings of a chain before it starts.
pub struct Setting {
    kind: Kind,
    domain: &'static str,
    wiki: ApplicationChange,
    /// Further lines of nginx's `http` block.
    lines: &'static str,
    /// Whether browsers reach nginx over https, with a certificate of the test's own.
    https: bool,
    /// Whether each host has a cookie of its own.
    own_cookies: bool,
    /// Replacements in the shipped file, besides the addresses: old, new.
    edits: &'static [(&'static str, &'static str)],
    answering: Answering,
}

impl Setting {
    /// Uses this domain instead of `example.org`.
    pub fn domain(mut self, domain: &'static str) -> Self {
        self.domain = domain;
        self
    }

    pub fn wiki(mut self, wiki: ApplicationChange) -> Self {
        self.wiki = wiki;
        self
    }

    pub fn lines(mut self, lines: &'static str) -> Self {
        self.lines = lines;
        self
    }

    /// Serves https, and the file by which a domain lets its login host bind sessions for all its
    /// hosts.
    pub fn https(mut self) -> Self {
        assert_eq!(self.kind, Kind::Nginx);
        self.https = true;
        self
    }

    /// Gives each host a cookie of its own, by handover.
    pub fn own_cookies(mut self) -> Self {
        self.own_cookies = true;
        self
    }

    pub fn edits(mut self, edits: &'static [(&'static str, &'static str)]) -> Self {
        self.edits = edits;
        self
    }

    pub fn answering(mut self, answering: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static) -> Self {
        self.answering = Arc::new(answering);
        self
    }

    pub fn start(self) -> Chain {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let scheme = if self.https { "https" } else { "http" };
        let server = TestServer::on(Backend::Sqlite)
            .env(
                "NIGHTLATCH_PUBLIC_URL",
                &format!("{scheme}://login.{}:{port}", self.domain),
            )
            .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1");
        let server = match self.own_cookies {
            true => server.start(),
            false => server.env("NIGHTLATCH_COOKIE_DOMAIN", self.domain).start(),
        };
        let application = Upstream::start(self.answering.clone());
        let relay = Relay::to(server.base.trim_start_matches("http://"));
        let directory = tempfile::tempdir().unwrap();
        let key_hash = if self.https {
            self.write_certificate(directory.path())
        } else {
            String::new()
        };
        let proxy = self.run(directory.path(), port, &relay.address, &application.address);
        let chain = Chain {
            kind: self.kind,
            domain: self.domain,
            port,
            server,
            application,
            relay,
            proxy,
            key_hash,
            directory,
        };
        chain.protect("wiki", self.wiki);
        eventually("the proxy answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        chain
    }

    /// Writes a certificate for all hosts; returns the hash of its key, as Chromium wants it.
    fn write_certificate(&self, directory: &Path) -> String {
        let names = vec![self.domain.to_owned(), format!("*.{}", self.domain)];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        fs::write(directory.join("certificate.pem"), made.cert.pem()).unwrap();
        fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let hash = ring::digest::digest(
            &ring::digest::SHA256,
            &rcgen::PublicKeyData::subject_public_key_info(&made.signing_key),
        );
        data_encoding::BASE64.encode(hash.as_ref())
    }

    /// nginx's lines for https, and the server of the domain itself.
    fn https_lines(&self, directory: &Path, port: u16) -> String {
        let (own, domain) = (directory.display(), self.domain);
        let file = format!(r#"{{"registering_origins": ["https://login.{domain}:{port}"]}}"#);
        format!(
            "ssl_certificate {own}/certificate.pem; ssl_certificate_key {own}/key.pem; \
             server {{ listen 127.0.0.1:{port} ssl; server_name {domain}; \
             location = /.well-known/device-bound-sessions {{ default_type application/json; return 200 '{file}'; }} }}"
        )
    }

    /// The proxy program, running on the shipped file with this test's addresses.
    fn run(&self, directory: &Path, port: u16, nightlatch: &str, application: &str) -> Child {
        let name = match self.kind {
            Kind::Nginx => "nginx.conf",
            Kind::Caddy => "Caddyfile",
            Kind::Haproxy => "haproxy.cfg",
        };
        let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib");
        let shipped = fs::read_to_string(contrib.join(name)).unwrap();
        let listening = match self.kind {
            Kind::Nginx => shipped
                .replace(
                    "listen 80;",
                    &format!("listen 127.0.0.1:{port}{};", if self.https { " ssl" } else { "" }),
                )
                .replace("listen [::]:80;", ""),
            Kind::Caddy => shipped.replace(".example.org {", &format!(".example.org:{port} {{")),
            Kind::Haproxy => shipped
                .replace("bind :80", &format!("bind 127.0.0.1:{port}"))
                .replace("/etc/haproxy", contrib.to_str().unwrap())
                .replace("/run/haproxy", directory.to_str().unwrap()),
        };
        assert_ne!(listening, shipped, "the file listens elsewhere than expected");
        let mut files = vec![(directory.join(name), listening)];
        if self.kind == Kind::Nginx {
            // nginx looks for them below the folder of its main file.
            fs::create_dir(directory.join("nightlatch")).unwrap();
            for included in ["host.conf", "protect.conf"] {
                let text = fs::read_to_string(contrib.join("nginx").join(included)).unwrap();
                files.push((directory.join("nightlatch").join(included), text));
            }
        }
        for (from, _) in self.edits {
            assert!(
                files.iter().any(|(_, text)| text.contains(from)),
                "{name} has no {from}"
            );
        }
        for (path, text) in files {
            let mut text = text
                .replace("127.0.0.1:8080", nightlatch)
                .replace("127.0.0.1:3000", application)
                .replace("example.org", self.domain);
            for (from, to) in self.edits {
                text = text.replace(from, to);
            }
            fs::write(path, text).unwrap();
        }
        let mut command = match self.kind {
            Kind::Nginx if self.https => nginx(directory, &self.https_lines(directory, port)),
            Kind::Nginx => nginx(directory, self.lines),
            Kind::Caddy => caddy(directory),
            Kind::Haproxy => haproxy(directory),
        };
        let output = || Stdio::from(fs::File::create(directory.join("output")).unwrap());
        let child = command.stdin(Stdio::null()).stdout(output()).stderr(output()).spawn();
        child.unwrap_or_else(|error| panic!("{:?} is installed: tests/run does that: {error}", self.kind))
    }
}

fn nginx(directory: &Path, lines: &str) -> Command {
    let own = directory.display();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {own}/{what};"))
        .join(" ");
    let main = format!(
        "pid {own}/pid; error_log {own}/errors; daemon off; master_process off; events {{}} \
         http {{ access_log off; {paths} {lines} include {own}/nginx.conf; }}"
    );
    fs::write(directory.join("main.conf"), main).unwrap();
    let installed = Path::new("/usr/sbin/nginx");
    let mut command = Command::new(if installed.exists() {
        installed
    } else {
        Path::new("nginx")
    });
    command.arg("-c").arg(directory.join("main.conf"));
    command.arg("-p").arg(directory);
    command
}

fn caddy(directory: &Path) -> Command {
    let mut command = Command::new("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(directory.join("Caddyfile"));
    for home in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"] {
        command.env(home, directory);
    }
    command
}

fn haproxy(directory: &Path) -> Command {
    let installed = Path::new("/usr/sbin/haproxy");
    let mut command = Command::new(if installed.exists() {
        installed
    } else {
        Path::new("haproxy")
    });
    // In the foreground.
    command.arg("-db").arg("-f").arg(directory.join("haproxy.cfg"));
    command
}

/// Relay between the proxy and Nightlatch that records requests.
pub struct Relay {
    address: String,
    sent: Arc<Mutex<Sent>>,
}

#[derive(Default)]
struct Sent {
    bytes: usize,
    /// Heads of requests, in the order in which they ended.
    heads: Vec<ReceivedRequest>,
}

impl Relay {
    fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let sent: Arc<Mutex<Sent>> = Arc::default();
        let (target, remembered) = (target.to_owned(), sent.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (socket, sent) = (socket.unwrap(), sent.clone());
                // The server of a finished test no longer answers.
                let Ok(server) = TcpStream::connect(&target) else {
                    return;
                };
                let (back, forth) = (server.try_clone().unwrap(), socket.try_clone().unwrap());
                std::thread::spawn(move || copy(back, forth, |_| ()));
                let mut text = String::new();
                std::thread::spawn(move || {
                    copy(socket, server, |bytes| {
                        let mut sent = sent.lock().unwrap();
                        sent.bytes += bytes.len();
                        text.push_str(&String::from_utf8_lossy(bytes));
                        while let Some((head, rest)) = text.split_once("\r\n\r\n") {
                            sent.heads.push(ReceivedRequest::of_head(head));
                            text = rest.to_owned();
                        }
                    })
                });
            }
        });
        Self {
            address,
            sent: remembered,
        }
    }

    /// Number of bytes sent to Nightlatch so far.
    pub fn bytes(&self) -> usize {
        self.sent.lock().unwrap().bytes
    }

    /// Every form that the proxy passed on to Nightlatch, newest last.
    pub fn forms(&self) -> Vec<ReceivedRequest> {
        let sent = self.sent.lock().unwrap();
        sent.heads
            .iter()
            .filter(|sent| sent.method == "POST")
            .cloned()
            .collect()
    }

    /// Number of requests for this target that arrived from the proxy so far.
    pub fn count(&self, target: &str) -> usize {
        let sent = self.sent.lock().unwrap();
        sent.heads.iter().filter(|sent| sent.target == target).count()
    }

    /// Every request that the proxy sent to Nightlatch, newest last.
    pub fn questions(&self) -> Vec<ReceivedRequest> {
        let sent = self.sent.lock().unwrap();
        let questions = sent
            .heads
            .iter()
            .filter(|asked| asked.target.starts_with("/api/authz/"));
        questions.cloned().collect()
    }
}

/// Copies bytes until either side closes, then closes the other.
fn copy(mut from: TcpStream, mut to: TcpStream, mut seen: impl FnMut(&[u8])) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 {
            break;
        }
        seen(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    to.shutdown(std::net::Shutdown::Both).ok();
    from.shutdown(std::net::Shutdown::Both).ok();
}

/// Nightlatch and an application, with a proxy in front of both.
pub struct Chain {
    pub kind: Kind,
    domain: &'static str,
    pub port: u16,
    pub server: TestServer,
    pub application: Upstream,
    pub relay: Relay,
    proxy: Child,
    /// The hash of the key of its certificate.
    pub key_hash: String,
    directory: tempfile::TempDir,
}

impl Chain {
    pub fn of(kind: Kind) -> Setting {
        Setting {
            kind,
            domain: "example.org",
            wiki: ApplicationChange {
                public: Some(vec!["/healthz".to_owned()]),
                ..ApplicationChange::default()
            },
            lines: "",
            https: false,
            own_cookies: false,
            edits: &[],
            answering: Arc::new(|_| Reply::text("hello")),
        }
    }

    pub fn start(kind: Kind) -> Self {
        Self::of(kind).start()
    }

    /// Registers an application on a host of its own, `NAME.example.org`.
    pub fn protect(&self, name: &str, change: ApplicationChange) {
        let change = ApplicationChange {
            hosts: Some(vec![format!("wiki.{}", self.domain)]),
            ..change
        };
        let operator = operator();
        let made = applications::create(&self.server.ctx, &operator, name, change);
        assert_eq!(self.server.run(made).unwrap(), ApplicationOutcome::Done);
    }

    /// `wiki` → `wiki.example.org:PORT`.
    pub fn authority(&self, host: &str) -> String {
        format!("{host}.{}:{}", self.domain, self.port)
    }

    /// A browser that talks to one of the hosts.
    pub fn at(&self, host: &str) -> Client {
        Client::new(&format!("http://127.0.0.1:{}", self.port)).header("host", &self.authority(host))
    }

    /// The same browser, at another host of the cookie's domain.
    pub fn then_at(&self, browser: &Client, host: &str) -> Client {
        browser.thief().header("host", &self.authority(host))
    }

    /// Requests a page of the application, follows the redirect to the sign-in page and back, as a
    /// browser does.
    pub fn sign_in(&self, name: &str) -> Client {
        let login = self.at("wiki").get("/page?x=1").expect(302);
        let url = url::Url::parse(login.location()).unwrap();
        assert_eq!(url.path(), "/login");
        let (_, return_to) = url.query_pairs().find(|(name, _)| name == "return_to").unwrap();
        let browser = self.at("login");
        let form = [("username", name), ("password", PASSWORD), ("return_to", &*return_to)];
        let page = format!("http://{}/page?x=1", self.authority("wiki"));
        assert_eq!(browser.post("/login", &form).expect(303).location(), page);
        self.then_at(&browser, "wiki")
    }

    /// Sends a command to HAProxy's socket, and returns what it says.
    pub fn command_haproxy(&self, command: &str) -> String {
        let mut socket = UnixStream::connect(self.directory.path().join("admin.sock")).unwrap();
        socket.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A connection to the proxy.
    pub fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    /// Sends raw bytes and reads the answer to its end.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut socket = self.connect();
        // A proxy that refuses early may close while this side still writes or reads.
        socket.write_all(bytes).ok();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).ok();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // Both fail when the process has already ended.
        self.proxy.kill().ok();
        self.proxy.wait().ok();
    }
}

/// The status of a raw answer; 0 for none.
pub fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
