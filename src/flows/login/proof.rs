//! The check of a password: by the stored hash of a local account, or by the directories.

use crate::{
    domain::{
        account::{Account, name_key},
        login::SignInRefusal,
        password::MAX_CHARS,
        secret::Secret,
    },
    flows::{
        Ctx, FlowError, Initiator,
        directories::{DirectoryVerdict, PasswordRoute},
    },
    hashing::{ComparisonHash, HashingBusyError, HashingClient},
};
use futures_util::future::{Either, select};
use std::pin::pin;

/// What was typed, and for whom the work is counted.
pub(super) struct TypedCredentials<'a> {
    pub(super) username: &'a str,
    pub(super) password: &'a Secret,
    pub(super) client: HashingClient,
    pub(super) initiator: Initiator,
}

/// The result of the password check.
#[derive(Default)]
pub(super) struct PasswordVerdict {
    pub(super) matches: bool,
    /// Why a source refused, for the audit; `None`: the stored hash decided.
    pub(super) refusal: Option<&'static str>,
    /// A new hash of the password, if its stored hash has a lower cost than the current one.
    pub(super) better_hash: Option<String>,
    /// A source that does not answer, if the password was wrong and no directory checks it.
    pub(super) outage: Option<String>,
}

/// Checks the password: by the stored hash of a local account, or by the directories. Returns the
/// account with it, because a directory may create it or know it under another name.
pub(super) async fn prove_password(
    ctx: &Ctx,
    typed: &TypedCredentials<'_>,
    account: Option<Account>,
) -> Result<(Option<Account>, PasswordVerdict), FlowError> {
    let route = ctx.password_route(account.as_ref()).await?;
    let local = account.as_ref().filter(|_| matches!(route, PasswordRoute::Local));
    let (matches, SourceAnswer { verdict: asked, outage }) =
        check_and_ask(ctx, typed, account.as_ref(), local, &route).await?;
    let refused = |refusal, outage| PasswordVerdict {
        refusal: Some(refusal),
        outage,
        ..PasswordVerdict::default()
    };
    match asked {
        None => {
            let better_hash = match local {
                // If the queue is full the sign-in still succeeds; the next one replaces the hash.
                Some(account) if matches && ctx.hasher.outdated(&account.password_hash) => {
                    let password = typed.password.clone();
                    ctx.hasher.hash(&typed.client, password, ctx.salt()).await.ok()
                }
                _ => None,
            };
            let verdict = PasswordVerdict {
                matches,
                better_hash,
                outage: outage.filter(|_| !matches),
                ..PasswordVerdict::default()
            };
            Ok((account, verdict))
        }
        Some(DirectoryVerdict::Refused(reason)) => Ok((account, refused(reason, outage))),
        Some(DirectoryVerdict::Admitted(person)) => match ctx.keep_external_account(&typed.initiator, &person).await? {
            Ok(kept) => {
                let verdict = PasswordVerdict {
                    matches: true,
                    ..PasswordVerdict::default()
                };
                Ok((Some(kept), verdict))
            }
            Err(refusal) => Ok((account, refused(refusal.code(), None))),
        },
    }
}

/// Checks the stored hash and asks the sources at the same time, so that the time does not reveal
/// whether a directory knows the name: without a hash of its own, a name gets a decoy's.
async fn check_and_ask(
    ctx: &Ctx,
    typed: &TypedCredentials<'_>,
    account: Option<&Account>,
    local: Option<&Account>,
    route: &PasswordRoute,
) -> Result<(bool, SourceAnswer), FlowError> {
    let checking = pin!(check(ctx, typed, local));
    let asking = pin!(ask_source(ctx, typed, account, route));
    Ok(match select(checking, asking).await {
        // The right password of a local account waits for no directory.
        Either::Left((Ok(true), _)) if local.is_some() => (true, SourceAnswer::default()),
        Either::Left((matches, asking)) => (matches?, asking.await?),
        Either::Right((asked, checking)) => (checking.await?, asked?),
    })
}

/// What the sources of a route say.
#[derive(Default)]
struct SourceAnswer {
    /// `None`: the stored hash decides.
    verdict: Option<DirectoryVerdict>,
    /// A source that does not answer, for a name that no directory is asked about.
    outage: Option<String>,
}

/// Asks the sources of the route.
async fn ask_source(
    ctx: &Ctx,
    typed: &TypedCredentials<'_>,
    account: Option<&Account>,
    route: &PasswordRoute,
) -> Result<SourceAnswer, FlowError> {
    let (verdict, outage) = match route {
        PasswordRoute::Local => (None, ctx.find_outage().await?),
        PasswordRoute::Closed(reason) => (Some(DirectoryVerdict::Refused(reason)), ctx.find_outage().await?),
        PasswordRoute::Directories(_) if typed.password.expose().chars().count() > MAX_CHARS => {
            let reason = SignInRefusal::Credentials.code();
            (Some(DirectoryVerdict::Refused(reason)), None)
        }
        PasswordRoute::Directories(directories) => {
            let asking = ctx.ask_directories(directories, typed.username, typed.password, account);
            let answer = asking.await?;
            (Some(answer.verdict), answer.outage)
        }
    };
    Ok(SourceAnswer { verdict, outage })
}

/// Returns whether the password is the account's. A longer password than any accepted one is not
/// hashed, because it cannot match.
async fn check(ctx: &Ctx, typed: &TypedCredentials<'_>, account: Option<&Account>) -> Result<bool, HashingBusyError> {
    if typed.password.expose().chars().count() > MAX_CHARS {
        return Ok(false);
    }
    let candidate = match account {
        Some(account) => ComparisonHash::Stored(account.password_hash.clone()),
        None => ComparisonHash::Nobody(name_key(typed.username)),
    };
    ctx.hasher
        .verify(&typed.client, typed.password.clone(), candidate)
        .await
}
