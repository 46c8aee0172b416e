//! The handover of a session to a host outside the cookie domain: each step of it, and everything
//! that it must refuse.

use super::kit::{at_once, between};
use crate::harness::{
    client::{Answer, CHROME, Client},
    server::{Backend, PASSWORD, TestServer, operator},
    trace::Trace,
};
use nightlatch::{
    domain::{
        account::{AccountId, Role},
        session::{SessionFilter, SessionId},
        time::Span,
    },
    flows::{
        access::forget_old_handovers,
        accounts::AccountAction,
        applications::{self, ApplicationChange, ApplicationOutcome},
        sessions,
    },
    store::handovers,
};
use reqwest::Method;

const LOGIN: &str = "login.example.org";
const SHOP: &str = "shop.other.test";
const BANK: &str = "bank.third.test";
const PAGE: &str = "http://shop.other.test/page?x=1&y=2";

fn texts(items: &[&str]) -> Option<Vec<String>> {
    Some(items.iter().map(|item| (*item).to_owned()).collect())
}

fn server_over(backend: Backend, scheme: &str) -> TestServer {
    let server = TestServer::on(backend)
        .env("NIGHTLATCH_PUBLIC_URL", &format!("{scheme}://{LOGIN}"))
        .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    for (name, host, groups) in [
        ("wiki", "wiki.example.org", None),
        ("shop", SHOP, None),
        ("bank", BANK, None),
        ("staff", "staff.other.test", texts(&["staff"])),
    ] {
        let change = ApplicationChange {
            hosts: texts(&[host]),
            groups,
            ..ApplicationChange::default()
        };
        let operator = operator();
        let made = applications::create(&server.ctx, &operator, name, change);
        assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    }
    server
}

fn server(backend: Backend) -> TestServer {
    server_over(backend, "http")
}

/// One browser, which keeps the cookies of each host apart.
struct Browser {
    own: Client,
    shop: Client,
    scheme: &'static str,
}

fn at(server: &TestServer, host: &str) -> Client {
    server.anyone().header("host", host)
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl Browser {
    fn new(server: &TestServer) -> Self {
        Self {
            own: at(server, LOGIN),
            shop: at(server, SHOP),
            scheme: "http",
        }
    }

    fn signed_in(server: &TestServer, name: &str) -> Self {
        Self::new(server).enter(name)
    }

    fn enter(self, name: &str) -> Self {
        self.own.sign_in(name, PASSWORD).expect(303);
        self
    }

    fn with(self, header: &str, value: &str) -> Self {
        Self {
            own: self.own.header(header, value),
            shop: self.shop.header(header, value),
            ..self
        }
    }

    /// Asserts a redirect to `host` and returns its path.
    #[track_caller]
    fn on<'a>(&self, host: &str, answer: &'a Answer) -> &'a str {
        assert_eq!(answer.status(), 303, "{}", answer.text());
        let origin = format!("{}://{host}", self.scheme);
        answer
            .location()
            .strip_prefix(&origin)
            .unwrap_or_else(|| panic!("{}", answer.location()))
    }

    /// Starts a handover on the application's host, continues on ours, and returns the path with
    /// the code.
    #[track_caller]
    fn ticket(&self) -> String {
        let page = PAGE.replace("http:", &format!("{}:", self.scheme));
        let start = self
            .shop
            .get(&format!("/nightlatch/handover/start?return_to={}", encoded(&page)));
        let issue = self.own.get(self.on(LOGIN, &start));
        self.on(SHOP, &issue).to_owned()
    }

    #[track_caller]
    fn carried_over(self) -> Self {
        let ticket = self.ticket();
        self.shop.get(&ticket).expect(303);
        self
    }
}

fn forwarded(client: &Client, url: &str) -> Answer {
    let headers = [("x-original-url", url), ("x-original-method", "GET")];
    client.send(Method::GET, "/api/authz/auth-request", None, &headers)
}

/// Asserts that the handover is refused on a page that offers to start again.
#[track_caller]
fn refused(answer: Answer) {
    let answer = answer.expect(403);
    assert!(!gives_session(&answer), "{:?}", answer.cookies());
    assert_eq!(answer.location(), "");
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert!(
        answer.text().contains("href=\"/nightlatch/handover/start\""),
        "{}",
        answer.text()
    );
}

