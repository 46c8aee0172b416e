//! A browser's manners without a browser: keeps cookies, follows no redirects, may come from another address.

use reqwest::{
    Method,
    blocking::{RequestBuilder, Response},
    header::{HeaderMap, SET_COOKIE},
    redirect::Policy,
};
use std::{collections::BTreeMap, net::IpAddr, sync::Mutex, time::Duration};

pub const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
pub const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

pub struct Client {
    http: reqwest::blocking::Client,
    base: String,
    cookies: Mutex<BTreeMap<String, String>>,
    headers: Vec<(String, String)>,
}

impl Client {
    pub fn new(base: &str) -> Self {
        Self {
            http: http(None),
            base: base.to_owned(),
            cookies: Mutex::default(),
            headers: vec![("accept".into(), "text/html".into())],
        }
        .header("user-agent", FIREFOX)
    }

    /// Comes from this address (of 127.0.0.0/8) from now on.
    pub fn from(mut self, ip: &str) -> Self {
        self.http = http(Some(ip.parse().unwrap()));
        self
    }

    /// Sends this header with every request, in place of an earlier one.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A second browser with the same cookies: what a thief has.
    pub fn thief(&self) -> Self {
        Self {
            http: http(None),
            base: self.base.clone(),
            cookies: Mutex::new(self.cookies.lock().unwrap().clone()),
            headers: self.headers.clone(),
        }
    }

    /// The same browser, at another instance.
    pub fn at(self, base: &str) -> Self {
        Self {
            base: base.to_owned(),
            ..self
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[])
    }

    pub fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, Some(form), &[])
    }

    pub fn sign_in(&self, name: &str, password: &str) -> Answer {
        self.post("/login", &[("username", name), ("password", password)])
    }

    /// A POST as a page's script sends it.
    pub fn post_json(&self, path: &str, value: &serde_json::Value, headers: &[(&str, &str)]) -> Answer {
        self.finish(self.request(Method::POST, path, headers).json(value))
    }

    pub fn send(&self, method: Method, path: &str, form: Option<&[(&str, &str)]>, headers: &[(&str, &str)]) -> Answer {
        let request = self.request(method, path, headers);
        self.finish(match form {
            Some(form) => request.form(form),
            None => request,
        })
    }

    /// Answers the page that asks for the password again as a person does: the password typed, everything it carries sent back.
    pub fn confirm(&self, asked: &Answer, password: &str) -> Answer {
        let page = asked.text();
        assert!(
            page.contains("name=\"step_up_password\""),
            "it asks for the password: {page}"
        );
        let form = page
            .split("<form")
            .find(|form| form.contains("name=\"step_up_password\""))
            .unwrap();
        let action = attribute(form, "action").unwrap();
        let mut fields: Vec<(String, String)> = form
            .split("<input")
            .filter(|input| input.contains("type=\"hidden\""))
            .map(|input| (attribute(input, "name").unwrap(), attribute(input, "value").unwrap()))
            .collect();
        fields.push(("step_up_password".to_owned(), password.to_owned()));
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.post(&action, &fields)
    }

    /// Posts a form with a file field, as browsers do: without a choice the file has no name and no bytes.
    pub fn upload(&self, path: &str, fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Answer {
        const BOUNDARY: &str = "----a-boundary-of-ours";
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend(part.into_bytes());
        }
        let (name, bytes) = file.unwrap_or_default();
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        body.extend(head.into_bytes());
        body.extend_from_slice(bytes);
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
        let request = self.request(Method::POST, path, &[]);
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        self.finish(request.header("content-type", content_type).body(body))
    }

    fn request(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let jar = self.cookie_header();
        if !jar.is_empty() && !headers.iter().any(|(name, _)| *name == "cookie") {
            request = request.header("cookie", jar);
        }
        request
    }

    fn finish(&self, request: RequestBuilder) -> Answer {
        let answer = Answer::new(request.send().unwrap());
        self.keep(&answer);
        answer
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    pub fn cookie_header(&self) -> String {
        self.cookies
            .lock()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn keep(&self, answer: &Answer) {
        let mut cookies = self.cookies.lock().unwrap();
        for line in answer.cookies() {
            let (pair, attributes) = line.split_once(';').unwrap_or((&line, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0;") || attributes.ends_with("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// An attribute of the tag that the text begins in, as its browser reads it.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split_once(&format!(" {name}=\""))?.1;
    let mut text = rest.split_once('"')?.0.to_owned();
    for (written, read) in [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
    ] {
        text = text.replace(written, read);
    }
    Some(text)
}

fn http(ip: Option<IpAddr>) -> reqwest::blocking::Client {
    reqwest::blocking::Client::builder()
        .redirect(Policy::none())
        .local_address(ip)
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn new(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self {
            status,
            headers,
            text: response.text().unwrap(),
        }
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub fn location(&self) -> &str {
        self.header("location").unwrap_or("")
    }

    /// `Set-Cookie` lines.
    pub fn cookies(&self) -> Vec<String> {
        self.headers
            .get_all(SET_COOKIE)
            .iter()
            .map(|line| line.to_str().unwrap().to_owned())
            .collect()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Says what came instead when it is another status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "location {:?}\n{}", self.location(), self.text);
        self
    }
}
