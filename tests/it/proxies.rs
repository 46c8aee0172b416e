//! The files in `contrib/` as they are, in the real nginx and Caddy: only addresses and ports are put in their place.

use crate::harness::{
    client::{Answer, Client},
    server::{On, PASSWORD, TestServer, eventually, operator},
};
use nightlatch::{
    domain::account::Role,
    flows::{
        accounts::Act,
        applications::{self, Change, Verdict},
    },
};
use reqwest::Method;
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nginx,
    Caddy,
}

/// What the application received: the heads of requests, newest last.
type Received = Arc<Mutex<Vec<String>>>;

/// An application that says `hello` to everybody and remembers what it was asked.
fn application() -> (u16, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let received = Received::default();
    let heads = received.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (socket, heads) = (socket.unwrap(), heads.clone());
            std::thread::spawn(move || greet(socket, &heads));
        }
    });
    (port, received)
}

fn greet(mut socket: TcpStream, heads: &Received) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Ok(_) | Err(_) => return,
        }
    }
    heads.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
    // The proxy may have gone away; then nobody waits for this.
    socket
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        .ok();
}

/// Nightlatch, an application and a proxy between people and both.
struct Chain {
    server: TestServer,
    received: Received,
    port: u16,
    proxy: Child,
    _directory: tempfile::TempDir,
}

impl Chain {
    fn start(kind: Kind) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = TestServer::on(On::Sqlite)
            .env("NIGHTLATCH_PUBLIC_URL", &format!("http://login.example.org:{port}"))
            .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
            .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
            .start();
        let wiki = Change {
            hosts: Some(vec!["wiki.example.org".to_owned()]),
            public: Some(vec!["/healthz".to_owned()]),
            ..Change::default()
        };
        let operator = operator();
        let made = applications::create(&server.ctx, &operator, "wiki", wiki);
        assert_eq!(server.run(made).unwrap(), Verdict::Done);
        let (application, received) = application();
        let directory = tempfile::tempdir().unwrap();
        let nightlatch = server.base.trim_start_matches("http://").to_owned();
        let proxy = run(kind, directory.path(), port, &nightlatch, application);
        let chain = Self {
            server,
            received,
            port,
            proxy,
            _directory: directory,
        };
        eventually("the proxy answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        chain
    }

    /// A browser at one of the two hosts.
    fn at(&self, host: &str) -> Client {
        Client::new(&format!("http://127.0.0.1:{}", self.port)).header("host", &self.authority(host))
    }

    fn authority(&self, host: &str) -> String {
        format!("{host}.example.org:{}", self.port)
    }

    /// The same browser at another host of the cookie's domain.
    fn then_at(&self, browser: &Client, host: &str) -> Client {
        browser.thief().header("host", &self.authority(host))
    }

    /// Signs in at the sign-in host, coming from the application.
    fn sign_in(&self, name: &str) -> Client {
        let browser = self.at("login");
        let page = format!("http://{}/page?x=1", self.authority("wiki"));
        let form = [("username", name), ("password", PASSWORD), ("return_to", page.as_str())];
        assert_eq!(browser.post("/login", &form).expect(303).location(), page);
        self.then_at(&browser, "wiki")
    }

    /// The value of a header as the application got it last; several are joined.
    fn last(&self, header: &str) -> Option<String> {
        let heads = self.received.lock().unwrap();
        let lines = heads
            .last()
            .unwrap()
            .lines()
            .skip(1)
            .map(|line| line.split_once(':').unwrap_or((line, "")));
        let values: Vec<&str> = lines
            .filter(|(name, _)| name.eq_ignore_ascii_case(header))
            .map(|(_, value)| value.trim())
            .collect();
        (!values.is_empty()).then(|| values.join(" | "))
    }

    fn requests(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        self.proxy.kill().ok();
        self.proxy.wait().ok();
    }
}

