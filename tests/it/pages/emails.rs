//! Emails about one's account: which action writes which, their recipients, and their links.
//! Changing the email address depends on them.

use super::kit::between;
use crate::harness::{
    client::{CHROME, Client},
    server::{Backend, PASSWORD, TestServer},
    smtp,
};
use nightlatch::{
    domain::{
        account::{AccountId, Role},
        audit::{Actor, AuditEntry, Event, EventOutcome, RequestOrigin},
        digest::{DigestEvent, LOOKED_AT, describe_locked, digest},
        lockout::{CounterKind, LockoutFilter},
        mail::EmailFilter,
        notification::NotificationKind,
        time::Span,
    },
    flows::{
        accounts::{self, AccountAction},
        lockouts, mail, notices,
    },
    store::audit,
};

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];
const OLD: &str = "ada@example.org";
const NEW: &str = "ada@example.net";
const OTHER: &str = "quiet lantern orchard 9";
const DAY: i64 = 86_400;

/// An account with an address, signed in once.
fn ada(server: &TestServer, role: Role) -> (AccountId, Client) {
    let id = server.account("ada", role);
    set_email(server, id, OLD);
    (id, server.signed_in("ada"))
}

fn set_email(server: &TestServer, id: AccountId, email: &str) {
    let profile = AccountAction::SetProfile {
        display_name: String::new(),
        email: email.to_owned(),
        groups: Vec::new(),
    };
    server.act(id, profile);
}

/// Returns the emails written since `from`, oldest first: kind and recipient.
fn since(server: &TestServer, from: usize) -> Vec<(String, String)> {
    let filter = EmailFilter {
        limit: 500,
        ..EmailFilter::default()
    };
    let mut emails = server.run(mail::list(&server.ctx, filter)).unwrap().items;
    emails.sort_by_key(|email| email.id);
    emails
        .into_iter()
        .skip(from)
        .map(|email| (email.kind, email.recipient))
        .collect()
}

fn count(server: &TestServer) -> usize {
    since(server, 0).len()
}

fn kinds(server: &TestServer, from: usize) -> Vec<String> {
    since(server, from).into_iter().map(|(kind, _)| kind).collect()
}

/// The token of the newest email with a link to this path.
fn token(server: &TestServer, path: &str) -> String {
    server
        .deliver()
        .iter()
        .rev()
        .find_map(|email| token_in(email, path))
        .unwrap()
}

fn token_in(email: &str, path: &str) -> Option<String> {
    let url = smtp::link(email, path)?;
    url.split_once("?token=").map(|(_, token)| token.to_owned())
}

fn email(server: &TestServer) -> Option<String> {
    server
        .run(accounts::find_by_name(&server.ctx, "ada"))
        .unwrap()
        .unwrap()
        .email
}

/// Returns the tokens of a change of address that was just requested: for the new and for the old
/// address.
fn tokens(server: &TestServer, new: &str, old: &str) -> (String, String) {
    (token_to(server, new), token_to(server, old))
}

/// The token of the newest email to this address.
fn token_to(server: &TestServer, address: &str) -> String {
    let emails = server.deliver();
    let to = |email: &&String| {
        let head = email.split("\r\n\r\n").next().unwrap();
        head.lines()
            .any(|line| line.starts_with("To:") && line.contains(address))
    };
    token_in(emails.iter().rev().find(to).unwrap(), "/email/confirm").unwrap()
}

fn opened(server: &TestServer, token: &str) -> u16 {
    server.anyone().open(&format!("/email/confirm?token={token}")).status()
}

fn answer(server: &TestServer, path: &str, token: &str) -> u16 {
    server.anyone().post(path, &[("token", token)]).status()
}

