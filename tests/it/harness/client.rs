//! An HTTP client that behaves like a browser: it keeps cookies, follows no redirects, and may use
//! another IP address.

use super::page::Part;
use reqwest::{
    Method,
    blocking::{ClientBuilder, RequestBuilder, Response},
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

    /// Sends later requests from this address (of 127.0.0.0/8).
    pub fn from(mut self, ip: &str) -> Self {
        self.http = http(Some(ip.parse().unwrap()));
        self
    }

    /// Sends this header with every later request, instead of an earlier value.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A second browser with the same cookies, as a thief would have it.
    pub fn thief(&self) -> Self {
        Self {
            http: http(None),
            base: self.base.clone(),
            cookies: Mutex::new(self.cookies.lock().unwrap().clone()),
            headers: self.headers.clone(),
        }
    }

    /// The same browser, talking to another instance.
    pub fn at(self, base: &str) -> Self {
        Self {
            base: base.to_owned(),
            ..self
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[])
    }

    /// Opens an emailed or printed link: its token leaves the address with a redirect to the same
    /// page.
    pub fn open(&self, link: &str) -> Answer {
        let first = self.get(link);
        let page = link.split('?').next().unwrap_or_default();
        if first.status() == 303 && first.location() == page {
            return self.get(page);
        }
        first
    }

    pub fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, Some(form), &[])
    }

    /// Sends a request to a server that may end meanwhile; `None`: there is no complete response.
    pub fn try_send(&self, method: Method, path: &str, form: Option<&[(&str, &str)]>) -> Option<Answer> {
        let request = self.request(method, path, &[]);
        let request = match form {
            Some(form) => request.form(form),
            None => request,
        };
        let answer = Answer::read(request.send().ok()?)?;
        self.keep(&answer);
        Some(answer)
    }

    pub fn sign_in(&self, name: &str, password: &str) -> Answer {
        self.post("/login", &[("username", name), ("password", password)])
    }

    /// Sends JSON as a page's script does.
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

    /// Sends a form of a page with its values, and some fields filled in.
    pub fn submit(&self, form: &Part, filled_in: &[(&str, &str)]) -> Answer {
        let mut fields = form.fields();
        fields.retain(|(name, _)| filled_in.iter().all(|(known, _)| known != name));
        let kept = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let fields: Vec<(&str, &str)> = kept.chain(filled_in.iter().copied()).collect();
        self.post(form.attribute("action"), &fields)
    }

    /// Enters the password on the step-up page and sends the rest of its form unchanged.
    pub fn confirm(&self, asked: &Answer, password: &str) -> Answer {
        let page = asked.page();
        self.submit(&page.form_with("step_up_password"), &[("step_up_password", password)])
    }

    /// Posts a form with a file field as browsers do: without a file its name and bytes are empty.
    pub fn upload(&self, path: &str, fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Answer {
        const BOUNDARY: &str = "----a-boundary-of-ours";
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend(part.into_bytes());
        }
        let (name, bytes) = file.unwrap_or_default();
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
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
        // A header of the request replaces one that the client always sends.
        let replaced = |name: &str| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        for (name, value) in self.headers.iter().filter(|(name, _)| !replaced(name)) {
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

/// Starts an HTTP client. The library is built without a provider of cryptography, so that the
/// program can choose one; it wants one even where nothing is encrypted. No test encrypts with it,
/// and reading the certificates of the system would take longer than the rest of a small test.
pub fn http_client() -> ClientBuilder {
    // It fails where another test of this process has already done it.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::blocking::Client::builder().tls_certs_only([])
}

/// Requests an address without anything that a browser adds.
pub fn fetch(url: &str) -> reqwest::Result<Response> {
    http_client().build()?.get(url).send()
}

fn http(ip: Option<IpAddr>) -> reqwest::blocking::Client {
    http_client()
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
        Self::read(response).expect("the response is complete")
    }

    fn read(response: Response) -> Option<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Self {
            status,
            headers,
            text: response.text().ok()?,
        })
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

    /// Fails with the whole answer when the status differs.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "location {:?}\n{}", self.location(), self.text);
        self
    }
}
