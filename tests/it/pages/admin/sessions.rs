//! `/admin/sessions`: filters, pages that agree with their totals, and every way to end.

use crate::{
    harness::{
        client::{Answer, CHROME, Client, FIREFOX},
        server::{Backend, TestServer},
    },
    pages::kit::{link, records},
};
use nightlatch::{
    domain::{
        account::Role,
        factor::Proofs,
        session::{Binding, Session, SessionId},
        time::Span,
    },
    flows::accounts,
    store::sessions,
};
use std::collections::BTreeSet;

/// Opens this number of further sessions of the account, a second apart, from `198.51.100.N`.
fn more(server: &TestServer, name: &str, number: u8) -> Vec<String> {
    let account = server
        .run(accounts::find_by_name(&server.ctx, name))
        .unwrap()
        .unwrap()
        .id;
    let rows: Vec<Session> = (0..number)
        .map(|index| {
            let at = server.now().saturating_sub(Span::from_secs(i64::from(index / 2)));
            let ip = format!("198.51.100.{index}").parse().unwrap();
            Session {
                id: SessionId(server.ctx.new_id(at)),
                account_id: account,
                signed_in_at: at,
                last_active_at: at,
                last_seen_at: at,
                ip,
                signed_in_ip: ip,
                binding: Binding::at_sign_in(ip, Some(FIREFOX)),
                applications: Vec::new(),
                devices: Vec::new(),
                ended_at: None,
                end_reason: None,
                ended_by: None,
                end_cause: None,
                proved_at: at,
                proofs: Proofs::PASSWORD,
                tokens: Vec::new(),
            }
        })
        .collect();
    let ids = rows.iter().map(|row| row.id.0.to_string()).collect();
    server
        .run(
            server
                .ctx
                .store
                .write(move |c| rows.iter().try_for_each(|row| sessions::insert(c, row))),
        )
        .unwrap();
    ids
}

/// Ids on every page of a list, and the total it claims.
fn all(admin: &Client, query: &str) -> (Vec<String>, String) {
    let mut ids = Vec::new();
    let mut next = Some(format!("/admin/sessions?{query}"));
    let mut total = String::new();
    while let Some(path) = next {
        let answer = admin.get(&path).expect(200);
        let status = answer.page().all(".head [role=status]")[0].text();
        total = status.split(' ').next().unwrap().to_owned();
        ids.extend(listed(&answer));
        next = link(&answer, "after=");
    }
    (ids, total)
}

/// Ids of the sessions on one page of the list, by the links to their details.
fn listed(list: &Answer) -> Vec<String> {
    let page = list.page();
    let links = page.all("td[data-label=Device] a");
    let ids = links
        .iter()
        .map(|link| link.attribute("href").trim_start_matches("/admin/sessions/"));
    ids.map(str::to_owned).collect()
}

#[test]
fn pages_show_each_session_once_and_agree_with_the_total() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        server.account("ada", Role::Member);
        let made: BTreeSet<String> = more(&server, "ada", 60).into_iter().collect();
        for query in ["limit=25", "limit=25&account=", "limit=50", "limit=25&state=all"] {
            let (ids, total) = all(&boss, query);
            assert_eq!(total, "61", "{backend:?} {query}");
            assert_eq!(ids.len(), 61, "{backend:?} {query}");
            let ids: BTreeSet<String> = ids.into_iter().collect();
            assert!(ids.len() == 61 && made.is_subset(&ids), "{backend:?} {query}");
        }
        let csv = boss.post("/admin/sessions/export?format=csv", &[]).expect(200);
        assert_eq!(records(csv.text()).len(), 62, "{backend:?}");
        // And back again.
        let second = boss.get(&link(&boss.get("/admin/sessions?limit=25"), "after=").unwrap());
        let first = boss.get(&link(&second, "before=").unwrap());
        assert_eq!(
            listed(&first),
            listed(&boss.get("/admin/sessions?limit=25")),
            "{backend:?}"
        );
    }
}

