//! Security events of identity providers (Shared Signals, CAEP): every instance polls them in turns
//! (RFC 8936). An event that revokes a session or changes a credential ends the person's sessions
//! here; it is acknowledged after the commit, so after a crash in between it arrives again, and has
//! no further effect.

use super::{Ctx, FlowError, Initiator, Write};
use crate::{
    domain::{
        account::Account,
        audit::Event,
        secret::{Secret, digest},
        session::{EndReason, SessionId},
        source::{EventAccess, IdentitySource, OidcSettings, SourceId},
        time::{Span, Timestamp},
    },
    identity::oidc::{EventPoll, EventRefusal, OidcFault, Provider, SecurityEvent},
    live::sources::LiveSource,
    store::{
        StoreError, accounts, event_streams, pending_sign_ins, provider_sessions, provider_sign_outs,
        provider_sign_outs::EndedAtProvider, sessions, spent_provider_values,
    },
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

/// Maximum number of events that one request asks for.
const EVENTS_PER_REQUEST: u32 = 50;
/// Maximum number of requests of one poll; further events wait for the next poll.
const MAX_REQUESTS: usize = 20;
/// How long the ID of an event is remembered. An event that comes again after that time does no
/// harm: it ends only sessions that are older than it.
const ID_RETENTION: Span = Span::from_secs(30 * 86_400);
/// How far the clocks of the provider and of this server may differ.
const SKEW: Span = Span::from_secs(60);
/// Refusals of one kind in a minute that get an audit entry of their own; others are counted.
const SINGLE_REFUSALS: u32 = 20;

/// What a poll brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventCounts {
    /// Events that the provider sent.
    pub received: usize,
    /// Events that were refused.
    pub refused: usize,
    /// Sessions that ended.
    pub ended: usize,
}

/// The result of a poll.
#[derive(Debug)]
pub enum EventPollOutcome {
    /// Every event was received.
    Done(EventCounts),
    /// The provider did not answer, or not as it should.
    Down {
        /// Why.
        fault: OidcFault,
        /// What was received before.
        counts: EventCounts,
    },
    /// No security events of this source are polled.
    NoStream,
}

/// Polls every source whose time has come. Of several instances one does it, and two at once do no
/// harm. A source that is switched off still ends sessions. Called by a job.
pub async fn poll_due(ctx: &Ctx) -> Result<(), FlowError> {
    let sources = ctx.current_sources().await?;
    for live in sources.all() {
        let Some(settings) = live.source.oidc().filter(|settings| settings.events_url.is_some()) else {
            continue;
        };
        let turn = format!("source.events.{}", live.source.id.0);
        if ctx.take_turn(turn, settings.events_every).await? {
            ctx.poll_source(live).await?;
        }
    }
    Ok(())
}

/// Polls one source now. `FlowError::NotFound`: there is none with this name.
pub async fn poll_now(ctx: &Ctx, name: &str) -> Result<EventPollOutcome, FlowError> {
    let sources = ctx.current_sources().await?;
    let live = sources.by_name(name).ok_or(FlowError::NotFound)?;
    ctx.poll_source(live).await
}

impl Ctx {
    async fn poll_source(&self, live: &LiveSource) -> Result<EventPollOutcome, FlowError> {
        let Some((settings, url)) = live.source.oidc().and_then(|it| Some((it, it.events_url.as_deref()?))) else {
            return Ok(EventPollOutcome::NoStream);
        };
        let mut receiver = EventReceiver {
            ctx: self,
            source: &live.source,
            settings,
            url,
            next: EventPoll::immediate(EVENTS_PER_REQUEST),
            counts: EventCounts::default(),
        };
        let result = match self.provider_of(live) {
            Ok(provider) => receiver.run(&provider).await,
            Err(fault) => Err(fault.into()),
        };
        let counts = receiver.counts;
        let (id, now) = (live.source.id, self.now());
        match result {
            Ok(()) => {
                let received = i64::try_from(counts.received).unwrap_or(i64::MAX);
                self.write_as_system(move |w| Ok(event_streams::record_poll(w.connection, id, now, received)?))
                    .await?;
                Ok(EventPollOutcome::Done(counts))
            }
            Err(PollFault::Flow(error)) => Err(error),
            Err(PollFault::Provider(fault)) => {
                let text = fault.to_string();
                let record = move |w: &mut Write<'_>| Ok(event_streams::record_fault(w.connection, id, now, &text)?);
                if self.write_as_system(record).await? {
                    let name = live.source.name.as_str();
                    tracing::warn!(source = name, %fault, "the security events of a provider cannot be polled");
                }
                Ok(EventPollOutcome::Down { fault, counts })
            }
        }
    }