#[test]
fn a_new_address_counts_once_both_addresses_have_confirmed_it() {
    for (backend, old_first) in [(Backend::Sqlite, false), (Backend::Postgres, true)] {
        let server = TestServer::on(backend).start();
        let (_, ada) = ada(&server, Role::Member);
        let before = count(&server);
        ada.post("/email", &[("email", NEW)]).expect(303);
        let pair = |kind: &str, to: &str| (kind.to_owned(), to.to_owned());
        assert_eq!(
            since(&server, before),
            [pair("email_confirm", NEW), pair("email_asked_for", OLD)],
            "{backend:?}"
        );
        let (new, old) = tokens(&server, NEW, OLD);
        // Programs that open links change nothing.
        let anyone = server.anyone();
        for path in ["/email/confirm", "/email/cancel"] {
            for token in [&new, &old] {
                let page = anyone.open(&format!("{path}?token={token}")).expect(200);
                assert!(
                    page.text().contains(NEW) && page.page().shows("This was not me: cancel"),
                    "{backend:?}"
                );
                assert!(!page.text().contains(OLD), "{backend:?}: not told to the new mailbox");
            }
        }
        let waits = |address: &str| {
            let page = ada.get("/").expect(200);
            between(page.text(), "Pending change to", "If you lost access")
                .iter()
                .any(|words| {
                    words
                        .split_once(": confirm the link sent to")
                        .is_some_and(|(_, awaited)| awaited.contains(address))
                })
        };
        assert!(waits(NEW) && waits(OLD), "{backend:?}");
        let before = count(&server);
        let (first, second) = if old_first { (&old, &new) } else { (&new, &old) };
        assert_eq!(answer(&server, "/email/confirm", first), 303, "{backend:?}");
        assert_eq!(
            (email(&server).as_deref(), count(&server)),
            (Some(OLD), before),
            "{backend:?}: one is not enough"
        );
        assert_eq!((waits(NEW), waits(OLD)), (old_first, !old_first), "{backend:?}");
        for path in ["/email/confirm", "/email/cancel"] {
            assert_eq!(answer(&server, path, first), 404, "{backend:?}: used up");
        }
        assert_eq!(answer(&server, "/email/confirm", second), 303, "{backend:?}");
        assert_eq!(email(&server).as_deref(), Some(NEW), "{backend:?}");
        assert!(!waits(NEW) && !waits(OLD), "{backend:?}");
        assert_eq!(
            since(&server, before),
            [pair("email_changed", OLD), pair("email_changed", NEW)],
            "{backend:?}"
        );
        for token in [&new, &old] {
            assert_eq!(opened(&server, token), 404, "{backend:?}");
            assert_eq!(
                answer(&server, "/email/cancel", token),
                404,
                "{backend:?}: nothing is taken back"
            );
        }
        let events = server.events();
        for (event, times) in [
            ("email.change_requested", 1),
            ("email.change_confirmed", 2),
            ("email.changed", 1),
        ] {
            let found = events.iter().filter(|known| *known == event).count();
            assert_eq!(found, times, "{backend:?} {event}");
        }
        for row in server.audit() {
            let said = row.to_json().to_string();
            assert!(!said.contains(&new) && !said.contains(&old), "{backend:?}");
        }
    }
}

#[test]
fn either_address_can_refuse_also_what_the_other_has_confirmed() {
    for backend in BOTH {
        for by_old in [false, true] {
            let server = TestServer::on(backend).start();
            let (_, ada) = ada(&server, Role::Member);
            ada.post("/email", &[("email", NEW)]).expect(303);
            let (new, old) = tokens(&server, NEW, OLD);
            let (confirms, refuses) = if by_old { (&new, &old) } else { (&old, &new) };
            assert_eq!(answer(&server, "/email/confirm", confirms), 303, "{backend:?}");
            let before = count(&server);
            assert_eq!(answer(&server, "/email/cancel", refuses), 303, "{backend:?}");
            for token in [&new, &old] {
                assert_eq!(opened(&server, token), 404, "{backend:?}");
                assert_eq!(answer(&server, "/email/confirm", token), 404, "{backend:?}");
            }
            assert_eq!(
                (email(&server).as_deref(), count(&server)),
                (Some(OLD), before),
                "{backend:?}"
            );
            assert!(
                server.events().contains(&"email.change_cancelled".to_owned()),
                "{backend:?}"
            );
        }
    }
}

#[test]
fn a_first_email_address_is_confirmed_at_the_new_mailbox_alone() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        ada.post("/email", &[("email", NEW)]).expect(303);
        assert_eq!(
            answer(&server, "/email/confirm", &token_to(&server, NEW)),
            303,
            "{backend:?}"
        );
        assert_eq!(email(&server).as_deref(), Some(NEW), "{backend:?}");
    }
}

