//! Requests of a session from another network: the accepted change is written before the response,
//! together with the new token, or, if the response reaches no browser, with the mark that a
//! rotation is due.

use crate::{
    domain::{
        account::Account,
        activity::RequestKind,
        application::Application,
        audit::{Actor, AuditEntry, Event, RequestOrigin},
        policy::effective::EffectivePolicy,
        secret::Secret,
        session::{
            DeviceProof, EndReason, LiveEffect, NetworkEvent, RequestFacts, SessionId, SessionToken, SessionVerdict,
        },
        time::Timestamp,
    },
    flows::{
        Ctx, FlowError, Initiator, Write,
        access::rules::{binding_json, judge_row, rules_at},
        session_ends::SessionEnd,
        session_tokens::TokenRotation,
    },
    live::sessions::LiveSession,
    store::{StoreError, sessions},
};
use std::{net::IpAddr, sync::Arc};

/// Returns whether the verdict has effects besides activity. A mismatch that is only recorded is
/// recorded once per address.
pub(super) fn must_be_written(
    session: &LiveSession,
    live: &LiveEffect,
    request: &RequestFacts<'_>,
    policy: &EffectivePolicy,
) -> bool {
    live.rebind.is_some()
        || live.rotate
        || match live.record {
            None => false,
            Some(NetworkEvent::NetworkMismatch | NetworkEvent::AgentMismatch) => !session.is_recorded(request.ip),
            Some(NetworkEvent::NetworkChanged) => policy.validation.security_audit_log,
        }
}

/// The result of a [`SessionChange`].
pub(super) enum ChangeOutcome {
    /// Another request of the same browser had it accepted already.
    Unchanged,
    /// Recorded; nothing else about the session changed.
    Recorded,
    Changed {
        token: Option<Secret>,
    },
    Refused(EndReason),
}

/// A request that brought a change, with owned fields so that it can move into the write.
pub(super) struct SessionChange {
    pub(super) session: SessionId,
    pub(super) account: Arc<Account>,
    /// The digest of the presented token.
    pub(super) digest: String,
    pub(super) ip: IpAddr,
    pub(super) user_agent: Option<String>,
    pub(super) navigation: bool,
    pub(super) background: bool,
    pub(super) path: String,
    /// The requested application.
    pub(super) application: Option<Application>,
    /// Whether the response can pass a new token on.
    pub(super) reaches_browser: bool,
    pub(super) origin: RequestOrigin,
    /// The proof of its device.
    pub(super) device: Option<DeviceProof>,
    pub(super) now: Timestamp,
}

impl SessionChange {
    fn request(&self) -> RequestFacts<'_> {
        let kind = RequestKind {
            path: &self.path,
            navigation: self.navigation,
            background: self.background,
            ..RequestKind::default()
        };
        RequestFacts {
            ip: self.ip,
            user_agent: self.user_agent.as_deref(),
            kind,
        }
    }

    fn entry(&self, event: Event) -> AuditEntry {
        let actor = Actor::Account {
            id: self.account.id,
            name: self.account.name.clone(),
        };
        AuditEntry::new(event, actor)
            .with_account(self.account.id, &self.account.name)
            .in_session(self.session)
            .from_origin(self.origin.clone())
            .at_application(self.application.as_ref().map(|application| application.name.as_str()))
    }
}

/// Writes an accepted change of network. It is judged again on the row, under the account's lock,
/// so that parallel requests count as one change.
pub(super) async fn accept_change(ctx: &Ctx, change: SessionChange) -> Result<ChangeOutcome, FlowError> {
    let (id, now) = (change.session, change.now);
    // The end of a session by a rule belongs to the system.
    let initiator = Initiator {
        actor: Actor::System,
        origin: change.origin.clone(),
        session: Some(id),
    };
    let outcome = ctx.write_at(now, &initiator, move |w| w.accept_change(&change)).await?;
    match &outcome {
        ChangeOutcome::Unchanged | ChangeOutcome::Recorded => {}
        ChangeOutcome::Changed { .. } => ctx.live.sessions.forget(id),
        ChangeOutcome::Refused(reason) => ctx.forget_ended(id, *reason),
    }
    Ok(outcome)
}

