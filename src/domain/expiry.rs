//! When an account expires, and by which rule. Sweeps and sign-ins use this.

use crate::{
    account::Role,
    policy::effective::{AccountPolicy, ExpireSuperusers},
    time::{Span, Timestamp},
};

/// Facts that decide when an account expires.
#[derive(Debug, Clone)]
pub struct ExpiryFacts {
    /// The role; administrators have a separate rule (`auth.expire_superusers`).
    pub role: Role,
    /// When the account was created.
    pub created_at: Timestamp,
    /// Creation or latest reactivation: the times for unused and inactive accounts start no
    /// earlier.
    pub activated_at: Timestamp,
    /// While a session is live, only an explicit date expires the account.
    pub has_live_session: bool,
    /// The last sign-in; `None`: never.
    pub last_sign_in_at: Option<Timestamp>,
    /// When the last session ended by its rule (`ends_at`), but never before the save that ended
    /// it.
    pub last_session_ended_at: Option<Timestamp>,
    /// The account's own expiry date, set by an administrator.
    pub expires_at: Option<Timestamp>,
    /// The last enabled administrator never expires.
    pub is_last_administrator: bool,
}

/// The rule by which an account expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpiryRule {
    /// The account's own expiry date.
    ExpiresAt,
    /// `auth.expires_after`.
    ExpiresAfter,
    /// `auth.expire_unused_after`.
    ExpireUnusedAfter,
    /// `auth.expire_superusers` as a number.
    ExpireSuperusers,
}

impl ExpiryRule {
    /// Returns the stable code: `expires_at`, `auth.expires_after`, …
    pub const fn code(self) -> &'static str {
        match self {
            ExpiryRule::ExpiresAt => "expires_at",
            ExpiryRule::ExpiresAfter => "auth.expires_after",
            ExpiryRule::ExpireUnusedAfter => "auth.expire_unused_after",
            ExpiryRule::ExpireSuperusers => "auth.expire_superusers",
        }
    }
}

/// Returns when the account expires and by which rule: the last instant at which it is not expired;
/// `None`: never.
pub fn expires_at(facts: &ExpiryFacts, policy: &AccountPolicy) -> Option<(Timestamp, ExpiryRule)> {
    // INVARIANT: one administrator can always sign in and repair the policy.
    if facts.is_last_administrator {
        return None;
    }
    let by_date = facts.expires_at.map(|at| (at, ExpiryRule::ExpiresAt));
    let by_disuse = disuse(facts, policy).map(|(start, after, rule)| (start.saturating_add(after), rule));
    by_date.into_iter().chain(by_disuse).min_by_key(|(at, _)| *at)
}

/// Returns the rule about inactive accounts that applies: its start, its length and its name.
fn disuse(facts: &ExpiryFacts, policy: &AccountPolicy) -> Option<(Timestamp, Span, ExpiryRule)> {
    if facts.has_live_session {
        return None;
    }
    let superuser = match facts.role {
        Role::Member => ExpireSuperusers::LikeEveryone,
        Role::Administrator => policy.expire_superusers,
    };
    let Some(signed_in_at) = facts.last_sign_in_at.or(facts.last_session_ended_at) else {
        // A number replaces `expires_after`, which never applies to unused accounts.
        let exempt = superuser == ExpireSuperusers::Never;
        let after = policy.expire_unused_after.filter(|_| !exempt)?;
        return Some((
            facts.activated_at.max(facts.created_at),
            after,
            ExpiryRule::ExpireUnusedAfter,
        ));
    };
    let (after, rule) = match superuser {
        ExpireSuperusers::Never => return None,
        ExpireSuperusers::After(after) => (after, ExpiryRule::ExpireSuperusers),
        ExpireSuperusers::LikeEveryone => (policy.expires_after?, ExpiryRule::ExpiresAfter),
    };
    let ended_at = facts.last_session_ended_at.unwrap_or(signed_in_at);
    Some((ended_at.max(signed_in_at).max(facts.activated_at), after, rule))
}

/// Returns how long after its last session the account would expire, and by which rule, while a
/// session is live. `None`: no rule waits for that.
pub fn expires_after_sessions(facts: &ExpiryFacts, policy: &AccountPolicy) -> Option<(Span, ExpiryRule)> {
    if !facts.has_live_session || facts.is_last_administrator {
        return None;
    }
    let signed_out = ExpiryFacts {
        has_live_session: false,
        ..facts.clone()
    };
    disuse(&signed_out, policy).map(|(_, after, rule)| (after, rule))
}

/// Returns whether the account has expired at `now` (limits are inclusive: valid at exactly t).
pub fn expired_at(facts: &ExpiryFacts, policy: &AccountPolicy, now: Timestamp) -> Option<ExpiryRule> {
    expires_at(facts, policy)
        .filter(|(at, _)| now > *at)
        .map(|(_, rule)| rule)
}
