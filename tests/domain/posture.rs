//! Comparison of a policy with the baselines: what meets an item, which override misses it, and the
//! edits that meet it.

use super::{document, policy, set};
use nightlatch_domain::policy::{
    Key, Pins, PolicyDocument, Scope, Value,
    effective::Policy,
    posture::{
        AcceptedValues, Baseline, FactorCoverage, Installation, ItemFinding, ProtectedApplication, baselines, check,
        differing_pins, installation, loosened, remedy,
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
fn every_baseline_that_set_up_applies_meets_itself_but_for_what_would_lock_the_first_administrator_out() {
    for baseline in baselines() {
        let expected = match baseline.id {
            "asvs-l2" | "nist-aal2" => vec![Key::SessionSecure, Key::FactorRequired],
            "pci-dss-4" => vec![Key::FactorRequired],
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
            let words = item.accepts.describe(item.key.setting());
            for text in [item.asked_by, item.why, &words] {
                assert!(!text.is_empty(), "{} {}", baseline.id, item.key);
            }
        }
    }
}

#[test]
fn the_bounds_of_an_item_are_inclusive_and_never_is_outside() {
    let idle = Key::AuthIdleSessionTimeout.setting();
    let hour = AcceptedValues::Between(1, 3600);
    for (secs, met) in [(-1, false), (0, false), (1, true), (3600, true), (3601, false)] {
        assert_eq!(hour.meets(idle, &Value::Number(secs)), met, "{secs}");
    }
    let cooloff = Key::AuthLoginCooloffTime.setting();
    for (secs, met) in [(-1, true), (1799, false), (1800, true)] {
        assert_eq!(
            AcceptedValues::AtLeastOrNever(1800).meets(cooloff, &Value::Number(secs)),
            met,
            "{secs}"
        );
    }
    let length = Key::PasswordMinLength.setting();
    for (number, met) in [(14, false), (15, true), (128, true)] {
        assert_eq!(
            AcceptedValues::AtLeast(15).meets(length, &Value::Number(number)),
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
        assert_eq!(AcceptedValues::OnOrAtMost(90).meets(superusers, &value), met, "{value}");
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
            AcceptedValues::LettersAndDigits.meets(regex, &Value::Text(pattern.to_owned())),
            met,
            "{pattern}"
        );
    }
}

#[test]
fn accepted_durations_read_as_people_say_them() {
    for (id, key, words) in [
        ("asvs-l2", Key::AuthIdleSessionTimeout, "at most 1 hour"),
        ("asvs-l2", Key::SessionSameSite, "Lax or Strict"),
        ("asvs-l2", Key::AuthLoginAccountCeiling, "1 to 100"),
        ("pci-dss-4", Key::AuthExpiresAfter, "at most 90 days"),
        ("pci-dss-4", Key::PasswordMinLength, "at least 12"),
        ("hue", Key::SessionTtl, "at most 2 weeks"),
        ("hue", Key::AuthLoginFailureLimit, "at most 3"),
        ("hue", Key::AuthLoginLockOutByCombinationUserAndIp, "off"),
    ] {
        let item = (Baseline::find(id).unwrap().items)()
            .iter()
            .find(|item| item.key == key)
            .unwrap();
        assert_eq!(item.accepts.describe(key.setting()), words, "{id} {key}");
    }
}

#[test]
fn an_override_that_loosens_misses_the_item_and_a_tighter_one_does_not() {
    let mut tight = Baseline::find("pci-dss-4").unwrap().document();
    let wiki = Scope::Application("wiki".to_owned());
    tight.set(&Scope::Administrators, Key::AuthIdleSessionTimeout, Value::Number(300));
    tight.set(&Scope::Everyone, Key::FactorRequired, Value::Text("any".to_owned()));
    assert_eq!(missed("pci-dss-4", &policy(tight.clone())), []);
    for scope in [Scope::Administrators, wiki] {
        let mut loose = tight.clone();
        loose.set(&scope, Key::AuthIdleSessionTimeout, Value::Number(-1));
        let loose = policy(loose);
        assert_eq!(missed("pci-dss-4", &loose), [Key::AuthIdleSessionTimeout], "{scope}");
        let idle: Vec<ItemFinding> = check(Baseline::find("pci-dss-4").unwrap(), &loose)
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
fn second_factors_count_in_every_baseline_but_hues() {
    let item = |id: &str, key: Key| {
        let baseline = Baseline::find(id).unwrap();
        (baseline.items)().iter().find(|item| item.key == key)
    };
    for (id, asked_by) in [
        ("asvs-l2", "ASVS 6.3.3"),
        ("nist-aal2", "SP 800-63B 2.2.1"),
        ("pci-dss-4", "PCI DSS 8.4.2"),
    ] {
        assert_eq!(item(id, Key::FactorRequired).unwrap().asked_by, asked_by);
        for (required, met) in [("off", false), ("any", true), ("passkey", true)] {
            let missed = missed(id, &policy(document(&[("factor.required", required)])));
            assert_eq!(!missed.contains(&Key::FactorRequired), met, "{id}: {required}");
        }
    }
    assert!(item("hue", Key::FactorRequired).is_none());
    let remembered = policy(document(&[("factor.trusted_browser", "30 days")]));
    assert!(missed("nist-aal2", &remembered).contains(&Key::FactorTrustedBrowser));
}

#[test]
fn administrators_that_are_let_off_a_second_factor_miss_the_item() {
    let mut let_off = document(&[("factor.required", "any")]);
    set(&mut let_off, &Scope::Administrators, &[("factor.required", "off")]);
    assert!(missed("pci-dss-4", &policy(let_off.clone())).contains(&Key::FactorRequired));
    let mended = mended("pci-dss-4", &policy(let_off));
    assert_eq!(mended.get(&Scope::Administrators, Key::FactorRequired), None);
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
fn pinned_settings_are_judged_and_not_drafted() {
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
fn a_setting_derived_from_the_mode_is_fixed_by_changing_the_mode() {
    let off = policy(document(&[("session.session_validation_mode", "off")]));
    let checked = check(Baseline::find("hue").unwrap(), &off);
    assert!(
        checked.iter().filter(|checked| !checked.met()).count() > 1,
        "the knobs differ too"
    );
    let edits = remedy(&checked, &off);
    assert_eq!(edits, [(Scope::Everyone, Key::SessionSessionValidationMode, None)]);
}

#[test]
fn a_value_stricter_than_a_baseline_meets_it() {
    let strict = [
        ("session.ttl", "12h"),
        ("auth.idle_session_timeout", "15m"),
        ("session.concurrent_user_session_limit", "3"),
        ("auth.change_default_password", "on"),
        ("auth.expires_after", "90d"),
        ("auth.expire_superusers", "30d"),
        ("password.regex", "^.{20}"),
        ("password.regex_hint", "At least twenty."),
        ("auth.login_lock_out_at_failure", "on"),
        ("auth.login_failure_limit", "2"),
        ("auth.login_cooloff_time", "never"),
        ("session.secure", "on"),
        ("session.same_site", "Strict"),
        ("session.expire_at_browser_close", "on"),
        ("session.session_validation_mode", "strict"),
    ];
    assert_eq!(missed("hue", &policy(document(&strict))), []);
    for (key, looser) in [
        ("session.ttl", "3 weeks"),
        ("session.http_only", "off"),
        ("auth.login_failure_limit", "4"),
        ("auth.login_cooloff_time", "5m"),
        ("session.same_site", "None"),
        ("session.session_validation_mode", "permissive"),
        ("session.session_allow_ip_changes", "unlimited"),
        ("session.session_ip_subnet_bits", "16"),
    ] {
        let missed = missed("hue", &policy(document(&[(key, looser)])));
        assert!(missed.contains(&Key::parse(key).unwrap()), "{key} = {looser}");
    }
}

#[test]
fn findings_say_what_is_wrong_with_the_installation() {
    let right = Installation {
        public_address: true,
        https: true,
        binds_devices: true,
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
    proxy.trusts_every_address = true;
    assert_eq!(wrong(&proxy, &secure), ["All addresses are trusted as proxies"]);
    assert_eq!(
        wrong(&right, &policy(document(&[]))),
        ["The cookie's Secure attribute does not match the public URL"]
    );
    let mut protected = right.clone();
    let application = |name: &str, asked: bool| ProtectedApplication {
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
    assert_eq!(
        wrong(&protected, &secure),
        ["The proxy of some applications requests no decisions"]
    );
    assert!(reached(&protected).contains("The cookie reaches each application's hosts"));
    assert!(!reached(&right).contains("hosts"), "nothing is protected");
    // Sessions are handed over to hosts outside the cookie's domain, which is reported but not a
    // fault.
    protected.applications = vec![ProtectedApplication {
        within_reach: false,
        ..application("shop", true)
    }];
    assert_eq!(wrong(&protected, &secure), Vec::<&str>::new());
    assert!(reached(&protected).contains("Sessions are handed over to hosts that the cookie does not reach"));
    let dev = Policy::new(1, secure.document().clone(), Pins::new(), true);
    assert_eq!(wrong(&right, &dev), ["Idle timeouts are not enforced"]);
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

#[test]
fn administrators_without_a_second_factor_are_counted_where_one_is_required() {
    let finding = |bare_administrators, settings: &[(&str, &str)]| {
        let facts = Installation {
            accounts: FactorCoverage {
                bare_administrators,
                bare_members: 5,
            },
            ..Installation::default()
        };
        let findings = installation(&facts, &policy(document(settings)));
        let found = findings
            .into_iter()
            .find(|finding| finding.key == Some(Key::FactorRequired));
        found.expect("it is always looked at")
    };
    let (off, any) = ([], [("factor.required", "any")]);
    assert!(finding(0, &any).ok && finding(0, &off).ok);
    let open = finding(1, &any);
    assert_eq!(
        (open.ok, open.title),
        (false, "Not every administrator has a second factor")
    );
    assert!(
        open.why.starts_with("1 administrator and 5 members have no"),
        "{}",
        open.why
    );
    let unasked = finding(2, &off);
    assert_eq!(
        (unasked.ok, unasked.title),
        (true, "No second factor is required of administrators")
    );
}

#[test]
fn settings_loosened_by_a_draft_are_named_with_their_scope() {
    let mut strict = document(&[
        ("auth.idle_session_timeout", "10m"),
        ("password.max_age", "60 days"),
        ("password.regex", "x+"),
        ("password.history", "4"),
        ("auth.login_account_ceiling", "10"),
        ("session.same_site", "Strict"),
    ]);
    strict.set(&Scope::Administrators, Key::AuthIdleSessionTimeout, Value::Number(300));
    let old = policy(strict.clone());
    let named = |document: PolicyDocument| {
        let loosened = loosened(&old, &policy(document));
        loosened
            .iter()
            .map(|one| (one.scope.clone(), one.key))
            .collect::<Vec<_>>()
    };
    assert_eq!(named(strict.clone()), []);
    let everyone = |key| vec![(Scope::Everyone, key)];
    for (key, value) in [
        (Key::AuthIdleSessionTimeout, Value::Number(3600)),
        (Key::PasswordMaxAge, Value::Number(-1)),
        (Key::PasswordRegex, Value::Text(String::new())),
        (Key::PasswordHistory, Value::Number(0)),
        (Key::AuthLoginAccountCeiling, Value::Number(0)),
        (Key::SessionSameSite, Value::Text("Lax".into())),
    ] {
        let mut loose = strict.clone();
        loose.set(&Scope::Everyone, key, value);
        assert_eq!(named(loose), everyone(key), "{key}");
    }
    let mut inherits = strict.clone();
    inherits.unset(&Scope::Administrators, Key::AuthIdleSessionTimeout);
    assert_eq!(named(inherits), [(Scope::Administrators, Key::AuthIdleSessionTimeout)]);
    let mut tight = strict.clone();
    tight.set(&Scope::Everyone, Key::AuthIdleSessionTimeout, Value::Number(60));
    assert_eq!(named(tight), []);
    // Every baseline's draft can say what it loosens.
    let nist = mended("nist-aal2", &old);
    let loosened = named(nist);
    assert!(
        loosened.contains(&(Scope::Everyone, Key::PasswordRegex)),
        "{loosened:?}"
    );
    assert!(
        loosened.contains(&(Scope::Everyone, Key::PasswordMaxAge)),
        "{loosened:?}"
    );
}

#[test]
fn the_lifetime_of_a_device_proof_is_said_with_the_number_of_hosts() {
    let why = |facts: &Installation| {
        let findings = installation(facts, &policy(document(&[("session.secure", "on")])));
        let devices = findings
            .iter()
            .find(|finding| finding.key == Some(Key::SessionDeviceBinding));
        devices.unwrap().why.clone()
    };
    let mut facts = Installation {
        https: true,
        binds_devices: true,
        device_hosts: 5,
        ..Installation::default()
    };
    let few = "A copied cookie works for at most 10 minutes in another browser, instead of until the session ends.";
    assert_eq!(why(&facts), few);
    facts.device_hosts = 6;
    let many = "A copied cookie works for at most 10 minutes (11 minutes once its session is bound on all 6 hosts) in \
                another browser, instead of until the session ends.";
    assert_eq!(why(&facts), many);
}