fn gives_session(answer: &Answer) -> bool {
    let given = |line: &String| {
        let name = line.split('=').next().unwrap();
        matches!(name, "nightlatch" | "__Host-nightlatch" | "__Secure-nightlatch") && !line.contains("Max-Age=0")
    };
    answer.cookies().iter().any(given)
}

fn live_sessions(server: &TestServer) -> Vec<SessionId> {
    let filter = SessionFilter {
        limit: 50,
        ..SessionFilter::default()
    };
    let list = server.run(sessions::list(&server.ctx, filter)).unwrap();
    list.items.iter().map(|item| item.row.session.id).collect()
}

#[test]
fn a_sign_in_leads_over_to_another_domain_and_back_to_the_page() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.account("ada", Role::Member);
        let browser = Browser::new(&server);
        let sent = forwarded(&browser.shop, PAGE).expect(401);
        let login = format!("/login?return_to={}", encoded(PAGE));
        assert_eq!(sent.location(), format!("http://{LOGIN}{login}"), "{backend:?}");
        let form = browser.own.get(&login).expect(200);
        let policy = form.header("content-security-policy").unwrap();
        assert!(
            policy.ends_with("form-action 'self' http://shop.other.test"),
            "{policy}"
        );
        let fields = [("username", "ada"), ("password", PASSWORD), ("return_to", PAGE)];
        let entered = browser.own.post("/login", &fields);
        let start = browser.on(SHOP, &entered);
        assert_eq!(start, format!("/nightlatch/handover/start?return_to={}", encoded(PAGE)));
        let started = browser.shop.get(start);
        assert!(!gives_session(&started));
        let nonce = browser.shop.cookie("nightlatch-handover").unwrap();
        assert!(!started.location().contains(&nonce), "only its digest travels");
        let line = started
            .cookies()
            .into_iter()
            .find(|line| line.contains(&nonce))
            .unwrap();
        assert!(
            line.contains("HttpOnly")
                && line.contains("SameSite=Lax")
                && line.contains("Max-Age=120")
                && !line.contains("Domain"),
            "{line}"
        );
        let issued = browser.own.get(browser.on(LOGIN, &started));
        assert_eq!(issued.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(issued.header("cache-control"), Some("no-store"));
        let arrived = browser.shop.get(browser.on(SHOP, &issued));
        assert_eq!((arrived.status(), arrived.location()), (303, PAGE), "{backend:?}");
        assert_eq!(arrived.header("referrer-policy"), Some("no-referrer"));
        let given = arrived
            .cookies()
            .into_iter()
            .find(|line| line.starts_with("nightlatch=") && !line.contains("Max-Age=0"));
        let given = given.unwrap();
        assert!(
            !given.contains("Domain") && given.contains("HttpOnly") && given.contains("Path=/"),
            "{given}"
        );
        assert_ne!(browser.shop.cookie("nightlatch"), browser.own.cookie("nightlatch"));
        let passed = forwarded(&browser.shop, PAGE).expect(200);
        assert_eq!(passed.header("remote-user"), Some("ada"), "{backend:?}");
        assert_eq!(
            browser.shop.get("/nightlatch/session").expect(200).json()["state"],
            "live"
        );
        assert_eq!(live_sessions(&server).len(), 1, "{backend:?}: it is one session");
        // Signed in already, the sign-in page redirects immediately.
        let again = browser.own.get(&login);
        assert_eq!(browser.on(SHOP, &again), start);
        assert_eq!(
            browser
                .own
                .get("/login?return_to=http%3A%2F%2Fwiki.example.org%2F")
                .location(),
            "http://wiki.example.org/"
        );
    }
}