/// The shipped file with this test's addresses, in the real program.
fn run(kind: Kind, directory: &Path, port: u16, nightlatch: &str, application: u16) -> Child {
    let name = match kind {
        Kind::Nginx => "nginx.conf",
        Kind::Caddy => "Caddyfile",
    };
    let shipped = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(name)).unwrap();
    let listening = match kind {
        Kind::Nginx => shipped.replace("listen 80;", &format!("listen 127.0.0.1:{port};")),
        Kind::Caddy => shipped
            .replace(
                "http://login.example.org {",
                &format!("http://login.example.org:{port} {{"),
            )
            .replace(
                "http://wiki.example.org {",
                &format!("http://wiki.example.org:{port} {{"),
            ),
    };
    assert_ne!(listening, shipped, "the file listens elsewhere than expected");
    let file = listening
        .replace("127.0.0.1:8080", nightlatch)
        .replace("127.0.0.1:3000", &format!("127.0.0.1:{application}"));
    fs::write(directory.join(name), file).unwrap();
    let mut command = match kind {
        Kind::Nginx => {
            let own = directory.display();
            let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|what| format!("{what}_temp_path {own}/{what};"))
                .join(" ");
            let main = format!(
                "pid {own}/pid; error_log {own}/errors; daemon off; master_process off; events {{}} \
                 http {{ access_log off; {paths} include {own}/{name}; }}"
            );
            fs::write(directory.join("main.conf"), main).unwrap();
            let installed = Path::new("/usr/sbin/nginx");
            let mut command = Command::new(if installed.exists() {
                installed
            } else {
                Path::new("nginx")
            });
            command
                .arg("-c")
                .arg(directory.join("main.conf"))
                .arg("-p")
                .arg(directory);
            command
        }
        Kind::Caddy => {
            let mut command = Command::new("caddy");
            command
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(directory.join(name));
            command
                .env("XDG_DATA_HOME", directory)
                .env("XDG_CONFIG_HOME", directory)
                .env("HOME", directory);
            command
        }
    };
    let output = || Stdio::from(fs::File::create(directory.join("output")).unwrap());
    let child = command.stdin(Stdio::null()).stdout(output()).stderr(output()).spawn();
    child.unwrap_or_else(|error| panic!("{kind:?} is installed: tests/run does that: {error}"))
}

fn identity(chain: &Chain) -> [Option<String>; 4] {
    ["remote-user", "remote-name", "remote-email", "remote-groups"]
        .map(|name| chain.last(name).filter(|value| !value.is_empty()))
}

#[test]
fn identity_arrives_through_the_shipped_files_and_a_sign_out_ends_access_at_once() {
    for kind in [Kind::Nginx, Kind::Caddy] {
        let chain = Chain::start(kind);
        let ada = chain.server.account("ada", Role::Member);
        let profile = Act::SetProfile {
            display_name: "Ada L".to_owned(),
            email: "ada@example.org".to_owned(),
            groups: vec!["staff".to_owned(), "ops".to_owned()],
        };
        chain.server.act(ada, profile);
        let stranger = chain.at("wiki").get("/page?x=1").expect(302);
        let back = format!("http%3A%2F%2Fwiki.example.org%3A{}%2Fpage%3Fx%3D1", chain.port);
        let login = format!("http://{}/login?return_to={back}", chain.authority("login"));
        assert_eq!(stranger.location(), login, "{kind:?}");
        assert_eq!(chain.requests(), 0, "{kind:?}: nothing reached the application");
        let browser = chain.sign_in("ada");
        assert_eq!(browser.get("/page?x=1").expect(200).text(), "hello", "{kind:?}");
        let expected = ["ada", "Ada L", "ada@example.org", "staff,ops"].map(|value| Some(value.to_owned()));
        assert_eq!(identity(&chain), expected, "{kind:?}");
        assert_eq!(chain.last("host"), Some(chain.authority("wiki")), "{kind:?}");
        let post: Answer = browser.post("/save", &[("text", "hello")]);
        assert_eq!(post.expect(200).text(), "hello", "{kind:?}");
        let asked = chain.requests();
        chain.then_at(&browser, "login").post("/logout", &[]).expect(303);
        assert!(
            browser.get("/page").expect(302).location().contains("/login?"),
            "{kind:?}"
        );
        assert_eq!(
            chain.requests(),
            asked,
            "{kind:?}: the application was not asked any more"
        );
    }
}

