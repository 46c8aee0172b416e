//! Looking at accounts. Making one, what administrators do to one, and how one expires stand in files of their own.

mod act;
mod bulk;
mod create;
mod expiry;
mod import;
mod profile;

pub use crate::domain::account::profile::FieldFault;
pub use act::{Act, ActVerdict, act};
pub use bulk::{BulkAct, BulkDone, Chosen, LeftOut, act_on_all, chosen};
pub use create::{CreateVerdict, NewAccount, NewPassword, create};
pub use expiry::{expire_due, expires_under};
pub use import::{
    Confirmed, ImportFile, ImportPlan, ImportVerdict, Imported, Passwords, Planned, PlannedLine, entry_of, export,
    import, plan_import,
};

use super::{Ctx, FlowError};
use crate::{
    domain::{
        account::{AccountId, AccountName, ExpiryRule, Role, expires_after_sessions, expires_at, name_key},
        lockout::Locked,
        password::{self, ChangeReason},
        time::{Span, Timestamp},
    },
    live::policy::InForce,
    store::{
        Conn, StoreError,
        accounts::{self, Account, AccountFilter, AccountListState},
        audit::{self, AuditRow},
        lockouts::{self, Lockout},
        password_links::{self, PasswordLink},
        sessions::{self, Session},
    },
};
use std::{collections::HashMap, hash::Hash};

/// What an account's status chip says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    Active,
    MustChange(ChangeReason),
    Disabled,
    Expired,
}

