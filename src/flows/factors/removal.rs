//! Managing one's own factors: names, removal, recovery codes and trusted browsers. The last factor
//! cannot be removed while one is required.

use crate::{
    domain::{
        account::{Account, AccountId},
        audit::Event,
        factor::{EnrolledFactors, FactorRequirement},
        policy::effective::FactorPolicy,
        secret::Secret,
    },
    flows::{
        Ctx, FlowError, Initiator, Write,
        factor_emails::FactorNotification,
        factor_rules::{factors_at_sign_in, factors_in_session},
        factors::{passkey_names::new_passkey_name, proving::ProvingSession},
    },
    live::policy::PolicyInForce,
    second_factor::recovery,
    store::{Conn, StoreError, accounts, authenticator_apps, passkeys, recovery_codes, sessions, trusted_browsers},
};
use serde_json::json;
use uuid::Uuid;

/// The outcome of removing a factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalOutcome {
    /// The factor is removed. With the last factor, the recovery codes and trusted browsers are
    /// removed too.
    Removed,
    /// The account has no such factor.
    NotFound,
    /// A second factor is required, and this is the last one that meets the requirement.
    LastFactor,
}

/// The outcome of renaming a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenameOutcome {
    /// The passkey has this name now.
    Renamed(String),
    /// The account has no such passkey.
    NotFound,
    /// The name is empty, or longer than 64 characters; nothing was changed.
    InvalidName,
}

/// The factor to remove.
#[derive(Debug, Clone, Copy)]
pub enum RemovableFactor {
    /// The authenticator app.
    App,
    /// The passkey with this id.
    Passkey(Uuid),
}

/// What the removal of a factor means for its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalImpact {
    /// The name of the passkey; `None`: it is the authenticator app.
    pub passkey: Option<String>,
    /// Whether a second factor is required and this is the last one that meets the requirement, so
    /// that it cannot be removed.
    pub is_last: bool,
    /// What the session requires.
    pub required: FactorRequirement,
    /// Whether the next request asks to set up another factor.
    pub must_enrol: bool,
    /// Whether the account keeps an app or a passkey.
    pub keeps_others: bool,
    /// The number of recovery codes that stop working.
    pub lost_codes: u32,
    /// The applications that the account may enter, and that ask to set up another factor first.
    pub applications: Vec<String>,
}

/// Removes the authenticator app of the session's account.
pub async fn remove_app(ctx: &Ctx, initiator: &Initiator, owner: &ProvingSession) -> Result<RemovalOutcome, FlowError> {
    remove(ctx, initiator, owner, RemovableFactor::App).await
}

/// Removes a passkey of the session's account.
pub async fn remove_passkey(
    ctx: &Ctx,
    initiator: &Initiator,
    owner: &ProvingSession,
    id: Uuid,
) -> Result<RemovalOutcome, FlowError> {
    remove(ctx, initiator, owner, RemovableFactor::Passkey(id)).await
}

/// Renames a passkey of the session's account.
pub async fn rename_passkey(
    ctx: &Ctx,
    initiator: &Initiator,
    owner: AccountId,
    id: Uuid,
    name: &str,
) -> Result<RenameOutcome, FlowError> {
    let name = new_passkey_name(name);
    ctx.write(initiator, move |w| {
        let account = accounts::find(w.connection, owner)?.ok_or(FlowError::NotFound)?;
        let earlier = passkeys::of_account(w.connection, owner)?;
        let Some(earlier) = earlier.into_iter().find(|passkey| passkey.id == id) else {
            return Ok(RenameOutcome::NotFound);
        };
        let Some(name) = name else {
            return Ok(RenameOutcome::InvalidName);
        };
        if earlier.name == name {
            return Ok(RenameOutcome::Renamed(name));
        }
        if !passkeys::rename(w.connection, owner, id, &name)? {
            return Ok(RenameOutcome::NotFound);
        }
        let entry = w.entry(Event::FactorRenamed).with_account(account.id, &account.name);
        w.record(&entry.with_detail(json!({ "passkey_id": id, "from": earlier.name, "to": name })))?;
        let news = FactorNotification::PasskeyRenamed {
            from: &earlier.name,
            to: &name,
        };
        w.notify_factor_change(&account, &news)?;
        Ok(RenameOutcome::Renamed(name))
    })
    .await
}

