//! Signing out at a provider: a provider that ended a session notifies us (OpenID Connect
//! Back-Channel Logout 1.0), and a person who signs out here may sign out there too (RP-Initiated
//! Logout 1.0).

use super::interrupted::{SIGN_OUT_RETENTION, person_of, token_digest};
use crate::{
    domain::{
        account::Account,
        audit::{Actor, Event, Initiator, RequestOrigin},
        secret::Secret,
        session::{EndReason, SessionId},
        source::{IdentitySource, ProviderSignOut},
    },
    flows::{Ctx, FlowError, PURGED, Write},
    identity::oidc::{LogoutNotice, OidcFault},
    store::{Conn, StoreError, provider_sessions, provider_sign_outs, spent_provider_values},
};
use serde_json::json;
use url::Url;

/// Refusals of one kind in a minute that get an audit entry of their own; others are counted.
const SINGLE_REFUSALS: u32 = 20;

/// The result of a provider's notice that a session ended.
#[derive(Debug)]
pub enum BackChannelOutcome {
    /// The sessions have ended; their number, which may be 0.
    Ended(usize),
    /// The token was refused, and nothing ended.
    Refused(OidcFault),
    /// There is no such provider.
    Unknown,
}

/// The page after a sign-out, for a session that began at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSignOutPage {
    /// The provider's title.
    pub title: String,
    /// The provider's address that signs out there. It contains the ID token as a hint.
    pub url: Url,
    /// Whether the browser goes there at once.
    pub is_automatic: bool,
}

/// Ends the sessions that a provider's logout token names, before the answer.
pub async fn accept_sign_out(
    ctx: &Ctx,
    origin: RequestOrigin,
    name: &str,
    token: &Secret,
) -> Result<BackChannelOutcome, FlowError> {
    let sources = ctx.current_sources().await?;
    // A source that is switched off still ends sessions.
    let Some(live) = sources.by_name(name).filter(|live| live.source.oidc().is_some()) else {
        return Ok(BackChannelOutcome::Unknown);
    };
    let initiator = Initiator {
        actor: Actor::System,
        origin,
        session: None,
    };
    let verified = match ctx.provider_of(live) {
        Ok(provider) => provider.verify_logout(token.expose(), ctx.now()).await,
        Err(fault) => Err(fault),
    };
    let source = live.source.clone();
    let fault = match verified {
        Err(fault) => fault,
        Ok(notice) => {
            let (end, by) = (source.clone(), initiator.clone());
            ctx.interrupt_sign_ins(&end, &notice).await?;
            match ctx.write(&by, move |w| w.end_provider_sessions(&end, &notice)).await? {
                Some(ended) => return Ok(BackChannelOutcome::Ended(ended)),
                None => OidcFault::used_token(),
            }
        }
    };
    let entry = initiator.entry(Event::ProviderSignOutRefused).failed(fault.code());
    let entry = entry.with_detail(json!({ "source": source.name.as_str(), "message": fault.to_string() }));
    // A flood is counted instead of written one by one.
    if ctx.live.refusals.note(&entry, ctx.now(), SINGLE_REFUSALS) {
        ctx.write(&initiator, move |w| Ok(w.record(&entry)?)).await?;
    }
    Ok(BackChannelOutcome::Refused(fault))
}

/// Finds where a person signs out at the provider of a session, ended or not. `None`: it did not
/// begin at a provider, the source does not want it, or the provider cannot be asked.
pub async fn find_sign_out(
    ctx: &Ctx,
    session: SessionId,
    return_to: &str,
) -> Result<Option<ProviderSignOutPage>, FlowError> {
    let kept = ctx
        .read(move |r| Ok(provider_sessions::find(r.connection, session)?))
        .await?;
    let sources = ctx.current_sources().await?;
    let live = kept.as_ref().and_then(|kept| sources.by_id(kept.source));
    let (Some(kept), Some(live)) = (&kept, live) else {
        return Ok(None);
    };
    let mode = live.source.oidc().map(|settings| settings.sign_out);
    let is_automatic = match mode {
        Some(ProviderSignOut::Provider) => true,
        Some(ProviderSignOut::Offer) => false,
        Some(ProviderSignOut::Local) | None => return Ok(None),
    };
    let opened = ctx.factor_keys.open_source(kept.source, &kept.id_token);
    let hint = opened.and_then(|bytes| String::from_utf8(bytes).ok()).map(Secret::new);
    let url = match ctx.provider_of(live) {
        Ok(provider) => provider.sign_out_url(hint.as_ref(), return_to, ctx.now()).await,
        Err(fault) => Err(fault),
    };
    Ok(match url {
        Ok(url) => url.map(|url| ProviderSignOutPage {
            title: live.source.title.clone(),
            url,
            is_automatic,
        }),
        Err(fault) => {
            tracing::warn!(source = live.source.name.as_str(), %fault, "signing out at the provider is not possible");
            None
        }
    })
}

/// Returns whether the sign-out of an account has a page of its own: its source is a provider at
/// which people sign out too. Memory is enough to know, because signing out is never delayed.
pub fn has_sign_out_page(ctx: &Ctx, account: &Account) -> bool {
    let sources = ctx.live.sources();
    let live = account.source.and_then(|id| sources.by_id(id));
    let mode = live.and_then(|live| Some(live.source.oidc()?.sign_out));
    matches!(mode, Some(ProviderSignOut::Offer | ProviderSignOut::Provider))
}

/// Deletes used values that their age refuses by now, and sign-outs that concern no sign-in any
/// longer. Called by a job.
pub async fn forget_old(ctx: &Ctx) -> Result<(), FlowError> {
    let now = ctx.now();
    let purge = move |connection: &mut Conn| {
        spent_provider_values::purge(connection, now, PURGED)?;
        provider_sign_outs::purge(connection, now.saturating_sub(SIGN_OUT_RETENTION), PURGED)?;
        Ok::<_, StoreError>(())
    };
    Ok(ctx.store.write(purge).await?)
}

impl Write<'_> {
    /// Ends the sessions that a verified token names. `None`: the token was used before.
    fn end_provider_sessions(
        &mut self,
        source: &IdentitySource,
        notice: &LogoutNotice,
    ) -> Result<Option<usize>, FlowError> {
        if !spent_provider_values::spend(self.connection, &token_digest(source, notice), notice.expires_at)? {
            return Ok(None);
        }
        let person = person_of(source, notice);
        let named =
            provider_sessions::list_live(self.connection, source.id, person.as_deref(), notice.session.as_deref())?;
        let mut ended = 0;
        for (session, account) in self.hold_sessions(named)? {
            ended += usize::from(self.end_session(&session, &account.name, EndReason::IdentityProvider)?);
        }
        let entry = self.entry(Event::ProviderSignOut);
        self.record(&entry.with_detail(json!({ "source": source.name.as_str(), "ended_sessions": ended })))?;
        Ok(Some(ended))
    }
}
