//! Network groups through a real server behind a trusted proxy: an office that alternates between
//! its LAN and its public address, and what it is known from.

use crate::{
    harness::{
        client::Client,
        server::{Backend, PASSWORD, TestServer},
    },
    pages::kit::{between, draft},
};
use nightlatch::{
    domain::{account::Role, session::SessionFilter},
    flows::{policy, sessions},
};

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];
const LAN: &str = "192.168.7.20";
const PUBLIC: &str = "203.0.113.9";
const PUBLIC_V6: &str = "2001:db8:1::20";
const ELSEWHERE: &str = "198.51.100.7";
const OFFICE: &str = "192.168.0.0/16, 203.0.113.9, 2001:db8:1::/48";

fn proxied(backend: Backend) -> TestServer {
    let server = TestServer::on(backend)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    server.account("ada", Role::Member);
    server
}

fn changes(server: &TestServer) -> Vec<u32> {
    let list = server.run(sessions::list(
        &server.ctx,
        SessionFilter {
            limit: 9,
            ..SessionFilter::default()
        },
    ));
    list.unwrap()
        .items
        .iter()
        .map(|view| view.row.session.binding.changes)
        .collect()
}

#[test]
fn an_office_alternates_between_its_lan_and_its_public_address() {
    for backend in BOTH {
        let server = proxied(backend);
        server.policy(&[("session.network_groups", OFFICE)]);
        let ada = server.anyone().header("x-forwarded-for", LAN);
        ada.sign_in("ada", PASSWORD).expect(303);
        let cookie = ada.cookie("nightlatch");
        let mut ada = ada;
        for from in [PUBLIC, LAN, PUBLIC_V6, PUBLIC, LAN, PUBLIC] {
            ada = ada.header("x-forwarded-for", from);
            ada.get("/").expect(200);
            server.advance(400);
        }
        assert_eq!(ada.cookie("nightlatch"), cookie, "{backend:?}: nothing was rotated");
        assert_eq!(changes(&server), [0], "{backend:?}");
        assert!(
            !server.events().iter().any(|event| event == "session.network_changed"),
            "{backend:?}"
        );
        // Leaving the group is a change, and returning is one too many.
        let ada = ada.header("x-forwarded-for", ELSEWHERE);
        ada.get("/").expect(200);
        assert_eq!(changes(&server), [1], "{backend:?}");
        let ada = ada.header("x-forwarded-for", LAN);
        ada.get("/").expect(303);
        assert!(
            server.events().contains(&"session.ended network_allowance".to_owned()),
            "{backend:?}"
        );
    }
}

#[test]
fn without_the_group_the_same_office_is_signed_out() {
    let server = proxied(Backend::Sqlite);
    let ada = server.anyone().header("x-forwarded-for", LAN);
    ada.sign_in("ada", PASSWORD).expect(303);
    let ada = ada.header("x-forwarded-for", PUBLIC);
    ada.get("/").expect(200);
    let ada = ada.header("x-forwarded-for", LAN);
    ada.get("/").expect(303);
    // A save governs the next request of a live session.
    ada.sign_in("ada", PASSWORD).expect(303);
    server.policy(&[("session.network_groups", OFFICE)]);
    for from in [PUBLIC, LAN, PUBLIC] {
        let ada = ada.thief().header("x-forwarded-for", from);
        ada.get("/").expect(200);
    }
}

#[test]
fn a_stranger_ceiling_spares_the_group_of_a_known_network() {
    for backend in BOTH {
        let server = proxied(backend);
        server.policy(&[
            ("auth.login_account_ceiling", "4"),
            ("auth.login_ip_ceiling", "0"),
            ("session.network_groups", OFFICE),
        ]);
        let from = |ip: &str| server.anyone().header("x-forwarded-for", ip);
        from(LAN).sign_in("ada", PASSWORD).expect(303);
        for n in 1..=4 {
            from(&format!("198.51.{n}.1")).sign_in("ada", "wrong");
        }
        from(ELSEWHERE).sign_in("ada", PASSWORD).expect(429);
        from("203.0.113.10").sign_in("ada", PASSWORD).expect(429);
        from(PUBLIC).sign_in("ada", PASSWORD).expect(303);
        from(PUBLIC_V6).sign_in("ada", PASSWORD).expect(303);
    }
}

#[test]
fn the_editor_takes_groups_and_names_the_line_of_a_fault() {
    let server = proxied(Backend::Sqlite);
    let boss = server.admin("boss");
    let before = server.run(policy::in_force(&server.ctx)).unwrap().revision.revision;
    let typed = format!("{OFFICE}\n198.51.100.0/24\n203.0.113.0/24");
    let refused = draft(&boss, before, &[("session.network_groups", typed.as_str())]).expect(422);
    let page = refused.page();
    assert!(
        page.shows("line 3: “203.0.113.0/24” overlaps 203.0.113.9 in line 1"),
        "{}",
        refused.text()
    );
    assert!(
        refused.text().contains("198.51.100.0/24\n203.0.113.0/24"),
        "what was typed is kept"
    );
    let typed = format!("{OFFICE}\n\n198.51.100.0/28, 198.51.100.32/28");
    let drafted = draft(&boss, before, &[("session.network_groups", typed.as_str())]).expect(303);
    let review = boss.get(drafted.location()).expect(200);
    assert!(
        review
            .page()
            .shows(&format!("{OFFICE}; 198.51.100.0/28, 198.51.100.32/28"))
    );
    server.policy(&[("session.network_groups", typed.as_str())]);
    let form = boss.get("/admin/policy").expect(200);
    let field = between(form.text(), "name=\"session.network_groups\"", "</textarea>")[0];
    assert!(
        field.contains(&format!("{OFFICE}\n198.51.100.0/28, 198.51.100.32/28")),
        "{field}"
    );
}

#[test]
fn the_session_page_names_the_group_of_the_accepted_network() {
    let server = proxied(Backend::Sqlite);
    server.policy(&[("session.network_groups", OFFICE)]);
    let boss = server.admin("boss");
    let ada: Client = server.anyone().header("x-forwarded-for", LAN);
    ada.sign_in("ada", PASSWORD).expect(303);
    let list = server
        .run(sessions::list(
            &server.ctx,
            SessionFilter {
                limit: 9,
                ..SessionFilter::default()
            },
        ))
        .unwrap();
    let hers = list
        .items
        .iter()
        .find(|view| view.row.account_name == "ada")
        .expect("hers");
    let page = boss
        .get(&format!("/admin/sessions/{}", hers.row.session.id.0))
        .expect(200);
    let group = "192.168.7.0/24, in the network group 192.168.0.0/16, 203.0.113.9/32, 2001:db8:1::/48";
    assert!(page.page().shows(group), "{}", page.text());
}
