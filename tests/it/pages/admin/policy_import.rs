//! `/admin/policy/import`: files become drafts, faults keep the pasted text, nothing is dropped
//! silently.

use crate::{
    harness::{
        client::{Answer, Client},
        server::{Backend, TestServer},
    },
    pages::kit::{between, save_reviewed},
};
use nightlatch::{
    domain::policy::{Key, Overrides, PolicyDocument, Value},
    flows::policy::in_force,
};

const PAGE: &str = "/admin/policy/import";
const HUE: &str = "[desktop]\n  secret_key=hunter2\n  [[auth]]\n  backend=a.b.C\n  idle_session_timeout=0\n  expires_after=-300\n  login_failure_limit=5\n";

fn pasted(client: &Client, format: &str, text: &str) -> Answer {
    client.upload(
        PAGE,
        &[("format", format), ("text", text), ("reason", "moving in")],
        None,
    )
}

fn document(server: &TestServer) -> PolicyDocument {
    server.run(in_force(&server.ctx)).unwrap().revision.document
}

fn everyone(settings: &[(Key, Value)]) -> Overrides {
    settings.iter().cloned().collect()
}

/// Returns the visible text of a page.
fn visible_text(page: &Answer) -> String {
    let text = page
        .text()
        .replace("&#38;", "&")
        .replace("&#39;", "'")
        .replace("&#34;", "\"");
    text.replace("&#60;", "<").replace("&#62;", ">")
}

#[test]
fn a_pasted_hue_ini_goes_to_the_review_with_what_was_left_aside_and_is_saved_there() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        server.policy(&[("session.ttl", "1h")]);
        let empty = boss.get(PAGE).expect(200);
        assert!(
            boss.get("/admin/policy")
                .expect(200)
                .text()
                .contains("href=\"/admin/policy/import\"")
        );
        let formats = between(empty.text(), "id=\"format\"", "</select>")[0];
        assert_eq!(formats.matches("<option").count(), 6);
        let sent = pasted(&boss, "", HUE).expect(303);
        assert_eq!(
            document(&server).everyone.len(),
            1,
            "{backend:?}: nothing is in force yet"
        );
        let review = boss.get(sent.location()).expect(200);
        let shown = visible_text(&review);
        for part in [
            "An import, based on revision 2.",
            "moving in",
            "Failure limit",
            "line 5: desktop.auth.idle_session_timeout: 0 switches idle timeouts off in Hue",
            "line 6: desktop.auth.expires_after: -300 means never",
            "Ignored: line 2: desktop.secret_key: ",
            "Ignored: line 4: desktop.auth.backend: setup does this",
        ] {
            assert!(shown.contains(part), "{backend:?} {part}\n{shown}");
        }
        assert!(!shown.contains("hunter2"));
        save_reviewed(&boss, sent.location(), &[("reason", "moving in")]).expect(303);
        let expected = [
            (Key::SessionTtl, Value::Number(3600)),
            (Key::AuthIdleSessionTimeout, Value::Number(-1)),
            (Key::AuthExpiresAfter, Value::Number(-1)),
            (Key::AuthLoginFailureLimit, Value::Number(5)),
        ];
        assert_eq!(document(&server).everyone, everyone(&expected), "{backend:?}");
    }
}

#[test]
fn a_chosen_file_goes_before_the_text() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let map = b"kind: ConfigMap\ndata:\n  TOKEN_EXPIRY_TIME: \"0.5\"\n";
    let sent = boss.upload(PAGE, &[("format", ""), ("text", "[desktop]")], Some(("cm.yaml", map)));
    let review = boss.get(sent.expect(303).location()).expect(200);
    assert!(visible_text(&review).contains("30 minutes"));
    assert!(visible_text(&review).contains("TOKEN_REFRESH_PERIOD: not in the file"));
    let by_name = boss
        .upload(PAGE, &[], Some(("hue.ini", b"[beeswax]\nx=1\n")))
        .expect(200);
    assert!(visible_text(&by_name).contains("Ignored: line 2: beeswax.x: not about sessions"));
}

