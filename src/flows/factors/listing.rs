//! The enrolled factors of an account, for pages and commands.

use crate::{
    domain::{
        account::AccountId,
        factor::{EnrolledFactors, FactorRequirement},
        policy::effective::EnrolmentMode,
        time::Timestamp,
    },
    flows::{Ctx, FlowError, factor_rules::factors_at_sign_in},
    store::{accounts, enrolment_links, passkeys, trusted_browsers},
};
use uuid::Uuid;

/// The second factors of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledView {
    /// Number of factors of each kind.
    pub factors: EnrolledFactors,
    /// Its passkeys, oldest first.
    pub passkeys: Vec<PasskeyView>,
    /// Browsers that are not asked for a factor again, newest first, without expired ones.
    pub browsers: Vec<TrustedBrowserView>,
    /// The requirement of Nightlatch's own pages for the account.
    pub required: FactorRequirement,
    /// When a factor was first required.
    pub required_since: Option<Timestamp>,
    /// Whether an authenticator app may be enrolled.
    pub offers_app: bool,
    /// Whether passkeys may be enrolled. False on a server whose address supports none.
    pub offers_passkeys: bool,
    /// Whether a first factor needs an enrolment link.
    pub by_link: bool,
    /// Last instant at which the current enrolment link works.
    pub link_until: Option<Timestamp>,
}

/// A passkey, as its owner and administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyView {
    /// Its identity.
    pub id: Uuid,
    /// The name that its owner gave it.
    pub name: String,
    /// When it was enrolled.
    pub added_at: Timestamp,
    /// Latest accepted answer.
    pub last_used_at: Option<Timestamp>,
    /// Whether the authenticator syncs it to other devices; otherwise it is bound to one device.
    pub synced: bool,
    /// Whether it was made for an earlier passkey domain, so that it no longer works.
    pub is_dead: bool,
}

/// A trusted browser, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedBrowserView {
    /// Its identity.
    pub id: Uuid,
    /// Browser and system, such as “Firefox on Windows”.
    pub label: String,
    /// When a factor was proved in it.
    pub trusted_at: Timestamp,
    /// Latest sign-in that it stood in for a factor.
    pub last_used_at: Timestamp,
    /// Last instant at which it counts.
    pub expires_at: Timestamp,
}

/// Returns whether browsers support passkeys for this server, which they do if people reach it by a
/// name.
pub fn passkeys_exist(ctx: &Ctx) -> bool {
    ctx.config.passkey_domain().is_some()
}

/// Lists the factors of an account. `FlowError::NotFound`: there is no such account.
pub async fn list_factors(ctx: &Ctx, id: AccountId) -> Result<EnrolledView, FlowError> {
    let in_force = ctx.current_policy().await?;
    let domain = ctx.config.passkey_domain();
    ctx.read(move |r| {
        let account = accounts::find(r.connection, id)?.ok_or(FlowError::NotFound)?;
        let rules = factors_at_sign_in(&in_force, &account, None);
        let passkeys = passkeys::of_account(r.connection, id)?;
        let browsers = trusted_browsers::of_account(r.connection, id)?;
        let now = r.now;
        let counting = browsers
            .into_iter()
            .filter(|browser| now <= browser.expires_at && browser.password_changed_at == account.password_changed_at);
        Ok(EnrolledView {
            factors: account.factors,
            browsers: counting
                .map(|browser| TrustedBrowserView {
                    id: browser.id,
                    label: browser.label,
                    trusted_at: browser.made_at,
                    last_used_at: browser.last_used_at,
                    expires_at: browser.expires_at,
                })
                .collect(),
            required: rules.strictest,
            required_since: account.factor_required_at,
            offers_app: rules.authenticator_app,
            offers_passkeys: rules.passkeys && domain.is_some(),
            by_link: rules.enrolment == EnrolmentMode::ByLink,
            link_until: enrolment_links::find_of_account(r.connection, id)?
                .map(|link| link.expires_at)
                .filter(|until| now <= *until),
            passkeys: passkeys
                .into_iter()
                .map(|passkey| PasskeyView {
                    id: passkey.id,
                    name: passkey.name,
                    added_at: passkey.added_at,
                    last_used_at: passkey.last_used_at,
                    synced: passkey.synced,
                    is_dead: domain.as_ref() != Some(&passkey.domain),
                })
                .collect(),
        })
    })
    .await
}
