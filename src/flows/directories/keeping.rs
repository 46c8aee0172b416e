//! Accounts of directories: created at the first sign-in, and kept like the directory's entry.

use super::admission::DirectoryAdmission;
use crate::{
    domain::{
        account::{Account, AccountName, Role, check_email},
        audit::Event,
        source::Provision,
        text::is_invisible,
    },
    flows::{Ctx, FlowError, Initiator, Write},
    store::{StoreError, accounts},
};
use serde_json::json;

/// The stored hash of an account whose password is elsewhere: no password matches it.
const NO_PASSWORD: &str = "!";
/// Maximum length of a name for screens, in characters.
const MAX_DISPLAY_NAME: usize = 128;

/// The reason why an account was not created or changed.
enum KeepingFault {
    Store(StoreError),
    /// For the audit.
    Refused(&'static str),
}

impl From<StoreError> for KeepingFault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Ctx {
    /// Returns the account of an admitted person, created or brought up to date if necessary. `Err`
    /// inside: the reason for the audit.
    pub(in crate::flows) async fn keep_account(
        &self,
        initiator: &Initiator,
        admission: &DirectoryAdmission,
    ) -> Result<Result<Account, &'static str>, FlowError> {
        let (source, external_id) = (admission.source.id, admission.identity.external_id.clone());
        let known = self
            .read(move |r| Ok(accounts::find_by_external_id(r.connection, source, &external_id)?))
            .await?;
        // The usual case needs no write.
        if let Some(account) = known
            && find_difference(&account, admission).is_none()
        {
            return Ok(Ok(account));
        }
        let now = self.now();
        for _ in 0..2 {
            let admission = admission.clone();
            let kept = self
                .write_at(now, initiator, move |w| w.keep_directory_account(&admission))
                .await;
            return match kept {
                Ok(account) => Ok(Ok(account)),
                Err(KeepingFault::Refused(reason)) => Ok(Err(reason)),
                // Another request created it at the same moment: the second try finds it.
                Err(KeepingFault::Store(StoreError::Conflict(_))) => continue,
                Err(KeepingFault::Store(error)) => Err(error.into()),
            };
        }
        Ok(Err("identity_changed"))
    }
}

impl Write<'_> {
    fn keep_directory_account(&mut self, admission: &DirectoryAdmission) -> Result<Account, KeepingFault> {
        let (source, identity) = (&admission.source, &admission.identity);
        // The order of all writes: administrators before accounts.
        accounts::lock_administrators(self.connection)?;
        let name = AccountName::parse(&identity.name).map_err(|_| KeepingFault::Refused("name_unusable"))?;
        if let Some(account) = accounts::find_by_external_id(self.connection, source.id, &identity.external_id)? {
            return Ok(self.update_from_directory(account, admission)?);
        }
        if let Some(listed) = accounts::find_listed(self.connection, source.id, name.key())? {
            let account = Account {
                external_id: Some(identity.external_id.clone()),
                ..listed
            };
            accounts::update(self.connection, &account)?;
            return Ok(self.update_from_directory(account, admission)?);
        }
        if accounts::find_by_name_key(self.connection, name.key())?.is_some() {
            return Err(KeepingFault::Refused("identity_changed"));
        }
        if source.definition.provision == Provision::Listed {
            return Err(KeepingFault::Refused("not_listed"));
        }
        let fresh = self
            .ctx
            .new_account(&name, admission.rights.role, NO_PASSWORD.to_owned(), self.now);
        let account = Account {
            display_name: clean_display_name(&identity.display_name),
            email: clean_email(identity.email.as_deref()),
            groups: admission.rights.groups.clone(),
            source: Some(source.id),
            external_id: Some(identity.external_id.clone()),
            ..fresh
        };
        accounts::insert(self.connection, &account)?;
        let entry = self
            .entry(Event::AccountCreated)
            .with_account(account.id, &account.name)
            .with_detail(json!({
                "source": source.name.as_str(), "role": account.role.as_str(), "groups": account.groups,
            }));
        self.record(&entry)?;
        Ok(account)
    }

    /// Brings an account up to date with its directory, with an audit event if something changed.
    /// A name that another account has is not taken over.
    pub(in crate::flows) fn update_from_directory(
        &mut self,
        account: Account,
        admission: &DirectoryAdmission,
    ) -> Result<Account, StoreError> {
        let Some(mut changed) = find_difference(&account, admission) else {
            return Ok(account);
        };
        if changed.name_key != account.name_key
            && accounts::find_by_name_key(self.connection, &changed.name_key)?.is_some()
        {
            changed.name.clone_from(&account.name);
            changed.name_key.clone_from(&account.name_key);
        }
        if changed == account {
            return Ok(account);
        }
        accounts::update(self.connection, &changed)?;
        let mut detail = serde_json::Map::new();
        detail.insert("source".to_owned(), admission.source.name.as_str().into());
        let mut note = |field: &str, is_changed: bool, value: serde_json::Value| {
            if is_changed {
                detail.insert(field.to_owned(), value);
            }
        };
        note(
            "name",
            changed.name != account.name,
            json!([account.name, changed.name]),
        );
        note(
            "display_name",
            changed.display_name != account.display_name,
            json!(changed.display_name),
        );
        note("email", changed.email != account.email, json!(changed.email));
        note("groups", changed.groups != account.groups, json!(changed.groups));
        note("role", changed.role != account.role, json!(changed.role.as_str()));
        let event = match changed.role == account.role {
            true => Event::AccountUpdated,
            false => Event::AccountRoleChanged,
        };
        let entry = self.entry(event).with_account(changed.id, &changed.name);
        self.record(&entry.with_detail(detail.into()))?;
        self.forget_account(changed.id);
        Ok(changed)
    }
}

/// Returns the account as the directory and the source's rules describe it; `None`: it is already
/// like that.
pub(in crate::flows) fn find_difference(account: &Account, admission: &DirectoryAdmission) -> Option<Account> {
    let identity = &admission.identity;
    let name = AccountName::parse(&identity.name).ok();
    let (name, name_key) = match &name {
        Some(name) => (name.shown().to_owned(), name.key().to_owned()),
        None => (account.name.clone(), account.name_key.clone()),
    };
    let role: Role = admission.rights.role;
    let changed = Account {
        name,
        name_key,
        display_name: clean_display_name(&identity.display_name),
        email: clean_email(identity.email.as_deref()),
        role,
        groups: admission.rights.groups.clone(),
        ..account.clone()
    };
    (changed != *account).then_some(changed)
}

/// Identity headers carry the name, so invisible characters are left out.
fn clean_display_name(name: &str) -> String {
    let visible = name.trim().chars().filter(|c| !is_invisible(*c));
    visible.take(MAX_DISPLAY_NAME).collect()
}

fn clean_email(address: Option<&str>) -> Option<String> {
    check_email(address?).ok()
}
