//! Administrators' actions on an account. The last enabled administrator cannot be disabled,
//! demoted, expired or deleted; this is decided under the lock of all administrators' rows.

use super::profile::password_faults;
use crate::{
    domain::{
        account::{
            Account, AccountId, Role,
            profile::{FieldFault, check_profile},
        },
        audit::Event,
        password::valid_until,
        reset::LinkKind,
        secret::{self, Secret},
        session::EndReason,
        time::Timestamp,
    },
    flows::{Ctx, FlowError, Initiator, Write},
    hashing::{HashingClient, HashingPurpose},
    live::held_ends::HeldScope,
    store::{StoreError, accounts, sessions},
};

/// Maximum number of stored earlier passwords: the bound of `password.history`.
const MAX_PASSWORD_HISTORY: i64 = 24;

/// An administrator's action on an account.
#[derive(Clone)]
pub enum AccountAction {
    Disable,
    /// Also reactivates an expired account; its expiry restarts.
    Enable,
    ExpireNow,
    SetExpiry(Option<Timestamp>),
    ForceChange,
    /// Sets a one-time password, which is shown once.
    ResetPassword,
    /// Sets a password from standard input (CLI).
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

/// The result of one action on an account.
#[derive(Debug)]
pub enum AccountActionOutcome {
    Done {
        one_time_password: Option<Secret>,
        ended: usize,
    },
    LastAdministrator,
    Yourself,
    /// The account's source, with this title, decides about that.
    Managed(String),
    Faulty(Vec<FieldFault>),
}

/// Performs `act` on the account. `FlowError::NotFound`: it no longer exists. Ending its sessions
/// is not delayed: without the database it applies here and is written later
/// ([`FlowError::EndHeld`]).
pub async fn act(
    ctx: &Ctx,
    initiator: &Initiator,
    id: AccountId,
    act: AccountAction,
) -> Result<AccountActionOutcome, FlowError> {
    let end = matches!(act, AccountAction::EndSessions)
        .then(|| ctx.new_end(initiator, HeldScope::Account(id), EndReason::Revoked));
    let done = check_and_act(ctx, initiator, id, act).await;
    ctx.hold_on_failure(done, || end.into_iter().collect())
}

async fn check_and_act(
    ctx: &Ctx,
    initiator: &Initiator,
    id: AccountId,
    act: AccountAction,
) -> Result<AccountActionOutcome, FlowError> {
    let in_force = ctx.current_policy().await?;
    let mut faults = Vec::new();
    let mut password = None;
    match &act {
        AccountAction::SetProfile {
            display_name,
            email,
            groups,
        } => {
            check_profile(display_name, email, groups, &mut faults);
        }
        AccountAction::ResetPassword => password = Some((secret::one_time_password(ctx.random_bytes()), true)),
        AccountAction::SetPassword {
            password: given,
            must_change,
        } => {
            let account = ctx
                .read(move |r| accounts::find(r.connection, id)?.ok_or(FlowError::NotFound))
                .await?;
            let account_words = [
                account.name.as_str(),
                account.display_name.as_str(),
                account.email.as_deref().unwrap_or(""),
            ];
            faults.extend(password_faults(given, &account_words, &in_force.everyone().password));
            password = Some((given.clone(), *must_change));
        }
        AccountAction::Disable
        | AccountAction::Enable
        | AccountAction::ExpireNow
        | AccountAction::SetExpiry(_)
        | AccountAction::ForceChange
        | AccountAction::SetRole(_)
        | AccountAction::EndSessions
        | AccountAction::Unlock
        | AccountAction::Delete => {}
    }
    if !faults.is_empty() {
        return Ok(AccountActionOutcome::Faulty(faults));
    }
    let client = HashingClient::new(HashingPurpose::Administration, initiator.origin.ip);
    let hash = match &password {
        Some((password, must_change)) => Some(NewHash {
            hash: ctx.hasher.hash(&client, password.clone(), ctx.salt()).await?,
            must_change: *must_change,
        }),
        None => None,
    };
    let one_time_password = password
        .filter(|_| matches!(act, AccountAction::ResetPassword))
        .map(|(password, _)| password);
    ctx.write(initiator, move |w| {
        Ok(w.change_account(id, act, hash)?.with_password(one_time_password))
    })
    .await
}

impl AccountActionOutcome {
    /// Adds the one-time password to what was done.
    fn with_password(self, one_time_password: Option<Secret>) -> Self {
        match self {
            Self::Done { ended, .. } => Self::Done {
                one_time_password,
                ended,
            },
            refused => refused,
        }
    }
}

/// The hash of a new password.
pub(super) struct NewHash {
    pub(super) hash: String,
    /// Whether its owner must change it at the next sign-in.
    pub(super) must_change: bool,
}

impl AccountAction {
    /// Returns whether the action leaves one enabled administrator fewer.
    fn takes_an_administrator(&self) -> bool {
        match self {
            Self::Disable | Self::ExpireNow | Self::Delete => true,
            Self::SetRole(role) => *role != Role::Administrator,
            Self::SetExpiry(_)
            | Self::Enable
            | Self::ForceChange
            | Self::ResetPassword
            | Self::SetPassword { .. }
            | Self::SetProfile { .. }
            | Self::EndSessions
            | Self::Unlock => false,
        }
    }

