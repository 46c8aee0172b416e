//! Tricky targets, sent raw: the path that was judged and the one that the application received are
//! read alike, or nothing got through.

use crate::harness::{
    chain::{Chain, EVERY, Kind, status},
    client::FIREFOX,
    server::operator,
};
use nightlatch::{
    domain::{
        account::Role,
        application::{RequestTarget, canonical_path, loosen_path, without_parameters},
    },
    flows::applications::{self, ApplicationChange, ApplicationOutcome},
};

/// `/vault` is for administrators, `/open` is public, the rest is for signed-in users.
const TARGETS: &[&str] = &[
    "/",
    "/page",
    "/page?x=1",
    "/open/a.css",
    "/open/a.css?x=/vault",
    "/vault/plans",
    "/vault",
    "/vault/",
    "/vaults",
    "/VAULT/plans",
    "/Vault/plans",
    "/vault%20/plans",
    "/%20vault/plans",
    "/vault%20",
    "/vault.",
    "/VAULT.%20/plans",
    "/%ef%bd%96ault/plans",
    "/v%c5%bfault",
    "/open",
    "/open/",
    "/open/../vault/plans",
    "/open/./../vault/plans",
    "/open/..;/vault/plans",
    "/open/..;x=1/vault/plans",
    "/open;/../vault/plans",
    "/open/;/../vault",
    "/open/%2e%2e/vault/plans",
    "/open/%2E%2e/vault/plans",
    "/open/.%2e/vault/plans",
    "/open/%2e./vault/plans",
    "/open/%252e%252e/vault/plans",
    "/open/..%2fvault/plans",
    "/open/..%2Fvault%2fplans",
    "/open/..%252fvault/plans",
    "/open%2f..%2fvault/plans",
    "/open/..%5cvault/plans",
    "/open/..\\vault\\plans",
    "/open\\..\\vault/plans",
    "/open/..%c0%afvault/plans",
    "/open/%c0%ae%c0%ae/vault/plans",
    "/open/..%ef%bc%8fvault/plans",
    "/open/%u002e%u002e/vault",
    "/open/..%00/vault/plans",
    "/open/%00/../vault/plans",
    "/open/a.css%00",
    "/open/a.css%0d%0aX: y",
    "/open/a.css%23/../vault",
    "/open/a.css#/../../vault/plans",
    "/open/a.css?/../../vault/plans",
    "/open/a.css%3f/../../vault/plans",
    "/open/%zz/../vault",
    "/open/%",
    "/open/%2",
    "/open/\u{7f}",
    "/open/\u{1}/../../vault",
    "/open/é",
    "/open/%e9",
    "/open/\t/vault",
    "//vault/plans",
    "//open/../vault/plans",
    "///vault/plans",
    "/open//../vault/plans",
    "/open//a.css",
    "/./vault/plans",
    "/.//vault/plans",
    "/x/../vault/plans",
    "/x/../open/a.css",
    "/%76ault/plans",
    "/v%61ult/plans",
    "/%2fvault/plans",
    "/%2e/vault/plans",
    "/vault%2fplans",
    "/vault%20/plans",
    "/vault;x=1/plans",
    "/vault;/plans",
    "/;/vault/plans",
    "/open/;/vault/plans",
    "/vault/plans;.css",
    "/open;x=1/a.css",
    "/open/a.css;x=1",
    "/page;x=1",
    "/vault./plans",
    "/nightlatch/../vault/plans",
    "/nightlatch/%2e%2e/vault/plans",
    "/nightlatch/..%2fvault/plans",
    "vault/plans",
    "*",
];

fn chain(kind: Kind) -> Chain {
    let wiki = ApplicationChange {
        public: Some(vec!["/open/*".to_owned()]),
        ..ApplicationChange::default()
    };
    let chain = Chain::of(kind).wiki(wiki).start();
    let vault = ApplicationChange {
        prefixes: Some(vec!["/vault".to_owned()]),
        roles: Some(vec![Role::Administrator]),
        ..ApplicationChange::default()
    };
    chain.protect("vault", vault);
    chain.server.account("ada", Role::Member);
    chain
}

/// Returns the path of the last auth request, as the proxy sent it.
fn judged(chain: &Chain) -> Option<String> {
    let question = chain.relay.questions().pop()?;
    match chain.kind {
        Kind::Nginx => {
            let url = question.header("x-original-url")?;
            Some(RequestTarget::of_url(&url).ok()?.path().to_owned())
        }
        Kind::Caddy | Kind::Haproxy => {
            let uri = question.header("x-forwarded-uri")?;
            Some(uri.split('?').next().unwrap_or_default().to_owned())
        }
    }
}

