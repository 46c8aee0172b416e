//! Creating an account: with a one-time password, with a password from standard input, or with an
//! invitation.

use super::profile::password_faults;
use crate::{
    domain::{
        account::{
            Account, AccountId, AccountName, Role,
            profile::{FieldFault, Profile, check_profile},
        },
        audit::Event,
        password::{NEVER, valid_until},
        policy::effective::PasswordPolicy,
        secret::{self, Secret},
        source::SourceId,
        time::Timestamp,
    },
    flows::{Ctx, FlowError, Initiator, Write},
    hashing::{HashingClient, HashingPurpose},
    store::{StoreError, accounts},
};

/// The data of a new account.
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

/// How a new account gets its password.
#[derive(Clone)]
pub enum NewPassword {
    /// Generated, shown once, and must be changed at the first sign-in.
    OneTime,
    /// Chosen by its owner through a link in an email; there is none until then.
    Invitation,
    /// Its owner signs in through the source with this name, which keeps the password.
    Source(String),
    /// Given on standard input.
    Given { password: Secret, must_change: bool },
}

/// The result of creating an account.
#[derive(Debug)]
pub enum CreateOutcome {
    Created {
        id: AccountId,
        one_time_password: Option<Secret>,
        /// Whether an email was queued.
        invited: bool,
    },
    Faulty(Vec<FieldFault>),
}

/// The checked fields of a [`NewAccount`].
struct CheckedAccount {
    name: AccountName,
    profile: Profile,
}

/// Returns every fault of a new account under these password rules; nothing is written.
pub fn new_account_faults(new: &NewAccount, rules: &PasswordPolicy) -> Vec<FieldFault> {
    check(new, rules).err().unwrap_or_default()
}

fn check(new: &NewAccount, rules: &PasswordPolicy) -> Result<CheckedAccount, Vec<FieldFault>> {
    let mut faults = Vec::new();
    let name = AccountName::parse(&new.name)
        .map_err(|error| faults.push(("name", error.to_string())))
        .ok();
    let profile = check_profile(&new.display_name, &new.email, &new.groups, &mut faults);
    match &new.password {
        NewPassword::OneTime | NewPassword::Source(_) => {}
        NewPassword::Invitation => {
            if profile.email.is_none() && !faults.iter().any(|(field, _)| *field == "email") {
                faults.push(("email", "An invitation needs an email address.".to_owned()));
            }
        }
        NewPassword::Given { password, .. } => {
            faults.extend(password_faults(
                password,
                &[&new.name, &new.display_name, &new.email],
                rules,
            ));
        }
    }
    match name {
        Some(name) if faults.is_empty() => Ok(CheckedAccount { name, profile }),
        _ => Err(faults),
    }
}

/// Finds the source that keeps the password of a new account; `Ok(None)`: the account is local.
async fn find_source(ctx: &Ctx, password: &NewPassword) -> Result<Result<Option<SourceId>, FieldFault>, FlowError> {
    let NewPassword::Source(name) = password else {
        return Ok(Ok(None));
    };
    let known = ctx.current_sources().await?;
    let found = known.by_name(name).map(|live| live.source.id);
    Ok(found
        .map(Some)
        .ok_or_else(|| ("source", "There is no source with that name.".to_owned())))
}

/// Creates an account, records it and, for an invitation, enqueues its email.
pub async fn create(ctx: &Ctx, initiator: &Initiator, new: NewAccount) -> Result<CreateOutcome, FlowError> {
    let in_force = ctx.current_policy().await?;
    let CheckedAccount { name, profile } = match check(&new, &in_force.everyone().password) {
        Ok(checked) => checked,
        Err(faults) => return Ok(CreateOutcome::Faulty(faults)),
    };
    let source = match find_source(ctx, &new.password).await? {
        Ok(source) => source,
        Err(fault) => return Ok(CreateOutcome::Faulty(vec![fault])),
    };
    let (password, one_time, must_change) = match &new.password {
        NewPassword::OneTime => {
            let password = secret::one_time_password(ctx.random_bytes());
            (password.clone(), Some(password), true)
        }
        // A random password that nobody knows: checking against it takes the usual time and fails.
        NewPassword::Invitation | NewPassword::Source(_) => (secret::token(ctx.random_bytes()), None, false),
        NewPassword::Given { password, must_change } => (password.clone(), None, *must_change),
    };
    let client = HashingClient::new(HashingPurpose::Administration, initiator.origin.ip);
    let hash = ctx.hasher.hash(&client, password, ctx.salt()).await?;
    let now = ctx.now();
    let invited = matches!(new.password, NewPassword::Invitation);
    let account = Account {
        display_name: profile.display_name,
        email: profile.email,
        groups: profile.groups,
        expires_at: new.expires_at,
        source,
        password_set_by_other: !invited && source.is_none(),
        must_change_password: must_change,
        password_good_until: if invited || source.is_some() {
            Some(NEVER)
        } else {
            valid_until(must_change, now)
        },
        ..ctx.new_account(&name, new.role, hash, now)
    };
    let taken_name = taken(&account);
    let created = ctx.write_at(now, initiator, move |w| {
        if accounts::find_by_name_key(w.connection, &account.name_key)?.is_some() {
            return Ok(taken(&account));
        }
        w.create_account(&account, one_time.is_some())?;
        if invited {
            w.send_invitation(&account)?;
        }
        Ok::<_, StoreError>(CreateOutcome::Created {
            id: account.id,
            one_time_password: one_time,
            invited,
        })
    });
    match created.await {
        // Another request created it at the same moment.
        Err(StoreError::Conflict("account name")) => Ok(taken_name),
        created => Ok(created?),
    }
}

fn taken(account: &Account) -> CreateOutcome {
    let message = format!("There is already an account named {}.", account.name);
    CreateOutcome::Faulty(vec![("name", message)])
}

impl Write<'_> {
    /// Writes row and audit event of a new account.
    pub(super) fn create_account(&mut self, account: &Account, one_time: bool) -> Result<(), StoreError> {
        accounts::insert(self.connection, account)?;
        let entry = self
            .entry(Event::AccountCreated)
            .with_account(account.id, &account.name);
        self.record(&entry.with_detail(serde_json::json!({
            "role": account.role.as_str(), "groups": account.groups, "one_time_password": one_time,
            "expires_at": account.expires_at.map(Timestamp::to_rfc3339),
        })))
    }
}
