//! A session that comes from another network: what the policy allows is written before the answer, with the new id; or, when
//! the answer reaches no browser, with the note that a new id is due.

use super::{
    super::{Acting, Ctx, FlowError, endings::Ending},
    binding_json, judge_row, rules_at,
};
use crate::{
    domain::{
        activity::RequestKind,
        application::Application,
        audit::{Actor, Entry, Event, Origin, Outcome},
        policy::effective::EffectivePolicy,
        secret::{self, Secret},
        session::{EndReason, Live as LiveVerdict, Record, RequestFacts, SessionId, Verdict},
        time::Timestamp,
    },
    live::sessions::LiveSession,
    store::{
        Conn, StoreError,
        accounts::Account,
        changes::{self, ChangeKind},
        sessions::{self, Token},
    },
};
use std::{net::IpAddr, sync::Arc};

/// Whether the verdict carries more than activity. A mismatch that is only recorded is recorded once for an address.
pub(super) fn must_be_written(
    session: &LiveSession,
    live: &LiveVerdict,
    request: &RequestFacts<'_>,
    policy: &EffectivePolicy,
) -> bool {
    live.rebind.is_some()
        || live.rotate
        || match live.record {
            None => false,
            Some(Record::NetworkMismatch) => !session.is_recorded(request.ip),
            Some(Record::NetworkChanged) => policy.validation.security_audit_log,
        }
}

pub(super) enum Accepted {
    /// Another request of the same browser had it accepted already.
    Unchanged,
    /// Written down, and nothing else about the session changed.
    Recorded,
    Changed {
        token: Option<Secret>,
    },
    Refused(EndReason),
}

/// A request that brought a change, owned so that it can go where the write is.
pub(super) struct Change {
    pub session: SessionId,
    pub account: Arc<Account>,
    pub digest: String,
    pub ip: IpAddr,
    pub user_agent: Option<String>,
    pub navigation: bool,
    pub background: bool,
    pub path: String,
    /// It came to this application's door.
    pub application: Option<Application>,
    /// The answer hands a new id on.
    pub reaches_browser: bool,
    pub origin: Origin,
    pub now: Timestamp,
}

impl Change {
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

    fn entry(&self, event: Event, detail: serde_json::Value) -> Entry {
        Entry {
            event,
            actor: Actor::Account {
                id: self.account.id,
                name: self.account.name.clone(),
            },
            account: Some((Some(self.account.id), self.account.name.clone())),
            session: Some(self.session),
            origin: self.origin.clone(),
            application: self.application.as_ref().map(|application| application.name.clone()),
            outcome: Outcome::Success,
            reason: None,
            detail,
        }
    }
}

/// Writes an accepted change of network: judged again on the row itself, under the account's lock, so that parallel requests
/// count as one change.
pub(super) async fn accept_change(ctx: &Ctx, change: Change) -> Result<Accepted, FlowError> {
    let (flow, id) = (ctx.clone(), change.session);
    let accepted = ctx.store.write(move |c| flow.accept_in(c, &change)).await?;
    match &accepted {
        Accepted::Unchanged | Accepted::Recorded => {}
        Accepted::Changed { .. } => ctx.live.sessions.forget(id),
        Accepted::Refused(reason) => ctx.forget_ended(&[id], *reason),
    }
    Ok(accepted)
}

impl Ctx {
    fn accept_in(&self, c: &mut Conn, change: &Change) -> Result<Accepted, StoreError> {
        sessions::lock_account_sessions(c, change.account.id)?;
        let Some(row) = sessions::find(c, change.session)? else {
            return Ok(Accepted::Refused(EndReason::Revoked));
        };
        if let (Some(_), Some(reason)) = (row.ended_at, row.end_reason) {
            return Ok(Accepted::Refused(reason));
        }
        let application = change.application.as_ref();
        let policy = rules_at(&self.in_force(), &row.applications, &change.account, application);
        let known = self.live.sessions.get_by_id(change.session).map(|known| known.life());
        let current = LiveSession::from_row(row, known);
        let Some(presented) = current.token(&change.digest).filter(|token| token.killed_at.is_none()) else {
            return Ok(Accepted::Refused(EndReason::RotatedReuse));
        };
        match judge_row(
            &current,
            presented,
            &change.account,
            &change.request(),
            &policy,
            change.now,
        ) {
            Verdict::Live(live) | Verdict::Duty { live, .. } => {
                self.write_change_in(c, change, &current, presented, &live, &policy)
            }
            Verdict::Ended { reason } => {
                let acting = Acting {
                    actor: Actor::System,
                    origin: change.origin.clone(),
                    session: Some(change.session),
                };
                let ending = Ending {
                    session: &current.row,
                    account_name: &change.account.name,
                    reason,
                    at: change.now,
                    acting: &acting,
                    detail: serde_json::json!({ "binding": binding_json(&current.row.binding) }),
                };
                self.end_in(c, change.now, &ending)?;
                Ok(Accepted::Refused(reason))
            }
        }
    }

    /// What a live verdict asks for: the new binding, its record, a new id.
    fn write_change_in(
        &self,
        c: &mut Conn,
        change: &Change,
        current: &LiveSession,
        presented: &Token,
        live: &LiveVerdict,
        policy: &EffectivePolicy,
    ) -> Result<Accepted, StoreError> {
        let due = change.reaches_browser && presented.is_due();
        if !due && !must_be_written(current, live, &change.request(), policy) {
            return Ok(Accepted::Unchanged);
        }
        if let Some(binding) = &live.rebind
            && !sessions::rebind(c, change.session, binding, change.ip)?
        {
            return Ok(Accepted::Refused(EndReason::Revoked));
        }
        if let Some(record) = live.record
            && (record == Record::NetworkMismatch || policy.validation.security_audit_log)
        {
            let detail = serde_json::json!({
                "from": binding_json(&current.row.binding),
                "to": change.ip,
                "accepted": record == Record::NetworkChanged,
            });
            self.record(c, change.now, &change.entry(Event::SessionNetworkChanged, detail))?;
        }
        if live.rebind.is_none() && !live.rotate && !due {
            return Ok(Accepted::Recorded);
        }
        changes::announce(c, ChangeKind::Session, &change.session.0.to_string())?;
        let rotates = (live.rotate || due) && presented.rotated.is_none();
        let token = match rotates {
            true if change.reaches_browser => self.rotate_in(c, change, current, presented)?,
            true => {
                sessions::mark_rotation_due(c, &change.digest)?;
                None
            }
            false => None,
        };
        Ok(Accepted::Changed { token })
    }

    /// A new id beside the old one, which goes on for its overlap. `None`: another request was first.
    fn rotate_in(
        &self,
        c: &mut Conn,
        change: &Change,
        current: &LiveSession,
        presented: &Token,
    ) -> Result<Option<Secret>, StoreError> {
        if !sessions::mark_rotated(c, &change.digest, change.now, current.row.ip, change.ip)? {
            return Ok(None);
        }
        let token = secret::token(self.random_bytes());
        let replacement = Token {
            digest: secret::digest(token.expose()),
            host: presented.host.clone(),
            issued_at: change.now,
            rotated: None,
            killed_at: None,
            cookie_form: presented.cookie_form.clone(),
            rotation_due: false,
        };
        sessions::add_token(c, change.session, &replacement)?;
        self.record(
            c,
            change.now,
            &change.entry(Event::SessionRotated, serde_json::Value::Null),
        )?;
        Ok(Some(token))
    }
}
