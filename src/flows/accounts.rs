//! Looking after accounts. The last enabled administrator can be neither disabled, demoted, expired nor deleted:
//! decided under the lock of all administrators' rows.

use super::{Acting, Ctx, FlowError, endings::Ending};
use crate::{
    domain::{
        account::{AccountId, AccountName, ExpiryRule, Role, check_email, expires_at, name_key},
        audit::Event,
        lockout::Locked,
        password::{self, ChangeReason, NewPasswordFacts, Reuse},
        secret::{self, Secret},
        session::EndReason,
        time::Timestamp,
    },
    live::policy::InForce,
    store::{
        Conn, StoreError,
        accounts::{self, Account, AccountFilter},
        audit::{self, AuditRow},
        changes::{self, ChangeKind},
        lockouts, sessions,
    },
};
use std::sync::Arc;

/// What an account's status chip says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    Active,
    MustChange(ChangeReason),
    Disabled,
    Expired,
}

#[derive(Debug, Clone)]
pub struct AccountView {
    pub account: Account,
    pub state: AccountState,
    pub locked: Option<Locked>,
    pub live_sessions: i64,
    /// When it would expire if nothing happens, and by which rule.
    pub expires: Option<(Timestamp, ExpiryRule)>,
    pub is_last_administrator: bool,
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
}

/// What creates an account.
#[derive(Clone)]
pub struct NewAccount {
    pub name: String,
    pub display_name: String,
    pub email: String,
    pub role: Role,
    pub groups: Vec<String>,
    pub expires_at: Option<Timestamp>,
    pub password: NewPassword,
}

#[derive(Clone)]
pub enum NewPassword {
    /// Made here, shown once, must be changed at the first sign-in.
    OneTime,
    /// Given on standard input.
    Given { password: Secret, must_change: bool },
}