#[test]
fn filters_narrow_by_name_network_role_idle_time_and_state() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        server.account("a_a%", Role::Member);
        server.account("axa", Role::Member);
        more(&server, "a_a%", 6);
        server.advance(3600);
        let gone = server.signed_in("axa");
        gone.post("/logout", &[]).expect(303);
        server.signed_in("axa");
        boss.get("/").expect(200);
        server
            .run(nightlatch::flows::access::flush_activity(&server.ctx))
            .unwrap();
        for (query, total) in [
            ("q=a_a", "6"),
            ("q=A_A%25", "6"),
            ("q=%25", "6"),
            ("q=axa", "1"),
            ("q=axa&state=ended", "1"),
            ("q=axa&state=all", "2"),
            ("q=198.51.100.0/30", "4"),
            ("q=198.51.100.5", "1"),
            ("q=2001:db8::/32", "0"),
            ("role=administrator", "1"),
            ("role=member", "7"),
            ("idle=30m", "6"),
            ("idle=2h", "0"),
            ("q='--", "0"),
            ("app=wiki", "0"),
        ] {
            let (ids, claimed) = all(&boss, query);
            assert_eq!(claimed, total, "{backend:?} {query}");
            assert_eq!(ids.len().to_string(), total, "{backend:?} {query}");
        }
    }
}

#[test]
fn one_selected_and_an_accounts_sessions_are_ended() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let id = server.account("ada", Role::Member);
        let adas: Vec<Client> = (0..4).map(|_| server.signed_in("ada")).collect();
        let live = |adas: &[Client]| adas.iter().filter(|ada| ada.get("/").status() == 200).count();
        let ids = |query: &str| all(&boss, query).0;
        let of_ada = ids("q=ada");
        assert_eq!(of_ada.len(), 4);
        boss.post("/admin/sessions/end", &[("only", &of_ada[0])]).expect(303);
        let list = boss.get("/admin/sessions").expect(200).page();
        assert!(list.shows("Ended the session of ada on"), "{backend:?}: whose it was");
        assert_eq!(live(&adas), 3, "{backend:?}");
        let left = ids("q=ada");
        assert!(!left.contains(&of_ada[0]));
        let two = [("what", "selected"), ("id", left[0].as_str()), ("id", left[1].as_str())];
        let question = boss.post("/admin/sessions/end", &two).expect(200).page();
        assert!(
            question.shows("End 2 sessions?") && question.shows("ada"),
            "{backend:?}"
        );
        assert_eq!(live(&adas), 3, "{backend:?}: a question ends nothing");
        let fields = question.form_with("what").fields();
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        boss.post("/admin/sessions/end", &fields).expect(303);
        assert_eq!(live(&adas), 1, "{backend:?}");
        boss.post(&format!("/admin/accounts/{}", id.0), &[("act", "end-sessions")])
            .expect(303);
        assert_eq!(live(&adas), 0, "{backend:?}");
        let ended = server
            .events()
            .iter()
            .filter(|event| *event == "session.ended revoked")
            .count();
        assert_eq!(ended, 4, "{backend:?}");
        assert!(
            server
                .audit()
                .iter()
                .filter(|row| row.event.as_str() == "session.ended")
                .all(|row| row.actor == "boss")
        );
        // Ended again: reported, and nothing recorded.
        boss.post("/admin/sessions/end", &[("only", &of_ada[0])]).expect(303);
        assert_eq!(
            server
                .events()
                .iter()
                .filter(|event| *event == "session.ended revoked")
                .count(),
            4
        );
        boss.post("/admin/sessions/end", &[("only", "not-an-id")]).expect(404);
        boss.get("/admin").expect(200);
    }
}