    /// Returns whether the action changes what the source of an account decides: password, role,
    /// groups, name and email address.
    fn belongs_to_source(&self) -> bool {
        match self {
            Self::ForceChange
            | Self::ResetPassword
            | Self::SetPassword { .. }
            | Self::SetRole(_)
            | Self::SetProfile { .. } => true,
            Self::Disable
            | Self::Enable
            | Self::ExpireNow
            | Self::SetExpiry(_)
            | Self::EndSessions
            | Self::Unlock
            | Self::Delete => false,
        }
    }

    /// Returns why the account's sessions end, if they do.
    fn ends_sessions(&self) -> Option<EndReason> {
        match self {
            Self::Disable | Self::Delete => Some(EndReason::AccountDisabled),
            Self::ExpireNow => Some(EndReason::AccountExpired),
            Self::ResetPassword | Self::SetPassword { .. } => Some(EndReason::PasswordChanged),
            Self::EndSessions => Some(EndReason::Revoked),
            Self::SetRole(_)
            | Self::SetExpiry(_)
            | Self::Enable
            | Self::ForceChange
            | Self::SetProfile { .. }
            | Self::Unlock => None,
        }
    }

    /// Returns the event that records it; `None`: its parts are recorded (ended sessions, released
    /// locks).
    fn event(&self) -> Option<Event> {
        match self {
            Self::Disable => Some(Event::AccountDisabled),
            Self::Enable => Some(Event::AccountEnabled),
            Self::ExpireNow => Some(Event::AccountExpired),
            Self::SetExpiry(_) | Self::ForceChange | Self::SetProfile { .. } => Some(Event::AccountUpdated),
            Self::ResetPassword | Self::SetPassword { .. } => Some(Event::PasswordReset),
            Self::SetRole(_) => Some(Event::AccountRoleChanged),
            Self::Delete => Some(Event::AccountDeleted),
            Self::EndSessions | Self::Unlock => None,
        }
    }

    /// Returns whether locks are released: a reset by an administrator lets the owner in again.
    fn releases_locks(&self) -> bool {
        matches!(self, Self::ResetPassword | Self::SetPassword { .. } | Self::Unlock)
    }

