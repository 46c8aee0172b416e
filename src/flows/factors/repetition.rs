//! The result of turning an authenticator app on, for a second submission of the same form: without
//! anything that has stopped working since the first one.

use crate::{
    domain::{
        account::Account,
        secret::{self, Secret},
        session::{Session, SessionToken},
    },
    flows::{
        Ctx, FlowError, Read,
        factors::{enrolment::AppConfirmation, proving::ProvingSession},
    },
    second_factor::recovery,
    store::{StoreError, accounts, recovery_codes, sessions},
};

/// Returns the part of the first submission's result that a second one gets. The caller has made
/// sure that both came from this session. `FlowError::NotFound`: the account or session ended
/// meanwhile.
pub async fn repeat_confirmation(
    ctx: &Ctx,
    repeated: &ProvingSession,
    codes: Option<Vec<Secret>>,
    token: Option<Secret>,
) -> Result<AppConfirmation, FlowError> {
    let repeated = repeated.clone();
    ctx.read(move |r| {
        let account = accounts::find(r.connection, repeated.account)?.ok_or(FlowError::NotFound)?;
        let session = sessions::find(r.connection, repeated.session)?;
        let live = session.filter(|session| session.ended_at.is_none() && session.account_id == account.id);
        let session = live.ok_or(FlowError::NotFound)?;
        if !account.factors.authenticator_app {
            return Ok(AppConfirmation::NoneStarted);
        }
        let recovery_codes = match codes {
            Some(codes) if r.are_all_unused(&account, &codes)? => Some(codes),
            Some(_) | None => None,
        };
        let token = token.filter(|token| is_newer(&session, token, &repeated.token_digest));
        Ok(AppConfirmation::ConfirmedVisitor { recovery_codes, token })
    })
    .await
}

/// Returns whether the browser still needs the id: it presented an earlier one, and no later one
/// has replaced it.
fn is_newer(session: &Session, token: &Secret, presented: &str) -> bool {
    let digest = secret::digest(token.expose());
    let current = |token: &&SessionToken| token.rotated.is_none() && token.killed_at.is_none();
    digest != presented
        && session
            .tokens
            .iter()
            .filter(current)
            .any(|token| token.digest == digest)
}

impl Read<'_> {
    /// Returns whether none of the account's codes was used, replaced or removed.
    fn are_all_unused(&mut self, account: &Account, codes: &[Secret]) -> Result<bool, StoreError> {
        let plain = codes.iter().filter_map(|code| recovery::normalize(code.expose()));
        let digests: Vec<String> = plain
            .flat_map(|code| self.ctx.factor_keys.recovery_digests(account.id, &code))
            .collect();
        let unused = recovery_codes::count_unused(self.connection, account.id, &digests)?;
        Ok(usize::try_from(unused).is_ok_and(|unused| unused == codes.len()))
    }
}
