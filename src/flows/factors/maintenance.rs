//! Periodic jobs for second factors: they delete expired rows, and record when a factor was first
//! required of an account.

use super::enrolment::UNCONFIRMED;
use crate::{
    domain::{account::Role, factor::FactorRequirement, time::Span},
    flows::{Ctx, FlowError, PURGED},
    store::{
        Conn, StoreError, accounts, authenticator_apps, enrolment_links, pending_sign_ins, trusted_browsers,
        used_passkey_challenges,
    },
};

/// Maximum number of accounts of each role that one run records.
const NOTED: i64 = 500;

/// How long an answered challenge is remembered after it expired, so that a clock that falls back
/// revives none.
const SPENT_RETENTION: Span = Span::from_secs(86_400);

/// Deletes expired pending sign-ins, answered challenges, links and trusted browsers, and
/// unconfirmed apps.
pub async fn forget_old(ctx: &Ctx) -> Result<(), FlowError> {
    let now = ctx.now();
    let purge = move |connection: &mut Conn| {
        pending_sign_ins::purge(connection, now, PURGED)?;
        used_passkey_challenges::purge(connection, now.saturating_sub(SPENT_RETENTION), PURGED)?;
        enrolment_links::purge(connection, now, PURGED)?;
        trusted_browsers::purge(connection, now, PURGED)?;
        authenticator_apps::purge(connection, now.saturating_sub(UNCONFIRMED), PURGED)?;
        Ok::<_, StoreError>(())
    };
    Ok(ctx.store.write(purge).await?)
}

/// Records since when accounts of a role have been required to have a factor; their grace period
/// counts from then. A requirement of an application is recorded when the account enters it.
pub async fn note_requirements(ctx: &Ctx) -> Result<(), FlowError> {
    let in_force = ctx.current_policy().await?;
    for role in [Role::Administrator, Role::Member] {
        let rules = in_force.effective(role, &[], None).factors;
        if rules.strictest == FactorRequirement::Off {
            continue;
        }
        let find = move |connection: &mut Conn| accounts::without_factor_required(connection, role, NOTED);
        let waiting = ctx.store.read(find).await?;
        if waiting.is_empty() {
            continue;
        }
        let now = ctx.now();
        let note = move |connection: &mut Conn| {
            for id in &waiting {
                accounts::note_factor_required(connection, *id, now)?;
            }
            Ok::<_, StoreError>(())
        };
        ctx.store.write(note).await?;
    }
    Ok(())
}