/// Replaces the recovery codes and returns the new ones, to be shown once. `None`: the account has
/// no factor that they could replace.
pub async fn make_recovery_codes(
    ctx: &Ctx,
    initiator: &Initiator,
    owner: AccountId,
) -> Result<Option<Vec<Secret>>, FlowError> {
    ctx.write(initiator, move |w| {
        let account = accounts::find(w.connection, owner)?.ok_or(FlowError::NotFound)?;
        if !account.factors.has_any() {
            return Ok(None);
        }
        let codes = w.write_recovery_codes(&account)?;
        w.notify_factor_change(&account, &FactorNotification::RecoveryCodesMade)?;
        Ok(Some(codes))
    })
    .await
}

/// Stops trusting a browser of an account. Returns false if the account has no such browser.
pub async fn untrust_browser(ctx: &Ctx, initiator: &Initiator, owner: AccountId, id: Uuid) -> Result<bool, FlowError> {
    ctx.write(initiator, move |w| {
        let account = accounts::find(w.connection, owner)?.ok_or(FlowError::NotFound)?;
        let browsers = trusted_browsers::of_account(w.connection, owner)?;
        let label = browsers
            .into_iter()
            .find(|browser| browser.id == id)
            .map(|browser| browser.label);
        if !trusted_browsers::delete(w.connection, owner, id)? {
            return Ok(false);
        }
        let entry = w.entry(Event::BrowserUntrusted).with_account(account.id, &account.name);
        w.record(&entry.with_detail(json!({ "browser": label })))?;
        Ok(true)
    })
    .await
}

/// Returns what a removal would mean. `None`: the account has no such factor.
pub async fn removal_impact(
    ctx: &Ctx,
    owner: &ProvingSession,
    what: RemovableFactor,
) -> Result<Option<RemovalImpact>, FlowError> {
    let (in_force, applications) = (ctx.current_policy().await?, ctx.current_applications().await?);
    let owner = owner.clone();
    ctx.read(move |r| {
        let account = accounts::find(r.connection, owner.account)?.ok_or(FlowError::NotFound)?;
        let session = sessions::find(r.connection, owner.session)?.ok_or(FlowError::NotFound)?;
        let Some((after, passkey)) = factors_after(r.connection, &account, what)? else {
            return Ok(None);
        };
        let rules = factors_in_session(&in_force, &account, &session.applications);
        let can_meet = |rules: &FactorPolicy, factors| rules.can_meet(factors, rules.strictest);
        let asks = applications.all().iter().filter(|application| {
            let rules = factors_at_sign_in(&in_force, &account, Some(application.as_ref()));
            application.admits(account.role, &account.groups)
                && can_meet(&rules, account.factors)
                && !can_meet(&rules, after)
        });
        Ok(Some(RemovalImpact {
            passkey,
            is_last: is_last(&rules, account.factors, after),
            required: rules.strictest,
            must_enrol: !can_meet(&rules, after),
            keeps_others: after.has_any(),
            lost_codes: if after.has_any() {
                0
            } else {
                account.factors.recovery_codes
            },
            applications: asks.map(|application| application.name.clone()).collect(),
        }))
    })
    .await
}

/// Returns what the account has after the removal, and the name of the passkey. `None`: it has no
/// such factor.
fn factors_after(
    c: &mut Conn,
    account: &Account,
    what: RemovableFactor,
) -> Result<Option<(EnrolledFactors, Option<String>)>, StoreError> {
    let enrolled = account.factors;
    match what {
        RemovableFactor::App if !enrolled.authenticator_app => Ok(None),
        RemovableFactor::App => {
            let after = EnrolledFactors {
                authenticator_app: false,
                ..enrolled
            };
            Ok(Some((after, None)))
        }
        RemovableFactor::Passkey(id) => {
            let own = passkeys::of_account(c, account.id)?;
            let after = EnrolledFactors {
                passkeys: enrolled.passkeys.saturating_sub(1),
                ..enrolled
            };
            let removed = own.into_iter().find(|passkey| passkey.id == id);
            Ok(removed.map(|passkey| (after, Some(passkey.name))))
        }
    }
}

