//! A policy against the named baselines: what meets an item, which override misses it, and the edits that mend it.

use super::{document, policy};
use nightlatch::domain::policy::{
    Key, Pins, PolicyDocument, Scope, Value,
    effective::Policy,
    posture::{
        Accepts, Baseline, Checked, Installation, Protected, baselines, check, differing_pins, installation, remedy,
    },
};

fn pins(settings: &[(&str, &str)]) -> Pins {
    document(settings).everyone
}

fn missed(id: &str, policy: &Policy) -> Vec<Key> {
    check(Baseline::find(id).unwrap(), policy)
        .iter()
        .filter(|checked| !checked.met())
        .map(|checked| checked.item.key)
        .collect()
}

fn mended(id: &str, policy: &Policy) -> PolicyDocument {
    let checked = check(Baseline::find(id).unwrap(), policy);
    let mut document = policy.document().clone();
    for (scope, key, value) in remedy(&checked, policy) {
        match value {
            Some(value) => document.set(&scope, key, value),
            None => document.unset(&scope, key),
        }
    }
    document
}

#[test]
fn every_baseline_that_set_up_applies_meets_itself_but_for_the_secure_flag() {
    for baseline in baselines() {
        let expected = match baseline.id {
            "asvs-l2" | "nist-aal2" => vec![Key::SessionSecure],
            _ => vec![],
        };
        assert_eq!(
            missed(baseline.id, &policy(baseline.document())),
            expected,
            "{}",
            baseline.id
        );
    }
}

#[test]
fn every_item_says_who_asks_why_and_what() {
    for baseline in baselines() {
        assert!(
            !baseline.source.is_empty() && !(baseline.items)().is_empty(),
            "{}",
            baseline.id
        );
        for item in (baseline.items)() {
            let words = item.accepts.words(item.key.setting());
            for text in [item.asked_by, item.why, &words] {
                assert!(!text.is_empty(), "{} {}", baseline.id, item.key);
            }
        }
    }
}

#[test]
fn the_bounds_of_an_item_are_inclusive_and_never_is_outside() {
    let idle = Key::AuthIdleSessionTimeout.setting();
    let hour = Accepts::Between(1, 3600);
    for (secs, met) in [(-1, false), (0, false), (1, true), (3600, true), (3601, false)] {
        assert_eq!(hour.meets(idle, &Value::Number(secs)), met, "{secs}");
    }
    let cooloff = Key::AuthLoginCooloffTime.setting();
    for (secs, met) in [(-1, true), (1799, false), (1800, true)] {
        assert_eq!(
            Accepts::AtLeastOrNever(1800).meets(cooloff, &Value::Number(secs)),
            met,
            "{secs}"
        );
    }
    let length = Key::PasswordMinLength.setting();
    for (number, met) in [(14, false), (15, true), (128, true)] {
        assert_eq!(
            Accepts::AtLeast(15).meets(length, &Value::Number(number)),
            met,
            "{number}"
        );
    }
    let superusers = Key::AuthExpireSuperusers.setting();
    for (value, met) in [
        (Value::Flag(true), true),
        (Value::Flag(false), false),
        (Value::Number(90), true),
        (Value::Number(91), false),
    ] {
        assert_eq!(Accepts::OnOrAtMost(90).meets(superusers, &value), met, "{value}");
    }
}

#[test]
fn a_pattern_asks_for_letters_and_digits_when_it_refuses_each_alone() {
    let regex = Key::PasswordRegex.setting();
    for (pattern, met) in [
        ("", false),
        ("^(?=.*[A-Za-z])(?=.*[0-9])", true),
        ("^(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9]).{8,}$", true),
        ("^(?=.*[0-9])", false),
        (".{12,}", false),
    ] {
        assert_eq!(
            Accepts::LettersAndDigits.meets(regex, &Value::Text(pattern.to_owned())),
            met,
            "{pattern}"
        );
    }
}

#[test]
fn what_is_accepted_reads_as_people_say_it() {
    for (id, key, words) in [
        ("asvs-l2", Key::AuthIdleSessionTimeout, "at most 1 hour"),
        ("asvs-l2", Key::SessionSameSite, "Lax or Strict"),
        ("asvs-l2", Key::AuthLoginAccountCeiling, "1 to 100"),
        ("pci-dss-4", Key::AuthExpiresAfter, "at most 90 days"),
        ("pci-dss-4", Key::PasswordMinLength, "at least 12"),
        ("hue", Key::SessionTtl, "2 weeks"),
    ] {
        let item = (Baseline::find(id).unwrap().items)()
            .iter()
            .find(|item| item.key == key)
            .unwrap();
        assert_eq!(item.accepts.words(key.setting()), words, "{id} {key}");
    }
}

#[test]
fn an_override_that_loosens_misses_the_item_and_a_tighter_one_does_not() {
    let mut tight = Baseline::find("pci-dss-4").unwrap().document();
    let wiki = Scope::Application("wiki".to_owned());
    tight.set(&Scope::Administrators, Key::AuthIdleSessionTimeout, Value::Number(300));
    assert_eq!(missed("pci-dss-4", &policy(tight.clone())), []);
    for scope in [Scope::Administrators, wiki] {
        let mut loose = tight.clone();
        loose.set(&scope, Key::AuthIdleSessionTimeout, Value::Number(-1));
        let loose = policy(loose);
        assert_eq!(missed("pci-dss-4", &loose), [Key::AuthIdleSessionTimeout], "{scope}");
        let idle: Vec<Checked> = check(Baseline::find("pci-dss-4").unwrap(), &loose)
            .into_iter()
            .filter(|checked| !checked.met())
            .collect();
        let unmet: Vec<&Scope> = idle[0]
            .places
            .iter()
            .filter(|place| !place.met)
            .map(|place| &place.scope)
            .collect();
        assert_eq!(unmet, [&scope]);
        let edits = remedy(&idle, &loose);
        assert_eq!(
            edits,
            [(scope.clone(), Key::AuthIdleSessionTimeout, None)],
            "the override goes"
        );
    }
}