#[test]
fn a_taken_address_gets_the_same_answer_and_stays_with_its_owner() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (_, ada) = ada(&server, Role::Member);
        let eve = server.account("eve", Role::Member);
        set_email(&server, eve, "Eve@Example.org");
        let before = count(&server);
        ada.post("/email", &[("email", "eve@example.org")]).expect(303);
        let page = ada.get("/").expect(200);
        assert!(
            page.page()
                .shows("We sent one link to the new address and one to your current address"),
            "{backend:?}"
        );
        assert_eq!(
            since(&server, before),
            [
                ("email_taken".to_owned(), "Eve@Example.org".to_owned()),
                ("email_asked_for".to_owned(), OLD.to_owned())
            ],
            "{backend:?}"
        );
        let emails = server.deliver();
        let told = emails
            .iter()
            .find(|email| email.contains("Another account requested your email address"))
            .unwrap();
        assert!(token_in(told, "/email/confirm").is_none(), "{backend:?}: no link");
        assert_eq!(
            answer(&server, "/email/confirm", &token_to(&server, OLD)),
            303,
            "{backend:?}"
        );
        assert_eq!(email(&server).as_deref(), Some(OLD), "{backend:?}");
        // An address that was free when it was requested, and no longer is.
        server.advance(60);
        ada.post("/email", &[("email", NEW)]).expect(303);
        let (new, old) = tokens(&server, NEW, OLD);
        assert_eq!(answer(&server, "/email/confirm", &new), 303, "{backend:?}");
        set_email(&server, eve, NEW);
        assert_eq!(answer(&server, "/email/confirm", &old), 404, "{backend:?}");
        assert_eq!(email(&server).as_deref(), Some(OLD), "{backend:?}");
    }
}

#[test]
fn another_address_is_asked_for_five_times_an_hour_at_most() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (_, ada) = ada(&server, Role::Member);
        let ask = |number: i64| {
            server.advance(60);
            let email = format!("ada{number}@example.net");
            ada.post("/email", &[("email", &email), ("step_up_password", PASSWORD)])
                .expect(303);
            ada.get("/").expect(200).page().shows("too often today")
        };
        assert_eq!(
            (1..=6).map(ask).collect::<Vec<_>>(),
            [false, false, false, false, false, true],
            "{backend:?}"
        );
    }
}

#[test]
fn mailed_links_die_with_the_password_and_with_a_disabled_account() {
    type Does = fn(&TestServer, AccountId, &Client);
    let acts: [(&str, Does); 5] = [
        ("this was not me", |server, _, _| {
            let stranger = server.anyone().header("user-agent", CHROME);
            stranger.sign_in("ada", PASSWORD).expect(303);
            assert_eq!(answer(server, "/not-me", &token(server, "/not-me")), 303);
        }),
        ("own change", |_, _, ada| {
            let form = [
                ("current_password", PASSWORD),
                ("new_password", OTHER),
                ("new_password_again", OTHER),
            ];
            ada.post("/password", &form).expect(303);
        }),
        ("administrator's reset", |server, id, _| {
            server.act(id, AccountAction::ResetPassword);
        }),
        ("disabled and enabled again", |server, id, _| {
            server.act(id, AccountAction::Disable);
            server.act(id, AccountAction::Enable);
        }),
        ("mailed reset", |server, _, _| {
            let token = token(server, "/password/reset");
            let client = server.anyone();
            client.get(&format!("/password/reset?token={token}")).expect(303);
            let form = [("new_password", OTHER), ("new_password_again", OTHER)];
            client.post("/password/reset", &form).expect(303);
        }),
    ];
    for backend in BOTH {
        for (name, act) in acts {
            let server = TestServer::on(backend).start();
            let (id, ada) = ada(&server, Role::Member);
            ada.post("/email", &[("email", NEW)]).expect(303);
            let (new, old) = tokens(&server, NEW, OLD);
            server
                .anyone()
                .post("/password/forgot", &[("username", "ada")])
                .expect(303);
            let reset = token(&server, "/password/reset");
            act(&server, id, &ada);
            for token in [&new, &old] {
                assert_eq!(opened(&server, token), 404, "{backend:?} {name}");
            }
            let page = server.anyone();
            page.get(&format!("/password/reset?token={reset}"));
            assert_ne!(page.get("/password/reset").status(), 200, "{backend:?} {name}");
        }
    }
}

