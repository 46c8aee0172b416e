//! Every live session, page by page by ID, with the facts about it and its account that a judgement
//! needs. Only these columns are read, because a million sessions may be walked while a user waits.
use super::rows::{ApplicationRecord, BindingColumns, corrupt, key_of, parse_address, parse_id};
use crate::{
    domain::{
        factor::Proofs,
        password::ChangeFacts,
        session::{AccountState, LifeFacts, LiveSessionFacts, SessionId},
        time::Timestamp,
    },
    store::{
        Conn, StoreError, accounts as account_rows,
        instant::StoredInstant,
        schema::{accounts, device_keys, session_applications, sessions},
    },
};
use diesel::{ExpressionMethods, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use std::collections::HashSet;

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct LiveRow {
    id: String,
    account_id: String,
    signed_in_at: StoredInstant,
    last_active_at: StoredInstant,
    last_seen_at: StoredInstant,
    ip: String,
    user_agent: Option<String>,
    accepted_v4: Option<String>,
    accepted_v6: Option<String>,
    network_changes: i32,
    first_change_at: Option<StoredInstant>,
    proofs: String,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = accounts)]
struct OwnerRow {
    name: String,
    role: String,
    password_changed_at: StoredInstant,
    password_set_by_other: bool,
    must_change_password: bool,
    disabled_at: Option<StoredInstant>,
    expired_at: Option<StoredInstant>,
    factor_required_at: Option<StoredInstant>,
    authenticator_app: bool,
    passkeys: i32,
    recovery_codes: i32,
    source_id: Option<String>,
}

impl LiveRow {
    fn read(
        self,
        owner: OwnerRow,
        applications: Vec<String>,
        is_device_bound: bool,
    ) -> Result<LiveSessionFacts, StoreError> {
        Ok(LiveSessionFacts {
            id: parse_id(&self.id)?,
            account_id: account_rows::parse_id(&self.account_id)?,
            account_name: owner.name,
            role: account_rows::parse_role(&owner.role)?,
            account_state: AccountState::from_flags(owner.disabled_at.is_some(), owner.expired_at.is_some()),
            password: match owner.source_id {
                Some(_) => ChangeFacts::kept_by_source(),
                None => ChangeFacts {
                    changed_at: owner.password_changed_at.into(),
                    set_by_other: owner.password_set_by_other,
                    must_change: owner.must_change_password,
                },
            },
            life: LifeFacts {
                signed_in_at: self.signed_in_at.into(),
                last_active_at: self.last_active_at.into(),
                last_seen_at: self.last_seen_at.into(),
            },
            ip: parse_address(&self.ip)?,
            binding: BindingColumns {
                user_agent: self.user_agent,
                accepted_v4: self.accepted_v4,
                accepted_v6: self.accepted_v6,
                network_changes: self.network_changes,
                first_change_at: self.first_change_at,
            }
            .read()?,
            applications,
            is_device_bound,
            proofs: Proofs::parse(&self.proofs).ok_or_else(|| corrupt("proofs"))?,
            factors: account_rows::factors_of(owner.authenticator_app, owner.passkeys, owner.recovery_codes)?,
            factor_required_at: owner.factor_required_at.map(Timestamp::from),
        })
    }
}

/// Lists the live sessions by ID after `after`.
pub fn list_live_page(c: &mut Conn, after: Option<SessionId>, limit: i64) -> Result<Vec<LiveSessionFacts>, StoreError> {
    let rows: Vec<(LiveRow, OwnerRow)> = sessions::table
        .inner_join(accounts::table)
        .filter(sessions::ended_at.is_null())
        .filter(sessions::id.gt(after.map(key_of).unwrap_or_default()))
        .order(sessions::id)
        .limit(limit)
        .select((LiveRow::as_select(), OwnerRow::as_select()))
        .load(c.db())?;
    let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else {
        return Ok(Vec::new());
    };
    // The page is a range of IDs, so one more range reads the applications they entered.
    let entered: Vec<ApplicationRecord> = session_applications::table
        .filter(session_applications::session_id.between(&first.id, &last.id))
        .filter(session_applications::live)
        .order((session_applications::session_id, session_applications::application))
        .select(ApplicationRecord::as_select())
        .load(c.db())?;
    let bound: HashSet<String> = device_keys::table
        .filter(device_keys::session_id.between(&first.id, &last.id))
        .select(device_keys::session_id)
        .load(c.db())?
        .into_iter()
        .collect();
    let mut entered = entered.into_iter().peekable();
    rows.into_iter()
        .map(|(row, owner)| {
            let mut applications = Vec::new();
            while let Some(next) = entered.next_if(|next| next.session_id <= row.id) {
                if next.session_id == row.id {
                    applications.push(next.application);
                }
            }
            let is_device_bound = bound.contains(&row.id);
            row.read(owner, applications, is_device_bound)
        })
        .collect()
}