#[test]
fn an_end_on_either_host_is_one_on_both() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let id = server.account("ada", Role::Member);
        let code = |answer: Answer| answer.header("x-nightlatch-reason").unwrap().to_owned();
        let browser = Browser::signed_in(&server, "ada").carried_over();
        browser.own.post("/logout", &[]).expect(303);
        assert_eq!(
            code(forwarded(&browser.shop, PAGE).expect(401)),
            "signed_out",
            "{backend:?}"
        );

        let browser = Browser::signed_in(&server, "ada").carried_over();
        browser
            .shop
            .post_json("/nightlatch/session/logout", &serde_json::json!({}), &[])
            .expect(200);
        browser.own.get("/").expect(303);
        assert_eq!(browser.shop.cookie("nightlatch"), None);

        let browser = Browser::signed_in(&server, "ada").carried_over();
        server.act(id, AccountAction::EndSessions);
        assert_eq!(
            code(forwarded(&browser.shop, PAGE).expect(401)),
            "revoked",
            "{backend:?}"
        );

        // After a new password only the token of that browser remains, which can be handed over
        // again.
        let browser = Browser::signed_in(&server, "ada").carried_over();
        let new = "three quiet lanterns";
        let fields = [
            ("current_password", PASSWORD),
            ("new_password", new),
            ("new_password_again", new),
        ];
        browser.own.post("/password", &fields).expect(303);
        forwarded(&browser.shop, PAGE).expect(401);
        let browser = browser.carried_over();
        forwarded(&browser.shop, PAGE).expect(200);
    }
}

#[test]
fn a_handover_never_signs_in_another_account() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.account("ada", Role::Member);
        server.account("mallory", Role::Member);
        let mallory = Browser::signed_in(&server, "mallory");
        let ticket = mallory.ticket();
        // A victim is lured to the address: without a nonce, and with a nonce of their own.
        let victim = Browser::new(&server);
        refused(victim.shop.get(&ticket));
        let victim = Browser::signed_in(&server, "ada");
        let own = victim.ticket();
        refused(victim.shop.get(&ticket));
        assert_eq!(
            victim.shop.get("/nightlatch/session").expect(200).json()["state"],
            "anonymous",
            "{backend:?}"
        );
        victim.shop.get(&own).expect(303);
        assert_eq!(victim.shop.get("/nightlatch/session").expect(200).json()["user"], "ada");
        refused(victim.shop.get(&ticket));
        assert_eq!(
            victim.shop.get("/nightlatch/session").expect(200).json()["user"],
            "ada",
            "{backend:?}"
        );
        // A handover that another browser started does not carry the victim's session either.
        let begun = mallory
            .shop
            .get(&format!("/nightlatch/handover/start?return_to={}", encoded(PAGE)));
        let lured = victim.own.get(mallory.on(LOGIN, &begun));
        let stolen = victim.on(SHOP, &lured).to_owned();
        refused(victim.shop.get(&stolen));
        // The code was presented in another browser and no longer works for anyone.
        refused(mallory.shop.get(&ticket));
        mallory.shop.get(&mallory.ticket()).expect(303);
        assert_eq!(
            mallory.shop.get("/nightlatch/session").expect(200).json()["user"],
            "mallory",
            "{backend:?}"
        );
    }
}

#[test]
fn a_code_is_good_once_for_thirty_seconds_in_one_browser_on_one_host() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.account("ada", Role::Member);
        let from = || Browser::new(&server).with("x-forwarded-for", "203.0.113.9");
        let fresh = || from().enter("ada");

        let browser = fresh();
        // A failed arrival voids the code, so each case uses its own.
        let elsewhere = browser.shop.thief().header("host", BANK);
        refused(elsewhere.get(&browser.ticket()));
        let other_browser = browser.shop.thief().header("user-agent", CHROME);
        refused(other_browser.get(&browser.ticket()));
        let other_network = browser.shop.thief().header("x-forwarded-for", "198.51.100.7");
        refused(other_network.get(&browser.ticket()));
        let ticket = browser.ticket();
        let without = at(&server, SHOP).header("x-forwarded-for", "203.0.113.9");
        refused(without.get(&ticket));
        let nonce = browser.shop.cookie_header();
        for cookies in [
            format!("{nonce}; {nonce}"),
            format!("{nonce}; nightlatch-handover=x"),
            // For a browser this is a cookie with another name, which a sibling host may set.
            format!("\u{2003}{nonce}"),
            "nightlatch-handover=".to_owned(),
        ] {
            refused(without.send(Method::GET, &browser.ticket(), None, &[("cookie", &cookies)]));
        }
        let ticket = browser.ticket();
        for code in ["", "x", &format!("{ticket}x"), &ticket.to_uppercase()] {
            refused(browser.shop.get(&format!("/nightlatch/handover?code={code}")));
        }
        let program = browser
            .shop
            .thief()
            .header("accept", "application/json")
            .header("user-agent", CHROME);
        let voided = browser.ticket();
        assert_eq!(
            program.get(&voided).expect(403).json()["code"],
            "handover",
            "{backend:?}"
        );
        refused(browser.shop.get(&voided));
        // A HEAD request does not consume the code.
        assert_eq!(browser.shop.send(Method::HEAD, &ticket, None, &[]).status(), 403);
        browser.shop.get(&ticket).expect(303);
        refused(browser.shop.get(&ticket));

        for (late, good) in [(Span::ZERO, true), (Span::from_micros(1), false)] {
            let browser = fresh();
            let ticket = browser.ticket();
            server.clock.advance(Span::from_secs(30));
            server.clock.advance(late);
            let answer = browser.shop.get(&ticket);
            match good {
                true => assert_eq!(answer.status(), 303, "{backend:?}: good at the very instant"),
                false => refused(answer),
            }
        }
    }
}