#[test]
fn links_of_an_address_are_good_for_a_day_to_the_microsecond() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (_, ada) = ada(&server, Role::Member);
        ada.post("/email", &[("email", NEW)]).expect(303);
        let (confirm, _) = tokens(&server, NEW, OLD);
        server.advance(DAY);
        server
            .anyone()
            .open(&format!("/email/confirm?token={confirm}"))
            .expect(200);
        server.clock.advance(Span::from_micros(1));
        server
            .anyone()
            .open(&format!("/email/confirm?token={confirm}"))
            .expect(404);
        server
            .anyone()
            .post("/email/confirm", &[("token", &confirm)])
            .expect(404);
        assert_eq!(email(&server).as_deref(), Some(OLD), "{backend:?}");
    }
}

#[test]
fn a_newer_request_or_another_change_kills_the_earlier_links() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (id, ada) = ada(&server, Role::Member);
        ada.post("/email", &[("email", NEW)]).expect(303);
        let (first, firsts_old) = tokens(&server, NEW, OLD);
        let before = count(&server);
        ada.post("/email", &[("email", "third@example.org")]).expect(303);
        assert!(ada.get("/").expect(200).page().shows("Wait a minute"), "{backend:?}");
        assert_eq!(count(&server), before, "{backend:?}");
        server.advance(60);
        ada.post("/email", &[("email", "third@example.org")]).expect(303);
        for token in [&first, &firsts_old] {
            server.anyone().post("/email/confirm", &[("token", token)]).expect(404);
        }
        let second = token_to(&server, "third@example.org");
        set_email(&server, id, "by-an-administrator@example.org");
        server
            .anyone()
            .post("/email/confirm", &[("token", &second)])
            .expect(404);
        for odd in ["", "x", "../../etc"] {
            server.anyone().post("/email/confirm", &[("token", odd)]).expect(404);
        }
        let before = count(&server);
        server.advance(60);
        for (typed, said) in [
            ("not an address", "address"),
            ("by-an-administrator@example.org", "already"),
        ] {
            ada.post("/email", &[("email", typed)]).expect(303);
            assert!(ada.get("/").expect(200).text().contains(said), "{backend:?} {typed}");
        }
        assert_eq!(count(&server), before, "{backend:?}");
    }
}

#[test]
fn a_new_device_or_network_is_notified_and_the_first_ones_are_not() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (_, _browser) = ada(&server, Role::Member);
        let before = count(&server);
        server.signed_in("ada");
        assert_eq!(kinds(&server, before), Vec::<String>::new(), "{backend:?}");
        server
            .anyone()
            .header("user-agent", CHROME)
            .sign_in("ada", PASSWORD)
            .expect(303);
        assert_eq!(kinds(&server, before), ["new_sign_in"], "{backend:?}: another browser");
        server.anyone().from("127.0.7.7").sign_in("ada", PASSWORD).expect(303);
        assert_eq!(kinds(&server, before).len(), 2, "{backend:?}: another network");
        server
            .anyone()
            .from("127.0.7.8")
            .header("user-agent", CHROME)
            .sign_in("ada", PASSWORD)
            .expect(303);
        server
            .anyone()
            .header("user-agent", CHROME)
            .sign_in("ada", "wrong")
            .expect(422);
        assert_eq!(kinds(&server, before).len(), 2, "{backend:?}: both are known now");
    }
}

#[test]
fn a_network_of_the_same_group_is_not_new() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.policy(&[("session.network_groups", "127.0.0.0/24, 127.0.9.0/24")]);
        let (_, _browser) = ada(&server, Role::Member);
        let before = count(&server);
        server.anyone().from("127.0.9.9").sign_in("ada", PASSWORD).expect(303);
        assert_eq!(kinds(&server, before), Vec::<String>::new(), "{backend:?}");
        server.anyone().from("127.0.7.7").sign_in("ada", PASSWORD).expect(303);
        assert_eq!(
            kinds(&server, before),
            ["new_sign_in"],
            "{backend:?}: outside the group"
        );
    }
}

