//! Labels for the states and expiry rules of accounts.
use crate::{
    domain::{
        duration::humanize,
        expiry::ExpiryRule,
        lockout::LockDuration,
        password::ChangeReason,
        time::{Span, Timestamp},
    },
    flows::accounts::{AccountStatus, AccountView},
    http::{filters::format_relative, pages::admin::part::Badge},
};

/// Returns the states of an account that are worth a badge: none for one that is simply active.
pub fn state_badges(view: &AccountView, now: Timestamp) -> Vec<Badge> {
    let state = match view.state {
        AccountStatus::Active => None,
        AccountStatus::MustChange(ChangeReason::Demanded) => Some(Badge::warn("Must change password")),
        AccountStatus::MustChange(ChangeReason::SetByOther) => {
            Some(Badge::warn("Must change password: set by someone else"))
        }
        AccountStatus::MustChange(ChangeReason::TooOld) => Some(Badge::warn("Must change password: too old")),
        AccountStatus::Disabled => Some(Badge::plain("pause", "Disabled")),
        AccountStatus::Expired => Some(Badge::plain("clock", "Expired")),
    };
    let invited = view.invited.map(|until| {
        let relative = format_relative(until, now);
        let words = match now <= until {
            true => format!("Invited, link expires {relative}"),
            false => format!("Invitation expired {relative}"),
        };
        Badge::info(words).with_icon("mail")
    });
    let mut badges = match (view.state, invited) {
        // No password has been chosen yet, so the account cannot be active.
        (AccountStatus::Active | AccountStatus::MustChange(_), Some(invited)) => vec![invited],
        (_, invited) => state.into_iter().chain(invited).collect(),
    };
    match view.locked {
        Some(LockDuration::Until(at)) => {
            badges.push(Badge::danger(format!("Locked, unlocks {}", format_relative(at, now))).with_icon("lock"))
        }
        Some(LockDuration::UntilUnlocked) => badges.push(Badge::danger("Locked until unlocked").with_icon("lock")),
        None => {}
    }
    badges
}

/// Returns the name of an expiry rule.
pub const fn expiry_rule_label(rule: ExpiryRule) -> &'static str {
    match rule {
        ExpiryRule::ExpiresAt => "set date",
        ExpiryRule::ExpiresAfter => "inactive since last session",
        ExpiryRule::ExpireUnusedAfter => "never used",
        ExpiryRule::ExpireSuperusers => "administrators’ rule",
    }
}

/// Describes when a signed-in account expires: that long after its last session.
pub fn describe_later_expiry((after, rule): (Span, ExpiryRule)) -> String {
    let rule = match rule {
        ExpiryRule::ExpireSuperusers => " (administrators’ rule)",
        ExpiryRule::ExpiresAt | ExpiryRule::ExpiresAfter | ExpiryRule::ExpireUnusedAfter => "",
    };
    format!("{} after its last session ends{rule}", humanize(after.as_secs()))
}

/// Returns the name of the rule behind an expiry that has happened, by its recorded code.
pub fn expired_by_label(code: &str) -> &str {
    let rules = [
        ExpiryRule::ExpiresAt,
        ExpiryRule::ExpiresAfter,
        ExpiryRule::ExpireUnusedAfter,
        ExpiryRule::ExpireSuperusers,
    ];
    match rules.into_iter().find(|rule| rule.code() == code) {
        Some(rule) => expiry_rule_label(rule),
        None if code == "administrator" => "by an administrator",
        None => code,
    }
}
