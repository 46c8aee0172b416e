//! Rows of sessions, and how they become sessions.

use crate::{
    domain::{
        factor::Proofs,
        network,
        session::{Binding, DeviceKey, EndCause, EndReason, Session, SessionId, SessionToken},
        time::Timestamp,
    },
    store::{
        StoreError, accounts as account_rows,
        instant::StoredInstant,
        schema::{session_applications, session_tokens, sessions},
        text,
    },
};
use diesel::{Insertable, Queryable, Selectable};
use std::str::FromStr;
use uuid::Uuid;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
pub(super) struct SessionRow {
    pub(super) id: String,
    pub(super) account_id: String,
    pub(super) signed_in_at: StoredInstant,
    pub(super) last_active_at: StoredInstant,
    pub(super) last_seen_at: StoredInstant,
    pub(super) ip: String,
    pub(super) ip_key: String,
    pub(super) signed_in_ip: String,
    pub(super) user_agent: Option<String>,
    pub(super) accepted_v4: Option<String>,
    pub(super) accepted_v6: Option<String>,
    pub(super) network_changes: i32,
    pub(super) first_change_at: Option<StoredInstant>,
    pub(super) ended_at: Option<StoredInstant>,
    pub(super) end_reason: Option<String>,
    pub(super) ended_by: Option<String>,
    pub(super) end_cause: Option<String>,
    /// NULL in rows from before this was recorded; then the sign-in counts.
    pub(super) proved_at: Option<StoredInstant>,
    pub(super) proofs: String,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = session_applications)]
pub(super) struct ApplicationRecord {
    pub(super) session_id: String,
    pub(super) application: String,
    pub(super) live: bool,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = session_tokens, treat_none_as_default_value = false)]
pub(super) struct TokenRecord {
    pub(super) digest: String,
    pub(super) session_id: String,
    pub(super) host: String,
    pub(super) cookie_form: String,
    pub(super) issued_at: StoredInstant,
    pub(super) rotated_at: Option<StoredInstant>,
    pub(super) rotated_from: Option<String>,
    pub(super) rotated_to: Option<String>,
    pub(super) killed_at: Option<StoredInstant>,
    pub(super) rotation_due: bool,
    pub(super) proofs: Option<String>,
}

pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a session's {what}"))
}

pub(super) fn parse_address<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt("address"))
}

/// The columns of a session's binding.
pub(super) struct BindingColumns {
    pub(super) user_agent: Option<String>,
    pub(super) accepted_v4: Option<String>,
    pub(super) accepted_v6: Option<String>,
    pub(super) network_changes: i32,
    pub(super) first_change_at: Option<StoredInstant>,
}

impl BindingColumns {
    pub(super) fn read(self) -> Result<Binding, StoreError> {
        Ok(Binding {
            user_agent: self.user_agent,
            accepted_v4: self.accepted_v4.as_deref().map(parse_address).transpose()?,
            accepted_v6: self.accepted_v6.as_deref().map(parse_address).transpose()?,
            changes: u32::try_from(self.network_changes).map_err(|_| corrupt("count of changes"))?,
            first_change_at: self.first_change_at.map(Timestamp::from),
        })
    }
}

pub(super) fn key_of(id: SessionId) -> String {
    id.0.to_string()
}

pub(in crate::store) fn parse_id(text: &str) -> Result<SessionId, StoreError> {
    Uuid::parse_str(text).map(SessionId).map_err(|_| corrupt("id"))
}

