//! `cargo bench --bench judge`: the judgement of one request with every rule of the policy in
//! force.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use criterion::{Criterion, criterion_group, criterion_main};
use nightlatch::domain::{
    account::Role,
    activity::RequestKind,
    factor::{EnrolledFactors, Proofs},
    policy::{Key, Pins, PolicyDocument, Scope, effective::Policy},
    session::{AccountState, Binding, DeviceEvidence, LifeFacts, RequestFacts, SessionFacts, TokenFacts, judge},
    time::{Span, Timestamp},
};
use std::hint::black_box;

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn judgement(c: &mut Criterion) {
    let mut document = PolicyDocument::default();
    for (key, text) in [
        (Key::AuthIdleSessionTimeout, "15m"),
        (Key::SessionTtl, "12h"),
        (Key::SessionRenewalPeriod, "8h"),
        (Key::ActivityIgnoredPaths, "/poll/*, /tiles/*"),
    ] {
        let value = key.setting().parse(text).expect("a valid setting");
        document.set(&Scope::Everyone, key, value);
    }
    let entered = ["wiki".to_owned(), "mail".to_owned()];
    let policy = Policy::new(1, document, Pins::new(), false).effective(Role::Member, &entered, Some("wiki"));
    let signed_in_at = Timestamp::from_micros(1_795_281_600_000_000);
    let ip = "198.51.100.7".parse().expect("an address");
    let binding = Binding::at_sign_in(ip, Some(AGENT));
    let session = SessionFacts {
        ended: None,
        account: AccountState::Enabled,
        must_change_password: false,
        proofs: Proofs::PASSWORD,
        factors: EnrolledFactors::NONE,
        grace_from: None,
        life: LifeFacts {
            signed_in_at,
            last_active_at: signed_in_at,
            last_seen_at: signed_in_at,
        },
        binding: &binding,
        token: TokenFacts::Current,
        device: DeviceEvidence::Unbound {
            registrable_until: signed_in_at,
        },
    };
    let request = RequestFacts {
        ip,
        user_agent: Some(AGENT),
        kind: RequestKind {
            path: "/wiki/page",
            navigation: true,
            ..RequestKind::default()
        },
    };
    let now = signed_in_at.saturating_add(Span::from_secs(60));
    c.bench_function("judge a live request", |b| {
        b.iter(|| {
            judge(
                black_box(&session),
                black_box(&request),
                black_box(&policy),
                black_box(now),
            )
        });
    });
}

criterion_group!(benches, judgement);
criterion_main!(benches);
