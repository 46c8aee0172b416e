//! The seals of the audit log, and the entries in the order in which they are sealed: by ID, which
//! is by time.
use super::{AuditListRow, SearchColumns, corrupt};
use crate::{
    domain::{audit::seal::Seal, time::Timestamp},
    store::{
        Conn, StoreError,
        instant::StoredInstant,
        schema::{audit, audit_seals},
    },
};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use uuid::Uuid;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_seals)]
struct SealRow {
    number: i64,
    sealed_at: StoredInstant,
    first_id: String,
    last_id: String,
    entries: i64,
    previous: String,
    digest: String,
}

impl SealRow {
    fn read(self) -> Result<Seal, StoreError> {
        let id = |text: &str| Uuid::parse_str(text).map_err(|_| corrupt("seal"));
        Ok(Seal {
            number: self.number,
            sealed_at: self.sealed_at.into(),
            first: id(&self.first_id)?,
            last: id(&self.last_id)?,
            entries: u64::try_from(self.entries).map_err(|_| corrupt("seal"))?,
            previous: self.previous,
            digest: self.digest,
        })
    }
}

/// Finds the newest seal.
pub fn find_newest(c: &mut Conn) -> Result<Option<Seal>, StoreError> {
    let row: Option<SealRow> = audit_seals::table
        .order(audit_seals::number.desc())
        .select(SealRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(SealRow::read).transpose()
}

/// Inserts a seal. Conflict: another instance has sealed in the meantime.
pub fn insert(c: &mut Conn, seal: &Seal) -> Result<(), StoreError> {
    let record = SealRow {
        number: seal.number,
        sealed_at: seal.sealed_at.into(),
        first_id: seal.first.to_string(),
        last_id: seal.last.to_string(),
        entries: i64::try_from(seal.entries).map_err(|_| corrupt("seal"))?,
        previous: seal.previous.clone(),
        digest: seal.digest.clone(),
    };
    diesel::insert_into(audit_seals::table).values(record).execute(c.db())?;
    Ok(())
}

/// Lists the seals after that number, oldest first.
pub fn list(c: &mut Conn, after: i64, limit: i64) -> Result<Vec<Seal>, StoreError> {
    let rows: Vec<SealRow> = audit_seals::table
        .filter(audit_seals::number.gt(after))
        .order(audit_seals::number)
        .limit(limit)
        .select(SealRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(SealRow::read).collect()
}

/// Removes a seal, earlier ones, and every entry up to the last one under it; returns the number of
/// entries.
pub fn remove_through(c: &mut Conn, seal: &Seal) -> Result<usize, StoreError> {
    let under = audit::table.filter(audit::id.le(seal.last.to_string()));
    let removed = diesel::delete(under).execute(c.db())?;
    diesel::delete(audit_seals::table.filter(audit_seals::number.le(seal.number))).execute(c.db())?;
    Ok(removed)
}

/// Lists entries with an ID after `after` and up to `until`, in that order, as they are sealed.
pub fn list_entries(
    c: &mut Conn,
    after: Option<Uuid>,
    until: Uuid,
    limit: i64,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let rows: Vec<AuditListRow> = audit::table
        .filter(audit::id.gt(after.unwrap_or_default().to_string()))
        .filter(audit::id.le(until.to_string()))
        .order(audit::id)
        .limit(limit)
        .select(AuditListRow::as_select())
        .load(c.db())?;
    rows.iter().map(sealed_text).collect()
}

/// Counts, up to `limit`, the events with an ID after `after` and up to `until` whose columns for
/// searching are wrong. No seal covers these columns, but they are derived from sealed ones.
pub fn count_hidden(c: &mut Conn, after: Option<Uuid>, until: Uuid, limit: i64) -> Result<usize, StoreError> {
    let rows: Vec<(AuditListRow, SearchColumns)> = audit::table
        .filter(audit::id.gt(after.unwrap_or_default().to_string()))
        .filter(audit::id.le(until.to_string()))
        .order(audit::id)
        .limit(limit)
        .select((AuditListRow::as_select(), SearchColumns::as_select()))
        .load(c.db())?;
    Ok(rows
        .iter()
        .filter(|(row, derived)| row.search_columns() != *derived)
        .count())
}

/// Counts the entries with an ID after that one.
pub fn count_after(c: &mut Conn, after: Option<Uuid>) -> Result<i64, StoreError> {
    let rows = audit::table.filter(audit::id.gt(after.unwrap_or_default().to_string()));
    Ok(rows.count().get_result(c.db())?)
}

/// Counts the entries with an ID before that one.
pub fn count_before(c: &mut Conn, before: Uuid) -> Result<i64, StoreError> {
    let rows = audit::table.filter(audit::id.lt(before.to_string()));
    Ok(rows.count().get_result(c.db())?)
}

/// Returns the complete content of a row as an unambiguous list of its columns.
pub(super) fn sealed_text(row: &AuditListRow) -> Result<(Uuid, String), StoreError> {
    let id = Uuid::parse_str(&row.id).map_err(|_| corrupt("id"))?;
    let columns = serde_json::json!([
        row.id,
        Timestamp::from(row.happened_at).as_micros(),
        row.event,
        row.actor,
        row.actor_id,
        row.account,
        row.account_id,
        row.session_id,
        row.ip,
        row.user_agent,
        row.application,
        row.outcome,
        row.reason,
        row.detail,
        row.request_id,
    ]);
    Ok((id, columns.to_string()))
}