#[test]
fn every_format_can_be_given_or_detected() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let cms = "/hippo:configuration/hippo:frontend/cms/cms-static/root/max.inactive.interval.minutes = 20";
    for (format, text, shows) in [
        ("hue", "[desktop]\n[[session]]\nttl=7200", "2 hours"),
        ("ibm", "TOKEN_EXPIRY_TIME: '0.25'", "15 minutes"),
        ("bloomreach", cms, "Application cms"),
        ("toml", "[everyone]\nsession.ttl = '3h'", "3 hours"),
        ("json", "{\"everyone\":{\"session.ttl\":14400}}", "4 hours"),
    ] {
        for given in [format, ""] {
            let sent = pasted(&boss, given, text).expect(303);
            let review = boss.get(sent.location()).expect(200);
            assert!(visible_text(&review).contains(shows), "{format} {given}");
        }
    }
}

#[test]
fn faults_name_their_lines_and_keep_everything_that_was_sent() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let before = document(&server);
    let text = "[desktop]\n[[session]]\nttl=<b>soon</b>\nsecure=maybe\n# </textarea><i>\n";
    let refused = pasted(&boss, "hue", text).expect(422);
    let shown = visible_text(&refused);
    for part in [
        "2 things need your attention",
        "desktop.session.ttl = <b>soon</b>: not a duration",
        "(line 3)",
        "desktop.session.secure = maybe: not yes or no; accepted: on or off (line 4)",
        text,
        "value=\"moving in\"",
        "<option value=\"hue\" selected>",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(!refused.text().contains("<b>") && !refused.text().contains("<i>"));
    let file = boss.upload(PAGE, &[("format", "json")], Some(("p.json", b"{\n\"everyone\": 5}")));
    let shown = visible_text(&file.expect(422));
    assert!(
        shown.contains("a scope is an object of settings (line 2)") && shown.contains("\"everyone\": 5}</textarea>")
    );
    // Rules across settings apply to the document as a whole.
    let whole = pasted(&boss, "toml", "[everyone]\nsession.same_site = 'None'\n").expect(422);
    assert!(visible_text(&whole).contains("session.same_site = None: browsers refuse"));
    for (format, text, says) in [
        ("", "what is this", "choose it"),
        ("yaml", "a: 1", "There is no such format"),
        ("hue", " \n", "Paste the text of a file"),
        ("json", "{", "not JSON"),
    ] {
        let refused = pasted(&boss, format, text).expect(422);
        assert!(visible_text(&refused).contains(says), "{says}");
    }
    let binary = boss.upload(PAGE, &[], Some(("p.ini", b"\xff\xfe[\0"))).expect(422);
    assert!(visible_text(&binary).contains("not UTF-8 text"));
    assert_eq!(document(&server), before);
}

#[test]
fn a_file_that_changes_nothing_says_so() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    server.policy(&[("session.ttl", "1h")]);
    let same = pasted(&boss, "hue", "[desktop]\nhttp_port=1\n[[session]]\nttl=3600\n").expect(200);
    let shown = visible_text(&same);
    assert!(
        shown.contains("Nothing to review")
            && shown.contains("Ignored: line 2: desktop.http_port: configured at start")
    );
    let exported = boss.get("/admin/policy/export?format=hue").expect(200);
    pasted(&boss, "hue", exported.text()).expect(200);
}

#[test]
fn a_long_list_of_keys_left_aside_is_cut_and_counted() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let many: String = (0..250).map(|n| format!("key{n}=1\n")).collect();
    let sent = pasted(
        &boss,
        "hue",
        &format!("[desktop]\n[[session]]\nttl=60\n[beeswax]\n{many}"),
    )
    .expect(303);
    let shown = visible_text(&boss.get(sent.location()).expect(200));
    assert_eq!(shown.matches("Ignored: line ").count(), 200);
    assert!(shown.contains("Ignored: 50 more keys"));
}

#[test]
fn malformed_and_oversized_uploads_are_refused() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    boss.post(PAGE, &[("format", "hue"), ("text", "[desktop]")]).expect(415);
    let large = vec![b'#'; 256 * 1024 + 1];
    boss.upload(PAGE, &[], Some(("hue.ini", &large))).expect(413);
    let many = vec![("x", ""); 40];
    boss.upload(PAGE, &many, None).expect(413);
    server.member("ada").get(PAGE).expect(403);
    server.member("eve").upload(PAGE, &[("text", "x")], None).expect(403);
    let stranger = server.signed_in("boss").header("sec-fetch-site", "cross-site");
    stranger.upload(PAGE, &[("text", "x")], None).expect(403);
}