impl AccountState {
    /// As exports and scripts name it: the lists' word.
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

#[derive(Debug, Clone)]
pub struct AccountView {
    pub account: Account,
    pub state: AccountState,
    pub locked: Option<Locked>,
    pub live_sessions: i64,
    /// When it would expire if nothing happens, and by which rule.
    pub expires: Option<(Timestamp, ExpiryRule)>,
    /// While it is signed in: how long after its last session, and by which rule.
    pub expires_later: Option<(Span, ExpiryRule)>,
    pub is_last_administrator: bool,
    /// Invited, and no password chosen yet: when the link runs out (or ran out).
    pub invited: Option<Timestamp>,
}

pub struct AccountList {
    pub items: Vec<AccountView>,
    pub total: i64,
    pub newer: bool,
    pub older: bool,
}

pub struct AccountDetail {
    pub view: AccountView,
    pub sessions: Vec<super::sessions::SessionView>,
    pub events: Vec<AuditRow>,
    /// What counts failures on its name, under today's policy.
    pub lockouts: Vec<super::lockouts::LockoutView>,
    /// Networks of completed sign-ins, the latest first.
    pub networks: Vec<(String, Timestamp)>,
}

pub async fn list(ctx: &Ctx, filter: AccountFilter) -> Result<AccountList, FlowError> {
    let in_force = ctx.current_policy().await?;
    let flow = ctx.clone();
    Ok(ctx
        .store
        .read(move |c| {
            let page = accounts::list(c, &filter)?;
            let total = accounts::count(c, &filter)?;
            Ok::<_, StoreError>(AccountList {
                items: flow.account_views(c, &in_force, page.items)?,
                total,
                newer: page.newer,
                older: page.older,
            })
        })
        .await?)
}

pub async fn detail(ctx: &Ctx, id: AccountId) -> Result<Option<AccountDetail>, FlowError> {
    let in_force = ctx.current_policy().await?;
    let (flow, policy) = (ctx.clone(), in_force.clone());
    Ok(ctx
        .store
        .read(move |c| {
            let found: Vec<Account> = accounts::find(c, id)?.into_iter().collect();
            let Some(view) = flow.account_views(c, &policy, found)?.pop() else {
                return Ok::<_, StoreError>(None);
            };
            let events = audit::recent_of_account(c, id, 50)?;
            let filter = sessions::SessionFilter {
                account: Some(id),
                limit: 50,
                ..sessions::SessionFilter::default()
            };
            let rows = sessions::list(c, &filter)?.items;
            let lockouts = lockouts::matching(c, Some(&view.account.name_key), None)?
                .into_iter()
                .map(|row| flow.lockout_view(&policy, row))
                .filter(|view| view.failures > 0 || view.locked.is_some())
                .collect();
            let networks = accounts::networks(c, id, 20)?;
            let sessions = rows.into_iter().map(|row| flow.view(&policy, row)).collect();
            Ok(Some(AccountDetail {
                view,
                sessions,
                events,
                lockouts,
                networks,
            }))
        })
        .await?)
}

/// The account and its state; `None`: there is none of that id.
pub async fn view(ctx: &Ctx, id: AccountId) -> Result<Option<AccountView>, FlowError> {
    let in_force = ctx.current_policy().await?;
    let flow = ctx.clone();
    Ok(ctx
        .store
        .read(move |c| {
            let found: Vec<Account> = accounts::find(c, id)?.into_iter().collect();
            Ok::<_, StoreError>(flow.account_views(c, &in_force, found)?.pop())
        })
        .await?)
}

/// Its name alone.
pub async fn name_of(ctx: &Ctx, id: AccountId) -> Result<Option<String>, FlowError> {
    Ok(ctx.store.read(move |c| accounts::name_of(c, id)).await?)
}

/// The account of that name, as typed.
pub async fn find_by_name(ctx: &Ctx, name: &str) -> Result<Option<Account>, FlowError> {
    let key = name_key(name);
    Ok(ctx.store.read(move |c| accounts::find_by_name_key(c, &key)).await?)
}

impl Ctx {
    /// A fresh account; nothing is written.
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
        }
    }

    /// In the order given. What stands around them is read for all at once.
    pub(super) fn account_views(
        &self,
        c: &mut Conn,
        in_force: &InForce,
        accounts: Vec<Account>,
    ) -> Result<Vec<AccountView>, StoreError> {
        let ids: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
        let names: Vec<&str> = accounts.iter().map(|account| account.name_key.as_str()).collect();
        let sessions = grouped(sessions::live_of_all(c, &ids)?, |session| session.account_id);
        let counters = grouped(lockouts::of_accounts(c, &names)?, |row| row.key.account.clone());
        let invitations = grouped(password_links::invitations_of(c, &ids)?, |link| link.account);
        let known = accounts.into_iter().map(|account| {
            let id = account.id;
            let around = Around {
                sessions: sessions.get(&id).map_or(&[], Vec::as_slice),
                counters: counters.get(&Some(account.name_key.clone())).map_or(&[], Vec::as_slice),
                invitation: invitations.get(&id).and_then(|links| links.first()),
            };
            self.account_view(c, in_force, account, &around)
        });
        known.collect()
    }

    fn account_view(
        &self,
        c: &mut Conn,
        in_force: &InForce,
        account: Account,
        around: &Around<'_>,
    ) -> Result<AccountView, StoreError> {
        let now = self.now();
        let policy = in_force.effective(account.role, &[], None);
        let (facts, live_sessions) = self.expiry_facts_now(c, in_force, &account, around.sessions)?;
        let must_change = password::must_change(
            &account.password_facts(),
            policy.accounts.change_default_password,
            &policy.password,
            now,
        );
        let state = match must_change {
            _ if account.disabled_at.is_some() => AccountState::Disabled,
            _ if account.expired_at.is_some() => AccountState::Expired,
            Some(reason) => AccountState::MustChange(reason),
            None => AccountState::Active,
        };
        let locked = around
            .counters
            .iter()
            .find_map(|row| row.counter.locked_at(row.key.kind, &policy.lockout, now));
        let (expires, expires_later) = if state == AccountState::Expired {
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
            account,
        })
    }
}

/// What stands in other tables about an account.
struct Around<'a> {
    /// Those that nobody has marked as ended.
    sessions: &'a [Session],
    /// What counts failures on its name.
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