    /// Applies the action to the account.
    fn apply(&self, account: &mut Account, new: Option<NewHash>, now: Timestamp) {
        match self {
            Self::Disable => account.disabled_at = Some(now),
            Self::Enable => {
                account.disabled_at = None;
                account.expired_at = None;
                account.expired_by = None;
                account.activated_at = now;
                // A date in the past would expire the account again immediately.
                account.expires_at = account.expires_at.filter(|at| *at > now);
            }
            Self::ExpireNow => {
                account.expired_at = Some(now);
                account.expired_by = Some("administrator".to_owned());
            }
            Self::SetExpiry(at) => account.expires_at = *at,
            Self::ForceChange => account.must_change_password = true,
            Self::ResetPassword | Self::SetPassword { .. } => {
                if let Some(new) = new {
                    account.password_hash = new.hash;
                    account.password_changed_at = now;
                    account.password_set_by_other = true;
                    account.must_change_password = new.must_change;
                    account.password_good_until = valid_until(new.must_change, now);
                }
            }
            Self::SetRole(role) => account.role = *role,
            Self::SetProfile {
                display_name,
                email,
                groups,
            } => {
                // Checked before the write began.
                let profile = check_profile(display_name, email, groups, &mut Vec::new());
                account.display_name = profile.display_name;
                account.email = profile.email;
                account.groups = profile.groups;
            }
            Self::EndSessions | Self::Unlock | Self::Delete => {}
        }
    }
}

impl Write<'_> {
    /// Performs `act` on an account, with the hash of a new password if it sets one.
    pub(super) fn change_account(
        &mut self,
        id: AccountId,
        act: AccountAction,
        new: Option<NewHash>,
    ) -> Result<AccountActionOutcome, FlowError> {
        accounts::lock_administrators(self.connection)?;
        sessions::lock_account_sessions(self.connection, id)?;
        let before = accounts::find(self.connection, id)?.ok_or(FlowError::NotFound)?;
        if let Some(refused) = self.refuse_act(&act, &before)? {
            return Ok(refused);
        }
        if new.is_some() {
            // Every link, including an invitation, belongs to the previous password.
            self.void_links(id, LinkKind::ALL)?;
            accounts::push_password(
                self.connection,
                id,
                &before.password_hash,
                self.now,
                MAX_PASSWORD_HISTORY,
            )?;
        }
        if matches!(act, AccountAction::Disable | AccountAction::ExpireNow) {
            // An invitation stays: the owner has not signed in yet, and the link does not work
            // before the account can be used.
            self.void_links(id, &[LinkKind::Reset])?;
        }
        let ended = match act.ends_sessions() {
            Some(reason) => self.end_account_sessions(&before, reason)?,
            None => 0,
        };
        if act.releases_locks() {
            self.release_matching(Some(&before.name_key), None, true)?;
        }
        if let Some(event) = act.event() {
            self.write_act(&act, event, &before, new)?;
        }
        self.forget_account(id);
        Ok(AccountActionOutcome::Done {
            one_time_password: None,
            ended,
        })
    }

    /// Returns why the action is refused: the account's source decides about that, or it would
    /// affect the last administrator or the initiator.
    fn refuse_act(
        &mut self,
        act: &AccountAction,
        account: &Account,
    ) -> Result<Option<AccountActionOutcome>, StoreError> {
        let is_managed =
            act.belongs_to_source() || (matches!(act, AccountAction::Enable) && self.ctx.has_lost_source(account));
        if let (true, Some(title)) = (is_managed, self.ctx.source_title(account)) {
            return Ok(Some(AccountActionOutcome::Managed(title)));
        }
        if !act.takes_an_administrator() {
            return Ok(None);
        }
        let is_usable = account.role == Role::Administrator && account.is_enabled();
        if is_usable && accounts::count_usable_administrators(self.connection, Some(account.id), self.now)? == 0 {
            return Ok(Some(AccountActionOutcome::LastAdministrator));
        }
        let is_own = self.initiator.account_id() == Some(account.id);
        Ok(is_own.then_some(AccountActionOutcome::Yourself))
    }

    /// Writes the changed account, with its audit event and the owner's notification.
    fn write_act(
        &mut self,
        act: &AccountAction,
        event: Event,
        before: &Account,
        new: Option<NewHash>,
    ) -> Result<(), FlowError> {
        // Read again, because ending its sessions changed the account.
        let mut account = accounts::find(self.connection, before.id)?.ok_or(FlowError::NotFound)?;
        act.apply(&mut account, new, self.now);
        if account.email != before.email {
            self.void_links(account.id, &[LinkKind::Reset])?;
        }
        if matches!(act, AccountAction::Delete) {
            accounts::delete(self.connection, account.id)?;
        } else {
            accounts::update(self.connection, &account)?;
        }
        if account.role != before.role {
            // A stolen token of the old role must not get the new one.
            self.make_rotation_due(account.id)?;
        }
        let entry = self.entry(event).with_account(account.id, &account.name);
        self.record(&entry.with_detail(changed_fields(before, &account)))?;
        Ok(self.notify_owner(act, before, &account)?)
    }

    /// Notifies the owner of the action.
    fn notify_owner(&mut self, act: &AccountAction, before: &Account, after: &Account) -> Result<(), StoreError> {
        match act {
            AccountAction::ResetPassword | AccountAction::SetPassword { .. } => self.notify_password(after, false),
            AccountAction::SetProfile { .. } => self.notify_email_change(before, after),
            AccountAction::ExpireNow => self.notify_expired(after),
            AccountAction::Enable if before.expired_at.is_some() => self.notify_reactivated(after),
            AccountAction::Enable
            | AccountAction::Disable
            | AccountAction::SetExpiry(_)
            | AccountAction::ForceChange
            | AccountAction::SetRole(_)
            | AccountAction::EndSessions
            | AccountAction::Unlock
            | AccountAction::Delete => Ok(()),
        }
    }
}

/// Returns old and new values of fields that administrators may see; never a hash.
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