/// Returns whether a second factor is required and the removed one is the last that meets the
/// requirement.
fn is_last(rules: &FactorPolicy, before: EnrolledFactors, after: EnrolledFactors) -> bool {
    let is_met = |factors: EnrolledFactors| rules.can_meet(factors, rules.strictest);
    rules.strictest != FactorRequirement::Off && is_met(before) && !is_met(after)
}

async fn remove(
    ctx: &Ctx,
    initiator: &Initiator,
    owner: &ProvingSession,
    what: RemovableFactor,
) -> Result<RemovalOutcome, FlowError> {
    let in_force = ctx.current_policy().await?;
    let owner = owner.clone();
    ctx.write(initiator, move |w| w.remove_factor(&in_force, &owner, what))
        .await
}

impl Write<'_> {
    fn remove_factor(
        &mut self,
        in_force: &PolicyInForce,
        owner: &ProvingSession,
        what: RemovableFactor,
    ) -> Result<RemovalOutcome, FlowError> {
        sessions::lock_account_sessions(self.connection, owner.account)?;
        let account = accounts::find(self.connection, owner.account)?.ok_or(FlowError::NotFound)?;
        let session = sessions::find(self.connection, owner.session)?
            .filter(|session| session.ended_at.is_none() && session.account_id == account.id)
            .ok_or(FlowError::NotFound)?;
        let rules = factors_in_session(in_force, &account, &session.applications);
        let Some((after, name)) = factors_after(self.connection, &account, what)? else {
            return Ok(RemovalOutcome::NotFound);
        };
        if is_last(&rules, account.factors, after) {
            return Ok(RemovalOutcome::LastFactor);
        }
        self.carry_out_removal(&account, what, name.as_deref())?;
        if !after.has_any() {
            self.forget_stand_ins(&account)?;
        }
        Ok(RemovalOutcome::Removed)
    }

    fn carry_out_removal(
        &mut self,
        account: &Account,
        what: RemovableFactor,
        name: Option<&str>,
    ) -> Result<(), StoreError> {
        let detail = match what {
            RemovableFactor::App => {
                authenticator_apps::delete(self.connection, account.id)?;
                json!({ "kind": "authenticator_app" })
            }
            RemovableFactor::Passkey(id) => {
                passkeys::delete(self.connection, account.id, id)?;
                json!({ "kind": "passkey", "passkey": name, "passkey_id": id })
            }
        };
        self.forget_account(account.id);
        let entry = self.entry(Event::FactorRemoved).with_account(account.id, &account.name);
        self.record(&entry.with_detail(detail))?;
        let news = name.map_or(FactorNotification::AppRemoved, FactorNotification::PasskeyRemoved);
        self.notify_factor_change(account, &news)
    }

    /// Replaces an account's recovery codes and records it. The codes are shown only once.
    pub(super) fn write_recovery_codes(&mut self, account: &Account) -> Result<Vec<Secret>, FlowError> {
        let codes = recovery::generate(self.ctx.random.as_ref());
        let newest = |code: &Secret| {
            let plain = recovery::normalize(code.expose())?;
            let digests = self.ctx.factor_keys.recovery_digests(account.id, &plain);
            digests.into_iter().next()
        };
        let digests: Option<Vec<String>> = codes.iter().map(newest).collect();
        let digests = digests.ok_or_else(|| FlowError::Internal("a recovery code has no digest".to_owned()))?;
        recovery_codes::replace(self.connection, account.id, &digests, self.now)?;
        self.forget_account(account.id);
        let entry = self
            .entry(Event::RecoveryCodesMade)
            .with_account(account.id, &account.name);
        self.record(&entry.with_detail(json!({ "codes": codes.len() })))?;
        Ok(codes)
    }

    /// Deletes recovery codes and trusted browsers after the last factor was removed.
    pub(super) fn forget_stand_ins(&mut self, account: &Account) -> Result<(), StoreError> {
        recovery_codes::delete_all(self.connection, account.id)?;
        trusted_browsers::delete_of_account(self.connection, account.id)?;
        self.forget_account(account.id);
        Ok(())
    }
}