#[test]
fn one_of_twenty_parallel_redemptions_succeeds() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.account("ada", Role::Member);
        let browser = Browser::signed_in(&server, "ada");
        let ticket = browser.ticket();
        let clients: Vec<Client> = (0..20).map(|_| browser.shop.thief()).collect();
        let statuses = at_once(20, |index| clients[index].get(&ticket).status());
        assert_eq!(
            statuses.iter().filter(|status| **status == 303).count(),
            1,
            "{backend:?}: {statuses:?}"
        );
        assert_eq!(
            statuses.iter().filter(|status| **status == 403).count(),
            19,
            "{backend:?}: {statuses:?}"
        );
    }
}

#[test]
fn a_session_that_ended_or_may_not_enter_is_not_carried_over() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.policy(&[("auth.idle_session_timeout", "10m")]);
        for (name, act) in [
            ("ended", AccountAction::EndSessions),
            ("pending", AccountAction::ForceChange),
            ("disabled", AccountAction::Disable),
        ] {
            let id: AccountId = server.account(name, Role::Member);
            let browser = Browser::signed_in(&server, name);
            let ticket = browser.ticket();
            server.act(id, act);
            refused(browser.shop.get(&ticket));
        }
        // The session is past its idle timeout, but its end is not recorded yet.
        let server = self::server(backend);
        server.policy(&[("auth.idle_session_timeout", "20s")]);
        let id = server.account("ada", Role::Member);
        let browser = Browser::signed_in(&server, "ada");
        let ticket = browser.ticket();
        server.advance(21);
        refused(browser.shop.get(&ticket));
        // Access is lost during the handover, and before it starts.
        let profile = |groups: &[&str]| AccountAction::SetProfile {
            display_name: String::new(),
            email: String::new(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        server.act(id, profile(&["staff"]));
        let browser = Browser::signed_in(&server, "ada");
        let staff = at(&server, "staff.other.test");
        let start = staff.get("/nightlatch/handover/start");
        let issued = browser.own.get(browser.on(LOGIN, &start));
        server.act(id, profile(&[]));
        refused(staff.get(browser.on("staff.other.test", &issued)));
        let before = server.events().len();
        let issue = browser.on(LOGIN, &start);
        let denied = browser.own.get(issue).expect(403);
        assert!(denied.page().shows("No access to this application"), "{backend:?}");
        assert_eq!(server.events()[before..], ["access.denied role"], "{backend:?}");
    }
}

#[test]
fn a_code_that_arrived_where_it_does_not_work_works_nowhere_any_more() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.account("ada", Role::Member);
        let browser = Browser::signed_in(&server, "ada");
        for thief in [
            at(&server, SHOP),
            at(&server, SHOP).header("user-agent", CHROME),
            browser.shop.thief().header("user-agent", CHROME),
            at(&server, BANK),
        ] {
            let ticket = browser.ticket();
            refused(thief.get(&ticket));
            refused(browser.shop.get(&ticket));
        }
        // A HEAD request to the link does not use the code.
        let ticket = browser.ticket();
        browser.shop.send(Method::HEAD, &ticket, None, &[]);
        browser.shop.get(&ticket).expect(303);
    }
}

