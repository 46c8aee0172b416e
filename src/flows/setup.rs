//! Creating the first administrator: once, atomically, with the token from the log. Deleting every
//! account does not reopen setup.

use super::{Ctx, FlowError, Initiator, Write};
use crate::{
    domain::{
        account::{Account, AccountId, AccountName, Role, check_email},
        audit::{Actor, Event, RequestOrigin},
        password::{self, NewPasswordFacts, Reuse},
        policy::{
            effective::{PasswordPolicy, Policy},
            posture::Baseline,
        },
        secret::{self, Secret},
        time::Span,
    },
    hashing::{HashingClient, HashingPurpose},
    store::{accounts, setup},
};

/// Lifetime of a setup link, in hours.
const TOKEN_HOURS: i64 = 24;

/// The input of the setup page.
pub struct NewAdministrator {
    /// The token of the setup link.
    pub token: Secret,
    pub username: String,
    /// The email address of the first administrator; may be empty.
    pub email: String,
    /// The password.
    pub password: Secret,
    /// The repetition of the password.
    pub password_again: Secret,
    /// The ID of a baseline; empty: the policy stays at its defaults.
    pub baseline: String,
}

/// The result of a [`NewAdministrator`].
pub enum SetupOutcome {
    Done {
        account: AccountId,
        name: String,
    },
    /// Fields with their error messages.
    Faulty(Vec<(&'static str, String)>),
    /// The token is wrong, used or expired, or setup is complete.
    Refused,
}

/// Creates a new setup token if the installation has no account yet; `None`: setup is complete.
pub async fn open(ctx: &Ctx) -> Result<Option<Secret>, FlowError> {
    let token = secret::token(ctx.random_bytes());
    let digest = secret::digest(token.expose());
    let open = ctx.write_as_system(move |w| {
        if setup::is_completed(w.connection)? {
            return Ok(false);
        }
        if accounts::count_all(w.connection)? > 0 {
            // The command line created the account, but was stopped before it completed setup
            // ([`close`]).
            setup::mark_completed(w.connection, w.now)?;
            return Ok(false);
        }
        setup::create_token(w.connection, &digest, w.now)?;
        Ok(true)
    });
    let open = open.await?;
    if !open {
        ctx.live.mark_set_up();
    }
    Ok(open.then_some(token))
}

/// Returns whether no one can sign in yet: there is no account, and a setup link is open. Queries
/// the database only until setup is complete.
pub async fn is_awaited(ctx: &Ctx) -> Result<bool, FlowError> {
    if ctx.live.is_set_up() {
        return Ok(false);
    }
    let awaited = ctx.read(|r| Ok(!setup::is_completed(r.connection)? && accounts::count_all(r.connection)? == 0));
    let awaited = awaited.await?;
    if !awaited {
        ctx.live.mark_set_up();
    }
    Ok(awaited)
}

/// Returns whether this token opens the setup page; this does not consume it.
pub async fn is_open(ctx: &Ctx, token: &str) -> Result<bool, FlowError> {
    let digest = secret::digest(token);
    let not_before = ctx.now().saturating_sub(Span::from_secs(TOKEN_HOURS * 3600));
    ctx.read(move |r| Ok(!setup::is_completed(r.connection)? && setup::is_valid(r.connection, &digest, not_before)?))
        .await
}

/// Completes setup permanently because an account was created without the link (by the command
/// line), even if that account is deleted later. Returns whether setup was open before.
pub async fn close(ctx: &Ctx, initiator: &Initiator) -> Result<bool, FlowError> {
    ctx.write(initiator, |w| {
        let closed = accounts::count_all(w.connection)? > 0 && setup::mark_completed(w.connection, w.now)?;
        if closed {
            w.record(&w.entry(Event::SetupCompleted))?;
        }
        Ok(closed)
    })
    .await
}

/// What to do if there is no administrator: setup is complete, so no link helps.
pub const NO_ADMINISTRATOR: &str = "there is no administrator who can sign in: create one with `nightlatch account \
    create NAME --role administrator`, or make an account an administrator with `nightlatch account set-role`";

/// Returns whether setup is complete and no administrator can sign in; only the command line helps
/// then ([`NO_ADMINISTRATOR`]).
pub async fn lacks_administrator(ctx: &Ctx) -> Result<bool, FlowError> {
    ctx.read(|r| {
        let usable = accounts::count_usable_administrators(r.connection, None, r.now)?;
        Ok(usable == 0 && setup::is_completed(r.connection)?)
    })
    .await
}

/// Creates the first administrator and applies the chosen baseline.
pub async fn complete(ctx: &Ctx, new: NewAdministrator, origin: RequestOrigin) -> Result<SetupOutcome, FlowError> {
    if !is_open(ctx, new.token.expose()).await? {
        return Ok(SetupOutcome::Refused);
    }
    let checked = match check(ctx, &new) {
        Ok(checked) => checked,
        Err(faults) => return Ok(SetupOutcome::Faulty(faults)),
    };
    let client = HashingClient::new(HashingPurpose::Administration, origin.ip);
    let hash = ctx.hasher.hash(&client, new.password.clone(), ctx.salt()).await?;
    let account = Account {
        email: checked.email,
        ..ctx.new_account(&checked.name, Role::Administrator, hash, ctx.now())
    };
    let initiator = Initiator {
        actor: Actor::Account {
            id: account.id,
            name: account.name.clone(),
        },
        origin,
        session: None,
    };
    let digest = secret::digest(new.token.expose());
    let done = ctx.write(&initiator, move |w| {
        w.complete_setup(&digest, account, checked.baseline)
    });
    let done = done.await?;
    if matches!(done, SetupOutcome::Done { .. }) {
        ctx.reload_policy().await?;
    }
    Ok(done)
}

impl Write<'_> {
    /// Consumes the token, creates the account and the first revision.
    fn complete_setup(
        &mut self,
        digest: &str,
        account: Account,
        baseline: Option<&Baseline>,
    ) -> Result<SetupOutcome, FlowError> {
        let not_before = self.now.saturating_sub(Span::from_secs(TOKEN_HOURS * 3600));
        let is_first = setup::redeem(self.connection, digest, not_before)?
            && setup::mark_completed(self.connection, self.now)?
            && accounts::count_all(self.connection)? == 0;
        if !is_first {
            return Ok(SetupOutcome::Refused);
        }
        accounts::insert(self.connection, &account)?;
        for event in [Event::AccountCreated, Event::SetupCompleted] {
            let entry = self.entry(event).with_account(account.id, &account.name);
            self.record(&entry.with_detail(serde_json::json!({
                "role": account.role.as_str(), "baseline": baseline.map(|baseline| baseline.id),
            })))?;
        }
        self.write_first_revision(baseline)?;
        Ok(SetupOutcome::Done {
            account: account.id,
            name: account.name,
        })
    }
}

/// Returns the rules for the first password: those of the chosen baseline, or those in force
/// without one.
pub fn password_rules(ctx: &Ctx, baseline: &str) -> PasswordPolicy {
    let in_force = ctx.in_force();
    match Baseline::find(baseline) {
        None => in_force.everyone().password.clone(),
        Some(baseline) => {
            Policy::in_environment(0, baseline.document(), in_force.policy.environment().clone())
                .effective(Role::Administrator, &[], None)
                .password
        }
    }
}

/// The checked fields of a [`NewAdministrator`].
struct CheckedAdministrator {
    name: AccountName,
    email: Option<String>,
    baseline: Option<&'static Baseline>,
}

fn check(ctx: &Ctx, new: &NewAdministrator) -> Result<CheckedAdministrator, Vec<(&'static str, String)>> {
    let mut faults = Vec::new();
    let name = AccountName::parse(&new.username)
        .map_err(|error| faults.push(("username", error.to_string())))
        .ok();
    let email = match new.email.trim() {
        "" => None,
        text => check_email(text).map_err(|why| faults.push(("email", why))).ok(),
    };
    let baseline = match new.baseline.as_str() {
        "" => None,
        id => {
            let found = Baseline::find(id);
            if found.is_none() {
                faults.push(("baseline", format!("There is no baseline {id:?}.")));
            }
            found
        }
    };
    let account_words = [new.username.as_str(), new.email.as_str()];
    let facts = NewPasswordFacts {
        new: new.password.expose(),
        again: Some(new.password_again.expose()),
        account_words: &account_words,
        reused: Reuse::No,
    };
    let rules = password_rules(ctx, &new.baseline);
    faults.extend(password::decide(&facts, &rules).into_iter().map(|fault| match fault {
        password::PasswordFault::Mismatch => ("password_again", fault.message()),
        _ => ("password", fault.message()),
    }));
    match (name, faults.is_empty()) {
        (Some(name), true) => Ok(CheckedAdministrator { name, email, baseline }),
        _ => Err(faults),
    }
}