/// A field and what is wrong with it.
pub type FieldFault = (&'static str, String);

#[derive(Debug)]
pub enum CreateVerdict {
    Created {
        id: AccountId,
        one_time_password: Option<Secret>,
    },
    Faulty(Vec<FieldFault>),
}

/// What an administrator does to an account.
#[derive(Clone)]
pub enum Act {
    Disable,
    /// Also re-activates an expired one; its clock starts anew.
    Enable,
    ExpireNow,
    SetExpiry(Option<Timestamp>),
    ForceChange,
    /// A one-time password, shown once.
    ResetPassword,
    /// From standard input (CLI).
    SetPassword {
        password: Secret,
        must_change: bool,
    },
    SetRole(Role),
    SetProfile {
        display_name: String,
        email: String,
        groups: Vec<String>,
    },
    EndSessions,
    Unlock,
    Delete,
}

#[derive(Debug)]
pub enum ActVerdict {
    Done {
        one_time_password: Option<Secret>,
        ended: usize,
    },
    LastAdministrator,
    Yourself,
    Faulty(Vec<FieldFault>),
}

pub async fn list(ctx: &Ctx, filter: AccountFilter) -> Result<AccountList, FlowError> {
    let in_force = ctx.current_policy().await?;
    let flow = ctx.clone();
    Ok(ctx
        .store
        .read(move |c| {
            let page = accounts::list(c, &filter)?;
            let total = accounts::count(c, &filter)?;
            let items = page
                .items
                .into_iter()
                .map(|account| flow.account_view(c, &in_force, account))
                .collect::<Result<_, _>>()?;
            Ok::<_, StoreError>(AccountList {
                items,
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
            let Some(account) = accounts::find(c, id)? else {
                return Ok::<_, StoreError>(None);
            };
            let events = audit::recent_of_account(c, id, 50)?;
            let filter = sessions::SessionFilter {
                account: Some(id),
                limit: 50,
                ..sessions::SessionFilter::default()
            };
            let rows = sessions::list(c, &filter)?.items;
            let view = flow.account_view(c, &policy, account)?;
            let sessions = rows.into_iter().map(|row| flow.view(&policy, row)).collect();
            Ok(Some(AccountDetail { view, sessions, events }))
        })
        .await?)
}

/// The account of that name, as typed.
pub async fn find_by_name(ctx: &Ctx, name: &str) -> Result<Option<Account>, FlowError> {
    let key = name_key(name);
    Ok(ctx.store.read(move |c| accounts::find_by_name_key(c, &key)).await?)
}

pub async fn create(ctx: &Ctx, acting: &Acting, new: NewAccount) -> Result<CreateVerdict, FlowError> {
    let in_force = ctx.current_policy().await?;
    let mut faults = Vec::new();
    let name = AccountName::parse(&new.name)
        .map_err(|error| faults.push(("name", error.to_string())))
        .ok();
    let profile = check_profile(&new.display_name, &new.email, &new.groups, &mut faults);
    let (password, one_time, must_change) = match &new.password {
        NewPassword::OneTime => {
            let password = secret::one_time_password(ctx.random_bytes());
            (password.clone(), Some(password), true)
        }
        NewPassword::Given { password, must_change } => {
            faults.extend(password_faults(
                password,
                &[&new.name, &new.display_name, &new.email],
                &in_force,
            ));
            (password.clone(), None, *must_change)
        }
    };
    let (Some(name), true) = (name, faults.is_empty()) else {
        return Ok(CreateVerdict::Faulty(faults));
    };
    let hash = ctx.hasher.hash(password, ctx.salt()).await?;
    let now = ctx.now();
    let account = Account {
        display_name: profile.display_name,
        email: profile.email,
        groups: profile.groups,
        expires_at: new.expires_at,
        password_set_by_other: true,
        must_change_password: must_change,
        ..ctx.new_account(&name, new.role, hash, now)
    };
    let (flow, acting) = (ctx.clone(), acting.clone());
    ctx.store
        .write(move |c| {
            if accounts::find_by_name_key(c, &account.name_key)?.is_some() {
                return Ok(CreateVerdict::Faulty(vec![(
                    "name",
                    format!("There is already an account named {}.", account.name),
                )]));
            }
            accounts::insert(c, &account)?;
            changes::announce(c, ChangeKind::Account, &account.id.0.to_string())?;
            let detail = serde_json::json!({
                "role": account.role.as_str(), "groups": account.groups, "one_time_password": one_time.is_some(),
                "expires_at": account.expires_at.map(Timestamp::to_rfc3339),
            });
            flow.record(
                c,
                now,
                &flow.entry_of(
                    &acting,
                    Event::AccountCreated,
                    Some((account.id, &account.name)),
                    detail,
                ),
            )?;
            Ok::<_, FlowError>(CreateVerdict::Created {
                id: account.id,
                one_time_password: one_time,
            })
        })
        .await
}

/// Does `act` to the account. `FlowError::NotFound` when it is gone.
pub async fn act(ctx: &Ctx, acting: &Acting, id: AccountId, act: Act) -> Result<ActVerdict, FlowError> {
    let in_force = ctx.current_policy().await?;
    let mut faults = Vec::new();
    let mut password = None;
    match &act {
        Act::SetProfile {
            display_name,
            email,
            groups,
        } => {
            check_profile(display_name, email, groups, &mut faults);
        }
        Act::ResetPassword => password = Some((secret::one_time_password(ctx.random_bytes()), true)),
        Act::SetPassword {
            password: given,
            must_change,
        } => {
            let account = ctx
                .store
                .read(move |c| accounts::find(c, id))
                .await?
                .ok_or(FlowError::NotFound)?;
            let own_words = [
                account.name.as_str(),
                account.display_name.as_str(),
                account.email.as_deref().unwrap_or(""),
            ];
            faults.extend(password_faults(given, &own_words, &in_force));
            password = Some((given.clone(), *must_change));
        }
        Act::Disable
        | Act::Enable
        | Act::ExpireNow
        | Act::SetExpiry(_)
        | Act::ForceChange
        | Act::SetRole(_)
        | Act::EndSessions
        | Act::Unlock
        | Act::Delete => {}
    }
    if !faults.is_empty() {
        return Ok(ActVerdict::Faulty(faults));
    }
    let hash = match &password {
        Some((password, must_change)) => Some((ctx.hasher.hash(password.clone(), ctx.salt()).await?, *must_change)),
        None => None,
    };
    let one_time_password = password
        .filter(|_| matches!(act, Act::ResetPassword))
        .map(|(password, _)| password);
    let change = Changing {
        act,
        hash,
        acting: acting.clone(),
        in_force,
        now: ctx.now(),
    };
    let flow = ctx.clone();
    let (verdict, ended) = ctx.store.write(move |c| flow.change_account_in(c, id, change)).await?;
    if let Some((ids, reason)) = ended {
        ctx.forget_ended(&ids, reason);
    }
    ctx.live.accounts.forget(id);
    Ok(match verdict {
        ActVerdict::Done { ended, .. } => ActVerdict::Done {
            one_time_password,
            ended,
        },
        refused => refused,
    })
}

/// One act under way.
struct Changing {
    act: Act,
    hash: Option<(String, bool)>,
    acting: Acting,
    in_force: Arc<InForce>,
    now: Timestamp,
}

type EndedSessions = Option<(Vec<crate::domain::session::SessionId>, EndReason)>;

impl Ctx {
    fn change_account_in(
        &self,
        c: &mut Conn,
        id: AccountId,
        change: Changing,
    ) -> Result<(ActVerdict, EndedSessions), FlowError> {
        let Changing {
            act,
            hash,
            acting,
            in_force,
            now,
        } = change;
        accounts::lock_administrators(c)?;
        sessions::lock_account_sessions(c, id)?;
        let mut account = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
        let before = account.clone();
        let usable =
            account.role == Role::Administrator && account.disabled_at.is_none() && account.expired_at.is_none();
        let is_last = usable && accounts::count_usable_administrators(c, Some(id))? == 0;
        let takes_an_administrator = match &act {
            Act::Disable | Act::ExpireNow | Act::Delete => true,
            Act::SetRole(role) => *role != Role::Administrator,
            Act::SetExpiry(_)
            | Act::Enable
            | Act::ForceChange
            | Act::ResetPassword
            | Act::SetPassword { .. }
            | Act::SetProfile { .. }
            | Act::EndSessions
            | Act::Unlock => false,
        };
        if takes_an_administrator && is_last {
            return Ok((ActVerdict::LastAdministrator, None));
        }
        if takes_an_administrator && acting.account_id() == Some(id) {
            return Ok((ActVerdict::Yourself, None));
        }
        let mut ends = None;
        let event = match &act {
            Act::Disable => {
                account.disabled_at = Some(now);
                ends = Some(EndReason::AccountDisabled);
                Event::AccountDisabled
            }
            Act::Enable => {
                account.disabled_at = None;
                account.expired_at = None;
                account.expired_by = None;
                account.activated_at = now;
                if account.expires_at.is_some_and(|at| at <= now) {
                    account.expires_at = None;
                }
                Event::AccountEnabled
            }
            Act::ExpireNow => {
                account.expired_at = Some(now);
                account.expired_by = Some("administrator".to_owned());
                ends = Some(EndReason::AccountExpired);
                Event::AccountExpired
            }
            Act::SetExpiry(at) => {
                account.expires_at = *at;
                Event::AccountUpdated
            }
            Act::ForceChange => {
                account.must_change_password = true;
                Event::AccountUpdated
            }
            Act::ResetPassword | Act::SetPassword { .. } => {
                if let Some((hash, must_change)) = hash {
                    accounts::push_password(c, id, &account.password_hash, now, 24)?;
                    account.password_hash = hash;
                    account.password_changed_at = now;
                    account.password_set_by_other = true;
                    account.must_change_password = must_change;
                }
                ends = Some(EndReason::PasswordChanged);
                Event::PasswordReset
            }
            Act::SetRole(role) => {
                account.role = *role;
                Event::AccountRoleChanged
            }
            Act::SetProfile {
                display_name,
                email,
                groups,
            } => {
                let profile = check_profile(display_name, email, groups, &mut Vec::new());
                account.display_name = profile.display_name;
                account.email = profile.email;
                account.groups = profile.groups;
                Event::AccountUpdated
            }
            Act::EndSessions => {
                ends = Some(EndReason::Revoked);
                Event::AccountUpdated
            }
            Act::Unlock => Event::AccountUpdated,
            Act::Delete => {
                ends = Some(EndReason::AccountDisabled);
                Event::AccountDeleted
            }
        };
        let ended = match ends {
            Some(reason) => self.end_all_in(c, now, &account, reason, &acting)?,
            None => Vec::new(),
        };
        let count = ended.len();
        match &act {
            Act::EndSessions => {}
            Act::Unlock => {
                self.release_matching_in(c, &acting, Some(&account.name_key), None)?;
            }
            Act::Delete => {
                accounts::delete(c, id)?;
                changes::announce(c, ChangeKind::Account, &id.0.to_string())?;
                self.record(
                    c,
                    now,
                    &self.entry_of(
                        &acting,
                        event,
                        Some((id, &account.name)),
                        serde_json::json!({ "role": account.role.as_str() }),
                    ),
                )?;
            }
            Act::Disable
            | Act::Enable
            | Act::ExpireNow
            | Act::SetExpiry(_)
            | Act::ForceChange
            | Act::ResetPassword
            | Act::SetPassword { .. }
            | Act::SetRole(_)
            | Act::SetProfile { .. } => {
                if ends.is_some() {
                    // Its last session may have ended just now.
                    account.last_session_ended_at = accounts::find(c, id)?.and_then(|row| row.last_session_ended_at);
                }
                if matches!(act, Act::ResetPassword | Act::SetPassword { .. }) {
                    // An administrator's reset also lets the owner in again.
                    self.release_matching_in(c, &acting, Some(&account.name_key), None)?;
                }
                accounts::update(c, &account)?;
                changes::announce(c, ChangeKind::Account, &id.0.to_string())?;
                self.record(
                    c,
                    now,
                    &self.entry_of(
                        &acting,
                        event,
                        Some((id, &account.name)),
                        changed_fields(&before, &account),
                    ),
                )?;
            }
        }
        // Under a shorter rule a re-activated or changed account may be due at once; the next look decides.
        drop(in_force);
        Ok((
            ActVerdict::Done {
                one_time_password: None,
                ended: count,
            },
            ends.map(|reason| (ended, reason)),
        ))
    }

    fn end_all_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: &Account,
        reason: EndReason,
        acting: &Acting,
    ) -> Result<Vec<crate::domain::session::SessionId>, StoreError> {
        let mut ended = Vec::new();
        for session in sessions::live_of_account(c, account.id)? {
            let ending = Ending {
                session: &session,
                account_name: &account.name,
                reason,
                at: now,
                acting,
                detail: serde_json::Value::Null,
            };
            if self.end_in(c, now, &ending)? {
                ended.push(session.id);
            }
        }
        Ok(ended)
    }

    /// Expires the account now if a rule says so; the account as it is then.
    pub(super) async fn expire_if_due(&self, id: AccountId) -> Result<Arc<Account>, FlowError> {
        let in_force = self.current_policy().await?;
        let (flow, now) = (self.clone(), self.now());
        let (account, sessions) = self
            .store
            .write(move |c| {
                accounts::lock_administrators(c)?;
                sessions::lock_account_sessions(c, id)?;
                let mut account = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
                let live = sessions::live_of_account(c, id)?;
                let expired = flow.expire_in(c, now, &mut account, &in_force.everyone().accounts)?;
                let ended = if expired.is_some() {
                    live.into_iter().map(|session| session.id).collect()
                } else {
                    Vec::new()
                };
                Ok::<_, FlowError>((account, ended))
            })
            .await?;
        self.forget_ended(&sessions, EndReason::AccountExpired);
        self.live.accounts.forget(id);
        Ok(Arc::new(account))
    }

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
        }
    }

    fn account_view(&self, c: &mut Conn, in_force: &InForce, account: Account) -> Result<AccountView, StoreError> {
        let now = self.now();
        let policy = in_force.effective(account.role, &[], None);
        let live = sessions::live_of_account(c, account.id)?;
        let live_sessions = live
            .iter()
            .filter(|session| self.is_live(in_force, &account, session, now))
            .count();
        let facts = self.expiry_facts(c, &account, live_sessions > 0)?;
        let facts = self.with_unswept_end(facts, in_force, &account, &live, now);
        let change = password::ChangeFacts {
            changed_at: account.password_changed_at,
            set_by_other: account.password_set_by_other,
            must_change: account.must_change_password,
        };
        let must_change =
            password::must_change(&change, policy.accounts.change_default_password, &policy.password, now);
        let state = match must_change {
            _ if account.disabled_at.is_some() => AccountState::Disabled,
            _ if account.expired_at.is_some() => AccountState::Expired,
            Some(reason) => AccountState::MustChange(reason),
            None => AccountState::Active,
        };
        let mut locked = None;
        for mut row in lockouts::matching(c, Some(&account.name_key), None)? {
            row.counter.settle(row.key.kind, &policy.lockout, now);
            locked = locked.or(row.counter.locked_at(row.key.kind, &policy.lockout, now));
        }
        let expires = if state == AccountState::Expired {
            None
        } else {
            expires_at(&facts, &policy.accounts)
        };
        Ok(AccountView {
            state,
            locked,
            live_sessions: i64::try_from(live_sessions).unwrap_or(i64::MAX),
            expires,
            is_last_administrator: facts.is_last_administrator,
            account,
        })
    }
}

