//! What proxies asked of late: the last question of each subject. Which applications there are is in `applications`.
use super::{Conn, StoreError, instant::At, per_backend::Both, schema::forwarded_requests};
use crate::domain::{
    forwarded::{Asked, Dialect, MOST_STRANGERS, Subject, TOLD_FOR},
    time::Timestamp,
};
use diesel::{
    AsChangeset, ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};

#[derive(Queryable, Selectable, Insertable, AsChangeset, Clone)]
#[diesel(table_name = forwarded_requests)]
struct Record {
    kind: String,
    subject: String,
    asked_at: At,
    peer: String,
    dialect: String,
    lacks: String,
}

impl Record {
    fn of(subject: &Subject, asked: &Asked) -> Self {
        let (kind, subject) = subject.parts();
        Self {
            kind: kind.to_owned(),
            subject,
            asked_at: asked.at.into(),
            peer: asked.peer.to_string(),
            dialect: asked.dialect.as_str().to_owned(),
            lacks: serde_json::json!(asked.lacks).to_string(),
        }
    }

    fn read(self) -> Result<(Subject, Asked), StoreError> {
        let read = || {
            let asked = Asked {
                at: self.asked_at.into(),
                peer: self.peer.parse().ok()?,
                dialect: Dialect::parse(&self.dialect)?,
                lacks: serde_json::from_str(&self.lacks).ok()?,
            };
            Some((Subject::of_parts(&self.kind, self.subject.clone())?, asked))
        };
        read().ok_or_else(|| StoreError::Corrupt(format!("forwarded request: {} {}", self.kind, self.subject)))
    }
}

/// The last question of this subject is this one. (Of two instances the one that writes last is believed: they write every few
/// seconds.)
pub fn note(c: &mut Conn, subject: &Subject, asked: &Asked) -> Result<(), StoreError> {
    let record = Record::of(subject, asked);
    let upsert = diesel::insert_into(forwarded_requests::table)
        .values(record.clone())
        .on_conflict((forwarded_requests::kind, forwarded_requests::subject))
        .do_update()
        .set(record);
    Both(upsert).execute(c.db())?;
    Ok(())
}

/// All there are, latest first.
pub fn list(c: &mut Conn) -> Result<Vec<(Subject, Asked)>, StoreError> {
    let rows: Vec<Record> = forwarded_requests::table
        .order((
            forwarded_requests::asked_at.desc(),
            forwarded_requests::kind,
            forwarded_requests::subject,
        ))
        .select(Record::as_select())
        .load(c.db())?;
    rows.into_iter().map(Record::read).collect()
}

/// Strangers of one kind forgotten at once at most: no write brings more.
const AT_ONCE: i64 = 500;

/// Forgets what went wrong long ago, and of strangers all but the latest.
pub fn forget_old(c: &mut Conn, now: Timestamp) -> Result<(), StoreError> {
    let old = At::from(now.saturating_sub(TOLD_FOR));
    diesel::delete(
        forwarded_requests::table
            .filter(forwarded_requests::kind.ne("answered"))
            .filter(forwarded_requests::asked_at.lt(old)),
    )
    .execute(c.db())?;
    for kind in ["stray", "unknown", "untrusted"] {
        let too_many: Vec<String> = forwarded_requests::table
            .filter(forwarded_requests::kind.eq(kind))
            .order((forwarded_requests::asked_at.desc(), forwarded_requests::subject))
            .offset(MOST_STRANGERS)
            .limit(AT_ONCE)
            .select(forwarded_requests::subject)
            .load(c.db())?;
        if !too_many.is_empty() {
            diesel::delete(
                forwarded_requests::table
                    .filter(forwarded_requests::kind.eq(kind))
                    .filter(forwarded_requests::subject.eq_any(too_many)),
            )
            .execute(c.db())?;
        }
    }
    Ok(())
}

/// An application that goes takes what was noted of it along.
pub(super) fn forget_application(c: &mut Conn, name: &str) -> Result<(), StoreError> {
    diesel::delete(
        forwarded_requests::table
            .filter(forwarded_requests::kind.eq_any(["answered", "unreadable"]))
            .filter(forwarded_requests::subject.eq(name)),
    )
    .execute(c.db())?;
    Ok(())
}