    /// Opens the stored access token, or gets one for our client.
    async fn event_access(&self, receiver: &EventReceiver<'_>, provider: &Provider) -> Result<Secret, PollFault> {
        if receiver.settings.events_access == EventAccess::Client {
            return Ok(provider
                .client_token(&receiver.settings.events_scopes, self.now())
                .await?);
        }
        let id = receiver.source.id;
        let stored = self
            .read(move |r| Ok(event_streams::find(r.connection, id)?))
            .await
            .map_err(PollFault::Flow)?;
        let fault = |words: &str| PollFault::Provider(OidcFault::Configuration(words.to_owned()));
        let sealed = stored
            .and_then(|stored| stored.token)
            .ok_or_else(|| fault("the source has no access token for security events"))?;
        let opened = self.factor_keys.open_source(id, &sealed);
        let text = opened.and_then(|bytes| String::from_utf8(bytes).ok());
        text.map(Secret::new)
            .ok_or_else(|| fault("the access token for security events cannot be opened; enter it again"))
    }
}

/// Why a poll stopped.
enum PollFault {
    Flow(FlowError),
    Provider(OidcFault),
}

impl From<OidcFault> for PollFault {
    fn from(fault: OidcFault) -> Self {
        Self::Provider(fault)
    }
}

/// A poll in progress.
struct EventReceiver<'a> {
    ctx: &'a Ctx,
    source: &'a IdentitySource,
    settings: &'a OidcSettings,
    url: &'a str,
    /// The next request, with what it acknowledges.
    next: EventPoll,
    counts: EventCounts,
}

impl EventReceiver<'_> {
    async fn run(&mut self, provider: &Arc<Provider>) -> Result<(), PollFault> {
        let access = self.ctx.event_access(self, provider).await?;
        for _ in 0..MAX_REQUESTS {
            let request = std::mem::replace(&mut self.next, EventPoll::immediate(EVENTS_PER_REQUEST));
            let sets = provider.poll_events(self.url, &access, &request).await?.sets;
            if sets.is_empty() {
                return Ok(());
            }
            if let Err(fault) = self.receive_all(provider, sets).await {
                self.acknowledge(provider, &access).await?;
                return Err(fault);
            }
        }
        self.acknowledge(provider, &access).await
    }

    /// Sends what is to be acknowledged, and asks for nothing.
    async fn acknowledge(&mut self, provider: &Provider, access: &Secret) -> Result<(), PollFault> {
        let request = std::mem::replace(&mut self.next, EventPoll::immediate(0));
        let request = EventPoll {
            max_events: 0,
            ..request
        };
        provider.poll_events(self.url, access, &request).await?;
        Ok(())
    }

    async fn receive_all(&mut self, provider: &Provider, sets: BTreeMap<String, String>) -> Result<(), PollFault> {
        for (id, token) in sets {
            self.counts.received += 1;
            let audience = self.settings.events_audience.as_deref();
            let fault = match provider.verify_event(&token, audience, self.ctx.now()).await {
                Ok(event) if event.token_id == id => {
                    let (source, by) = (self.source.clone(), Initiator::system());
                    let ended = self.ctx.write(&by, move |w| w.settle_security_event(&source, &event));
                    match ended.await.map_err(PollFault::Flow)? {
                        Some(ended) => {
                            self.counts.ended += ended;
                            self.next.ack.push(id);
                            continue;
                        }
                        // It had its effect when it first came; the provider need not keep it.
                        None => {
                            self.next.ack.push(id);
                            OidcFault::used_token()
                        }
                    }
                }
                Ok(_) => {
                    let fault = OidcFault::used_token();
                    self.refuse(id, &fault);
                    fault
                }
                Err(fault) => {
                    // A token that could not be judged stays at the provider.
                    if !self.refuse(id, &fault) {
                        return Err(fault.into());
                    }
                    fault
                }
            };
            self.counts.refused += 1;
            self.record_refusal(&fault).await.map_err(PollFault::Flow)?;
        }
        Ok(())
    }

    /// Notes a refusal for the provider. Returns false if the token was not judged.
    fn refuse(&mut self, id: String, fault: &OidcFault) -> bool {
        let refusal = EventRefusal::new(fault);
        let is_judged = refusal.is_some();
        self.next.errors.extend(refusal.map(|refusal| (id, refusal)));
        is_judged
    }

    async fn record_refusal(&self, fault: &OidcFault) -> Result<(), FlowError> {
        let by = Initiator::system();
        let detail = json!({ "source": self.source.name.as_str(), "message": fault.to_string() });
        let entry = by.entry(Event::ProviderEventRefused).failed(fault.code());
        let entry = entry.with_detail(detail);
        // A flood is counted instead of written one by one.
        if self.ctx.live.refusals.note(&entry, self.ctx.now(), SINGLE_REFUSALS) {
            self.ctx.write(&by, move |w| Ok(w.record(&entry)?)).await?;
        }
        Ok(())
    }
}