struct Profile {
    display_name: String,
    email: Option<String>,
    groups: Vec<String>,
}

fn check_profile(display_name: &str, email: &str, groups: &[String], faults: &mut Vec<FieldFault>) -> Profile {
    let display_name = display_name.trim().to_owned();
    if display_name.chars().count() > 128 || has_forbidden(&display_name) {
        faults.push((
            "display_name",
            "At most 128 characters, without control characters.".to_owned(),
        ));
    }
    let email = match email.trim() {
        "" => None,
        text => check_email(text).map_err(|why| faults.push(("email", why))).ok(),
    };
    let mut kept: Vec<String> = Vec::new();
    for group in groups
        .iter()
        .map(|group| group.trim())
        .filter(|group| !group.is_empty())
    {
        if group.contains(',') || has_forbidden(group) || group.chars().count() > 64 {
            faults.push((
                "groups",
                format!("{group:?}: at most 64 characters, no commas or control characters."),
            ));
        } else if !kept.iter().any(|known| known == group) {
            kept.push(group.to_owned());
        }
    }
    Profile {
        display_name,
        email,
        groups: kept,
    }
}

/// Identity headers carry these values: control and bidi characters do not exist in them.
fn has_forbidden(text: &str) -> bool {
    text.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    })
}

fn password_faults(password: &Secret, own_words: &[&str], in_force: &InForce) -> Vec<FieldFault> {
    let facts = NewPasswordFacts {
        new: password.expose(),
        again: None,
        own_words,
        reused: Reuse::No,
    };
    password::decide(&facts, &in_force.everyone().password)
        .into_iter()
        .map(|fault| ("password", fault.message()))
        .collect()
}

