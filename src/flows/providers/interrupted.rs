//! Sign-ins that a provider's sign-out overtakes: the provider ended the session while its tokens
//! were being fetched, or while the second factor was asked for. They open nothing.

use crate::{
    domain::{
        secret::digest,
        source::{IdentitySource, SourceId},
        time::{Span, Timestamp},
    },
    flows::{Ctx, FlowError, Write, provider_sessions::ProviderSessionFacts},
    identity::oidc::LogoutNotice,
    store::{StoreError, pending_sign_ins, provider_sign_outs, provider_sign_outs::EndedAtProvider, sources},
};

/// How long sign-outs are kept: longer than an exchange of tokens may take.
pub(super) const SIGN_OUT_RETENTION: Span = Span::from_secs(20 * 60);

/// Returns the digest under which a logout token is known.
pub(super) fn token_digest(source: &IdentitySource, notice: &LogoutNotice) -> String {
    digest(&format!("token {} {}", source.id.0, notice.token_id))
}

/// Returns the person whom a logout token names, as accounts store it.
pub(super) fn person_of(source: &IdentitySource, notice: &LogoutNotice) -> Option<String> {
    let (subject, settings) = notice.subject.as_deref().zip(source.oidc())?;
    Some(settings.external_id(subject))
}

impl Ctx {
    /// Returns the latest sign-out of a source, before tokens are fetched from it: of those that
    /// come later, each may concern the sign-in.
    pub(super) async fn latest_sign_out(&self, source: SourceId) -> Result<Option<Timestamp>, FlowError> {
        self.read(move |r| Ok(provider_sign_outs::latest(r.connection, source)?))
            .await
    }

    /// Stops the sign-ins of the sessions that a verified token names, on every instance. It is a
    /// write of its own, before the one that ends the sessions: a sign-in that was settled earlier
    /// has its session by then.
    pub(super) async fn interrupt_sign_ins(
        &self,
        source: &IdentitySource,
        notice: &LogoutNotice,
    ) -> Result<(), FlowError> {
        let (id, token, person) = (source.id, token_digest(source, notice), person_of(source, notice));
        let session = notice.session.clone();
        self.write_as_system(move |w| {
            let ended = EndedAtProvider {
                source: id,
                external_id: person.as_deref(),
                provider_session: session.as_deref(),
            };
            w.hold_source(id)?;
            if provider_sign_outs::insert(w.connection, &token, ended, w.now)? {
                w.drop_second_steps(ended)?;
            }
            Ok(())
        })
        .await
    }
}

impl Write<'_> {
    /// Locks the row of a source until the write ends and returns the source: of a sign-in there
    /// and a sign-out, one sees what the other did. It comes before all other locks.
    pub(in crate::flows) fn hold_source(&mut self, source: SourceId) -> Result<Option<IdentitySource>, FlowError> {
        let stored = sources::find(self.connection, source)?;
        Ok(stored.map(|stored| stored.source))
    }

    /// Deletes the sign-ins of ended sessions that wait for the second factor.
    pub(in crate::flows) fn drop_second_steps(&mut self, ended: EndedAtProvider<'_>) -> Result<(), StoreError> {
        for (digest, kept) in pending_sign_ins::list_at_providers(self.connection)? {
            if ProviderSessionFacts::parse(&kept).is_some_and(|facts| facts.is_among(ended)) {
                pending_sign_ins::delete(self.connection, &digest)?;
            }
        }
        Ok(())
    }

    /// Returns whether the provider has ended a session since [`Ctx::latest_sign_out`]. The caller
    /// holds the source.
    pub(super) fn is_interrupted(
        &mut self,
        facts: &ProviderSessionFacts,
        seen: Option<Timestamp>,
    ) -> Result<bool, FlowError> {
        Ok(provider_sign_outs::has_ended(self.connection, facts.key(), seen)?)
    }
}
