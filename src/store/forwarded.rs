//! The latest proxy request of each subject. `applications` stores the applications.
use super::{Conn, StoreError, instant::StoredInstant, per_backend::PortableStatement, schema::forwarded_requests};
use crate::domain::{
    forwarded::{Dialect, LastProxyRequest, MAX_STRANGERS, RequestSubject, TOLD_FOR},
    time::Timestamp,
};
use diesel::{
    AsChangeset, ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};

#[derive(Queryable, Selectable, Insertable, AsChangeset, Clone)]
#[diesel(table_name = forwarded_requests)]
struct ForwardedRow {
    kind: String,
    subject: String,
    asked_at: StoredInstant,
    peer: String,
    dialect: String,
    lacks: String,
}

impl ForwardedRow {
    fn from_request(subject: &RequestSubject, asked: &LastProxyRequest) -> Self {
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

    fn read(self) -> Result<(RequestSubject, LastProxyRequest), StoreError> {
        let read = || {
            let asked = LastProxyRequest {
                at: self.asked_at.into(),
                peer: self.peer.parse().ok()?,
                dialect: Dialect::parse(&self.dialect)?,
                lacks: serde_json::from_str(&self.lacks).ok()?,
            };
            Some((RequestSubject::of_parts(&self.kind, self.subject.clone())?, asked))
        };
        read().ok_or_else(|| StoreError::Corrupt(format!("forwarded request: {} {}", self.kind, self.subject)))
    }
}

/// Stores the latest request of a subject. (If two instances write, the last one counts; they write
/// every few seconds.)
pub fn record(c: &mut Conn, subject: &RequestSubject, asked: &LastProxyRequest) -> Result<(), StoreError> {
    let record = ForwardedRow::from_request(subject, asked);
    let upsert = diesel::insert_into(forwarded_requests::table)
        .values(record.clone())
        .on_conflict((forwarded_requests::kind, forwarded_requests::subject))
        .do_update()
        .set(record);
    PortableStatement(upsert).execute(c.db())?;
    Ok(())
}

/// Lists all, latest first.
pub fn list(c: &mut Conn) -> Result<Vec<(RequestSubject, LastProxyRequest)>, StoreError> {
    let rows: Vec<ForwardedRow> = forwarded_requests::table
        .order((
            forwarded_requests::asked_at.desc(),
            forwarded_requests::kind,
            forwarded_requests::subject,
        ))
        .select(ForwardedRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(ForwardedRow::read).collect()
}

/// Maximum number of strangers of one kind that are deleted together; no write adds more.
const AT_ONCE: i64 = 500;

/// Deletes old problems, and all but the latest strangers.
pub fn forget_old(c: &mut Conn, now: Timestamp) -> Result<(), StoreError> {
    let old = StoredInstant::from(now.saturating_sub(TOLD_FOR));
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
            .offset(MAX_STRANGERS)
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

/// Deletes the requests of an application that is deleted.
pub(super) fn forget_application(c: &mut Conn, name: &str) -> Result<(), StoreError> {
    diesel::delete(
        forwarded_requests::table
            .filter(forwarded_requests::kind.eq_any(["answered", "unreadable"]))
            .filter(forwarded_requests::subject.eq(name)),
    )
    .execute(c.db())?;
    Ok(())
}
