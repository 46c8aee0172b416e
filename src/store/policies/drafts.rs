//! Policy drafts. A draft belongs to its author only; old ones are deleted automatically.
use super::super::{
    Conn, StoreError, conn::MultiBackend, instant::StoredInstant, per_backend::purge_oldest, schema::policy_drafts,
    text,
};
use crate::domain::{account::AccountId, policy::PolicyDraft, time::Timestamp};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use uuid::Uuid;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = policy_drafts)]
struct DraftRow {
    id: String,
    account_id: String,
    drafted_at: StoredInstant,
    base: i64,
    about: String,
    reason: String,
    changes: String,
    notes: String,
}

impl DraftRow {
    fn from_draft(draft: &PolicyDraft) -> DraftRow {
        DraftRow {
            id: draft.id.to_string(),
            account_id: draft.author.0.to_string(),
            drafted_at: draft.at.into(),
            base: draft.base,
            about: draft.about.to_string(),
            reason: text::clean(&draft.reason).into_owned(),
            changes: super::changes_text(&draft.changes),
            notes: serde_json::json!(draft.notes).to_string(),
        }
    }

    fn read(self) -> Result<PolicyDraft, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("policy draft {}: {what}", self.id));
        Ok(PolicyDraft {
            id: Uuid::parse_str(&self.id).map_err(|_| corrupt("its id"))?,
            author: AccountId(Uuid::parse_str(&self.account_id).map_err(|_| corrupt("its author"))?),
            at: self.drafted_at.into(),
            base: self.base,
            about: serde_json::from_str(&self.about).map_err(|_| corrupt("its kind"))?,
            reason: self.reason.clone(),
            changes: super::parse_changes(&self.changes).ok_or_else(|| corrupt("its changes"))?,
            notes: serde_json::from_str(&self.notes).map_err(|_| corrupt("its notes"))?,
        })
    }
}

/// Writes a draft, in place of the author's draft with the same ID if there is one.
pub fn save(c: &mut Conn, draft: &PolicyDraft) -> Result<(), StoreError> {
    delete(c, draft.author, draft.id)?;
    diesel::insert_into(policy_drafts::table)
        .values(DraftRow::from_draft(draft))
        .execute(c.db())?;
    Ok(())
}

/// Finds a draft of this author; `None`: there is none, or it belongs to another author.
pub fn find(c: &mut Conn, author: AccountId, id: Uuid) -> Result<Option<PolicyDraft>, StoreError> {
    let row: Option<DraftRow> = policy_drafts::table
        .find(id.to_string())
        .filter(policy_drafts::account_id.eq(author.0.to_string()))
        .select(DraftRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(DraftRow::read).transpose()
}

/// Lists the author's drafts, newest first.
pub fn list(c: &mut Conn, author: AccountId, limit: i64) -> Result<Vec<PolicyDraft>, StoreError> {
    let rows: Vec<DraftRow> = policy_drafts::table
        .into_boxed::<MultiBackend>()
        .filter(policy_drafts::account_id.eq(author.0.to_string()))
        .order((policy_drafts::drafted_at.desc(), policy_drafts::id.desc()))
        .limit(limit)
        .select(DraftRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(DraftRow::read).collect()
}

/// Deletes a draft. Returns false if this author has none with the ID.
pub fn delete(c: &mut Conn, author: AccountId, id: Uuid) -> Result<bool, StoreError> {
    let own = policy_drafts::table
        .find(id.to_string())
        .filter(policy_drafts::account_id.eq(author.0.to_string()));
    Ok(diesel::delete(own).execute(c.db())? == 1)
}

/// Deletes drafts made before `before`, the oldest first, about `limit` at most; returns their
/// number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, policy_drafts.drafted_at before before, limit))
}
