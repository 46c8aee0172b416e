//! A minimal proxy in this process: it requests a decision before it returns the application's
//! page, and forwards Nightlatch's own addresses.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

/// A port that is bound but not served yet.
pub struct Gateway(TcpListener);

/// A received request.
struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Gateway {
    pub fn open() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Serves until the test process ends: host names that begin with `login.` belong to
    /// Nightlatch, others show `page`.
    pub fn serve(self, nightlatch: &str, page: &'static str) {
        let nightlatch: Arc<str> = nightlatch.trim_start_matches("http://").into();
        std::thread::spawn(move || {
            for socket in self.0.incoming().flatten() {
                let nightlatch = nightlatch.clone();
                // A client that closes early is not an error.
                std::thread::spawn(move || handle(socket, &nightlatch, page).ok());
            }
        });
    }
}

fn handle(mut socket: TcpStream, nightlatch: &str, page: &str) -> std::io::Result<()> {
    let request = Request::read(&mut BufReader::new(socket.try_clone()?))?;
    let path = request.line.split(' ').nth(1).unwrap_or_default();
    let host = request.header("host");
    if host.starts_with("login.") || path.starts_with("/nightlatch/") {
        let answer = ask(nightlatch, &request.line, &request.headers, &request.body)?;
        return socket.write_all(&answer);
    }
    let mut question = request.headers.clone();
    question.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    question.push(("X-Original-URL".to_owned(), format!("http://{host}{path}")));
    question.push(("X-Original-Method".to_owned(), "GET".to_owned()));
    let answer = ask(nightlatch, "GET /api/authz/auth-request HTTP/1.1", &question, &[])?;
    let answer = String::from_utf8_lossy(&answer);
    let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
    let response = match (answer.get(9..12), location) {
        (Some("200"), _) => format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\
             Content-Security-Policy: default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'none'\r\n\r\n{page}",
            page.len()
        ),
        (_, Some(location)) => {
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        (_, None) => "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
    };
    socket.write_all(response.as_bytes())
}

fn ask(nightlatch: &str, line: &str, headers: &[(String, String)], body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut upstream = TcpStream::connect(nightlatch)?;
    let mut head = format!("{line}\r\n");
    for (name, value) in headers {
        if !name.eq_ignore_ascii_case("connection") && !name.eq_ignore_ascii_case("x-forwarded-for") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("Connection: close\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n");
    upstream.write_all(head.as_bytes())?;
    upstream.write_all(body)?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    Ok(answer)
}

impl Request {
    fn read(from: &mut impl BufRead) -> std::io::Result<Self> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            from.read_line(&mut header)?;
            match header.trim_end().split_once(": ") {
                Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
                None => break,
            }
        }
        let mut request = Self {
            line: line.trim_end().to_owned(),
            headers,
            body: Vec::new(),
        };
        let length = request.header("content-length").parse().unwrap_or(0);
        request.body.resize(length, 0);
        from.read_exact(&mut request.body)?;
        Ok(request)
    }

    fn header(&self, wanted: &str) -> &str {
        let found = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map_or("", |(_, value)| value)
    }
}