#[test]
fn reporting_a_sign_in_ends_every_session_and_the_password() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (_, mine) = ada(&server, Role::Member);
        let thief = server.anyone().header("user-agent", CHROME);
        thief.sign_in("ada", PASSWORD).expect(303);
        let token_of = token;
        let token = token_of(&server, "/not-me");
        let path = format!("/not-me?token={token}");
        for _ in 0..2 {
            let page = server.anyone().open(&path).expect(200);
            assert!(
                page.page().shows("Chrome · Windows") && page.page().shows("127.0.0.1"),
                "{backend:?}"
            );
        }
        thief.get("/").expect(200);
        let cross = [("sec-fetch-site", "cross-site")];
        let form: &[(&str, &str)] = &[("token", &token)];
        server
            .anyone()
            .send(reqwest::Method::POST, "/not-me", Some(form), &cross)
            .expect(403);
        let before = count(&server);
        server.anyone().post("/not-me", form).expect(303);
        assert_eq!(
            since(&server, before),
            [("password_reset".to_owned(), OLD.to_owned())],
            "{backend:?}: the way back in"
        );
        for session in [&thief, &mine] {
            assert_eq!(
                session.get("/").expect(303).location(),
                "/login?reason=revoked",
                "{backend:?}"
            );
        }
        // A person who knows the password cannot use it, and the owner cannot choose it again.
        mine.sign_in("ada", PASSWORD).expect(422);
        let reset = token_of(&server, "/password/reset");
        let owner = server.anyone();
        owner.get(&format!("/password/reset?token={reset}")).expect(303);
        let choose = |new| owner.post("/password/reset", &[("new_password", new), ("new_password_again", new)]);
        choose(PASSWORD).expect(422);
        choose(OTHER).expect(303);
        let before = count(&server);
        let device = server.anyone().header("user-agent", CHROME);
        device.sign_in("ada", OTHER).expect(303);
        assert_eq!(
            kinds(&server, before),
            ["new_sign_in"],
            "{backend:?}: the device is a stranger again"
        );
        server.anyone().post("/not-me", form).expect(404);
        server.anyone().open(&path).expect(404);
        assert!(server.events().contains(&"sign_in.disowned".to_owned()), "{backend:?}");
    }
}

#[test]
fn tokens_of_mailed_links_leave_the_address_before_the_page_loads_anything() {
    let server = TestServer::start();
    for path in ["/email/confirm", "/email/cancel", "/not-me", "/password/reset"] {
        let client = server.anyone();
        let moved = client.get(&format!("{path}?token=of-nobody")).expect(303);
        assert_eq!(moved.location(), path);
        assert_eq!(moved.header("referrer-policy"), Some("no-referrer"), "{path}");
        let page = client.get(path);
        assert!([404, 410].contains(&page.status()), "{path}: {}", page.status());
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(page.page().heading().starts_with("This link "), "{path}");
    }
}

#[test]
fn a_link_to_disown_a_sign_in_is_good_for_a_week() {
    let server = TestServer::start();
    ada(&server, Role::Member);
    server
        .anyone()
        .header("user-agent", CHROME)
        .sign_in("ada", PASSWORD)
        .expect(303);
    let path = format!("/not-me?token={}", token(&server, "/not-me"));
    server.advance(7 * DAY);
    server.anyone().open(&path).expect(200);
    server.clock.advance(Span::from_micros(1));
    server.anyone().open(&path).expect(404);
}

#[test]
fn the_owner_is_notified_once_of_a_changed_or_reset_password() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (id, ada) = ada(&server, Role::Member);
        let before = count(&server);
        let change = |current, new| {
            let form = [
                ("current_password", current),
                ("new_password", new),
                ("new_password_again", new),
            ];
            ada.post("/password", &form)
        };
        change("wrong", OTHER).expect(422);
        assert_eq!(count(&server), before, "{backend:?}");
        change(PASSWORD, OTHER).expect(303);
        assert_eq!(kinds(&server, before), ["password_changed"], "{backend:?}");
        server.act(id, AccountAction::ResetPassword);
        assert_eq!(kinds(&server, before).len(), 2, "{backend:?}");
        let emails = server.deliver().join("\n");
        assert!(
            !emails.contains(OTHER) && !emails.contains(PASSWORD),
            "{backend:?}: no secret in an email"
        );
    }
}

