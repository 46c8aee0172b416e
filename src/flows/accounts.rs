//! Reading accounts. Creating them, administrators' actions on them, and their expiry are in
//! separate files.

mod act;
mod bulk;
mod create;
mod expiry;
mod import;
mod profile;

pub use crate::domain::account::profile::FieldFault;
pub use act::{AccountAction, AccountActionOutcome, act};
pub use bulk::{
    AccountSelection, BulkAction, BulkOutcome, SkipReason, act_on_all, act_on_all_observed, find_selected, hold_ends_of,
};
pub use create::{CreateOutcome, NewAccount, NewPassword, create, new_account_faults};
pub use expiry::{expire_due, expires_under};
pub use import::{
    ImportConfirmation, ImportFile, ImportOutcome, ImportPlan, ImportSummary, ImportedAccounts, MAX_ONE_TIME_PASSWORDS,
    Passwords, PlannedChange, PlannedLine, StoredImport, entry_of, export, fetch_import, find_import, import,
    import_once, plan_import,
};

use super::{Ctx, FlowError, Read, bind_limits::BindCount};
use crate::{
    domain::{
        account::{Account, AccountFilter, AccountId, AccountListState, AccountName, Role, name_key},
        audit::AuditRecord,
        expiry::{ExpiryRule, expires_after_sessions, expires_at},
        factor::EnrolledFactors,
        lockout::{LockDuration, Lockout},
        password::{self, ChangeReason},
        session::{Session, SessionFilter},
        source::LOCAL,
        time::{Span, Timestamp},
    },
    live::policy::PolicyInForce,
    store::{
        StoreError, accounts, audit, lockouts,
        password_links::{self, PasswordLink},
        sessions,
    },
};
use std::{collections::HashMap, hash::Hash};

/// The state of an account, shown as a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    Active,
    MustChange(ChangeReason),
    Disabled,
    Expired,
}

impl AccountStatus {
    /// Returns the word used in exports, scripts and lists.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => AccountListState::Active,
            Self::MustChange(_) => AccountListState::MustChange,
            Self::Disabled => AccountListState::Disabled,
            Self::Expired => AccountListState::Expired,
        }
        .code()
    }
}

/// An account as lists show it.
#[derive(Debug, Clone)]
pub struct AccountView {
    /// The account.
    pub account: Account,
    /// Enabled, disabled or expired, and since when.
    pub state: AccountStatus,
    /// How long sign-in is locked; `None`: it is not.
    pub locked: Option<LockDuration>,
    /// The number of its live sessions.
    pub live_sessions: i64,
    /// When it would expire without further activity, and by which rule.
    pub expires: Option<(Timestamp, ExpiryRule)>,
    /// While it is signed in: how long after its last session it would expire, and by which rule.
    pub expires_later: Option<(Span, ExpiryRule)>,
    /// Whether no other administrator can sign in.
    pub is_last_administrator: bool,
    /// When the link of an unused invitation expires or expired.
    pub invited: Option<Timestamp>,
    /// Where its identity is proved; `None`: here.
    pub source: Option<AccountSource>,
}

/// The source of an account, for screens and exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSource {
    /// Its name; empty: it was deleted.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What it is, for people.
    pub kind: &'static str,
}

impl AccountView {
    /// Returns the name of its source, or `local`.
    pub fn source_name(&self) -> &str {
        match &self.source {
            None => LOCAL,
            Some(source) if source.name.is_empty() => "deleted",
            Some(source) => &source.name,
        }
    }
}

/// One page of accounts.
pub struct AccountList {
    /// The accounts of the page.
    pub items: Vec<AccountView>,
    /// The number of all matches.
    pub total: i64,
    /// Whether there is a page before this one.
    pub newer: bool,
    /// Whether there is a page after this one.
    pub older: bool,
}