#[test]
fn a_remedy_meets_every_item_of_every_baseline_without_faults() {
    let loose = document(&[
        ("session.ttl", "52 weeks"),
        ("auth.idle_session_timeout", "0"),
        ("password.min_length", "8"),
        ("password.min_strength", "0"),
        ("password.regex", "x+"),
        ("password.max_age", "200 days"),
        ("auth.login_account_ceiling", "0"),
        ("auth.login_failure_limit", "50"),
        ("session.http_only", "off"),
        ("session.session_validation_mode", "off"),
    ]);
    for baseline in baselines() {
        let mended = mended(baseline.id, &policy(loose.clone()));
        assert_eq!(mended.faults(&Pins::new()), [], "{}", baseline.id);
        assert_eq!(missed(baseline.id, &policy(mended)), [], "{}", baseline.id);
    }
}

#[test]
fn what_the_environment_fixes_is_judged_and_left() {
    let pinned = Policy::new(
        1,
        document(&[("auth.idle_session_timeout", "15m")]),
        pins(&[("auth.idle_session_timeout", "2h")]),
        false,
    );
    assert!(missed("asvs-l2", &pinned).contains(&Key::AuthIdleSessionTimeout));
    let checked = check(Baseline::find("asvs-l2").unwrap(), &pinned);
    let edits = remedy(&checked, &pinned);
    assert!(!edits.is_empty() && edits.iter().all(|(_, key, _)| *key != Key::AuthIdleSessionTimeout));
}

#[test]
fn a_knob_that_the_mode_decides_is_mended_by_the_mode() {
    let strict = policy(document(&[("session.session_validation_mode", "strict")]));
    let checked = check(Baseline::find("hue").unwrap(), &strict);
    assert!(
        checked.iter().filter(|checked| !checked.met()).count() > 1,
        "the knobs differ too"
    );
    let edits = remedy(&checked, &strict);
    assert_eq!(edits, [(Scope::Everyone, Key::SessionSessionValidationMode, None)]);
}

#[test]
fn the_installation_is_told_what_is_wrong_with_it() {
    let right = Installation {
        public_address: true,
        https: true,
        trusts_proxies: true,
        security_log: true,
        ..Installation::default()
    };
    let secure = policy(document(&[("session.secure", "on")]));
    let wrong = |facts: &Installation, policy: &Policy| -> Vec<&'static str> {
        let findings = installation(facts, policy);
        findings
            .iter()
            .filter(|finding| !finding.ok)
            .map(|finding| finding.title)
            .collect()
    };
    assert_eq!(wrong(&right, &secure), Vec::<&str>::new());
    let mut proxy = right.clone();
    proxy.trusts_proxies = false;
    assert_eq!(wrong(&proxy, &secure), ["No proxy in front is trusted"]);
    proxy.trusts_proxies = true;
    proxy.trusts_everybody = true;
    assert_eq!(wrong(&proxy, &secure), ["Everybody is trusted as if a proxy"]);
    assert_eq!(
        wrong(&right, &policy(document(&[]))),
        ["The cookie's Secure attribute does not fit the address"]
    );
    let mut protected = right.clone();
    let application = |name: &str, asked: bool| Protected {
        name: name.to_owned(),
        asked,
        within_reach: true,
    };
    let reached = |facts: &Installation| {
        let findings = installation(facts, &secure);
        let titles = findings
            .iter()
            .filter(|finding| finding.ok)
            .map(|finding| finding.title);
        titles
            .filter(|title| title.contains("cookie"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    protected.applications = vec![application("wiki", true)];
    assert_eq!(wrong(&protected, &secure), Vec::<&str>::new());
    protected.applications.push(application("docs", false));
    assert_eq!(wrong(&protected, &secure), ["Not every application's proxy asks"]);
    assert!(reached(&protected).contains("The cookie reaches each application's hosts"));
    assert!(!reached(&right).contains("hosts"), "nothing is protected");
    // Whoever is beyond the cookie gets the session handed over: said, and no fault.
    protected.applications = vec![Protected {
        within_reach: false,
        ..application("shop", true)
    }];
    assert_eq!(wrong(&protected, &secure), Vec::<&str>::new());
    assert!(reached(&protected).contains("Sessions are handed over to hosts that the cookie does not reach"));
    let dev = Policy::new(1, secure.document().clone(), Pins::new(), true);
    assert_eq!(wrong(&right, &dev), ["Idle endings are not enforced"]);
    let plain = Installation {
        public_address: true,
        security_log: true,
        one_locked_address: Some("10.0.0.1".to_owned()),
        ..Installation::default()
    };
    let findings = installation(&plain, &policy(document(&[])));
    assert!(
        findings
            .iter()
            .any(|finding| !finding.ok && finding.why.contains("10.0.0.1"))
    );
}

#[test]
fn pins_that_differ_between_servers_are_named() {
    let server = |settings: &[(&str, &str)]| ("a server".to_owned(), pins(settings));
    assert_eq!(differing_pins(&[]), []);
    assert_eq!(differing_pins(&[server(&[("session.ttl", "1h")])]), []);
    let same = [server(&[("session.ttl", "1h")]), server(&[("session.ttl", "1h")])];
    assert_eq!(differing_pins(&same), []);
    let differ = [
        server(&[("session.ttl", "1h"), ("session.secure", "on")]),
        server(&[("session.ttl", "2h")]),
    ];
    assert_eq!(differing_pins(&differ), [Key::SessionTtl, Key::SessionSecure]);
}
