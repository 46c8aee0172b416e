//! Every live session, page by page by id, with what a judgement asks of it and of its account. Only the columns that a
//! judgement reads: a million sessions are walked while people wait for the answer.
use super::{ApplicationRecord, Bound, SessionId, address, id_of, key};
use crate::{
    domain::{
        account::{AccountId, Role},
        password::ChangeFacts,
        session::{AccountState, Binding, LifeFacts},
    },
    store::{
        Conn, StoreError, accounts as account_rows,
        instant::At,
        schema::{accounts, session_applications, sessions},
    },
};
use diesel::{ExpressionMethods, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use std::net::IpAddr;

/// A session that nobody has marked as ended, and its owner as far as a judgement asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRow {
    pub id: SessionId,
    pub account_id: AccountId,
    pub account_name: String,
    pub role: Role,
    pub account_state: AccountState,
    pub password: ChangeFacts,
    pub life: LifeFacts,
    pub ip: IpAddr,
    pub binding: Binding,
    pub applications: Vec<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct Walked {
    id: String,
    account_id: String,
    signed_in_at: At,
    last_active_at: At,
    last_seen_at: At,
    ip: String,
    user_agent: Option<String>,
    accepted_v4: Option<String>,
    accepted_v6: Option<String>,
    network_changes: i32,
    first_change_at: Option<At>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = accounts)]
struct Owner {
    name: String,
    role: String,
    password_changed_at: At,
    password_set_by_other: bool,
    must_change_password: bool,
    disabled_at: Option<At>,
    expired_at: Option<At>,
}

impl Walked {
    fn read(self, owner: Owner, applications: Vec<String>) -> Result<LiveRow, StoreError> {
        Ok(LiveRow {
            id: id_of(&self.id)?,
            account_id: account_rows::id_of(&self.account_id)?,
            account_name: owner.name,
            role: account_rows::role_of(&owner.role)?,
            account_state: AccountState::of(owner.disabled_at.is_some(), owner.expired_at.is_some()),
            password: ChangeFacts {
                changed_at: owner.password_changed_at.into(),
                set_by_other: owner.password_set_by_other,
                must_change: owner.must_change_password,
            },
            life: LifeFacts {
                signed_in_at: self.signed_in_at.into(),
                last_active_at: self.last_active_at.into(),
                last_seen_at: self.last_seen_at.into(),
            },
            ip: address(&self.ip)?,
            binding: Bound {
                user_agent: self.user_agent,
                accepted_v4: self.accepted_v4,
                accepted_v6: self.accepted_v6,
                network_changes: self.network_changes,
                first_change_at: self.first_change_at,
            }
            .read()?,
            applications,
        })
    }
}

/// The live sessions by id after `after`.
pub fn live_page(c: &mut Conn, after: Option<SessionId>, limit: i64) -> Result<Vec<LiveRow>, StoreError> {
    let rows: Vec<(Walked, Owner)> = sessions::table
        .inner_join(accounts::table)
        .filter(sessions::ended_at.is_null())
        .filter(sessions::id.gt(after.map(key).unwrap_or_default()))
        .order(sessions::id)
        .limit(limit)
        .select((Walked::as_select(), Owner::as_select()))
        .load(c.db())?;
    let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else {
        return Ok(Vec::new());
    };
    // The page is a range of ids: one more range reads what its sessions entered.
    let entered: Vec<ApplicationRecord> = session_applications::table
        .filter(session_applications::session_id.between(&first.id, &last.id))
        .filter(session_applications::live)
        .order((session_applications::session_id, session_applications::application))
        .select(ApplicationRecord::as_select())
        .load(c.db())?;
    let mut entered = entered.into_iter().peekable();
    rows.into_iter()
        .map(|(row, owner)| {
            let mut applications = Vec::new();
            while let Some(next) = entered.next_if(|next| next.session_id <= row.id) {
                if next.session_id == row.id {
                    applications.push(next.application);
                }
            }
            row.read(owner, applications)
        })
        .collect()
}