impl Write<'_> {
    fn accept_change(&mut self, change: &SessionChange) -> Result<ChangeOutcome, FlowError> {
        sessions::lock_account_sessions(self.connection, change.account.id)?;
        let Some(row) = sessions::find(self.connection, change.session)? else {
            return Ok(ChangeOutcome::Refused(EndReason::Revoked));
        };
        if let (Some(_), Some(reason)) = (row.ended_at, row.end_reason) {
            return Ok(ChangeOutcome::Refused(reason));
        }
        let application = change.application.as_ref();
        let policy = rules_at(&self.ctx.in_force(), &row.applications, &change.account, application);
        let known = self
            .ctx
            .live
            .sessions
            .get_by_id(change.session)
            .map(|known| known.life());
        let current = LiveSession::from_row(row, known);
        let Some(presented) = current.token(&change.digest).filter(|token| token.killed_at.is_none()) else {
            return Ok(ChangeOutcome::Refused(EndReason::RotatedReuse));
        };
        let request = change.request();
        let evidence = current.row.device_evidence(presented, change.device);
        match judge_row(
            &current,
            presented,
            &change.account,
            (&request, evidence),
            &policy,
            change.now,
        ) {
            SessionVerdict::Live(live) | SessionVerdict::Duty { live, .. } => {
                let judged = JudgedChange {
                    change,
                    current: &current,
                    presented,
                    live: &live,
                    policy: &policy,
                };
                Ok(self.write_change(&judged)?)
            }
            SessionVerdict::Ended { reason } => {
                self.write_session_end(&SessionEnd {
                    session: &current.row,
                    account_name: &change.account.name,
                    reason,
                    at: change.now,
                    detail: serde_json::json!({ "binding": binding_json(&current.row.binding) }),
                })?;
                Ok(ChangeOutcome::Refused(reason))
            }
        }
    }

    /// Writes the effects of a live verdict: the new binding, its record, a new token.
    fn write_change(&mut self, judged: &JudgedChange<'_>) -> Result<ChangeOutcome, StoreError> {
        let JudgedChange { change, live, .. } = judged;
        let due = change.reaches_browser && judged.presented.is_due();
        if !due && !must_be_written(judged.current, live, &change.request(), judged.policy) {
            return Ok(ChangeOutcome::Unchanged);
        }
        if let Some(binding) = &live.rebind
            && !sessions::rebind(self.connection, change.session, binding, change.ip)?
        {
            return Ok(ChangeOutcome::Refused(EndReason::Revoked));
        }
        if let Some(record) = live.record
            && (record != NetworkEvent::NetworkChanged || judged.policy.validation.security_audit_log)
        {
            self.record(&judged.network_entry(record))?;
        }
        if live.rebind.is_none() && !live.rotate && !due {
            return Ok(ChangeOutcome::Recorded);
        }
        let rotates = (live.rotate || due) && judged.presented.rotated.is_none();
        let token = match rotates {
            true if change.reaches_browser => self.rotate_judged(judged)?,
            true => {
                sessions::mark_rotation_due(self.connection, &change.digest)?;
                None
            }
            false => None,
        };
        Ok(ChangeOutcome::Changed { token })
    }

    /// Adds a new token beside the old one and records it. `None`: another request was first.
    fn rotate_judged(&mut self, judged: &JudgedChange<'_>) -> Result<Option<Secret>, StoreError> {
        let change = judged.change;
        let rotated = self.rotate_token(&TokenRotation {
            session: change.session,
            presented: judged.presented,
            from: judged.current.row.ip,
            to: change.ip,
        })?;
        if rotated.is_some() {
            self.record(&change.entry(Event::SessionRotated))?;
        }
        Ok(rotated)
    }
}

/// A change as judged on the row.
struct JudgedChange<'a> {
    change: &'a SessionChange,
    current: &'a LiveSession,
    presented: &'a SessionToken,
    live: &'a LiveEffect,
    policy: &'a EffectivePolicy,
}

impl JudgedChange<'_> {
    /// Creates the event of another network or browser.
    fn network_entry(&self, record: NetworkEvent) -> AuditEntry {
        let binding = &self.current.row.binding;
        let mut detail = serde_json::json!({
            "from": binding_json(binding),
            "to": self.change.ip,
            "accepted": record != NetworkEvent::NetworkMismatch,
        });
        if self.current.row.device_of(self.presented).is_some() {
            detail["device_proved"] = true.into();
        }
        if record == NetworkEvent::AgentMismatch {
            detail["agent"] = binding.user_agent.as_deref().into();
        }
        self.change.entry(Event::SessionNetworkChanged).with_detail(detail)
    }
}
