//! Shared parts of page tests: raw sockets, the routing table with its parameters filled in, and
//! common journeys.

use crate::harness::{
    client::{Answer, Client},
    page::Part,
    server::TestServer,
};
use nightlatch::http::{route::Route, routes};
use reqwest::Method;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// An ID that does not exist.
pub const NOBODY: &str = "01900000-0000-7000-8000-000000000000";

/// Returns the route's path with harmless values for its parameters.
pub fn filled(route: &Route) -> String {
    let mut path = String::new();
    let mut rest = route.path;
    while let Some((before, after)) = rest.split_once('{') {
        let (hole, after) = after.split_once('}').unwrap();
        path.push_str(before);
        path.push_str(match hole.split(':').next().unwrap() {
            "number" => "1",
            "file" => "app.css",
            _ => NOBODY,
        });
        rest = after;
    }
    path + rest
}

/// Returns the routing table without the routes for proxies and the guard. Signing out comes last.
pub fn table() -> Vec<Route> {
    let mut table: Vec<Route> = routes()
        .into_iter()
        // Proxies and the page guard use these; other tests visit them.
        .filter(|route| !route.path.starts_with("/api/") && !route.path.starts_with("/nightlatch"))
        .collect();
    table.sort_by_key(|route| route.path == "/logout");
    table
}

/// Sends an empty request to the route.
pub fn ask(client: &Client, route: &Route, headers: &[(&str, &str)]) -> Answer {
    let form: Option<&[(&str, &str)]> = (route.method == Method::POST.as_str()).then_some(&[]);
    let method = Method::from_bytes(route.method.as_str().as_bytes()).unwrap();
    client.send(method, &filled(route), form, headers)
}

/// The bytes received over a socket, and whether the server closed it.
#[derive(Debug)]
pub struct Wire {
    pub text: String,
    pub closed: bool,
}

impl Wire {
    /// Returns the status of each response, in order.
    pub fn statuses(&self) -> Vec<u16> {
        self.text
            .match_indices("HTTP/1.")
            .filter_map(|(at, _)| self.text.get(at + 9..at + 12)?.parse().ok())
            .collect()
    }
}

/// Sends these bytes as they are, and reads until the server closes or falls silent.
pub fn wire(server: &TestServer, bytes: &[u8]) -> Wire {
    let mut socket = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
    // A server that refuses early may close while we still write.
    let _ = socket.write_all(bytes);
    let (mut read, mut buffer, mut closed) = (Vec::new(), [0; 8192], false);
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => {
                closed = true;
                break;
            }
            Ok(n) => read.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                closed = true;
                break;
            }
            Err(_) => break,
        }
    }
    Wire {
        text: String::from_utf8_lossy(&read).into_owned(),
        closed,
    }
}

/// Returns the host and port at which the server answers.
pub fn authority(server: &TestServer) -> &str {
    server.base.trim_start_matches("http://")
}

/// Returns every text between `start` and `end`.
pub fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    text.split(start)
        .skip(1)
        .filter_map(|rest| rest.split(end).next())
        .collect()
}

/// Returns the one-time password that a page shows.
pub fn one_time_password(page: &Answer) -> Option<String> {
    page.page().all("#one-time-secret").first().map(Part::text)
}

/// Runs `act` in parallel, once for each index below `number`, and returns the results.
pub fn at_once<T: Send>(number: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = std::sync::Barrier::new(number);
    std::thread::scope(|scope| {
        let acts: Vec<_> = (0..number)
            .map(|index| {
                let (start, act) = (&start, &act);
                scope.spawn(move || {
                    start.wait();
                    act(index)
                })
            })
            .collect();
        acts.into_iter().map(|act| act.join().unwrap()).collect()
    })
}

/// Parses CSV into records, the header first.
pub fn records(csv: &str) -> Vec<Vec<String>> {
    let mut records = vec![vec![String::new()]];
    let mut quoted = false;
    let mut characters = csv.chars().peekable();
    while let Some(c) = characters.next() {
        let cell = records.last_mut().unwrap().last_mut().unwrap();
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => records.last_mut().unwrap().push(String::new()),
            '\r' if !quoted => {}
            '\n' if !quoted => records.push(vec![String::new()]),
            c => cell.push(c),
        }
    }
    records.retain(|record| record.len() > 1 || !record[0].is_empty());
    records
}

/// Returns the first link of the page whose address contains `part`.
pub fn link(page: &Answer, part: &str) -> Option<String> {
    let page = page.page();
    let links = page.all("a").into_iter().map(|link| link.attribute("href").to_owned());
    links.into_iter().find(|href| href.contains(part))
}

/// Submits `fields` as edits in the policy editor and returns the answer.
pub fn draft(client: &Client, base: i64, fields: &[(&str, &str)]) -> Answer {
    let base = base.to_string();
    let mut form = vec![("base", base.as_str()), ("scope", "everyone")];
    form.extend_from_slice(fields);
    client.post("/admin/policy", &form)
}

/// Saves the draft at `review` with the form of its review page, and `more` fields.
pub fn save_reviewed(client: &Client, review: &str, more: &[(&str, &str)]) -> Answer {
    let page = client.get(review).expect(200).page();
    let form = page.form_with("base");
    let (draft, base) = (form.field("draft"), form.field("base"));
    let mut form = vec![("draft", draft.as_str()), ("base", base.as_str())];
    form.extend_from_slice(more);
    client.post("/admin/policy/review", &form)
}

/// Edits, reviews and saves a policy through the forms of the pages.
pub fn save(client: &Client, base: i64, fields: &[(&str, &str)], more: &[(&str, &str)]) -> Answer {
    let review = draft(client, base, fields).expect(303);
    save_reviewed(client, review.location(), more)
}
