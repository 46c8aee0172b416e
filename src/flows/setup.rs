//! The first administrator: once, atomically, with the token that the log printed. Deleting every account does not re-open it.

use super::{Acting, Ctx, FlowError};
use crate::{
    domain::{
        account::{AccountId, AccountName, Role, check_email},
        audit::{Actor, Event, Origin},
        password::{self, NewPasswordFacts, Reuse},
        policy::{
            effective::{PasswordPolicy, Policy},
            posture::Baseline,
        },
        secret::{self, Secret},
        time::Span,
    },
    store::{StoreError, accounts, changes, setup},
};

/// A set-up link works this long.
const TOKEN_HOURS: i64 = 24;

/// What the set-up page sends.
pub struct NewAdministrator {
    pub token: Secret,
    pub username: String,
    pub email: String,
    pub password: Secret,
    pub password_again: Secret,
    /// Id of a baseline policy; empty: leave the policy as it is.
    pub baseline: String,
}

pub enum SetUp {
    Done {
        account: AccountId,
        name: String,
    },
    /// Field and sentence.
    Faulty(Vec<(&'static str, String)>),
    /// The token is wrong, used or too old, or set-up is over.
    Refused,
}

/// A new set-up token when the installation has no account yet; `None` when set-up is over.
pub async fn open(ctx: &Ctx) -> Result<Option<Secret>, FlowError> {
    let now = ctx.now();
    let token = secret::token(ctx.random_bytes());
    let digest = secret::digest(token.expose());
    let open = ctx
        .store
        .write(move |c| {
            if setup::completed(c)? {
                return Ok::<_, StoreError>(false);
            }
            if accounts::count_all(c)? > 0 {
                // Made at the command line, by one that was stopped before it could say so ([`close`]).
                setup::complete(c, now)?;
                return Ok(false);
            }
            setup::create_token(c, &digest, now)?;
            Ok(true)
        })
        .await?;
    if !open {
        ctx.live.set_up();
    }
    Ok(open.then_some(token))
}

/// Nobody can sign in yet: there is no account, and a set-up link is open. Asks the database only until that is over.
pub async fn is_awaited(ctx: &Ctx) -> Result<bool, FlowError> {
    if ctx.live.is_set_up() {
        return Ok(false);
    }
    let awaited = ctx
        .store
        .read(|c| Ok::<_, StoreError>(!setup::completed(c)? && accounts::count_all(c)? == 0))
        .await?;
    if !awaited {
        ctx.live.set_up();
    }
    Ok(awaited)
}

/// Whether this token opens the set-up page (it is not used up by looking).
pub async fn is_open(ctx: &Ctx, token: &str) -> Result<bool, FlowError> {
    let digest = secret::digest(token);
    let not_before = ctx.now().saturating_sub(Span::from_secs(TOKEN_HOURS * 3600));
    Ok(ctx
        .store
        .read(move |c| Ok::<_, StoreError>(!setup::completed(c)? && setup::is_valid(c, &digest, not_before)?))
        .await?)
}

/// There is an account that did not come through the link (the command line made it): set-up is over for good, also
/// when that account goes again. Whether it was not over before.
pub async fn close(ctx: &Ctx, acting: &Acting) -> Result<bool, FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    Ok(ctx
        .store
        .write(move |c| {
            let closed = accounts::count_all(c)? > 0 && setup::complete(c, now)?;
            if closed {
                flow.record(
                    c,
                    now,
                    &flow.entry_of(&acting, Event::SetupCompleted, None, serde_json::Value::Null),
                )?;
            }
            Ok::<_, StoreError>(closed)
        })
        .await?)
}

/// What to do where nobody can administer: set-up is over, so that no link helps.
pub const NO_ADMINISTRATOR: &str = "there is no administrator who can sign in: make one with \
     `nightlatch account create NAME --role administrator`, or of an account with `nightlatch account set-role`";

/// Set-up is over, and no administrator can sign in: only the command line helps ([`NO_ADMINISTRATOR`]).
pub async fn lacks_administrator(ctx: &Ctx) -> Result<bool, FlowError> {
    let now = ctx.now();
    Ok(ctx
        .store
        .read(move |c| {
            let usable = accounts::count_usable_administrators(c, None, now)?;
            Ok::<_, StoreError>(usable == 0 && setup::completed(c)?)
        })
        .await?)
}

/// Creates the first administrator and applies the chosen baseline.
pub async fn complete(ctx: &Ctx, new: NewAdministrator, origin: Origin) -> Result<SetUp, FlowError> {
    if !is_open(ctx, new.token.expose()).await? {
        return Ok(SetUp::Refused);
    }
    let (name, email, baseline) = match check(ctx, &new) {
        Ok(checked) => checked,
        Err(faults) => return Ok(SetUp::Faulty(faults)),
    };
    let hash = ctx.hasher.hash(new.password.clone(), ctx.salt()).await?;
    let now = ctx.now();
    let account = ctx.new_account(&name, Role::Administrator, hash, now);
    let account = accounts::Account { email, ..account };
    let flow = ctx.clone();
    let digest = secret::digest(new.token.expose());
    let not_before = now.saturating_sub(Span::from_secs(TOKEN_HOURS * 3600));
    let done = ctx
        .store
        .write(move |c| {
            if !setup::redeem(c, &digest, not_before)? || !setup::complete(c, now)? || accounts::count_all(c)? > 0 {
                return Ok(SetUp::Refused);
            }
            let acting = Acting { actor: Actor::Account { id: account.id, name: account.name.clone() }, origin, session: None };
            accounts::insert(c, &account)?;
            changes::announce(c, changes::ChangeKind::Account, &account.id.0.to_string())?;
            for event in [Event::AccountCreated, Event::SetupCompleted] {
                let detail = serde_json::json!({ "role": account.role.as_str(), "baseline": baseline.map(|baseline| baseline.id) });
                flow.record(c, now, &flow.entry_of(&acting, event, Some((account.id, &account.name)), detail))?;
            }
            flow.first_revision_in(c, now, &acting, baseline)?;
            Ok::<_, FlowError>(SetUp::Done { account: account.id, name: account.name })
        })
        .await?;
    if matches!(done, SetUp::Done { .. }) {
        ctx.reload_policy().await?;
    }
    Ok(done)
}

/// What the first password must meet: the rules of the baseline that is about to hold; those in force without one.
pub fn password_rules(ctx: &Ctx, baseline: &str) -> PasswordPolicy {
    let in_force = ctx.in_force();
    match Baseline::find(baseline) {
        None => in_force.everyone().password.clone(),
        Some(baseline) => {
            Policy::new(0, baseline.document(), in_force.policy.pins().clone(), false)
                .effective(Role::Administrator, &[], None)
                .password
        }
    }
}

type Checked = (AccountName, Option<String>, Option<&'static Baseline>);

fn check(ctx: &Ctx, new: &NewAdministrator) -> Result<Checked, Vec<(&'static str, String)>> {
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
    let own_words = [new.username.as_str(), new.email.as_str()];
    let facts = NewPasswordFacts {
        new: new.password.expose(),
        again: Some(new.password_again.expose()),
        own_words: &own_words,
        reused: Reuse::No,
    };
    let rules = password_rules(ctx, &new.baseline);
    faults.extend(password::decide(&facts, &rules).into_iter().map(|fault| match fault {
        password::PasswordFault::Mismatch => ("password_again", fault.message()),
        _ => ("password", fault.message()),
    }));
    match (name, faults.is_empty()) {
        (Some(name), true) => Ok((name, email, baseline)),
        _ => Err(faults),
    }
}
