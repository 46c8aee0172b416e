//! Device keys: how long a proof counts, until when a key can be registered, which browsers can,
//! and what a requirement means for live sessions.

use crate::{effective, policy};
use nightlatch_domain::{
    account::{AccountId, Role},
    agent,
    factor::{EnrolledFactors, Proofs},
    password::ChangeFacts,
    policy::{
        Key, Scope,
        effective::{DeviceBinding, DevicePolicy},
    },
    session::*,
    simulate::preview::{Listing, OpenSession, Preview, Viewer},
    time::{Span, Timestamp},
};
use uuid::Uuid;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_micros(secs * 1_000_000)
}

#[test]
fn a_proof_lasts_longer_where_browsers_would_run_out_of_signatures() {
    let policy = |secs| DevicePolicy {
        binding: DeviceBinding::Offer,
        proof_age: Span::from_secs(secs),
    };
    for (age, hosts, lasts) in [
        (300, 0, 300),
        (300, 1, 300),
        (300, 2, 300),
        (300, 3, 390),
        (600, 5, 600),
        (600, 6, 660),
        (3600, 20, 3600),
    ] {
        assert_eq!(
            proof_lifetime(&policy(age), hosts),
            Span::from_secs(lasts),
            "{age} s, {hosts} hosts"
        );
    }
    assert_eq!(proof_lifetime(&policy(300), usize::MAX), Span::from_micros(i64::MAX));
}

#[test]
fn the_strictest_value_applies_and_an_application_only_to_itself() {
    let binding = |settings: &[(Scope, &str)], role, application| {
        let mut document = nightlatch_domain::policy::PolicyDocument::default();
        for (scope, value) in settings {
            let key = Key::SessionDeviceBinding;
            document.set(scope, key, key.setting().parse(value).unwrap());
        }
        policy(document)
            .effective(role, &["wiki".to_owned()], application)
            .device
            .binding
    };
    let (admins, wiki) = (Scope::Administrators, Scope::Application("wiki".to_owned()));
    assert_eq!(binding(&[], Role::Member, None), DeviceBinding::Offer);
    let required = [(wiki.clone(), "require")];
    assert_eq!(binding(&required, Role::Member, Some("wiki")), DeviceBinding::Require);
    assert_eq!(binding(&required, Role::Member, None), DeviceBinding::Offer);
    let looser = [(Scope::Everyone, "require"), (admins.clone(), "off"), (wiki, "offer")];
    assert_eq!(
        binding(&looser, Role::Administrator, Some("wiki")),
        DeviceBinding::Require
    );
    let off = [(Scope::Everyone, "off"), (admins, "require")];
    assert_eq!(binding(&off, Role::Member, None), DeviceBinding::Off);
    assert_eq!(binding(&off, Role::Administrator, None), DeviceBinding::Require);
}

#[test]
fn desktop_browsers_from_chromium_can_be_bound() {
    let agent = |system: &str, version: &str| {
        format!("Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) {version} Safari/537.36")
    };
    let (windows, mac) = ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7");
    for (system, version, can) in [
        (windows, "Chrome/144.0.0.0", false),
        (windows, "Chrome/145.0.0.0", true),
        (windows, "Chrome/145.0.0.0 Edg/145.0.0.0", true),
        (mac, "Chrome/146.0.0.0", false),
        (mac, "Chrome/147.0.0.0", true),
        (mac, "Version/18.0", false),
        ("X11; Linux x86_64", "Chrome/150.0.0.0", false),
        ("Linux; Android 16", "Chrome/150.0.0.0", false),
        ("iPhone; CPU iPhone OS 18_0 like Mac OS X", "Chrome/150.0.0.0", false),
    ] {
        assert_eq!(
            agent::can_bind_device(Some(&agent(system, version))),
            can,
            "{system} {version}"
        );
    }
    for other in [None, Some(""), Some("Chrome/"), Some("curl/8.0")] {
        assert!(!agent::can_bind_device(other), "{other:?}");
    }
}

#[test]
fn faults_keep_their_codes() {
    for fault in [DeviceFault::Unproved, DeviceFault::Unbound] {
        assert_eq!(DeviceFault::parse(fault.as_str()), Some(fault));
        assert_eq!(Duty::DeviceProof(fault).as_str(), fault.as_str());
    }
    assert_eq!(DeviceFault::parse("device"), None);
}

#[test]
fn a_preview_says_what_a_requirement_would_stop() {
    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                          Chrome/150.0.0.0 Safari/537.36";
    let (today, draft) = (effective(&[]), effective(&[("session.device_binding", "require")]));
    let mut preview = Preview::new(at(120), Viewer::default(), Listing::default());
    let ip = "198.51.100.7".parse().unwrap();
    for (id, agent, is_device_bound) in [(1, CHROME, true), (2, CHROME, false), (3, "curl/8.0", false)] {
        let binding = Binding::at_sign_in(ip, Some(agent));
        let session = OpenSession {
            id: SessionId(Uuid::from_u128(id)),
            account: AccountId(Uuid::from_u128(1)),
            name: "ada",
            role: Role::Member,
            state: AccountState::Enabled,
            password: ChangeFacts {
                changed_at: at(0),
                set_by_other: false,
                must_change: false,
            },
            proofs: Proofs::PASSWORD,
            factors: EnrolledFactors::NONE,
            grace_from: None,
            ip,
            ended: None,
            life: LifeFacts {
                signed_in_at: at(0),
                last_active_at: at(100),
                last_seen_at: at(100),
            },
            binding: &binding,
            is_device_bound,
        };
        preview.add(&session, &today, &draft);
    }
    let devices = preview.devices;
    assert_eq!((devices.bound, devices.bindable, devices.stopped), (1, 1, 2));
    assert_eq!(
        preview.other_sentences(),
        [
            "2 sessions are not bound to a device and are refused until their users sign in again with a browser that \
          can; 2 of 3 live sessions use such a browser."
        ]
    );
    assert_eq!(preview.to_json()["device_stops"], 2);
}