#[test]
fn a_session_with_a_duty_is_redirected_to_its_duty() {
    let server = server(Backend::Sqlite);
    let id = server.account("ada", Role::Member);
    let browser = Browser::new(&server);
    let start = browser
        .shop
        .get(&format!("/nightlatch/handover/start?return_to={}", encoded(PAGE)));
    let issue = browser.on(LOGIN, &start).to_owned();
    let login = format!("/login?return_to={}", encoded(PAGE));
    assert_eq!(browser.own.get(&issue).expect(303).location(), login);
    browser.own.sign_in("ada", PASSWORD).expect(303);
    server.act(id, AccountAction::EndSessions);
    assert_eq!(
        browser.own.get(&issue).expect(303).location(),
        format!("{login}&reason=revoked")
    );
    browser.own.sign_in("ada", PASSWORD).expect(303);
    server.act(id, AccountAction::ForceChange);
    assert_eq!(browser.own.get(&issue).expect(303).location(), "/password");
    let fields = [("username", "ada"), ("password", PASSWORD), ("return_to", PAGE)];
    assert_eq!(
        at(&server, LOGIN).post("/login", &fields).expect(303).location(),
        "/password"
    );
}

#[test]
fn the_way_leads_to_registered_applications_only() {
    let server = server(Backend::Sqlite);
    server.account("ada", Role::Member);
    let browser = Browser::signed_in(&server, "ada");
    let front = format!("return_to={}&", encoded("http://shop.other.test/"));
    let nonce = "a".repeat(64);
    for evil in [
        "",
        "/",
        "//evil.example",
        "/\\evil.example",
        "/%2f%2fevil.example",
        "%2f%2fevil.example",
        "https:evil.example",
        "http://evil.example/",
        "http://shop.other.test.evil.example/",
        "http://shop.other.test@evil.example/",
        "http://ada@shop.other.test/",
        "http://shop.other.test\\@evil.example/",
        "http://shop.other.test/\r\nx: y",
        "javascript://shop.other.test/%0aalert(1)",
        "ftp://shop.other.test/",
        "http://bank.third.test/",
    ] {
        let start = browser
            .shop
            .get(&format!("/nightlatch/handover/start?return_to={}", encoded(evil)));
        let issue = browser.on(LOGIN, &start);
        assert!(issue.starts_with(&format!("/handover?{front}")), "{evil}: {issue}");
        if evil != "http://bank.third.test/" {
            let answer = browser
                .own
                .get(&format!("/handover?return_to={}&nonce={nonce}", encoded(evil)));
            assert_eq!((answer.status(), answer.location()), (400, ""), "{evil}");
        }
    }
    for nonce in ["", "x", &"A".repeat(64), &"a".repeat(63), &format!("{nonce}a")] {
        let answer = browser
            .own
            .get(&format!("/handover?return_to={}&nonce={nonce}", encoded(PAGE)));
        assert_eq!((answer.status(), answer.location()), (400, ""), "{nonce}");
    }
    // A path that looks like an address is still a path on that host.
    let odd = "http://shop.other.test//evil.example/%2f%2fevil?x=//evil";
    let start = browser
        .shop
        .get(&format!("/nightlatch/handover/start?return_to={}", encoded(odd)));
    let issue = browser.own.get(browser.on(LOGIN, &start));
    assert_eq!(browser.shop.get(browser.on(SHOP, &issue)).expect(303).location(), odd);
    // Our own host and hosts that share our cookie need no handover.
    for host in [LOGIN, "wiki.example.org"] {
        for path in ["/nightlatch/handover/start", "/nightlatch/handover?code=x"] {
            at(&server, host).get(path).expect(404);
        }
    }
    let shared = format!(
        "/handover?return_to={}&nonce={nonce}",
        encoded("http://wiki.example.org/x")
    );
    assert_eq!(
        browser.own.get(&shared).expect(303).location(),
        "http://wiki.example.org/x"
    );
    browser.shop.get("/handover").expect(421);
}