#[test]
fn a_lockout_is_notified_at_most_once_an_hour() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.policy(&[
            ("auth.login_lock_out_at_failure", "true"),
            ("auth.login_lock_out_by_combination_user_and_ip", "true"),
            ("auth.login_failure_limit", "1"),
            ("auth.login_cooloff_time", "60"),
        ]);
        ada(&server, Role::Member);
        let before = count(&server);
        let tell = || server.run(notices::notify_lockouts(&server.ctx)).unwrap();
        let wrong = || {
            server.anyone().sign_in("ada", "wrong").expect(429);
            tell();
        };
        wrong();
        assert_eq!(kinds(&server, before), ["locked_out"], "{backend:?}");
        server.advance(61);
        wrong();
        assert_eq!(count(&server), before + 1, "{backend:?}: within the hour");
        server.advance(3600);
        wrong();
        assert_eq!(count(&server), before + 2, "{backend:?}");
        server.anyone().sign_in("nobody", "wrong").expect(429);
        tell();
        assert_eq!(count(&server), before + 2, "{backend:?}");
    }
}

#[test]
fn every_owner_whose_name_was_tried_is_notified_of_a_locked_address() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.policy(&[
            ("auth.login_lock_out_at_failure", "true"),
            ("auth.login_failure_limit", "4"),
        ]);
        ada(&server, Role::Member);
        for (name, email) in [("eve", "eve@example.org"), ("bob", "bob@example.org")] {
            let id = server.account(name, Role::Member);
            set_email(&server, id, email);
        }
        let before = count(&server);
        // Bob signs in from there; nobody tried his password.
        server.signed_in("bob");
        for (name, status) in [("ada", 422), ("nobody", 422), ("EVE", 422), ("ada", 429)] {
            server.anyone().sign_in(name, "wrong").expect(status);
        }
        for _ in 0..2 {
            server.run(notices::notify_lockouts(&server.ctx)).unwrap();
        }
        let told = |address: &str| ("locked_out".to_owned(), address.to_owned());
        let mut emails = since(&server, before);
        emails.sort();
        assert_eq!(emails, [told(OLD), told("eve@example.org")], "{backend:?}");
        assert!(
            server
                .deliver()
                .join("\n")
                .contains("Sign-ins from that IP address are refused"),
            "{backend:?}"
        );
    }
}

#[test]
fn a_locked_address_beyond_the_ceiling_tells_no_owner() {
    let server = TestServer::start();
    server.policy(&[("auth.login_ip_ceiling", "2")]);
    ada(&server, Role::Member);
    let before = count(&server);
    server.anyone().sign_in("ada", "wrong").expect(422);
    server.anyone().sign_in("ada", "wrong").expect(429);
    server.run(notices::notify_lockouts(&server.ctx)).unwrap();
    assert_eq!(count(&server), before);
}

#[test]
fn the_latest_tried_names_are_kept() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        for name in (0..25)
            .map(|number| format!("name{number}"))
            .chain(["name7".to_owned()])
        {
            server.anyone().sign_in(&name, "wrong").expect(422);
        }
        let kept = server
            .run(lockouts::list(
                &server.ctx,
                LockoutFilter {
                    limit: 10,
                    ..LockoutFilter::default()
                },
            ))
            .unwrap();
        let row = kept
            .items
            .iter()
            .find(|view| view.lockout.key.kind == CounterKind::Key)
            .unwrap();
        let mut expected: Vec<String> = (6..25)
            .filter(|number| *number != 7)
            .map(|number| format!("name{number}"))
            .collect();
        expected.insert(0, "name5".to_owned());
        expected.push("name7".to_owned());
        assert_eq!(row.lockout.names_tried, expected[expected.len() - 20..], "{backend:?}");
    }
}