/// An account as its own page shows it.
pub struct AccountDetail {
    /// The account as lists show it.
    pub view: AccountView,
    /// Its live sessions.
    pub sessions: Vec<super::sessions::SessionView>,
    /// Its latest audit events.
    pub events: Vec<AuditRecord>,
    /// The counters of failures on its name, under the current policy.
    pub lockouts: Vec<super::lockouts::LockoutView>,
    /// Wrong passwords that count at its directory.
    pub binds: Option<BindCount>,
    /// Networks of completed sign-ins, the latest first.
    pub networks: Vec<(String, Timestamp)>,
}

/// Lists the accounts that a filter matches, each with related facts.
pub async fn list(ctx: &Ctx, filter: AccountFilter) -> Result<AccountList, FlowError> {
    let in_force = ctx.current_policy().await?;
    ctx.read(move |r| {
        let page = accounts::list(r.connection, &filter)?;
        Ok(AccountList {
            items: r.account_views(&in_force, page.items)?,
            total: accounts::count(r.connection, &filter)?,
            newer: page.newer,
            older: page.older,
        })
    })
    .await
}

/// Returns one account in full; `None`: it does not exist.
pub async fn detail(ctx: &Ctx, id: AccountId) -> Result<Option<AccountDetail>, FlowError> {
    let in_force = ctx.current_policy().await?;
    ctx.read(move |r| {
        let found: Vec<Account> = accounts::find(r.connection, id)?.into_iter().collect();
        let Some(view) = r.account_views(&in_force, found)?.pop() else {
            return Ok(None);
        };
        let filter = SessionFilter {
            account: Some(id),
            limit: 50,
            ..SessionFilter::default()
        };
        let rows = sessions::list(r.connection, &filter)?.items;
        let lockouts = lockouts::list_matching(r.connection, Some(&view.account.name_key), None)?
            .into_iter()
            .map(|row| r.lockout_view(&in_force, row))
            .filter(|view| view.failures > 0 || view.locked.is_some())
            .collect();
        let binds = r.bind_count(&view.account)?;
        Ok(Some(AccountDetail {
            view,
            binds,
            sessions: rows.into_iter().map(|row| r.session_view(&in_force, row)).collect(),
            events: audit::list_recent_of_account(r.connection, id, 50)?,
            lockouts,
            networks: accounts::list_networks(r.connection, id, 20)?,
        }))
    })
    .await
}

/// Returns the account and its state; `None`: it does not exist.
pub async fn view(ctx: &Ctx, id: AccountId) -> Result<Option<AccountView>, FlowError> {
    let in_force = ctx.current_policy().await?;
    ctx.read(move |r| {
        let found: Vec<Account> = accounts::find(r.connection, id)?.into_iter().collect();
        Ok(r.account_views(&in_force, found)?.pop())
    })
    .await
}

/// Returns the account's name.
pub async fn name_of(ctx: &Ctx, id: AccountId) -> Result<Option<String>, FlowError> {
    ctx.read(move |r| Ok(accounts::find_name(r.connection, id)?)).await
}

/// Finds an account by its name, as typed.
pub async fn find_by_name(ctx: &Ctx, name: &str) -> Result<Option<Account>, FlowError> {
    let key = name_key(name);
    ctx.read(move |r| Ok(accounts::find_by_name_key(r.connection, &key)?))
        .await
}

impl Ctx {
    /// Creates an account in memory; nothing is written.
    pub(super) fn new_account(&self, name: &AccountName, role: Role, password_hash: String, now: Timestamp) -> Account {
        Account {
            id: AccountId(self.new_id(now)),
            name: name.shown().to_owned(),
            name_key: name.key().to_owned(),
            display_name: String::new(),
            email: None,
            role,
            groups: Vec::new(),
            password_hash,
            password_changed_at: now,
            password_set_by_other: false,
            must_change_password: false,
            disabled_at: None,
            expires_at: None,
            expired_at: None,
            expired_by: None,
            created_at: now,
            activated_at: now,
            last_sign_in_at: None,
            last_session_ended_at: None,
            password_good_until: None,
            factor_required_at: None,
            factors: EnrolledFactors::NONE,
            source: None,
            external_id: None,
        }
    }
}