#[test]
fn a_carried_id_counts_on_its_host_alone_and_rotates_by_itself() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.account("ada", Role::Member);
        let browser = Browser::new(&server).with("x-forwarded-for", "203.0.113.9");
        let browser = browser.enter("ada").carried_over();
        let stolen = browser.shop.thief();
        for host in [LOGIN, "wiki.example.org", BANK] {
            let there = stolen.thief().header("host", host);
            assert_eq!(
                there.get("/nightlatch/session").expect(200).json()["state"],
                "anonymous",
                "{backend:?} {host}"
            );
            forwarded(&stolen, &format!("http://{host}/")).expect(if host == LOGIN { 403 } else { 401 });
        }
        stolen.thief().header("host", LOGIN).get("/").expect(303);
        let (own, there) = (browser.own.cookie("nightlatch"), browser.shop.cookie("nightlatch"));
        let browser = browser.with("x-forwarded-for", "198.51.100.7");
        browser.shop.get("/nightlatch/session").expect(200);
        assert_ne!(
            browser.shop.cookie("nightlatch"),
            there,
            "{backend:?}: a new id for this host"
        );
        server.advance(11);
        browser.own.get("/").expect(200);
        assert_eq!(
            browser.own.cookie("nightlatch"),
            own,
            "{backend:?}: and none for the other"
        );
        let late = browser.shop.thief();
        late.set_cookie("nightlatch", &there.unwrap());
        let reused = late.get("/nightlatch/session").expect(200).json();
        assert_eq!(reused["reason"], "rotated_reuse", "{backend:?}");
        browser.own.get("/").expect(303);
    }
}

#[test]
fn a_code_dies_with_the_password() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.account("ada", Role::Member);
        let browser = Browser::signed_in(&server, "ada");
        let ticket = browser.ticket();
        let form = [
            ("current_password", PASSWORD),
            ("new_password", "harbour violin unlocked"),
            ("new_password_again", "harbour violin unlocked"),
        ];
        browser.own.post("/password", &form).expect(303);
        refused(browser.shop.get(&ticket));
        // The session itself continues with its new token.
        browser.carried_over().shop.get("/nightlatch/session").expect(200);
    }
}

#[test]
fn a_new_arrival_ends_the_id_that_the_host_had_before() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.account("ada", Role::Member);
        let browser = Browser::signed_in(&server, "ada").carried_over();
        let first = browser.shop.thief();
        let state = |client: &Client| client.get("/nightlatch/session").expect(200).json();
        server.advance(60);
        let browser = browser.carried_over();
        assert_eq!(state(&first)["state"], "live", "{backend:?}: tabs that arrive together");
        let second = browser.shop.thief();
        server.advance(1);
        let browser = browser.carried_over();
        let told = state(&first);
        assert_eq!(told["state"], "anonymous", "{backend:?}");
        assert_eq!(
            told["reason"],
            serde_json::Value::Null,
            "{backend:?}: not taken for a thief's"
        );
        for client in [&second, &browser.shop, &browser.own] {
            assert_eq!(state(client)["state"], "live", "{backend:?}");
        }
    }
}

#[test]
fn a_redirect_loop_is_stopped_and_old_codes_are_deleted() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.account("ada", Role::Member);
        let browser = Browser::signed_in(&server, "ada");
        let session = live_sessions(&server)[0];
        let begun = server.now();
        let codes = |server: &TestServer| {
            let read = server
                .ctx
                .store
                .read(move |c| handovers::count_since(c, session, begun));
            server.run(read).unwrap()
        };
        for _ in 0..32 {
            browser.ticket();
        }
        let start = browser.shop.get("/nightlatch/handover/start");
        let stopped = browser.own.get(browser.on(LOGIN, &start)).expect(429);
        assert_eq!(stopped.header("retry-after"), Some("30"));
        assert!(
            stopped.page().shows("it may not be keeping cookies for it"),
            "{}",
            stopped.text()
        );
        assert_eq!(codes(&server), 32, "{backend:?}");
        server.clock.advance(Span::from_secs(31));
        let ticket = browser.ticket();
        server.run(forget_old_handovers(&server.ctx)).unwrap();
        assert_eq!(codes(&server), 33, "{backend:?}: none is old enough");
        server.clock.advance(Span::from_secs(30));
        server.run(forget_old_handovers(&server.ctx)).unwrap();
        assert_eq!(codes(&server), 1, "{backend:?}");
        browser.shop.get(&ticket).expect(303);
        server.clock.advance(Span::from_secs(31));
        server.run(forget_old_handovers(&server.ctx)).unwrap();
        assert_eq!(codes(&server), 0, "{backend:?}");
    }
}