#[test]
fn what_a_client_says_about_its_identity_never_arrives() {
    for kind in [Kind::Nginx, Kind::Caddy] {
        let chain = Chain::start(kind);
        chain.server.account("ada", Role::Member);
        let mut browser = chain.sign_in("ada");
        for name in [
            "remote-user",
            "remote-name",
            "remote-email",
            "remote-groups",
            "remote_user",
            "Remote_Groups",
            "REMOTE_USER",
        ] {
            browser = browser.header(name, "boss");
        }
        browser = browser
            .header("x-original-url", "http://wiki.example.org/healthz")
            .header("x-forwarded-uri", "/healthz");
        browser = browser
            .header("x-forwarded-host", "login.example.org")
            .header("x-forwarded-method", "HEAD");
        browser = browser.header("x-forwarded-for", "203.0.113.9");
        browser.get("/page").expect(200);
        assert_eq!(identity(&chain), [Some("ada".to_owned()), None, None, None], "{kind:?}");
        let heads = chain.received.lock().unwrap().clone();
        assert!(!heads.last().unwrap().contains("boss"), "{kind:?}: {heads:?}");
        // Called a matter of the connection, it arrives all the same, or nothing does.
        let asked = chain.requests();
        let dropping = browser.thief().header("connection", "close, Remote-User").get("/page");
        assert!(
            dropping.status() == 200 || (dropping.status() == 400 && chain.requests() == asked),
            "{kind:?}"
        );
        assert_eq!(chain.last("remote-user").as_deref(), Some("ada"), "{kind:?}");
        // A public path is public without any identity, and only that path is.
        let stranger = chain
            .at("wiki")
            .header("remote-user", "boss")
            .header("remote_user", "boss");
        stranger.get("/healthz").expect(200);
        assert_eq!(identity(&chain), [const { None }; 4], "{kind:?}");
        assert_eq!(chain.last("remote_user").unwrap_or_default(), "", "{kind:?}");
        for claimed in ["x-original-url", "x-forwarded-uri", "x-forwarded-host"] {
            let stranger = chain.at("wiki").header(claimed, "http://wiki.example.org/healthz");
            assert_ne!(stranger.get("/page").status(), 200, "{kind:?} {claimed}");
        }
    }
}

#[test]
fn the_questions_of_proxies_are_closed_to_the_public() {
    for kind in [Kind::Nginx, Kind::Caddy] {
        let chain = Chain::start(kind);
        chain.server.account("ada", Role::Member);
        let browser = chain.then_at(&chain.sign_in("ada"), "login");
        let headers = [
            ("x-original-url", "http://wiki.example.org/"),
            ("x-original-method", "GET"),
        ];
        for path in [
            "/api/authz/auth-request",
            "/api/authz/forward-auth",
            "/api/authz/ext-authz/page",
            "/api/authz/",
        ] {
            browser.send(Method::GET, path, None, &headers).expect(403);
        }
        let asked = chain.requests();
        let strange = chain.at("wiki");
        for path in ["/.nightlatch-verify", "/api/authz/auth-request"] {
            assert_ne!(
                strange.send(Method::GET, path, None, &headers).status(),
                200,
                "{kind:?} {path}"
            );
        }
        assert_eq!(chain.requests(), asked, "{kind:?}");
        // The sign-in host itself works as ever.
        browser.get("/").expect(200);
    }
}

#[test]
fn a_script_gets_a_401_and_a_page_the_sign_in() {
    for kind in [Kind::Nginx, Kind::Caddy] {
        let chain = Chain::start(kind);
        let script = chain
            .at("wiki")
            .header("accept", "application/json")
            .header("sec-fetch-mode", "cors");
        let answer = script.get("/data").expect(401);
        assert_eq!(answer.header("x-nightlatch-reason"), Some("sign_in"), "{kind:?}");
        chain
            .at("wiki")
            .header("sec-fetch-mode", "navigate")
            .get("/data")
            .expect(302);
        assert_eq!(chain.requests(), 0, "{kind:?}");
    }
}
