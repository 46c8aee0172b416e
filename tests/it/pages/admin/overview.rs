//! The overview: how many sessions were live through the last day, and how what the installation
//! runs on does.

use crate::{
    harness::server::{Backend, TestServer, eventually},
    pages::kit::between,
};
use nightlatch::{
    clock::{Clock, SystemClock},
    domain::time::{Span, Timestamp},
};

/// The last column of the table by hour: live at each hour's end, oldest first.
fn live_by_hour(page: &str) -> Vec<u32> {
    let table = between(page, "aria-label=\"Sign-ins and sessions by hour\"", "</table>")[0];
    let rows = between(table, "<tr><th scope=\"row\"", "</tr>");
    rows.iter()
        .map(|row| {
            between(row, "<td class=\"num\">", "</td>")
                .pop()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect()
}

#[test]
fn live_sessions_are_shown_for_each_hour_of_the_last_day() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        const HOUR: i64 = 3_600_000_000;
        let begun = server.now().as_micros().div_euclid(HOUR) * HOUR;
        server
            .clock
            .set(Timestamp::from_micros(begun + HOUR).saturating_add(Span::from_secs(600)));
        let boss = server.admin("boss");
        let overview = || boss.get("/admin").expect(200).text().to_owned();
        assert_eq!(live_by_hour(&overview()), [&[0; 23][..], &[1]].concat(), "{backend:?}");
        let bob = server.member("bob");
        let eve = server.member("eve");
        server.advance(3_600);
        bob.post("/logout", &[]).expect(303);
        server.advance(3_600);
        server.signed_in("bob");
        server.signed_in("bob");
        eve.post("/logout", &[]).expect(303);
        // A session that began and ended within an hour is at neither end of it.
        server.signed_in("eve").post("/logout", &[]).expect(303);
        let page = overview();
        assert_eq!(live_by_hour(&page), [&[0; 21][..], &[3, 2, 3]].concat(), "{backend:?}");
        assert!(page.contains("now; 0 to 3 in 24 hours"), "{backend:?}");
        assert!(page.contains("<polyline points=\"0,27 "), "{backend:?}");
        assert!(page.contains(" 105,1 110,10 115,1\"/>"), "{backend:?}: {page}");
        server.advance(24 * 3_600);
        let page = overview();
        assert_eq!(live_by_hour(&page), [3; 24], "{backend:?}");
        assert!(page.contains("now, unchanged for 24 hours"), "{backend:?}");
    }
}

#[test]
fn a_clock_that_differs_from_the_databases_is_warned_of() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let shows = |words: &str| boss.get("/admin").expect(200).text().contains(words);
        let (answers, agree) = match backend {
            Backend::Sqlite => ("SQLite responds", "Clock in sync (local database)"),
            Backend::Postgres => ("PostgreSQL responds", "Clock in sync"),
        };
        assert!(shows(answers), "{backend:?}");
        eventually("the clocks agree", || {
            server.clock.set(SystemClock.now());
            shows(agree)
        });
        server.advance(600);
        let warned = shows("s ahead of the database’s</strong>");
        assert_eq!(
            warned,
            backend == Backend::Postgres,
            "{backend:?}: of one clock there is no difference"
        );
        assert_eq!(warned, !shows(agree), "{backend:?}");
    }
}

#[test]
fn servers_on_one_database_know_of_each_other() {
    let first = TestServer::on(Backend::Postgres).start();
    let boss = first.admin("boss");
    let shows = |words: &str| boss.get("/admin").expect(200).text().contains(words);
    assert!(shows("This is the only server."));
    let second = TestServer::beside(&first.database).start();
    assert!(shows("1\u{a0}other server on this database."));
    second.stop();
    assert!(shows("This is the only server."));
}