#[test]
fn an_expiry_is_notified_once_before_each_date_and_once_it_has_passed() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (id, _) = ada(&server, Role::Member);
        let tell = || server.run(notices::notify_expiring(&server.ctx)).unwrap();
        let at = server.now().saturating_add(Span::from_secs(10 * DAY));
        server.act(id, AccountAction::SetExpiry(Some(at)));
        let before = count(&server);
        tell();
        assert_eq!(count(&server), before, "{backend:?}: ten days are far");
        server.advance(3 * DAY + 1);
        tell();
        tell();
        assert_eq!(kinds(&server, before), ["expires_soon"], "{backend:?}: once");
        server.act(
            id,
            AccountAction::SetExpiry(Some(at.saturating_add(Span::from_secs(60)))),
        );
        server.advance(60);
        tell();
        assert_eq!(count(&server), before + 2, "{backend:?}: another date");
        server.advance(7 * DAY + 61);
        server.run(accounts::expire_due(&server.ctx)).unwrap();
        server.act(id, AccountAction::Enable);
        assert_eq!(kinds(&server, before)[2..], ["expired", "reactivated"], "{backend:?}");
    }
}

#[test]
fn administrators_get_a_digest_at_most_once_an_hour_and_only_of_something() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (_, _boss) = ada(&server, Role::Administrator);
        let look = || server.run(notices::send_digest(&server.ctx)).unwrap();
        let digests = || kinds(&server, 0).into_iter().filter(|kind| kind == "digest").count();
        look();
        server.advance(3600);
        look();
        assert_eq!(digests(), 0, "{backend:?}: nothing to tell");
        for name in 0..5 {
            server.anyone().sign_in(&format!("name{name}"), "wrong").expect(422);
        }
        server.policy(&[("session.ttl", "5 days")]);
        server.advance(3599);
        look();
        assert_eq!(digests(), 0, "{backend:?}: within the hour");
        server.advance(1);
        look();
        look();
        assert_eq!(digests(), 1, "{backend:?}");
        let emails = server.deliver();
        let text = emails.last().unwrap().replace("=\r\n", "").replace("=3D", "=");
        assert!(
            text.contains("1 address, 5 names: 127.0.0.1 tried many accounts (password spraying)."),
            "{backend:?}: {text}"
        );
        assert!(text.contains("changed the policy"), "{backend:?}: {text}");
    }
}

#[test]
fn a_flood_of_refused_sign_ins_does_not_hide_the_rest_from_the_digest() {
    let server = TestServer::start();
    ada(&server, Role::Administrator);
    let look = || server.run(notices::send_digest(&server.ctx)).unwrap();
    server.policy(&[
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_failure_limit", "3"),
        ("auth.login_lock_out_by_combination_user_and_ip", "true"),
    ]);
    server.advance(3600);
    look();
    server.policy(&[("session.ttl", "5 days")]);
    for _ in 0..3 {
        server.anyone().sign_in("mallory", "wrong");
    }
    let flood: Vec<_> = (0..2_100).map(|_| refused("eve")).collect();
    server.advance(3600);
    let at = server.now().saturating_sub(Span::from_secs(60));
    let ctx = server.ctx.clone();
    let written = server
        .ctx
        .store
        .write(move |c| audit::insert_many(c, flood.iter().map(|entry| (ctx.new_id(at), at, entry))));
    server.run(written).unwrap();
    assert_eq!(look(), 1);
    let emails = server.deliver();
    let text = emails.last().unwrap().replace("=\r\n", "").replace("=3D", "=");
    assert!(text.contains("changed the policy"), "{text}");
    assert!(text.contains("1 lockout began: “mallory” from 127.0.0.1."), "{text}");
}

fn refused(name: &str) -> AuditEntry {
    AuditEntry {
        event: Event::SignInRefused,
        actor: Actor::Anonymous,
        account: Some((None, name.to_owned())),
        session: None,
        origin: RequestOrigin::default(),
        application: None,
        outcome: EventOutcome::Failure,
        reason: Some("credentials".to_owned()),
        detail: serde_json::Value::Null,
    }
}