pub(super) fn count_column(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// Formats the cause of an end for its column.
pub(super) fn cause_text(cause: &EndCause) -> String {
    text::clean(&cause.to_json().to_string()).into_owned()
}

pub(super) fn parse_cause(text: &str) -> Result<EndCause, StoreError> {
    let json = serde_json::from_str(text).map_err(|_| corrupt("cause of its end"))?;
    EndCause::from_json(&json).ok_or_else(|| corrupt("cause of its end"))
}

impl SessionRow {
    pub(super) fn from_session(session: &Session) -> SessionRow {
        SessionRow {
            id: key_of(session.id),
            account_id: session.account_id.0.to_string(),
            signed_in_at: session.signed_in_at.into(),
            last_active_at: session.last_active_at.into(),
            last_seen_at: session.last_seen_at.into(),
            ip: session.ip.to_string(),
            ip_key: network::sort_key(session.ip),
            signed_in_ip: session.signed_in_ip.to_string(),
            user_agent: session
                .binding
                .user_agent
                .as_deref()
                .map(|agent| text::clean(agent).into_owned()),
            accepted_v4: session.binding.accepted_v4.map(|ip| ip.to_string()),
            accepted_v6: session.binding.accepted_v6.map(|ip| ip.to_string()),
            network_changes: count_column(session.binding.changes),
            first_change_at: session.binding.first_change_at.map(StoredInstant::from),
            ended_at: session.ended_at.map(StoredInstant::from),
            end_reason: session.end_reason.map(|reason| reason.as_str().to_owned()),
            ended_by: session.ended_by.as_deref().map(|by| text::clean(by).into_owned()),
            end_cause: session.end_cause.as_ref().map(cause_text),
            proved_at: Some(session.proved_at.into()),
            proofs: session.proofs.to_string(),
        }
    }

    pub(super) fn read(
        self,
        applications: Vec<String>,
        tokens: Vec<SessionToken>,
        devices: Vec<DeviceKey>,
    ) -> Result<Session, StoreError> {
        let reason = self.end_reason.as_deref();
        Ok(Session {
            id: parse_id(&self.id)?,
            account_id: account_rows::parse_id(&self.account_id)?,
            signed_in_at: self.signed_in_at.into(),
            last_active_at: self.last_active_at.into(),
            last_seen_at: self.last_seen_at.into(),
            ip: parse_address(&self.ip)?,
            signed_in_ip: parse_address(&self.signed_in_ip)?,
            binding: BindingColumns {
                user_agent: self.user_agent,
                accepted_v4: self.accepted_v4,
                accepted_v6: self.accepted_v6,
                network_changes: self.network_changes,
                first_change_at: self.first_change_at,
            }
            .read()?,
            applications,
            ended_at: self.ended_at.map(Timestamp::from),
            end_reason: reason
                .map(|code| EndReason::parse(code).ok_or_else(|| corrupt("end")))
                .transpose()?,
            ended_by: self.ended_by,
            end_cause: self.end_cause.as_deref().map(parse_cause).transpose()?,
            proved_at: self.proved_at.unwrap_or(self.signed_in_at).into(),
            proofs: Proofs::parse(&self.proofs).ok_or_else(|| corrupt("proofs"))?,
            tokens,
            devices,
        })
    }
}

impl TokenRecord {
    pub(super) fn from_token(session: SessionId, token: &SessionToken) -> TokenRecord {
        TokenRecord {
            digest: token.digest.clone(),
            session_id: key_of(session),
            host: text::clean(&token.host).into_owned(),
            cookie_form: text::clean(&token.cookie_form).into_owned(),
            issued_at: token.issued_at.into(),
            rotated_at: token.rotated.map(|(at, ..)| at.into()),
            rotated_from: token.rotated.map(|(_, from, _)| from.to_string()),
            rotated_to: token.rotated.map(|(.., to)| to.to_string()),
            killed_at: token.killed_at.map(StoredInstant::from),
            rotation_due: token.rotation_due,
            proofs: token.proofs.map(|proofs| proofs.to_string()),
        }
    }

    pub(super) fn read(self) -> Result<SessionToken, StoreError> {
        let rotated = match (self.rotated_at, self.rotated_from, self.rotated_to) {
            (Some(at), Some(from), Some(to)) => Some((at.into(), parse_address(&from)?, parse_address(&to)?)),
            (None, None, None) => None,
            (Some(_) | None, _, _) => return Err(corrupt("rotation")),
        };
        let parse_proofs = |text: String| Proofs::parse(&text).ok_or_else(|| corrupt("proofs"));
        Ok(SessionToken {
            digest: self.digest,
            host: self.host,
            cookie_form: self.cookie_form,
            issued_at: self.issued_at.into(),
            rotated,
            killed_at: self.killed_at.map(Timestamp::from),
            rotation_due: self.rotation_due,
            proofs: self.proofs.map(parse_proofs).transpose()?,
        })
    }
}
