//! A small LDAP server (RFC 4511) that answers like Active Directory where Samba does not: values
//! in ranges, and diagnostics of refused binds. Enough of BER to read requests and write answers.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// The service account, and its password.
pub const SERVICE: (&str, &str) = ("cn=nightlatch,dc=corp,dc=test", "service secret");
/// The password of every person.
pub const PERSON_PASSWORD: &str = "copper meadow lantern";
/// The most values of an attribute in one answer.
const VALUES_AT_ONCE: usize = 1500;

/// A person of the directory.
#[derive(Clone)]
pub struct Person {
    pub name: &'static str,
    pub groups: Vec<String>,
    /// The code in the diagnostics of a bind with the right password; `None`: it succeeds.
    pub refusal: Option<&'static str>,
}

impl Person {
    pub fn dn(&self) -> String {
        format!("CN={},OU=People,DC=corp,DC=test", self.name)
    }
}

/// The running server; it ends with the test process.
pub struct ActiveDirectory {
    pub url: String,
    /// The requested attributes of every search, newest last.
    pub searches: Arc<Mutex<Vec<Vec<String>>>>,
}

impl ActiveDirectory {
    pub fn start(people: Vec<Person>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ldap://{}", listener.local_addr().unwrap());
        let searches = Arc::new(Mutex::new(Vec::new()));
        let seen = searches.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (people, seen) = (people.clone(), seen.clone());
                std::thread::spawn(move || serve(socket.unwrap(), &people, &seen));
            }
        });
        Self { url, searches }
    }
}

fn serve(mut socket: TcpStream, people: &[Person], searches: &Mutex<Vec<Vec<String>>>) {
    while let Some(message) = read_message(&mut socket) {
        let mut parts = Elements(&message);
        let (id, (tag, operation)) = (parts.take().1, parts.take());
        let answers = match tag {
            0x60 => vec![bind(operation, people)],
            0x63 => search(operation, people, searches),
            // Unbind, or something that no test sends.
            _ => return,
        };
        for answer in answers {
            let whole = element(0x30, &[element(0x02, id), answer].concat());
            if socket.write_all(&whole).is_err() {
                return;
            }
        }
    }
}

fn bind(operation: &[u8], people: &[Person]) -> Vec<u8> {
    let mut parts = Elements(operation);
    parts.take();
    let (dn, password) = (text(parts.take().1), text(parts.take().1));
    if (dn.as_str(), password.as_str()) == SERVICE {
        return result(0x61, 0, "");
    }
    let person = people.iter().find(|person| person.dn() == dn);
    let code = match person {
        Some(person) if password == PERSON_PASSWORD => person.refusal,
        Some(_) => Some("52e"),
        None => Some("525"),
    };
    match code {
        None => result(0x61, 0, ""),
        Some(code) => {
            let words =
                format!("80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {code}, v4563");
            result(0x61, 49, &words)
        }
    }
}

/// Finds a person by DN, or whoever's name or GUID the filter contains.
fn search(operation: &[u8], people: &[Person], searches: &Mutex<Vec<Vec<String>>>) -> Vec<Vec<u8>> {
    let mut parts = Elements(operation);
    let base = text(parts.take().1);
    let is_base_scope = parts.take().1 == [0];
    for _ in 0..4 {
        parts.take();
    }
    let filter = parts.take().1;
    let mut names = Elements(parts.take().1);
    let mut requested = Vec::new();
    while !names.0.is_empty() {
        requested.push(text(names.take().1));
    }
    searches.lock().unwrap().push(requested.clone());
    let contains = |value: &[u8]| filter.windows(value.len()).any(|window| window == value);
    let found = people
        .iter()
        .enumerate()
        .filter(|(number, person)| match is_base_scope {
            true => person.dn() == base,
            false => contains(person.name.as_bytes()) || contains(&guid(*number)),
        });
    let mut answers: Vec<Vec<u8>> = found
        .map(|(number, person)| entry(number, person, &requested))
        .collect();
    answers.push(result(0x65, 0, ""));
    answers
}

fn entry(number: usize, person: &Person, requested: &[String]) -> Vec<u8> {
    let mut attributes = Vec::new();
    let mut add = |name: &str, values: &[&[u8]]| {
        let values: Vec<u8> = values.iter().flat_map(|value| element(0x04, value)).collect();
        let pair = [element(0x04, name.as_bytes()), element(0x31, &values)].concat();
        attributes.extend(element(0x30, &pair));
    };
    for name in requested {
        match name.as_str() {
            "sAMAccountName" | "displayName" => add(name, &[person.name.as_bytes()]),
            "objectGUID" => add(name, &[&guid(number)]),
            "userAccountControl" => add(name, &[b"512"]),
            _ => {}
        }
        let start = match name.strip_prefix("memberOf") {
            Some("") => 0,
            Some(range) => range
                .strip_prefix(";range=")
                .and_then(|range| range.strip_suffix("-*"))
                .unwrap()
                .parse()
                .unwrap(),
            None => continue,
        };
        let end = person.groups.len().min(start + VALUES_AT_ONCE);
        let values: Vec<&[u8]> = person.groups[start..end].iter().map(|dn| dn.as_bytes()).collect();
        match (start, end == person.groups.len()) {
            (0, true) => add("memberOf", &values),
            (_, true) => add(&format!("memberOf;range={start}-*"), &values),
            (_, false) => {
                // The plain name comes too, without values.
                add("memberOf", &[]);
                add(&format!("memberOf;range={start}-{}", end - 1), &values);
            }
        }
    }
    let whole = [element(0x04, person.dn().as_bytes()), element(0x30, &attributes)].concat();
    element(0x64, &whole)
}

/// The GUID of the person with this number; it is not UTF-8.
fn guid(number: usize) -> [u8; 16] {
    let mut guid = [0xfe; 16];
    guid[15] = u8::try_from(number).unwrap();
    guid
}

fn result(tag: u8, code: u8, words: &str) -> Vec<u8> {
    let parts = [
        element(0x0a, &[code]),
        element(0x04, b""),
        element(0x04, words.as_bytes()),
    ];
    element(tag, &parts.concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Writes one element of BER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let mut whole = vec![tag];
    match content.len() {
        0..128 => whole.push(length[3]),
        _ => {
            whole.push(0x84);
            whole.extend(length);
        }
    }
    whole.extend(content);
    whole
}

/// Reads the content of one message; `None`: the connection has ended.
fn read_message(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut head = [0; 2];
    from.read_exact(&mut head).ok()?;
    let length = match head[1] {
        short @ 0..128 => usize::from(short),
        long => {
            let mut bytes = vec![0; usize::from(long & 0x7f)];
            from.read_exact(&mut bytes).ok()?;
            bytes.iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte))
        }
    };
    let mut content = vec![0; length];
    from.read_exact(&mut content).ok()?;
    Some(content)
}

/// The elements of a content, one after the other.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Takes the next one: its tag and its content.
    fn take(&mut self) -> (u8, &'a [u8]) {
        let tag = self.0[0];
        let (length, start) = match self.0[1] {
            short @ 0..128 => (usize::from(short), 2),
            long => {
                let bytes = usize::from(long & 0x7f);
                let length = self.0[2..2 + bytes]
                    .iter()
                    .fold(0, |sum, byte| sum * 256 + usize::from(*byte));
                (length, 2 + bytes)
            }
        };
        let (content, rest) = self.0[start..].split_at(length);
        self.0 = rest;
        (tag, content)
    }
}