#[test]
fn over_https_the_cookies_of_the_way_are_bound_to_their_host() {
    let server = server_over(Backend::Sqlite, "https");
    server.policy(&[("session.secure", "true")]);
    server.account("ada", Role::Member);
    let browser = Browser {
        scheme: "https",
        ..Browser::signed_in(&server, "ada")
    };
    let ticket = browser.ticket();
    assert!(browser.shop.cookie("__Host-nightlatch-handover").is_some());
    let page = PAGE.replace("http:", "https:");
    let arrived = browser.shop.get(&ticket).expect(303);
    assert_eq!(arrived.location(), page);
    let lines = arrived.cookies();
    let given = lines
        .iter()
        .find(|line| line.starts_with("__Host-nightlatch=") && !line.contains("Max-Age=0"))
        .unwrap();
    assert!(given.contains("Secure") && !given.contains("Domain"), "{given}");
    forwarded(&browser.shop, &page).expect(200);
    // A plain cookie with that name, which a sibling of the host may have planted, has no effect
    // here.
    let planted = at(&server, SHOP);
    planted.set_cookie(
        "nightlatch-handover",
        &browser.shop.cookie("__Host-nightlatch-handover").unwrap(),
    );
    refused(planted.get(&browser.ticket()));
}

#[test]
fn a_strict_cookie_goes_on_from_a_page_of_its_host() {
    let server = server(Backend::Sqlite);
    server.policy(&[("session.same_site", "Strict")]);
    server.account("ada", Role::Member);
    let browser = Browser::signed_in(&server, "ada");
    let arrived = browser.shop.get(&browser.ticket()).expect(200);
    assert!(gives_session(&arrived));
    let refresh = "content=\"0; url=http://shop.other.test/page?x=1&#38;y=2\"";
    assert!(arrived.text().contains(refresh), "{}", arrived.text());
    assert_eq!(arrived.header("referrer-policy"), Some("no-referrer"));
    forwarded(&browser.shop, PAGE).expect(200);
}

#[test]
fn the_page_of_a_refusal_brings_its_style_along() {
    let server = server(Backend::Sqlite);
    let page = at(&server, SHOP).get("/nightlatch/handover?code=x").expect(403);
    for link in between(page.text(), "<link rel=\"stylesheet\" href=\"", "\"") {
        let style = at(&server, SHOP).get(link).expect(200);
        assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    }
    assert_eq!(between(page.text(), "<link", ">").len(), 1);
    assert!(!page.text().contains("<script"));
}

#[test]
fn codes_nonces_and_ids_are_in_no_log_and_no_record() {
    let trace = Trace::from(tracing::Level::DEBUG);
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("security.log");
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", "http://login.example.org")
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .env("NIGHTLATCH_SECURITY_LOG", log.to_str().unwrap())
        .start();
    let change = ApplicationChange {
        hosts: texts(&[SHOP]),
        ..ApplicationChange::default()
    };
    let operator = operator();
    let made = applications::create(&server.ctx, &operator, "shop", change);
    assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    server.account("ada", Role::Member);
    let browser = Browser::signed_in(&server, "ada");
    let ticket = browser.ticket();
    let said = browser
        .shop
        .thief()
        .header("user-agent", CHROME)
        .get(&ticket)
        .expect(403);
    let ticket = browser.ticket();
    browser.shop.get(&ticket).expect(303);
    let code = ticket.split("code=").nth(1).unwrap().to_owned();
    let token = browser.shop.cookie("nightlatch").unwrap();
    let nonce = browser.shop.cookie("nightlatch-handover").unwrap();
    let opened: Vec<_> = server
        .audit()
        .into_iter()
        .filter(|row| row.application.is_some())
        .collect();
    assert!(
        opened.iter().any(|row| row.event.as_str() == "session.handed_over"),
        "it is on record"
    );
    let records: String = server.audit().iter().map(|row| row.to_json().to_string()).collect();
    let written = std::fs::read_to_string(&log).unwrap();
    let logged = trace.text();
    for secret in [&code, &token, &nonce] {
        for (place, text) in [
            ("audit", &records),
            ("security log", &written),
            ("log", &logged),
            ("page", &said.text().to_owned()),
        ] {
            assert!(!text.contains(secret.as_str()), "{place}");
        }
    }
}
