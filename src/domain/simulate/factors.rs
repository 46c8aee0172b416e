//! The impact of a change to `factor.*` on accounts: who has to enrol a factor, and who could no
//! longer get in. It is an accumulator that receives account by account; `preview` covers live
//! sessions.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::{
    account::{AccountId, Role, name_key},
    factor::{EnrolledFactors, FactorRequirement},
    policy::effective::FactorPolicy,
    time::{Span, Timestamp},
};

mod messages;

/// Maximum number of accounts that are kept.
pub const MAX_SHOWN: usize = 50;

/// A usable account before the change.
#[derive(Debug, Clone, Copy)]
pub struct FactorAccount<'a> {
    /// The account.
    pub id: AccountId,
    /// Its name.
    pub name: &'a str,
    /// Its role.
    pub role: Role,
    /// Its enrolled factors.
    pub factors: EnrolledFactors,
    /// When a second factor was first required of it.
    pub grace_from: Option<Timestamp>,
    /// Whether it has a valid enrolment link.
    pub has_link: bool,
}

/// The consequence of a policy for an account that signs in with its password; worse is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum FactorConsequence {
    /// It meets the requirement, or there is none.
    #[default]
    Nothing,
    /// It has to enrol a factor, but may skip that for now.
    MaySkip,
    /// It has to enrol a factor before anything else.
    MustEnrol,
    /// It would have to enrol a factor, but cannot: without an enrolment link, or at all, because
    /// no such factor can exist here.
    CannotEnter,
}

impl FactorConsequence {
    /// Returns the consequence of `required` for the account under `policy`.
    pub fn new(account: &FactorAccount, required: FactorRequirement, policy: &FactorPolicy, now: Timestamp) -> Self {
        if policy.can_meet(account.factors, required) {
            return Self::Nothing;
        }
        if !policy.offers(required, true) {
            return Self::CannotEnter;
        }
        let skip_until = account.grace_from.unwrap_or(now).saturating_add(policy.enrolment_grace);
        if policy.enrolment_grace > Span::ZERO && now <= skip_until {
            Self::MaySkip
        } else if policy.may_enrol(account.factors, account.has_link) {
            Self::MustEnrol
        } else {
            Self::CannotEnter
        }
    }

    /// Returns the stable code of `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::MaySkip => "may_skip",
            Self::MustEnrol => "must_enrol",
            Self::CannotEnter => "cannot_enter",
        }
    }
}

/// A number of accounts, and how many of them belong to administrators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountCount {
    /// All accounts.
    pub total: u64,
    /// Accounts of administrators.
    pub administrators: u64,
}

impl AccountCount {
    fn count(&mut self, role: Role) {
        self.total += 1;
        self.administrators += u64::from(role == Role::Administrator);
    }
}

/// An account for which the draft is worse than the policy in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedAccount {
    /// The account.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// The consequence of the draft.
    pub consequence: FactorConsequence,
    /// Whether only applications require it, and not the sign-in itself.
    pub at_applications: bool,
}

/// The impact of a draft on the accounts that were added.
#[derive(Debug, Clone)]
pub struct FactorImpact {
    now: Timestamp,
    viewer: Option<AccountId>,
    shown: BTreeMap<(Reverse<FactorConsequence>, String, AccountId), AffectedAccount>,
    /// The number of usable accounts.
    pub accounts: u64,
    /// Accounts that newly have to enrol a factor before anything else.
    pub must_enrol: AccountCount,
    /// Accounts that newly have to enrol a factor, but may skip that for now.
    pub may_skip: AccountCount,
    /// Accounts that could newly not get in.
    pub cannot_enter: AccountCount,
    /// Of [`FactorImpact::cannot_enter`], those for which no factor that is enough can exist here.
    pub no_such_factor: u64,
    /// Accounts whose only factors are newly of a kind that is switched off. They are asked for
    /// recovery codes, and for those factors when no code is left.
    pub only_switched_off: AccountCount,
    /// Whether the viewer's own account is one of [`FactorImpact::only_switched_off`].
    pub own_switched_off: bool,
    /// The consequence for the viewer's own account; `Nothing` if it is no worse than now.
    pub own: FactorConsequence,
}

impl FactorImpact {
    /// Creates an empty impact. `viewer`: the account of the user who views it.
    pub fn new(now: Timestamp, viewer: Option<AccountId>) -> Self {
        Self {
            now,
            viewer,
            shown: BTreeMap::new(),
            accounts: 0,
            must_enrol: AccountCount::default(),
            may_skip: AccountCount::default(),
            cannot_enter: AccountCount::default(),
            no_such_factor: 0,
            only_switched_off: AccountCount::default(),
            own_switched_off: false,
            own: FactorConsequence::Nothing,
        }
    }

    /// Adds one account, with the policies for its role in every application to which it has
    /// access.
    pub fn add(&mut self, account: &FactorAccount, today: &FactorPolicy, draft: &FactorPolicy) {
        self.accounts += 1;
        if draft.has_only_switched_off(account.factors) && !today.has_only_switched_off(account.factors) {
            self.only_switched_off.count(account.role);
            self.own_switched_off |= self.viewer == Some(account.id);
        }
        let means = |required, policy| FactorConsequence::new(account, required, policy, self.now);
        let consequence = means(draft.strictest, draft);
        if consequence <= means(today.strictest, today) {
            return;
        }
        let at_applications = means(draft.required, draft) < consequence;
        match consequence {
            FactorConsequence::Nothing => {}
            FactorConsequence::MaySkip => self.may_skip.count(account.role),
            FactorConsequence::MustEnrol => self.must_enrol.count(account.role),
            FactorConsequence::CannotEnter => {
                self.cannot_enter.count(account.role);
                self.no_such_factor += u64::from(!draft.offers(draft.strictest, true));
            }
        }
        if self.viewer == Some(account.id) {
            self.own = consequence;
        }
        let place = (Reverse(consequence), name_key(account.name), account.id);
        let shows = self.shown.len() < MAX_SHOWN || self.shown.last_key_value().is_some_and(|(last, _)| place < *last);
        if shows {
            let affected = AffectedAccount {
                id: account.id,
                name: account.name.to_owned(),
                role: account.role,
                consequence,
                at_applications,
            };
            self.shown.insert(place, affected);
            if self.shown.len() > MAX_SHOWN {
                self.shown.pop_last();
            }
        }
    }

    /// Returns the affected accounts, the worst first, then by name; at most [`MAX_SHOWN`].
    pub fn affected(&self) -> impl ExactSizeIterator<Item = &AffectedAccount> {
        self.shown.values()
    }

    /// Returns how many accounts are affected, shown or not.
    pub fn affected_total(&self) -> u64 {
        self.must_enrol.total + self.may_skip.total + self.cannot_enter.total
    }
}
