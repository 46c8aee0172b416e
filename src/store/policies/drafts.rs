//! What has been drafted and not saved yet? Drafts belong to their author alone; old ones go by themselves.
use super::super::{
    Conn, StoreError, conn::MultiBackend, instant::At, per_backend::purge_oldest, schema::policy_drafts, text,
};
use crate::domain::{account::AccountId, policy::diff::Change, time::Timestamp};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use uuid::Uuid;

/// Edits of a revision, on their way to the review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub id: Uuid,
    pub author: AccountId,
    pub at: Timestamp,
    /// The revision that it was made from.
    pub base: i64,
    /// What kind of save it is, as the flow wrote it down.
    pub about: serde_json::Value,
    pub reason: String,
    /// Each with the value that it found.
    pub changes: Vec<Change>,
    /// What its maker was told: keys that an import could not take.
    pub notes: Vec<String>,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = policy_drafts)]
struct Record {
    id: String,
    account_id: String,
    drafted_at: At,
    base: i64,
    about: String,
    reason: String,
    changes: String,
    notes: String,
}

impl Record {
    fn of(draft: &Draft) -> Record {
        Record {
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

    fn read(self) -> Result<Draft, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("policy draft {}: {what}", self.id));
        Ok(Draft {
            id: Uuid::parse_str(&self.id).map_err(|_| corrupt("its id"))?,
            author: AccountId(Uuid::parse_str(&self.account_id).map_err(|_| corrupt("its author"))?),
            at: self.drafted_at.into(),
            base: self.base,
            about: serde_json::from_str(&self.about).map_err(|_| corrupt("its kind"))?,
            reason: self.reason.clone(),
            changes: super::changes_of(&self.changes).ok_or_else(|| corrupt("its changes"))?,
            notes: serde_json::from_str(&self.notes).map_err(|_| corrupt("its notes"))?,
        })
    }
}

/// Writes a draft, in place of the one with its id when there is one of the same author.
pub fn save(c: &mut Conn, draft: &Draft) -> Result<(), StoreError> {
    delete(c, draft.author, draft.id)?;
    diesel::insert_into(policy_drafts::table)
        .values(Record::of(draft))
        .execute(c.db())?;
    Ok(())
}

/// A draft of this author; `None`: there is none, or it is somebody else's.
pub fn find(c: &mut Conn, author: AccountId, id: Uuid) -> Result<Option<Draft>, StoreError> {
    let row: Option<Record> = policy_drafts::table
        .find(id.to_string())
        .filter(policy_drafts::account_id.eq(author.0.to_string()))
        .select(Record::as_select())
        .first(c.db())
        .optional()?;
    row.map(Record::read).transpose()
}

/// The author's drafts, newest first.
pub fn list(c: &mut Conn, author: AccountId, limit: i64) -> Result<Vec<Draft>, StoreError> {
    let rows: Vec<Record> = policy_drafts::table
        .into_boxed::<MultiBackend>()
        .filter(policy_drafts::account_id.eq(author.0.to_string()))
        .order((policy_drafts::drafted_at.desc(), policy_drafts::id.desc()))
        .limit(limit)
        .select(Record::as_select())
        .load(c.db())?;
    rows.into_iter().map(Record::read).collect()
}

/// False: there was none of this author.
pub fn delete(c: &mut Conn, author: AccountId, id: Uuid) -> Result<bool, StoreError> {
    let own = policy_drafts::table
        .find(id.to_string())
        .filter(policy_drafts::account_id.eq(author.0.to_string()));
    Ok(diesel::delete(own).execute(c.db())? == 1)
}

/// Drafts made before `before` go, the oldest first, about `limit` at most; how many.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, policy_drafts.drafted_at before before, limit))
}
