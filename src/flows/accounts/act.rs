//! What an administrator does to an account. The last enabled administrator can be neither disabled, demoted, expired nor deleted:
//! decided under the lock of all administrators' rows.

use super::{
    super::{Acting, Ctx, FlowError},
    profile::password_faults,
};
use crate::{
    domain::{
        account::{
            AccountId, Role,
            profile::{FieldFault, check_profile},
        },
        audit::Event,
        password::good_until,
        reset::LinkKind,
        secret::{self, Secret},
        session::{EndReason, SessionId},
        time::Timestamp,
    },
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        sessions,
    },
};

/// Earlier passwords remembered at most: the bound of `password.history`.
const PASSWORDS_KEPT: i64 = 24;

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
pub(super) struct Changing {
    pub act: Act,
    /// Of a new password, and whether it must be changed.
    pub hash: Option<(String, bool)>,
    pub acting: Acting,
    pub now: Timestamp,
}

impl Act {
    /// An enabled administrator would be one fewer.
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

    /// Why the account's sessions end, if they do.
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

    /// The event that records it; `None`: its parts are recorded (ended sessions, released locks).
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

    /// A reset by an administrator lets the owner in again.
    fn releases_locks(&self) -> bool {
        matches!(self, Self::ResetPassword | Self::SetPassword { .. } | Self::Unlock)
    }

    /// The account as it is afterwards.
    fn apply(&self, account: &mut Account, hash: Option<(String, bool)>, now: Timestamp) {
        match self {
            Self::Disable => account.disabled_at = Some(now),
            Self::Enable => {
                account.disabled_at = None;
                account.expired_at = None;
                account.expired_by = None;
                account.activated_at = now;
                // A date that is over would expire it again at once.
                account.expires_at = account.expires_at.filter(|at| *at > now);
            }
            Self::ExpireNow => {
                account.expired_at = Some(now);
                account.expired_by = Some("administrator".to_owned());
            }
            Self::SetExpiry(at) => account.expires_at = *at,
            Self::ForceChange => account.must_change_password = true,
            Self::ResetPassword | Self::SetPassword { .. } => {
                if let Some((hash, must_change)) = hash {
                    account.password_hash = hash;
                    account.password_changed_at = now;
                    account.password_set_by_other = true;
                    account.must_change_password = must_change;
                    account.password_good_until = good_until(must_change, now);
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

/// Sessions that a write ended, and why.
pub(super) type Ended = Option<(Vec<SessionId>, EndReason)>;

impl Ctx {
    pub(super) fn change_account_in(
        &self,
        c: &mut Conn,
        id: AccountId,
        change: Changing,
    ) -> Result<(ActVerdict, Ended), FlowError> {
        let Changing { act, hash, acting, now } = change;
        accounts::lock_administrators(c)?;
        sessions::lock_account_sessions(c, id)?;
        let before = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
        if act.takes_an_administrator() {
            let usable =
                before.role == Role::Administrator && before.disabled_at.is_none() && before.expired_at.is_none();
            if usable && accounts::count_usable_administrators(c, Some(id), now)? == 0 {
                return Ok((ActVerdict::LastAdministrator, None));
            }
            if acting.account_id() == Some(id) {
                return Ok((ActVerdict::Yourself, None));
            }
        }
        if hash.is_some() {
            // A link that is out, an invitation too, is for the password that stood before.
            self.kill_links_in(c, now, id, LinkKind::ALL)?;
            accounts::push_password(c, id, &before.password_hash, now, PASSWORDS_KEPT)?;
        }
        if matches!(act, Act::Disable | Act::ExpireNow) {
            // An invitation stays: it says that nobody has come yet, and opens nothing before the account can be used.
            self.kill_links_in(c, now, id, &[LinkKind::Reset])?;
        }
        let mut ended = Vec::new();
        if let Some(reason) = act.ends_sessions() {
            ended = self.end_all_in(c, now, &before, reason, &acting)?;
        }
        if act.releases_locks() {
            self.release_matching_in(c, &acting, Some(&before.name_key), None, true)?;
        }
        if let Some(event) = act.event() {
            // Read again: ending its sessions moved the account's clock.
            let mut account = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
            act.apply(&mut account, hash, now);
            let detail = changed_fields(&before, &account);
            if account.email != before.email {
                self.kill_links_in(c, now, id, &[LinkKind::Reset])?;
            }
            if matches!(act, Act::Delete) {
                accounts::delete(c, id)?;
            } else {
                accounts::update(c, &account)?;
            }
            self.record(
                c,
                now,
                &self.entry_of(&acting, event, Some((id, &account.name)), detail),
            )?;
            self.tell_owner_in(c, now, &acting, &act, &before, &account)?;
        }
        let done = ActVerdict::Done {
            one_time_password: None,
            ended: ended.len(),
        };
        Ok((done, act.ends_sessions().map(|reason| (ended, reason))))
    }

    /// What was done to somebody's account is told to them.
    fn tell_owner_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        act: &Act,
        before: &Account,
        after: &Account,
    ) -> Result<(), StoreError> {
        match act {
            Act::ResetPassword | Act::SetPassword { .. } => self.tell_password_in(c, now, after, false, &acting.origin),
            Act::SetProfile { .. } => self.tell_email_in(c, now, before, after),
            Act::ExpireNow => self.tell_expired_in(c, now, after),
            Act::Enable if before.expired_at.is_some() => self.tell_reactivated_in(c, now, after),
            Act::Enable
            | Act::Disable
            | Act::SetExpiry(_)
            | Act::ForceChange
            | Act::SetRole(_)
            | Act::EndSessions
            | Act::Unlock
            | Act::Delete => Ok(()),
        }
    }
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