/// Old → new of what an administrator may see; never a hash.
fn changed_fields(old: &Account, new: &Account) -> serde_json::Value {
    let at = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
    let fields = [
        (
            "display_name",
            serde_json::json!(old.display_name),
            serde_json::json!(new.display_name),
        ),
        ("email", serde_json::json!(old.email), serde_json::json!(new.email)),
        (
            "role",
            serde_json::json!(old.role.as_str()),
            serde_json::json!(new.role.as_str()),
        ),
        ("groups", serde_json::json!(old.groups), serde_json::json!(new.groups)),
        (
            "expires_at",
            serde_json::json!(at(old.expires_at)),
            serde_json::json!(at(new.expires_at)),
        ),
        (
            "disabled_at",
            serde_json::json!(at(old.disabled_at)),
            serde_json::json!(at(new.disabled_at)),
        ),
        (
            "expired_at",
            serde_json::json!(at(old.expired_at)),
            serde_json::json!(at(new.expired_at)),
        ),
        (
            "must_change_password",
            serde_json::json!(old.must_change_password),
            serde_json::json!(new.must_change_password),
        ),
    ];
    let changed: serde_json::Map<String, serde_json::Value> = fields
        .into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(name, old, new)| (name.to_owned(), serde_json::json!({ "old": old, "new": new })))
        .collect();
    serde_json::Value::Object(changed)
}