#[test]
fn ending_all_that_match_asks_for_the_number_and_reaches_beyond_the_page() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        server.account("ada", Role::Member);
        let eve = server.member("eve");
        more(&server, "ada", 60);
        let back = "q=198.51.100.0%2F24";
        let question = boss.get(&format!("/admin/sessions/end?{back}")).expect(200).page();
        assert!(question.heading().contains("60"), "{backend:?}: {}", question.heading());
        let end = |shown: &str, typed: &str| {
            boss.post(
                "/admin/sessions/end",
                &[("what", "matching"), ("back", back), ("shown", shown), ("typed", typed)],
            )
        };
        for (shown, typed) in [("", ""), ("60", ""), ("60", "6"), ("", "60")] {
            end(shown, typed).expect(422);
        }
        assert_eq!(all(&boss, back).1, "60");
        // The number has changed since it was shown: an administrator never ends more sessions than
        // they saw.
        let changed = end("26", "26").expect(422).page();
        assert!(
            changed.shows("There are now 60."),
            "{backend:?}: {:?}",
            changed.messages()
        );
        end("60", "60").expect(303);
        assert_eq!(all(&boss, back).1, "0", "{backend:?}");
        eve.get("/").expect(200);
        boss.get("/admin").expect(200);
        // An invalid filter ends nothing.
        for back in ["idle=soon", "role=administratr", "state=lives", "account=eve"] {
            let unreadable = [("what", "matching"), ("back", back), ("shown", "2"), ("typed", "2")];
            boss.post("/admin/sessions/end", &unreadable).expect(400);
            boss.get(&format!("/admin/sessions/end?{back}")).expect(400);
            let list = boss.get(&format!("/admin/sessions?{back}")).expect(200).page();
            assert_eq!(list.all("#faults").len(), 1, "{backend:?} {back}: the fault is shown");
            boss.post(&format!("/admin/sessions/export?{back}"), &[]).expect(400);
        }
        eve.get("/").expect(200);
    }
}

#[test]
fn ones_own_session_is_ended_only_after_saying_so() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let eve = server.member("eve");
    let mine = all(&boss, "q=boss").0.remove(0);
    let theirs = all(&boss, "q=eve").0.remove(0);
    let ids = [("what", "selected"), ("id", mine.as_str()), ("id", theirs.as_str())];
    let question = boss.post("/admin/sessions/end", &ids).expect(200).page();
    assert_eq!(question.all("button[name=yours]").len(), 2, "with mine, or without");
    eve.get("/").expect(200);
    let kept = [ids[0], ids[1], ids[2], ("yours", "kept")];
    boss.post("/admin/sessions/end", &kept).expect(303);
    eve.get("/").expect(303);
    boss.get("/admin").expect(200);
    // The number shown that takes my own along must be typed.
    let all = [("what", "matching"), ("back", ""), ("shown", "1"), ("typed", "")];
    boss.post("/admin/sessions/end", &all).expect(422);
    boss.get("/admin").expect(200);
}

#[test]
fn a_session_ended_by_its_rule_is_never_listed_as_live() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        server.account("ada", Role::Member);
        server.signed_in("ada");
        server.policy(&[("auth.idle_session_timeout", "10m")]);
        server.advance(590);
        boss.get("/").expect(200);
        server.advance(30);
        let page = boss.get("/admin/sessions?q=ada").expect(200).page();
        let buttons = page.all("button[name=only]");
        assert!(buttons.is_empty(), "{backend:?}: no button to end what has ended");
        server.run(nightlatch::flows::sessions::sweep(&server.ctx)).unwrap();
        assert_eq!(all(&boss, "q=ada").1, "0", "{backend:?}");
    }
}

#[test]
fn user_agents_and_names_are_text_in_the_list_and_defused_in_the_export() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    server.account("=1+1", Role::Member);
    for agent in ["=cmd|'/c calc'!A0", "@SUM(1)", "<script>alert(1)</script>", CHROME] {
        let client = server.anyone().header("user-agent", agent);
        client.sign_in("=1+1", crate::harness::server::PASSWORD).expect(303);
    }
    for path in ["/admin/sessions", "/admin", "/admin/audit"] {
        let page = boss.get(path).expect(200);
        assert!(!page.text().contains("<script>alert"), "{path}");
    }
    let csv = boss.post("/admin/sessions/export?format=csv", &[]).expect(200);
    let records = records(csv.text());
    assert_eq!(records.len(), 6);
    for cell in records.iter().flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
    }
}