impl Ctx {
    /// Describes the source of an account; `None`: it is local.
    fn account_source(&self, account: &Account) -> Option<AccountSource> {
        let id = account.source?;
        let known = self.live.sources();
        Some(match known.by_id(id) {
            Some(live) => AccountSource {
                name: live.source.name.as_str().to_owned(),
                title: live.source.title.clone(),
                kind: live.source.kind().title(),
            },
            None => AccountSource {
                name: String::new(),
                title: "A deleted source".to_owned(),
                kind: "deleted source",
            },
        })
    }
}

impl Read<'_> {
    /// Returns accounts as lists show them, in the given order. Related facts are read for all of
    /// them together.
    pub(super) fn account_views(
        &mut self,
        in_force: &PolicyInForce,
        accounts: Vec<Account>,
    ) -> Result<Vec<AccountView>, StoreError> {
        let ids: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
        let names: Vec<&str> = accounts.iter().map(|account| account.name_key.as_str()).collect();
        let sessions = grouped(sessions::list_live_of_accounts(self.connection, &ids)?, |session| {
            session.account_id
        });
        let counters = grouped(lockouts::list_of_accounts(self.connection, &names)?, |row| {
            row.key.account.clone()
        });
        let invitations = grouped(password_links::list_invitations(self.connection, &ids)?, |link| {
            link.account
        });
        let known = accounts.into_iter().map(|account| {
            let id = account.id;
            let around = RelatedFacts {
                sessions: sessions.get(&id).map_or(&[], Vec::as_slice),
                counters: counters.get(&Some(account.name_key.clone())).map_or(&[], Vec::as_slice),
                invitation: invitations.get(&id).and_then(|links| links.first()),
            };
            self.account_view(in_force, account, &around)
        });
        known.collect()
    }

    fn account_view(
        &mut self,
        in_force: &PolicyInForce,
        account: Account,
        around: &RelatedFacts<'_>,
    ) -> Result<AccountView, StoreError> {
        let now = self.now;
        let policy = in_force.effective(account.role, &[], None);
        let facts = self.expiry_facts(in_force, &account, around.sessions)?;
        let live_sessions = around
            .sessions
            .iter()
            .filter(|session| self.ctx.is_live(in_force, &account, session, now))
            .count();
        let must_change = password::must_change(
            &account.password_facts(),
            policy.accounts.change_default_password,
            &policy.password,
            now,
        );
        let state = match must_change {
            _ if account.disabled_at.is_some() => AccountStatus::Disabled,
            _ if account.expired_at.is_some() => AccountStatus::Expired,
            Some(reason) => AccountStatus::MustChange(reason),
            None => AccountStatus::Active,
        };
        let locked = around
            .counters
            .iter()
            .find_map(|row| row.counter.locked_at(row.key.kind, &policy.lockout, now));
        let (expires, expires_later) = if state == AccountStatus::Expired {
            (None, None)
        } else {
            (
                expires_at(&facts, &policy.accounts),
                expires_after_sessions(&facts, &policy.accounts),
            )
        };
        let invited = around
            .invitation
            .filter(|link| link.password_changed_at == account.password_changed_at)
            .map(|link| link.expires_at);
        Ok(AccountView {
            state,
            locked,
            live_sessions: i64::try_from(live_sessions).unwrap_or(i64::MAX),
            expires,
            expires_later,
            is_last_administrator: facts.is_last_administrator,
            invited,
            source: self.ctx.account_source(&account),
            account,
        })
    }
}

/// Facts about an account from other tables.
struct RelatedFacts<'a> {
    /// Sessions that have not been marked as ended.
    sessions: &'a [Session],
    /// The counters of failures on its name.
    counters: &'a [Lockout],
    invitation: Option<&'a PasswordLink>,
}

fn grouped<K: Eq + Hash, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}