/// Expires what is due among all accounts; the job calls it. How many expired.
pub async fn expire_due(ctx: &Ctx) -> Result<usize, FlowError> {
    const BATCH: i64 = 200;
    let in_force = ctx.current_policy().await?;
    let mut after = None;
    let mut expired = 0;
    loop {
        let (flow, policy) = (ctx.clone(), in_force.clone());
        let (due, last) = ctx
            .store
            .read(move |c| {
                let candidates = accounts::expiry_candidates(c, after, BATCH)?;
                let last = candidates.last().map(|account| account.id);
                let mut due = Vec::new();
                for account in candidates {
                    // Those that would be due without the last administrator's protection; the write decides.
                    let (id, ended) = (account.id, account.last_session_ended_at);
                    if flow
                        .account_view(c, &policy, account)?
                        .expires
                        .is_some_and(|(at, _)| flow.now() > at)
                    {
                        due.push((ended, id));
                    }
                }
                Ok::<_, StoreError>((due, last))
            })
            .await?;
        let mut due = due;
        // When several administrators would expire together, the one whose session ended last stays.
        due.sort();
        for (_, id) in due {
            expired += usize::from(ctx.expire_if_due(id).await?.expired_at.is_some());
        }
        match last {
            Some(id) => after = Some(id),
            None => return Ok(expired),
        }
    }
}