#[test]
fn a_digest_names_ten_of_each_kind_and_counts_the_others() {
    let lock = |number: usize| DigestEvent {
        event: Event::LockoutBegan,
        account: None,
        actor: "system".to_owned(),
        ip: None,
        locked: Some(describe_locked(None, Some(&format!("203.0.113.{number:02}")))),
    };
    let change = |_| DigestEvent {
        event: Event::PolicyChanged,
        actor: "ada".to_owned(),
        locked: None,
        ..lock(0)
    };
    let locks: Vec<_> = (0..12).map(lock).collect();
    let line = digest(&locks).remove(0);
    assert!(
        line.starts_with("12 lockouts began: everyone from 203.0.113.00, "),
        "{line}"
    );
    assert!(line.ends_with("everyone from 203.0.113.09 and 2 more."), "{line}");
    let changes: Vec<_> = (0..12).map(change).collect();
    let lines = digest(&changes);
    assert_eq!(
        (lines.len(), lines[10].as_str()),
        (11, "The same happened 2 more times.")
    );
    let flood = vec![lock(1); LOOKED_AT];
    assert_eq!(
        digest(&flood),
        ["At least 2000 lockouts began: everyone from 203.0.113.01."]
    );
}

#[test]
fn a_kind_that_policy_or_its_owner_switched_off_is_not_sent() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (id, ada) = ada(&server, Role::Member);
        let before = count(&server);
        let reset = || server.act(id, AccountAction::ForceChange);
        reset();
        server.policy(&[("notices.password", "false")]);
        server.act(id, AccountAction::ResetPassword);
        assert_eq!(count(&server), before, "{backend:?}: by policy");
        server.policy(&[("notices.password", "true")]);
        drop(ada);
        let other = server.account("eve", Role::Member);
        set_email(&server, other, "eve@example.org");
        let eve = server.signed_in("eve");
        let page = eve.get("/").expect(200);
        assert!(
            page.text().contains(NotificationKind::Password.label())
                && !page.text().contains(NotificationKind::Digest.label())
        );
        let expire = |id| {
            let before = count(&server);
            server.act(id, AccountAction::ExpireNow);
            server.act(id, AccountAction::Enable);
            count(&server) - before
        };
        eve.post("/notices", &[("notice", "sign_in"), ("notice", "lockout")])
            .expect(303);
        assert_eq!(
            (expire(other), expire(id)),
            (0, 2),
            "{backend:?}: by its owner, others still get theirs"
        );
    }
}

#[test]
fn a_thief_cannot_silence_the_emails_that_reveal_the_theft() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (id, ada) = ada(&server, Role::Member);
        let before = count(&server);
        // Nothing at all is wanted.
        ada.post("/notices", &[]).expect(303);
        assert_eq!(
            since(&server, before),
            [("switched_off".to_owned(), OLD.to_owned())],
            "{backend:?}"
        );
        ada.post("/notices", &[]).expect(303);
        assert_eq!(count(&server), before + 1, "{backend:?}: told once");
        let emails = server.deliver().join("\n").replace("=\r\n", "");
        assert!(
            emails.contains("127.0.0.1") && emails.contains(NotificationKind::SignIn.label()),
            "{backend:?}"
        );
        assert!(
            !emails.contains(NotificationKind::Password.label()),
            "{backend:?}: it was not switched off"
        );
        let page = ada.get("/").expect(200);
        let boxes = between(page.text(), "name=\"notice\" ", ">");
        for code in ["password", "email"] {
            assert!(
                boxes
                    .iter()
                    .any(|words| words.contains(code) && words.ends_with(" checked disabled")),
                "{backend:?} {boxes:?}"
            );
        }
        server.act(id, AccountAction::ResetPassword);
        set_email(&server, id, NEW);
        let told = kinds(&server, before + 1);
        assert_eq!(
            told,
            ["password_changed", "email_changed", "email_changed"],
            "{backend:?}"
        );
    }
}

#[test]
fn an_account_without_an_address_gets_no_email() {
    let server = TestServer::start();
    let id = server.account("ada", Role::Member);
    server.signed_in("ada");
    server
        .anyone()
        .header("user-agent", CHROME)
        .sign_in("ada", PASSWORD)
        .expect(303);
    server.act(id, AccountAction::ResetPassword);
    assert_eq!(count(&server), 0);
}