/// Sends it, and checks what got through; whether anything did.
fn passes(chain: &Chain, request: &str, cookie: &str) -> bool {
    let kind = chain.kind;
    let before = chain.application.requests();
    let answer = chain.raw(request.as_bytes());
    let got = chain.application.requests() - before;
    if got == 0 {
        assert!(!answer.contains("hello"), "{kind:?} {request}: {answer}");
        return false;
    }
    assert_eq!((got, status(&answer)), (1, 200), "{kind:?} {request}");
    let received = chain.application.last().target;
    let path = received.split('?').next().unwrap_or_default();
    let reading = canonical_path(path);
    let told = judged(chain).unwrap_or_else(|| panic!("{kind:?} {request}: not judged"));
    assert!(
        reading.is_some(),
        "{kind:?} {request}: more than one reading of {received}"
    );
    assert_eq!(
        canonical_path(&told),
        reading,
        "{kind:?} {request}: judged {told}, got {received}"
    );
    let reading = reading.unwrap();
    let lenient = loosen_path(&reading).unwrap_or_else(|| panic!("{kind:?} {request}: {received} has dots"));
    for reading in [lenient, without_parameters(&reading), reading] {
        let vault = reading == "/vault" || reading.starts_with("/vault/");
        let open = !cookie.is_empty() || reading.starts_with("/open/");
        assert!(!vault && open, "{kind:?} {request}: {received} got through");
    }
    true
}

#[test]
fn the_application_receives_the_judged_request_or_none() {
    for kind in EVERY {
        let chain = chain(kind);
        let cookie = chain.sign_in("ada").cookie_header();
        let host = chain.authority("wiki");
        let mut passed = Vec::new();
        for &target in TARGETS {
            for cookie in ["", &cookie] {
                let request = format!(
                    "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {FIREFOX}\r\nAccept: text/html\r\nCookie: {cookie}\r\n\
                     Connection: close\r\n\r\n"
                );
                if passes(&chain, &request, cookie) && !cookie.is_empty() {
                    passed.push(target);
                }
            }
        }
        for plain in ["/", "/page", "/page?x=1", "/open/a.css", "/vaults", "/page;x=1"] {
            assert!(passed.contains(&plain), "{kind:?}: {plain} is no trick");
        }
    }
}

#[test]
fn a_host_named_twice_is_judged_as_the_one_that_answers() {
    for kind in EVERY {
        let chain = chain(kind);
        // Another public application at a host that the proxy does not serve.
        let open = ApplicationChange {
            hosts: Some(vec!["open.example.org".to_owned()]),
            public: Some(vec!["/*".to_owned()]),
            ..ApplicationChange::default()
        };
        let operator = operator();
        let made = applications::create(&chain.server.ctx, &operator, "open", open);
        assert_eq!(chain.server.run(made).unwrap(), ApplicationOutcome::Done);
        let (wiki, open) = (chain.authority("wiki"), chain.authority("open"));
        for (target, hosts) in [
            (format!("http://{wiki}/page"), format!("Host: {open}")),
            (format!("http://{open}/page"), format!("Host: {wiki}")),
            ("/page".to_owned(), format!("Host: {wiki}\r\nHost: {open}")),
            ("/page".to_owned(), format!("Host: {open}\r\nHost: {wiki}")),
            ("/page".to_owned(), format!("Host: {wiki}\r\nX-Forwarded-Host: {open}")),
            ("/page".to_owned(), format!("Host: {wiki}@{open}")),
            ("/page".to_owned(), format!("Host: {open}#{wiki}")),
            ("/page".to_owned(), format!("Host: {wiki}, {open}")),
            ("/page".to_owned(), format!(" Host: {open}\r\nHost: {wiki}")),
        ] {
            let request = format!("GET {target} HTTP/1.1\r\n{hosts}\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
            let answer = chain.raw(request.as_bytes());
            assert_eq!(chain.application.requests(), 0, "{kind:?} {request}: {answer}");
        }
        // Other spellings of the one name are that name.
        let cookie = chain.sign_in("ada").cookie_header();
        let port = chain.port;
        for host in [format!("WIKI.Example.org:{port}"), format!("wiki.example.org.:{port}")] {
            let request = format!(
                "GET /vault/plans HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {FIREFOX}\r\nCookie: {cookie}\r\nAccept: text/html\r\n\
                 Connection: close\r\n\r\n"
            );
            assert!(!passes(&chain, &request, &cookie), "{kind:?} {host}");
        }
        let absolute = format!(
            "GET http://{wiki}/page HTTP/1.1\r\nHost: {wiki}\r\nUser-Agent: {FIREFOX}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
        );
        assert!(
            passes(&chain, &absolute, &cookie),
            "{kind:?}: one host, named twice alike"
        );
    }
}