impl Write<'_> {
    /// Ends the sessions that a verified event names and that are not younger than it; returns
    /// their number. `None`: the event had its effect before.
    fn settle_security_event(
        &mut self,
        source: &IdentitySource,
        event: &SecurityEvent,
    ) -> Result<Option<usize>, FlowError> {
        if event.events.is_empty() {
            return Ok(Some(0));
        }
        // A sign-in that is settled at the same time comes before or after this write.
        self.hold_source(source.id)?;
        let token = digest(&format!("event {} {}", source.id.0, event.token_id));
        let until = self.now.saturating_add(ID_RETENTION);
        if !spent_provider_values::spend(self.connection, &token, until)? {
            return Ok(None);
        }
        // In the order of all writes: administrators, accounts, sessions.
        accounts::lock_administrators(self.connection)?;
        let named = event.subject.as_deref().zip(source.oidc());
        let person = named.map(|(subject, settings)| settings.external_id(subject));
        let account = match &person {
            Some(person) => accounts::find_by_external_id(self.connection, source.id, person)?,
            None => None,
        };
        let newest = event.issued_at.saturating_add(SKEW);
        self.interrupt_sign_ins_of_event(source.id, event, person.as_deref(), &token, newest)?;
        let named = self.sessions_of_event(source.id, event, person.as_deref(), account.as_ref())?;
        let mut ended = 0;
        for (session, owner) in self.hold_sessions(named)? {
            if session.signed_in_at <= newest {
                ended += usize::from(self.end_session(&session, &owner.name, EndReason::IdentityProvider)?);
            }
        }
        let entry = self.entry(Event::ProviderEvent);
        let entry = match &account {
            Some(account) => {
                // A second step that is still open would make a session of the earlier sign-in.
                pending_sign_ins::delete_of_account(self.connection, account.id)?;
                entry.with_account(account.id, &account.name)
            }
            None => entry,
        };
        let detail = json!({ "source": source.name.as_str(), "events": event.events, "ended_sessions": ended });
        self.record(&entry.with_detail(detail))?;
        Ok(Some(ended))
    }

    /// Stops the sign-ins under way that an event names, unless the event is so old that their
    /// sessions would continue. The caller holds the source.
    fn interrupt_sign_ins_of_event(
        &mut self,
        source: SourceId,
        event: &SecurityEvent,
        person: Option<&str>,
        token: &str,
        newest: Timestamp,
    ) -> Result<(), StoreError> {
        let ended = EndedAtProvider {
            source,
            external_id: person,
            provider_session: event.session.as_deref(),
        };
        if self.now <= newest {
            provider_sign_outs::insert(self.connection, token, ended, self.now)?;
        }
        self.drop_second_steps(ended)
    }

    /// Lists the live sessions that an event names: all of a person, also those that began with a
    /// passkey here, or those of one session at the provider.
    fn sessions_of_event(
        &mut self,
        source: SourceId,
        event: &SecurityEvent,
        person: Option<&str>,
        account: Option<&Account>,
    ) -> Result<Vec<SessionId>, FlowError> {
        let session = event.session.as_deref();
        let mut named = provider_sessions::list_live(self.connection, source, person, session)?;
        if let (Some(account), None) = (account, session) {
            let own = sessions::list_live_of_account(self.connection, account.id)?;
            named.extend(own.iter().map(|session| session.id));
        }
        Ok(named)
    }
}
