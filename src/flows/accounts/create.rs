//! Making an account: with a one-time password, with one from standard input, or with an invitation to choose one.

use super::{
    super::{Acting, Ctx, FlowError},
    profile::password_faults,
};
use crate::{
    domain::{
        account::{
            AccountId, AccountName, Role,
            profile::{FieldFault, check_profile},
        },
        audit::Event,
        password::{NEVER, good_until},
        secret::{self, Secret},
        time::Timestamp,
    },
    store::{
        Conn, StoreError,
        accounts::{self, Account},
    },
};

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
    /// Chosen by its owner, through a link in a letter; until then there is none.
    Invitation,
    /// Given on standard input.
    Given { password: Secret, must_change: bool },
}

#[derive(Debug)]
pub enum CreateVerdict {
    Created {
        id: AccountId,
        one_time_password: Option<Secret>,
        /// A letter is on its way.
        invited: bool,
    },
    Faulty(Vec<FieldFault>),
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
        NewPassword::Invitation => {
            if profile.email.is_none() && !faults.iter().any(|(field, _)| *field == "email") {
                faults.push(("email", "An invitation needs an e-mail address.".to_owned()));
            }
            // Nobody knows it: checking against it takes as long as against any other, and fails.
            (secret::token(ctx.random_bytes()), None, false)
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
    let invited = matches!(new.password, NewPassword::Invitation);
    let account = Account {
        display_name: profile.display_name,
        email: profile.email,
        groups: profile.groups,
        expires_at: new.expires_at,
        password_set_by_other: !invited,
        must_change_password: must_change,
        password_good_until: if invited {
            Some(NEVER)
        } else {
            good_until(must_change, now)
        },
        ..ctx.new_account(&name, new.role, hash, now)
    };
    let taken = CreateVerdict::Faulty(vec![(
        "name",
        format!("There is already an account named {}.", account.name),
    )]);
    let (flow, acting) = (ctx.clone(), acting.clone());
    let created = ctx
        .store
        .write(move |c| {
            if accounts::find_by_name_key(c, &account.name_key)?.is_some() {
                return Ok(None);
            }
            flow.create_in(c, now, &acting, &account, one_time.is_some())?;
            if invited {
                flow.invite_in(c, now, &account)?;
            }
            Ok::<_, StoreError>(Some(CreateVerdict::Created {
                id: account.id,
                one_time_password: one_time,
                invited,
            }))
        })
        .await;
    match created {
        // Somebody made it in the same moment.
        Ok(None) | Err(StoreError::Conflict("account name")) => Ok(taken),
        Ok(Some(created)) => Ok(created),
        Err(error) => Err(error.into()),
    }
}

impl Ctx {
    /// Row and audit event of an account that is made here.
    pub(super) fn create_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        account: &Account,
        one_time: bool,
    ) -> Result<(), StoreError> {
        accounts::insert(c, account)?;
        let detail = serde_json::json!({
            "role": account.role.as_str(), "groups": account.groups, "one_time_password": one_time,
            "expires_at": account.expires_at.map(Timestamp::to_rfc3339),
        });
        let of = Some((account.id, account.name.as_str()));
        self.record(c, now, &self.entry_of(acting, Event::AccountCreated, of, detail))
    }
}
