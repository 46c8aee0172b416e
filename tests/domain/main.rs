//! The rules, through their public names only. `cases/*.toml` contains cases as data; `cases.rs`
//! runs them.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::too_many_lines, reason = "a test tells one story")]

mod account;
mod account_csv;
mod activity;
mod agent;
mod application;
mod audit;
mod bounce;
mod cases;
mod catalogue;
mod device;
mod document;
mod duration;
mod effective;
mod email_change;
mod end_cause;
mod explain;
mod factor;
mod factor_impact;
mod factor_policy;
mod forwarded;
mod interchange;
mod lockout;
mod login;
mod lost_cookie;
mod mail;
mod merge;
mod network;
mod network_groups;
mod origin;
mod password;
mod posture;
mod preview;
mod properties;
mod provisional;
mod replay;
mod reset;
mod secret;
mod session;
mod source;
mod source_hue;
mod time;
mod toml;

use nightlatch_domain::{
    account::Role,
    policy::{
        Key, Pins, PolicyDocument, Scope,
        effective::{EffectivePolicy, Policy},
    },
    time::{Span, Timestamp},
};

const MICRO: Span = Span::from_micros(1);
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const FIREFOX_UPDATED: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";

/// An instant some seconds after a fixed one.
fn at(secs: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000).saturating_add(Span::from_secs(secs))
}

/// A document that sets these for everyone, as people type them.
fn document(settings: &[(&str, &str)]) -> PolicyDocument {
    let mut document = PolicyDocument::default();
    set(&mut document, &Scope::Everyone, settings);
    document
}

fn set(document: &mut PolicyDocument, scope: &Scope, settings: &[(&str, &str)]) {
    for (name, text) in settings {
        let key = Key::parse(name).unwrap_or_else(|| panic!("no setting {name}"));
        let value = key
            .setting()
            .parse(text)
            .unwrap_or_else(|fault| panic!("{name} = {text}: {fault}"));
        document.set(scope, key, value);
    }
}

fn policy(document: PolicyDocument) -> Policy {
    Policy::new(1, document, Pins::new(), false)
}

/// Returns the policy of a member when these values are set for everyone.
fn effective(settings: &[(&str, &str)]) -> EffectivePolicy {
    policy(document(settings)).effective(Role::Member, &[], None)
}
